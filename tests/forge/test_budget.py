"""Five requests a minute are all there are: none is in vain, and two processes share them."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from assets.runs.loading import forecast
from assets.sources import endpoint_of
from assets.terminal import runs
from assets.terminal.console import Report
from pipelines.windows import Window
from tests.clock import TODAY
from tests.conftest import GRAINS, Open, World
from tests.forge.world import APP, ENVIRONMENT, SITE, SMALL, due, land, last_days
from tests.sandbox.forge_apps import RESOURCES

TAKE = """
import sys, time
from pathlib import Path
from pyrate_limiter import Rate
from pipelines.http import Budget

folder, count, each, milliseconds = sys.argv[1], *map(int, sys.argv[2:])
print("ready", flush=True)
sys.stdin.readline()
budget = Budget(Path(folder), "forge", "owner:token", [Rate(each, milliseconds)])
for _ in range(count):
    budget.take()
    print(time.time(), flush=True)
budget.close()
"""
LAND = """
import sys
from datetime import datetime
from assets.runs.loading import Loader
from assets.settings import read_settings
from assets.sources import endpoint_of
from pipelines.windows import Window
table, since, until = sys.argv[1:]
window = Window("daily", datetime.fromisoformat(since), datetime.fromisoformat(until))
with Loader(read_settings()) as loader:
    landing = loader.load_window(endpoint_of(table), window)
    assert not landing.failures, landing.failures
    print(loader.accounts.requests_sent, loader.accounts.rate_limited)
"""


class Listening(Report):
    """Notes what is said, and how many requests had been sent by then."""

    def __init__(self, here: World, until: str | None = None) -> None:
        super().__init__(True)
        self.here, self.heard, self._until = here, list[tuple[int, str]](), until

    def say(self, text: str) -> None:
        """A line; at one with these words a person interrupts."""
        self.heard.append((len(self.here.sandbox.forge.requests), text))
        if self._until and self._until in text:
            raise KeyboardInterrupt


def most_within(seconds: float, instants: list[float]) -> int:
    """The most of these instants that any so many seconds hold."""
    return max(sum(start <= at < start + seconds for at in instants) for start in instants)


def taking(folder: Path, count: int, each: int, milliseconds: int) -> subprocess.Popen[str]:
    """A process that will take from a budget when it is told to."""
    arguments = [str(folder), str(count), str(each), str(milliseconds)]
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def taken(process: subprocess.Popen[str]) -> list[float]:
    """When it took what it took."""
    out, _ = process.communicate("\n")
    assert process.returncode == 0
    return [float(line) for line in out.split()]


@pytest.mark.slow  # by default a day is
def test_a_month_is_a_request_for_each_resource_and_the_pages_that_follow(world: Open) -> None:
    """Twelve resources, three groupings: 36, and the second pages that have to be."""
    options = {"forge_page_size": 50, "forge_page_counts": "groups"}
    here = world(**SMALL | options)
    until = TODAY.replace(day=1)
    window = Window("daily", (until - timedelta(days=1)).replace(day=1), until)
    landings = land(here, window, [APP, SITE, ENVIRONMENT])
    assert [landing.failures for landing in landings] == [[], [], []]
    apps, needed = here.company.forge, 0
    for app in apps.app_ids:
        for resource in RESOURCES:
            days = [window.since + timedelta(days=n) for n in range((until - window.since).days)]
            cells = [apps.cells(app, resource, day) for day in days]
            flat = sum(bool(of_day) for of_day in cells)
            sites = sum(len({site for site, _ in of_day if site}) for of_day in cells)
            environments = sum(len({name for _, name in of_day}) for of_day in cells)
            needed += sum(rows // 50 + 1 for rows in (flat, sites, environments))
    assert needed > 36
    assert len(here.sandbox.forge.requests) == needed
    pages = [request.variables.get("page") for request in here.sandbox.forge.requests]
    assert pages.count(None) == 36


def test_the_forecast_comes_first(world: Open) -> None:
    """How many slices, and how long at the least, before any request."""
    here, window = world(**SMALL), last_days(1)
    heard = Listening(here, until="to ask")
    settings = here.settings_with(FORGE_REQUESTS_PER_MINUTE="5")
    with pytest.raises(KeyboardInterrupt):
        runs.load_window(settings, heard, ("forge",), ("daily",), window.since, window.until)
    sent_before, said = heard.heard[0]
    assert sent_before == 0
    assert "Forge: 12 slices of forge_app_usage to ask" in said
    assert "at least 2 min" in said


def test_what_was_asked_in_this_tick_is_not_asked_again(world: Open) -> None:
    """A slice is one request, and the same window asked for again is none."""
    here, window = world(**SMALL), last_days(1)
    for _ in range(2):
        heard = Listening(here)
        runs.load_window(here.settings, heard, ("forge",), ("daily",), window.since, window.until)
        assert len(here.sandbox.forge.requests) == 36
    assert any("all of it was asked since the last tick" in text for _, text in heard.heard)


def test_the_forecast_is_the_budgets() -> None:
    """What it says is for people: of what, how much, and at the least how long."""
    assert forecast(endpoint_of(APP), 72, 14) == (
        "Forge: 72 slices of forge_app_usage to ask; its budget of requests makes that take at "
        "least 14 min. What is interrupted goes on where it stopped."
    )
    assert forecast(endpoint_of(APP), 1, 0) == "Forge: 1 slice of forge_app_usage to ask."


@pytest.mark.parametrize(
    ("unset", "why"),
    [
        (["ATLASSIAN_EMAIL"], "ATLASSIAN_EMAIL is not set"),
        (["ATLASSIAN_API_TOKEN"], "ATLASSIAN_API_TOKEN is not set"),
        (["FORGE_APP_IDS"], "FORGE_APP_IDS is not set"),
        (
            ["ATLASSIAN_EMAIL", "ATLASSIAN_API_TOKEN", "FORGE_APP_IDS"],
            "ATLASSIAN_EMAIL, ATLASSIAN_API_TOKEN, FORGE_APP_IDS are not set",
        ),
    ],
)
def test_what_is_not_configured_is_skipped(world: Open, unset: list[str], why: str) -> None:
    """It says what is missing; no request, no failure."""
    here = world(**SMALL)
    here.settings = here.settings_with(**dict.fromkeys(unset, ""))
    result = due(here)
    assert result["skipped"] == [{"source": "forge", "why": why}]
    assert (result["asked"], result["failures"], result["requests"]) == ([], [], 0)
    assert here.sandbox.forge.requests == []
    heard = Listening(here)
    runs.load_due(here.settings, heard, ("forge",), GRAINS)
    assert any(text.startswith("forge") and why in text for _, text in heard.heard)


@pytest.mark.slow  # the short form of this and the next is in tests/test_http.py
def test_two_processes_share_a_budget(tmp_path: Path) -> None:
    """Started at the same moment, five in three seconds: no two seconds ever see more than five.

    The second between them is for what passes between being let go and being counted there; of a
    minute it is two seconds.
    """
    processes = [taking(tmp_path, 6, 5, 3000) for _ in range(2)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    instants = sorted(instant for process in processes for instant in taken(process))
    assert len(instants) == 12
    assert most_within(2, instants) <= 5
    assert instants[-1] - instants[0] >= 2 * 3 - 1


@pytest.mark.slow
def test_a_budget_survives_a_restart(tmp_path: Path) -> None:
    """What one process spent, the next has not got, which begins right after the first ended."""
    first, second = (taking(tmp_path, count, 3, 3000) for count in (3, 1))
    spent = taken(first)
    assert spent[-1] - spent[0] < 2
    assert taken(second)[0] - spent[0] >= 2.9


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_five_a_minute_from_two_processes_in_real_time(world: Open) -> None:
    """The gateway's own limit is on: no 60 seconds see a sixth request, and none is refused."""
    here, window = world(**SMALL | {"forge_requests_per_minute": 5}), last_days(1)
    environment = os.environ | here.environment
    # its requests take the time that they take, by the clock of the machine
    environment |= {"FORGE_REQUESTS_PER_MINUTE": "5", "LIMIT_CLOCK_SECONDS": "999999999"}
    span = [window.since.isoformat(), window.until.isoformat()]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", LAND, table, *span],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for table in (APP, SITE)
    ]
    assert [process.communicate()[0] for process in processes] == ["12 0\n", "12 0\n"]
    requests = here.sandbox.forge.requests
    assert [request.status for request in requests] == [200] * 24
    assert most_within(60, [request.asked_at.timestamp() for request in requests]) == 5
