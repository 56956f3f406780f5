"""The cost of an hour does not grow with what is held."""

from pathlib import Path

import pytest

from assets import loading
from tests.benchmarks.history import END, Cost, fill, hour_goes_by, settings_at


def cost_after(folder: Path, weeks: int) -> Cost:
    """What an hour costs with so many weeks of twenty projects."""
    path = folder / f"weeks_{weeks}.duckdb"
    fill(path, 20, weeks)
    loading.build(settings_at(path, END))
    hour_goes_by(path, 20, 0)
    return hour_goes_by(path, 20, 1)


@pytest.mark.slow
def test_an_hour_after_ten_weeks_costs_what_it_costs_after_one(tmp_path: Path) -> None:
    """Measured in one run; where something reads all of history it is a multiple."""
    short, long = cost_after(tmp_path, 1), cost_after(tmp_path, 10)
    assert long.build < 1.5 * short.build + 0.5
    assert long.load < 1.5 * short.load + 0.5
