"""Windows are whole buckets, and a receipt never covers a bucket that its request did not."""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from assets.runs import planning
from assets.runs.loading import Loader
from assets.sources import ENDPOINTS, endpoint_of
from pipelines.endpoint import Endpoint
from pipelines.load import Walk
from pipelines.log import OF_THE_MACHINE
from pipelines.receipts import Receipt
from pipelines.source import LoadResult
from pipelines.windows import (
    GRAINS,
    RUN,
    Window,
    WindowError,
    ceiling,
    floor,
    next_bucket,
    whole_buckets,
)
from tests.conftest import World, open_world
from tests.sandbox import times

DAY = timedelta(days=1)
# a failure is not made smaller: every example asks over HTTP
PHASES = (Phase.generate,)
SECOND = timedelta(seconds=1)
NOW = datetime(2026, 11, 21, 8, 20, 30, tzinfo=UTC)
LENGTHS = st.timedeltas(timedelta(microseconds=1), timedelta(days=70))
INSTANTS = LENGTHS.map(lambda before: NOW - 10 * before)
# of readings there is today alone (tests/atlassian_meters/test_client.py)
ASKED = [
    pytest.param(call, grain, id=f"{call.table} {grain}")
    for call in ENDPOINTS
    for grain in call.grains
    if grain in GRAINS and call.table != "platform_readings"
]


def at(text: str) -> datetime:
    """A UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("grain", "start", "following"),
    [
        ("hourly", "2026-11-21T08:00", "2026-11-21T09:00"),
        ("daily", "2026-11-21", "2026-11-22"),
        ("monthly", "2026-11-01", "2026-12-01"),
        (RUN, "2026-11-21", "2026-11-22"),
    ],
)
def test_a_bucket_starts_where_utc_says(grain: str, start: str, following: str) -> None:
    """Also for an instant told in another zone."""
    for instant in (NOW, NOW.astimezone(timezone(timedelta(hours=-9)))):
        assert floor(instant, grain) == at(start)
        assert next_bucket(instant, grain) == ceiling(instant, grain) == at(following)
    assert floor(at(start), grain) == ceiling(at(start), grain) == at(start)


def test_a_year_turns() -> None:
    """Months after December are those of the next year."""
    months = Window("monthly", at("2026-12-01"), at("2027-03-01")).buckets()
    assert months == [at("2026-12-01"), at("2027-01-01"), at("2027-02-01")]


@pytest.mark.parametrize(
    ("grain", "since", "until", "said"),
    [
        (
            "hourly",
            at("2026-11-20T00:30"),
            at("2026-11-21"),
            "since 2026-11-20T00:30:00",
        ),
        ("daily", at("2026-11-20"), at("2026-11-21T12:00"), "inside a UTC day"),
        ("monthly", at("2026-11-01"), at("2026-11-20"), "inside a UTC month"),
        (RUN, at("2026-11-20T01:00"), at("2026-11-21"), "inside a UTC day"),
        ("daily", at("2026-11-20"), at("2026-11-20"), "holds no bucket"),
        ("daily", at("2026-11-21"), at("2026-11-20"), "holds no bucket"),
        ("daily", datetime(2026, 11, 20), at("2026-11-21"), "has no time zone"),  # noqa: DTZ001
        ("weekly", at("2026-11-16"), at("2026-11-23"), "'weekly' is no grain"),
    ],
)
def test_what_is_not_whole_buckets_is_refused(
    grain: str, since: datetime, until: datetime, said: str
) -> None:
    """And the error says what is wrong with it."""
    with pytest.raises(WindowError, match=said):
        Window(grain, since, until)


def test_a_window_is_told_in_utc() -> None:
    """Whatever zone its ends were told in: requests and receipts write them down as UTC."""
    plus_two = timezone(timedelta(hours=2))
    window = Window("daily", at("2026-11-20").astimezone(plus_two), at("2026-11-21"))
    assert str(window) == "daily 2026-11-20T00:00Z to 2026-11-21T00:00Z"
    assert window.since.tzinfo is UTC


def test_the_last_bucket_of_a_window_cannot_be_left_out() -> None:
    """A window of one bucket has nothing without its first one."""
    window = Window("daily", at("2026-11-20"), at("2026-11-22"))
    (shorter,) = window.without([window.since])
    assert shorter == Window("daily", at("2026-11-21"), at("2026-11-22"))
    assert shorter.without([shorter.since]) == []


@settings(deadline=None, database=None, max_examples=40)
@given(st.sampled_from([*GRAINS, RUN]), INSTANTS, LENGTHS)
def test_covering_is_the_smallest_window_of_whole_buckets(
    grain: str, since: datetime, length: timedelta
) -> None:
    """Its first and its last bucket are touched, and its buckets leave no gap."""
    until = since + length
    window = Window.covering(grain, since, until)
    starts = window.buckets()
    ends = [next_bucket(start, grain) for start in starts]
    assert starts[0] <= since < ends[0]
    assert starts[-1] < until <= ends[-1]
    assert starts[1:] == ends[:-1]


@settings(deadline=None, database=None, max_examples=40)
@given(st.sampled_from(GRAINS), INSTANTS, LENGTHS)
def test_whole_buckets_lie_within(grain: str, since: datetime, length: timedelta) -> None:
    """All that fit, and none that starts before or ends after."""
    until = since + length
    touched = Window.covering(grain, since, until).buckets()
    fits = [start for start in touched if since <= start and next_bucket(start, grain) <= until]
    assert whole_buckets(grain, since, until) == fits
    assert whole_buckets(grain, until, since) == []


# -- what is claimed is what was asked ----------------------------------------------------------


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All vendors, as small as they are; the walks that branches need have landed."""
    small: dict[str, Any] = {"orgs": 1, "projects": 1, "branches": 1, "apps": 1, "sites": 1}
    small |= {"workspaces": 1, "repositories": 1}
    folder: Path = tmp_path_factory.mktemp("windows")
    with open_world(folder, **small, legacy_account=True) as opened:
        opened.settings = opened.settings_with(FORGE_SITES_BY_ENVIRONMENT="yes")
        for grain in GRAINS:
            assert not opened.land("neon_project_usage", opened.reach(grain)).failures
        yield opened


@pytest.fixture(scope="module")
def loader(here: World) -> Iterator[Loader]:
    """Clients, and an opening of the warehouse, that outlive a test."""
    with Loader(here.settings) as opened, opened.at_once():
        yield opened


@pytest.mark.parametrize("count", [1, pytest.param(15, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("call", "grain"), ASKED)
def test_a_receipt_never_covers_what_was_not_asked(
    here: World, loader: Loader, call: Endpoint, grain: str, count: int
) -> None:
    """Any instants, every vendor and grain: all buckets of a receipt are in its requests."""

    @settings(max_examples=count, deadline=None, database=None, phases=PHASES)
    @given(
        minutes_ago=st.integers(0, 50 * 24 * 60),
        minutes=st.integers(1, 60 * 24 * 60),
        snapped_to=st.sampled_from([None, *GRAINS]),
    )
    def tried(minutes_ago: int, minutes: int, snapped_to: str | None) -> None:
        now = here.company.now
        minutes_ago = minutes_ago % (160 * 60) if grain == "hourly" else minutes_ago
        since = now - timedelta(minutes=minutes_ago)
        until = since + timedelta(minutes=minutes)
        if snapped_to:
            since, until = floor(since, snapped_to), ceiling(until, snapped_to)
        window = planning.reachable(call, grain, since, until, now)
        assert window is not None
        receipts, asked = receipts_of(here, loader, call, window)
        assert receipts
        for receipt in receipts:
            assert receipt.window is not None
            assert asked.issuperset(receipt.window.buckets())
        claimed = {start for r in receipts if r.window for start in r.window.buckets()}
        assert claimed == {*window.buckets()}

    tried()


@cache
def load_environments(loader: Loader) -> None:
    """Once, of all windows: what sites by environment are asked by."""
    now = loader.settings.clock()
    days = Window.covering("daily", now - 85 * DAY, now)
    assert not loader.load_window(endpoint_of("forge_environment_usage"), days).failures


def receipts_of(
    here: World, loader: Loader, call: Endpoint, window: Window
) -> tuple[list[Receipt], set[datetime]]:
    """The receipts of one scope of a call over a window, and the buckets that it was asked for."""
    if "forge_environment_usage" in call.needs:
        load_environments(loader)
    wanted = loader.within(call, window)
    assert wanted is not None
    askers = loader.accounts.wanting(call)
    slices = [it for asker in askers for it in loader._slices(wanted, asker, LoadResult())]
    here.sandbox.requests.clear()
    here.sandbox.forge.requests.clear()
    of_one = deque(a_slice for a_slice in slices if a_slice.scope == slices[0].scope)
    landing, rows = LoadResult(), deque[datetime]()
    clock = here.settings.clock
    walk = Walk(call, clock, of_one, landing, lambda asked: None, OF_THE_MACHINE)
    for page in walk.pages(call):
        if call.source == "bitbucket":
            rows.extend(page["created_at"].to_pylist())
    assert not landing.failures
    asked = {"bitbucket": by_runs, "forge": by_forge}.get(call.source, by_neon)
    return landing.receipts, asked(here, call, window, set(rows))


def by_neon(here: World, call: Endpoint, window: Window, _: set[datetime]) -> set[datetime]:
    """Neon rounds `from` and `to` down to the grain; `to` itself is not answered."""
    found: set[datetime] = set()
    for request in here.sandbox.requests:
        if call.request.removeprefix("GET ") == request.path:
            (grain,), (since,), (until,) = (
                request.query[name] for name in ("granularity", "from", "to")
            )
            kind = times.parse_granularity(grain)
            assert kind == window.grain
            ends = [times.floor(datetime.fromisoformat(end), kind) for end in (since, until)]
            found.update(times.buckets(kind, *ends))
    return found


def by_forge(here: World, _: Endpoint, window: Window, __: set[datetime]) -> set[datetime]:
    """A day is asked for where both its first and its last second are: `end` is inclusive."""
    spans = [
        [datetime.fromisoformat(request.variables["interval"][name]) for name in ("start", "end")]
        for request in here.sandbox.forge.requests
    ]
    days = times.buckets("daily", window.since - 2 * DAY, window.until + 2 * DAY)
    return {day for day in days for since, last in spans if since <= day <= last - DAY + SECOND}


def by_runs(here: World, _: Endpoint, window: Window, seen: set[datetime]) -> set[datetime]:
    """Runs are asked for newest first: a day was, where all the runs created on it came."""
    org = here.company.atlassian
    (repository,) = org.live_repositories(org.workspaces[0].uuid)
    missing = {
        times.floor(run.created_at, "daily")
        for run in org.runs(repository.uuid)
        if run.created_at not in seen
    }
    days = times.buckets("daily", window.since, window.until)
    return {*days} - missing
