"""What is claimed of cost, small and with generous limits: `make bench` measures it."""

from pathlib import Path

import pytest

from assets.runs import building
from tests.benchmarks import loading as loads
from tests.benchmarks import pages
from tests.benchmarks.history import END, Cost, cpu_seconds, fill, hour_goes_by, settings_at


def cost_after(folder: Path, weeks: int) -> Cost:
    """What an hour costs with so many weeks of twenty projects."""
    path = folder / f"weeks_{weeks}.duckdb"
    fill(path, 20, weeks)
    building.build(settings_at(path, END))
    hour_goes_by(path, 20, 0)
    return hour_goes_by(path, 20, 1)


@pytest.mark.slow
def test_an_hour_after_ten_weeks_costs_what_it_costs_after_one(tmp_path: Path) -> None:
    """Measured in one run; where something reads all of history it is a multiple."""
    short, long = cost_after(tmp_path, 1), cost_after(tmp_path, 10)
    assert long.build < 1.5 * short.build + 0.5
    assert long.load < 1.5 * short.load + 0.5


@pytest.mark.slow
def test_a_load_costs_little_more_than_a_floor_written_by_hand(tmp_path: Path) -> None:
    """At a page of 134,400 values, with the half second that a landing takes however short."""
    answers = pages.Answers(pages=1)
    with pages.serve(answers) as url:
        loads.ours(url, tmp_path / "before.duckdb", answers.hours)  # imports what a load needs
        ours = cpu_seconds(lambda: loads.ours(url, tmp_path / "ours.duckdb", answers.hours))
        floor = cpu_seconds(lambda: loads.floor(url, tmp_path / "floor.duckdb", answers.hours))
    assert ours < 3 * floor + 0.5
