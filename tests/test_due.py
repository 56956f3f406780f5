"""What is due follows from the receipts held and the ticks that schedules keep."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime

import duckdb
import pytest

from assets.runs import planning
from assets.runs.loading import Loader
from assets.settings import read_settings
from assets.sources import endpoint_of
from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.receipts import Connection, create_raw_tables
from pipelines.windows import Window

USAGE = endpoint_of("neon_project_usage")
NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


def at(text: str) -> datetime:
    """A UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Planner(Loader):
    """A loader on an open warehouse, of a key that names these organizations, at an instant."""

    def __init__(self, connection: Connection, now: datetime, orgs: Iterable[str] = ()) -> None:
        environment = {"NEON_API_KEY": "key", "NEON_ORG_IDS": ",".join(orgs)}
        super().__init__(read_settings(environment, clock=lambda: now))
        self._connection = connection

    def open_warehouse(self) -> AbstractContextManager[Connection]:
        """The one that is open."""
        return nullcontext(self._connection)


def due_window(
    connection: Connection,
    endpoint: Endpoint,
    grain: str,
    now: datetime,
    orgs: Iterable[str] = (),
) -> Window | None:
    """What is due at an instant."""
    due = Planner(connection, now, orgs).due(endpoint, grain)
    return due.window if due else None


def names_are_due(connection: Connection, endpoint: Endpoint, now: datetime) -> bool:
    """Whether names are to be listed at an instant."""
    return Planner(connection, now).due(endpoint, SNAPSHOT) is not None


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with no receipts."""
    with duckdb.connect() as opened:
        opened.execute("set TimeZone = 'UTC'")
        create_raw_tables(opened)
        yield opened


def receipt(
    connection: duckdb.DuckDBPyConnection,
    since: str | None,
    until: str | None,
    asked: str,
    grain: str = "hourly",
    scope: str = "org-1",
    complete: bool = True,
    resource: str = "neon_project_usage",
) -> None:
    """One receipt."""
    connection.execute(
        "insert into raw.loads by name select 'load' as load_id, 'neon' as source,"
        " $1 as resource, $2 as granularity, $3 as scope, $4::timestamptz as window_start,"
        " $5::timestamptz as window_end, $6::timestamptz as asked_at, 0 as rows, 1 as pages,"
        " $7 as complete, $6::timestamptz as landed_at",
        [
            resource,
            grain,
            scope,
            at(since) if since else None,
            at(until) if until else None,
            at(asked),
            complete,
        ],
    )


@pytest.mark.parametrize(
    ("grain", "since", "until"),
    [
        ("hourly", "2026-11-14T09:00", "2026-11-21T09:00"),
        ("daily", "2026-09-23", "2026-11-22"),
        ("monthly", "2025-12-01", "2026-12-01"),
    ],
)
def test_with_nothing_held_everything_in_reach_is_due(
    connection: duckdb.DuckDBPyConnection, grain: str, since: str, until: str
) -> None:
    """The first load asks for all that the vendor keeps."""
    assert due_window(connection, USAGE, grain, NOW) == Window(grain, at(since), at(until))


def test_what_is_refused_is_asked_for_once_a_tick(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """Five minutes may be a bad moment: every run asks again. After that, every tick does; but what
    answered in the last 7 days is asked for by every run."""
    whole = ("2026-11-14T09:00", "2026-11-21T09:00")
    all_of_it = Window("hourly", at(whole[0]), at(whole[1]))
    for asked in ("2026-11-21T08:21", "2026-11-21T08:25"):
        receipt(connection, *whole, asked, complete=False)
        assert due_window(connection, USAGE, "hourly", NOW) == all_of_it
    receipt(connection, *whole, "2026-11-21T08:26", complete=False)
    assert due_window(connection, USAGE, "hourly", NOW) is None
    assert due_window(connection, USAGE, "hourly", at("2026-11-21T09:20")) is not None
    receipt(connection, "2026-11-13T00:00", "2026-11-13T01:00", "2026-11-14T08:29")
    assert due_window(connection, USAGE, "hourly", NOW) is None
    receipt(connection, "2026-11-13T00:00", "2026-11-13T01:00", "2026-11-14T08:31")
    assert due_window(connection, USAGE, "hourly", NOW) == all_of_it


def test_nothing_is_due_twice_in_a_tick(connection: duckdb.DuckDBPyConnection) -> None:
    """Asked after the tick of 08:20, hours are due again at 09:20 and not before."""
    receipt(connection, "2026-11-14T09:00", "2026-11-21T09:00", "2026-11-21T08:21")
    assert due_window(connection, USAGE, "hourly", NOW) is None
    assert due_window(connection, USAGE, "hourly", at("2026-11-21T09:19")) is None
    due = due_window(connection, USAGE, "hourly", at("2026-11-21T09:20"))
    assert due == Window("hourly", at("2026-11-21T03:00"), at("2026-11-21T10:00"))


def test_a_hole_is_asked_for_with_all_that_follows(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """One walk from the oldest missing hour on: it costs no more than the hole alone."""
    receipt(connection, "2026-11-14T09:00", "2026-11-18T00:00", "2026-11-21T08:21")
    receipt(connection, "2026-11-18T05:00", "2026-11-21T09:00", "2026-11-21T08:21")
    due = due_window(connection, USAGE, "hourly", NOW)
    assert due == Window("hourly", at("2026-11-18T00:00"), at("2026-11-21T09:00"))


def test_hours_that_were_open_when_asked_are_due(connection: duckdb.DuckDBPyConnection) -> None:
    """An hour asked about before it had settled, 15 minutes after its end, is asked about again."""
    noon = at("2026-11-21T12:30")
    receipt(connection, "2026-11-14T13:00", "2026-11-21T13:00", "2026-11-21T12:21")
    assert due_window(connection, USAGE, "hourly", noon) is None
    connection.execute("delete from raw.loads")
    receipt(connection, "2026-11-14T13:00", "2026-11-21T03:00", "2026-11-21T12:19")
    receipt(connection, "2026-11-21T03:00", "2026-11-21T04:00", "2026-11-21T04:15")
    receipt(connection, "2026-11-21T04:00", "2026-11-21T05:00", "2026-11-21T05:14")
    receipt(connection, "2026-11-21T05:00", "2026-11-21T13:00", "2026-11-21T12:21")
    due = due_window(connection, USAGE, "hourly", noon)
    assert due == Window("hourly", at("2026-11-21T04:00"), at("2026-11-21T13:00"))


def test_recent_hours_are_due_again_once_a_day(connection: duckdb.DuckDBPyConnection) -> None:
    """After the tick of 02:20, hours of the last three days that were last asked before it."""
    receipt(connection, "2026-11-14T09:00", "2026-11-21T02:00", "2026-11-21T02:19")
    receipt(connection, "2026-11-21T02:00", "2026-11-21T09:00", "2026-11-21T08:21")
    due = due_window(connection, USAGE, "hourly", NOW)
    assert due == Window("hourly", at("2026-11-18T00:00"), at("2026-11-21T09:00"))


def test_the_latest_asking_counts(connection: duckdb.DuckDBPyConnection) -> None:
    """An hour that was open once and was asked about since is not due."""
    receipt(connection, "2026-11-14T09:00", "2026-11-21T09:00", "2026-11-21T08:21")
    receipt(connection, "2026-11-20T20:00", "2026-11-20T21:00", "2026-11-20T20:30")
    assert due_window(connection, USAGE, "hourly", NOW) is None


def test_a_receipt_of_something_else_covers_nothing(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """Neither of another grain, nor of another resource."""
    window = ("2026-11-14T09:00", "2026-11-21T09:00", "2026-11-21T08:21")
    receipt(connection, *window, grain="daily")
    receipt(connection, *window, resource="neon_branch_usage")
    due = due_window(connection, USAGE, "hourly", NOW)
    assert due == Window("hourly", at("2026-11-14T09:00"), at("2026-11-21T09:00"))


def test_a_retired_call_is_due_once_a_day(connection: duckdb.DuckDBPyConnection) -> None:
    """An incomplete receipt of a window says that there is no answer, until the next daily tick."""
    account = endpoint_of("neon_account_usage")
    since, until = "2026-11-14T09:00", "2026-11-21T09:00"
    asked = "2026-11-21T08:21"
    receipt(connection, since, until, asked, complete=False, resource="neon_account_usage")
    assert due_window(connection, account, "hourly", NOW) is None
    assert due_window(connection, account, "hourly", at("2026-11-22T02:19")) is None
    assert due_window(connection, account, "hourly", at("2026-11-22T02:20")) is not None


def test_an_org_without_receipts_makes_everything_due(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """A configured org that was never asked is due although another one is up to date."""
    receipt(connection, "2026-11-14T09:00", "2026-11-21T09:00", "2026-11-21T08:21")
    assert due_window(connection, USAGE, "hourly", NOW, ["org-1"]) is None
    due = due_window(connection, USAGE, "hourly", NOW, ["org-1", "org-2"])
    assert due == Window("hourly", at("2026-11-14T09:00"), at("2026-11-21T09:00"))


def test_names_are_due_once_a_day(connection: duckdb.DuckDBPyConnection) -> None:
    """Asked before the tick of 02:20 they are due, asked after it they are not."""
    projects = endpoint_of("neon_projects")
    assert names_are_due(connection, projects, NOW)
    receipt(connection, None, None, "2026-11-21T02:19", grain="snapshot", resource="neon_projects")
    assert names_are_due(connection, projects, NOW)
    receipt(connection, None, None, "2026-11-21T02:20", grain="snapshot", resource="neon_projects")
    assert not names_are_due(connection, projects, NOW)
    assert names_are_due(connection, projects, at("2026-11-22T02:20"))


def test_what_is_told_of_today_alone_is_due_before_the_first_tick() -> None:
    """Once: a first run just after midnight would have nothing of it, and be told to run again."""
    readings, today = endpoint_of("platform_readings"), at("2026-11-22")

    def due(held: dict[datetime, datetime]) -> planning.Due:
        now = at("2026-11-22T00:16")
        return planning.due_buckets(readings, "daily", {"org": held}, {}, ("org",), now)

    assert due({}) == {"org": [today]}
    assert due({today: at("2026-11-22T00:10")}) == {}
