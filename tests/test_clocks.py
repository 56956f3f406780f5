"""A machine whose clock is wrong: said before anything lands, or else healed by the right one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.runs.loading import Loader
from assets.settings import Settings, read_settings
from assets.sources import endpoint_of
from assets.terminal import runs
from assets.terminal.console import Report
from tests.atlassian_usage.folder import Exports, Line
from tests.clock import NOW
from tests.conftest import GRAINS, Open, World, Worlds
from tests.faults.front import Asked, Front, Reply

NAMES = ("neon_projects", "neon_branches")
SMALL: dict[str, Any] = {"orgs": 1, "projects": 3, "branches": 1}


def load(settings: Settings) -> list[str]:
    """What is due of Neon; what went wrong."""
    return runs.load_due(settings, Report(True), ("neon",), GRAINS).failures


def off_by(here: World, off: timedelta) -> Settings:
    """The same with a clock that is so far off."""

    def clock() -> datetime:
        return here.clock() + off

    return read_with(here, clock)


def read_with(here: World, clock: Callable[[], datetime]) -> Settings:
    """The settings with another clock."""
    return read_settings(here.environment, clock)


def without_date(asked: Asked, reply: Reply) -> None:
    """A vendor that does not say what time it is."""
    reply.headers.pop("date", None)


@pytest.mark.parametrize("off", [timedelta(days=30), timedelta(hours=-3)])
def test_nothing_lands_by_a_clock_that_is_wrong(world: Open, off: timedelta) -> None:
    """One request, one sentence, whatever is asked next; by the right clock it loads."""
    here = world(**SMALL, facts_alone=True)
    with Loader(off_by(here, off)) as loader:
        said = {str(loader.load_names(endpoint_of(table)).failures[0]) for table in NAMES}
    (sentence,) = said
    assert "the clock of this machine says" in sentence
    assert here.raw("select * from raw.loads") == []
    assert len(here.new_requests()) == 1
    assert here.land(NAMES[0], None).receipts


@pytest.mark.slow
@pytest.mark.parametrize("off", [timedelta(days=30), timedelta(days=-30)])
def test_a_file_that_is_changed_counts_whatever_the_clock_said(
    tmp_path: Path, worlds: Worlds, off: timedelta
) -> None:
    """No vendor tells the time of files: what was put into the folder last is the last word."""
    here = Exports.in_folder(tmp_path, worlds.begin(tmp_path, facts_alone=True))
    environment = {
        "WAREHOUSE": f"{here.settings.warehouse}",
        "PLATFORM_USAGE_DIR": f"{here.folder}",
    }
    day = NOW - timedelta(days=40)
    for quantity, clock in (("5", lambda: NOW + off), ("6", lambda: NOW)):
        here.settings = read_settings(environment, clock)
        here.write(
            "a.csv", "org", Line("rovo_credits", "org", f"{day:%Y-%m-%d}", quantity, f"{day}")
        )
        assert here.land().failures == []
    here.build()
    assert here.facts("org") == [("", f"{day:%Y-%m-%d}", "6")]


@pytest.mark.slow
@pytest.mark.parametrize("off", [timedelta(days=30), timedelta(hours=3), timedelta(days=-2)])
def test_the_right_clock_heals_what_a_wrong_one_landed(world: Open, off: timedelta) -> None:
    """Of a vendor that tells no time: at once, and two days later, when days come that the wrong
    clock held for past."""
    front = Front(lambda asked: True, without_date)
    here = world(**SMALL, facts_alone=True, front=front.before)
    load(off_by(here, off))
    here.build()
    first = {grain: here.reach(grain).since for grain in GRAINS}
    for days in (0, 2):
        here.company.now = NOW + timedelta(days=days)
        assert load(here.settings) == []
        here.build()
        held = [replace(here.reach(grain), since=first[grain]) for grain in GRAINS]
        assert here.facts() == here.expected_of(*held)
