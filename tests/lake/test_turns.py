"""Turns of a lake: one lands at a time, one builds at a time, and a load waits for no build."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pytest

from assets.runs.opening import rows_of
from assets.settings import Settings, read_settings
from assets.sources import endpoint_of, source_of
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.lakes import opening as lake
from dbt_like_sql.engine.warehouse import WarehouseBusyError, WarehouseError
from pipelines import receipts
from pipelines.load import load
from pipelines.receipts import Receipt
from pipelines.source import LoadResult, Slice
from pipelines.windows import Window
from tests import processes
from tests.clock import NOW, Clock, clock_from
from tests.lake.conftest import Lakes

Connection = duckdb.DuckDBPyConnection
SINCE = datetime(2026, 11, 20, tzinfo=UTC)
USAGE = endpoint_of("neon_project_usage")
DAY = Window("daily", SINCE, SINCE + timedelta(days=1))


@pytest.fixture(scope="module")
def a_lake(lakes: Lakes, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """To make a new one takes longer than most of what is done here."""
    return read_settings(lakes(tmp_path_factory.mktemp("turns")), Clock(lambda: NOW))


@pytest.fixture
def settings(a_lake: Settings) -> Settings:
    """Of a lake in which an empty table and a row of one number are."""
    with warehouse.writer(a_lake.warehouse) as connection, warehouse.transaction(connection):
        connection.execute(
            "create schema if not exists raw; drop table if exists raw.loads;"
            "create or replace table raw.kept (key varchar);"
            "create or replace table raw.counted as select 0 as number"
        )
    return a_lake


def without_turns(patch: pytest.MonkeyPatch) -> None:
    """Take the locks away, which nothing but a test does."""
    patch.setattr(lake, "turn", lambda *told: contextlib.nullcontext())


def at_once(settings: Settings, work: Callable[[Connection, Callable[[], None]], None]) -> None:
    """Two do it, each in a transaction of its own; what both have begun waits for the other, or
    for half a second: so long a turn keeps it out."""
    both = threading.Barrier(2)

    def met() -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.5)

    def one(_: int) -> None:
        with (
            warehouse.writer(settings.warehouse) as connection,
            warehouse.transaction(connection),
        ):
            work(connection, met)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(2)))


def first_load(connection: Connection, met: Callable[[], None]) -> None:
    """Append a key that does not stand."""
    lacks = connection.execute("select count(*) = 0 from raw.kept").fetchall()
    met()
    if lacks == [(True,)]:
        connection.execute("insert into raw.kept values ('a')")


def count_one(connection: Connection, met: Callable[[], None]) -> None:
    """Count one more."""
    ((number,),) = connection.execute("from raw.counted").fetchall()
    met()
    connection.execute("update raw.counted set number = ?", [number + 1])


def read(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    """What readers see."""
    with warehouse.reader(settings.warehouse) as connection:
        return connection.execute(sql).fetchall()


def test_nothing_is_built_of_what_only_landed(settings: Settings) -> None:
    """When readers look, and when they ask since when it stands."""
    assert warehouse.written_at(settings.warehouse) == 0
    with (
        warehouse.reader(settings.warehouse) as connection,
        pytest.raises(WarehouseError, match="run `meterhouse build`"),
    ):
        rows_of(connection, "from reports.freshness")


def test_two_first_loads_store_a_key_once(settings: Settings) -> None:
    """Who comes second sees what the first stored."""
    at_once(settings, first_load)
    assert read(settings, "from raw.kept") == [("a",)]


def test_without_a_turn_a_key_would_stand_twice(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckLake sees no conflict in two who append: this is what the turn is for."""
    without_turns(monkeypatch)
    at_once(settings, first_load)
    assert read(settings, "from raw.kept") == [("a",), ("a",)]


@pytest.mark.slow
def test_two_who_count_are_both_counted(settings: Settings) -> None:
    """Neither overwrites what the other wrote, and neither fails."""
    at_once(settings, count_one)
    assert read(settings, "from raw.counted") == [(2,)]


def test_without_a_turn_one_count_would_be_lost(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckLake refuses the later of two that change one table."""
    without_turns(monkeypatch)
    with pytest.raises(warehouse.WarehouseError, match="Failed to commit"):
        at_once(settings, count_one)
    assert read(settings, "from raw.counted") == [(1,)]


def land(settings: Settings, scope: str, ask: Callable[[], Iterator[pa.Table]]) -> LoadResult:
    """Load a day of a scope, asked of whoever `ask` is."""
    return load(
        lambda: warehouse.writer(settings.warehouse, timeout_seconds=20),
        USAGE,
        source_of(USAGE).resources,
        [Slice(scope, DAY, lambda window: ask())],
        settings.clock,
    )


@pytest.mark.slow
def test_nobody_waits_for_an_answer(settings: Settings) -> None:
    """While one is still asked, others land: a turn is the time of a commit."""

    def asked() -> Iterator[pa.Table]:
        with warehouse.writer(settings.warehouse, timeout_seconds=0) as connection:
            connection.execute("insert into raw.kept values ('a')")
        yield from ()

    assert land(settings, "one", asked).receipts
    assert read(settings, "from raw.kept") == [("a",)]
    assert read(settings, "select scope from raw.loads") == [("one",)]


@pytest.mark.slow
def test_a_load_waits_for_no_build_and_a_reader_sees_the_one_before(settings: Settings) -> None:
    """What lands during a build is not in it, breaks it not, and is read when it has committed."""
    counted = "create or replace table raw_count as select count(*) as rows from raw.kept"
    with warehouse.writer(settings.warehouse, builds=True) as building:
        building.execute(f"begin; {counted}; commit; begin; {counted}")
        with warehouse.writer(settings.warehouse) as loading:
            loading.execute("insert into raw.kept values ('a')")
        with warehouse.reader(settings.warehouse) as reading:
            assert reading.execute("from raw_count").fetchall() == [(0,)]
            building.execute("insert into raw_count select 7; commit")
            assert reading.execute("from raw_count").fetchall() == [(0,)]
    assert read(settings, "from raw_count order by 1") == [(0,), (7,)]
    assert read(settings, "from raw.kept") == [("a",)]


@pytest.mark.slow
def test_a_long_query_is_no_idle_session(lakes: Lakes, tmp_path: Path) -> None:
    """Many who host Postgres end what is idle in a transaction; a build is so while it computes."""
    environment = lakes(tmp_path)
    address = environment["WAREHOUSE"].removeprefix("ducklake:postgres:")
    with psycopg.connect(address, autocommit=True) as catalog:
        name = catalog.info.dbname
        catalog.execute(f"alter database {name} set idle_in_transaction_session_timeout = 50")
    with warehouse.writer(read_settings(environment).warehouse, builds=True) as connection:
        with warehouse.transaction(connection):
            connection.execute("create table kept as from meta.warehouse")
            threading.Event().wait(0.2)
            connection.execute("insert into kept from meta.warehouse")
        assert connection.execute("select count(*) from kept").fetchall() == [(2,)]


@pytest.mark.slow
def test_a_catalogue_that_goes_away_is_said(lakes: Lakes, tmp_path: Path) -> None:
    """In a sentence, with what is safe; and the next who comes goes on."""
    environment = lakes(tmp_path)
    at, address = read_settings(environment).warehouse, environment["WAREHOUSE"]
    end = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    with psycopg.connect(address.removeprefix("ducklake:postgres:"), autocommit=True) as catalog:

        def write() -> None:
            with warehouse.writer(at) as connection:
                connection.execute("begin; create table kept as select 1 as one")
                catalog.execute(end)
                connection.execute("from meta.warehouse")

        with pytest.raises(WarehouseError, match="what landed before is untouched") as told:
            write()
        assert "select" not in str(told.value).lower()
    with warehouse.writer(at) as connection:
        assert [*warehouse.describe(connection)] == ["meta.warehouse"]


@dataclass
class Meanwhile:
    """A connection before whose next commit something happens."""

    connection: Connection
    work: Callable[[], None]

    def execute(self, sql: str) -> Connection:
        """Run it."""
        if sql == "commit":
            self.work()
        return self.connection.execute(sql)


@pytest.mark.slow
def test_of_two_loads_in_one_turn_the_later_fails(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should a turn be lost, as where Postgres fails over, nothing is stored twice all the same."""
    without_turns(monkeypatch)
    receipt = Receipt("org", DAY, NOW, rows=0, pages=1)
    with warehouse.writer(settings.warehouse) as one, warehouse.writer(settings.warehouse) as two:
        receipts.create_raw_tables(one, [USAGE])
        asked = receipts.next_ask_number(one)
        of_both: Any = (USAGE, "load", asked, [receipt], [], NOW)
        slow: Any = Meanwhile(one, lambda: receipts.write(two, *of_both))
        with pytest.raises(duckdb.TransactionException, match="Failed to commit"):
            receipts.write(slow, *of_both)
    assert read(settings, "select scope from raw.loads") == [("org",)]


@pytest.mark.parametrize("builds", [False, True])
def test_who_waits_too_long_is_told_for_whom(settings: Settings, builds: bool) -> None:
    """The machine and process, not the password of the catalogue."""
    with (
        warehouse.writer(settings.warehouse, builds=builds),
        pytest.raises(WarehouseBusyError, match=f"PID {os.getpid()}") as told,
        warehouse.writer(settings.warehouse, 0, builds),
    ):
        pass
    assert "sesame" not in str(told.value)


def hold(marker: Path) -> None:
    """Hold the turn to land until this process is killed."""
    with warehouse.writer(read_settings().warehouse):
        marker.touch()
        signal.pause()


@pytest.mark.slow
def test_a_turn_ends_with_its_process(lakes: Lakes, tmp_path: Path) -> None:
    """Killed while it lands, it keeps nobody from landing."""
    environment, marker = lakes(tmp_path), tmp_path / "it holds it"
    process = processes.start(hold, environment, marker)
    while not marker.exists():
        assert process.is_alive()
        threading.Event().wait(0.05)
    os.kill(process.pid or 0, signal.SIGKILL)
    assert processes.ended(process) == -signal.SIGKILL
    with warehouse.writer(read_settings(environment).warehouse, timeout_seconds=20) as connection:
        assert connection.execute("select format from meta.warehouse").fetchall() == [(2,)]


def land_five(at: str, name: str) -> None:
    """Load a day five times: of a scope that all of them load, and of one's own."""
    settings = read_settings(clock=clock_from(at))
    for _ in range(5):
        for scope in ("shared", name):
            assert land(settings, scope, lambda: iter([a_page(scope)])).receipts  # noqa: B023


def a_page(scope: str) -> pa.Table:
    """What a project of this organization used on the day."""
    columns: dict[str, Any] = dict.fromkeys(USAGE.schema.names) | {
        "org_id": scope, "project_id": "p", "metric_name": "compute_unit_seconds", "value": 60,
        "granularity": "daily", "bucket_start": SINCE, "timeframe_start": SINCE,
        "timeframe_end": DAY.until, "period_id": "one", "period_start": SINCE,
    }  # fmt: skip
    return pa.Table.from_pylist([columns], USAGE.schema)


@pytest.mark.slow
def test_four_processes_load_at_once(lakes: Lakes, tmp_path: Path) -> None:
    """Forty loads of five scopes: each key is stored once, and none of them fails."""
    environment, clock = lakes(tmp_path), Clock(lambda: NOW)
    names = [f"own{number}" for number in range(4)]
    started = [processes.start(land_five, environment, clock.lent(), name) for name in names]
    assert [processes.ended(process) for process in started] == [0, 0, 0, 0]
    settings = read_settings(environment)
    keys = "select scope, count(*) from raw.neon_project_usage group by all order by all"
    assert read(settings, keys) == [*((name, 1) for name in names), ("shared", 1)]
    ((asked,),) = read(settings, "select last_number from raw.asked")
    assert asked == 40
