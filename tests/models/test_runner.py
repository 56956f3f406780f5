"""Builds: what is due is built, nothing else is touched, and a broken promise changes nothing."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dbt_like_sql.engine import runner, seeds, windows
from dbt_like_sql.engine.checks import CheckFailedError
from dbt_like_sql.engine.models import PACKAGE_FOLDER, load_models
from dbt_like_sql.engine.runner import BuildReport
from dbt_like_sql.engine.warehouse import describe
from dbt_like_sql.engine.windows import (
    ALL_TIME,
    BEGINNING,
    DAY,
    END,
    Window,
    asked_window,
    coalesce,
    due_windows,
    parts,
    together,
)

MODELS = {
    "staging/stg_receipts.sql": """-- One row per receipt.
select
    receipt.scope, -- what was asked about
    receipt.granularity, -- hourly or daily
    receipt.window_start, -- first instant asked for
    receipt.window_end -- first instant not asked for
from raw.loads as receipt
""",
    "staging/stg_usage.sql": """-- What the latest receipt of a bucket says.
-- grain: scope, granularity, bucket_start
-- window: bucket_start
select
    usage.scope,
    usage.granularity,
    usage.bucket_start,
    cast(usage.quantity as decimal(38, 9)) as quantity
from raw.usage as usage
inner join raw.loads as receipt on usage.load_id = receipt.load_id
where not exists (
    select 1 as later_receipt
    from raw.loads as later
    where later.landed_at > receipt.landed_at
        and later.scope = usage.scope
        and later.granularity = usage.granularity
        and usage.bucket_start >= later.window_start
        and usage.bucket_start < later.window_end
)
""",
    "intermediate/int_resolution.sql": """-- Which granularity serves a day.
-- grain: scope, period_start
select
    receipt.scope,
    cast(calendar.date as timestamptz) as period_start,
    max(receipt.granularity) as served_by
from staging.stg_receipts as receipt
inner join seeds.calendar_days as calendar
    on cast(calendar.date as timestamptz) >= receipt.window_start
    and cast(calendar.date as timestamptz) < receipt.window_end
group by receipt.scope, cast(calendar.date as timestamptz)
""",
    "intermediate/int_usage.sql": """-- grain: scope, period_start
-- window: period_start
select
    usage.scope,
    usage.bucket_start as period_start,
    usage.quantity
from staging.stg_usage as usage
inner join intermediate.int_resolution as resolution
    on usage.scope = resolution.scope
    and date_trunc('day', usage.bucket_start) = resolution.period_start
    and usage.granularity = resolution.served_by
""",
    "marts/fct_usage.sql": """-- Usage per scope.
-- grain: scope, period_start
-- check: quantity >= 0
-- window: period_start
select
    usage.scope, -- who used it
    usage.period_start, -- first instant, UTC
    usage.quantity -- how much
from intermediate.int_usage as usage
""",
    "reports/total.sql": """-- Usage per scope, over all.
-- grain: scope
-- check: quantity < 1000
select usage.scope, cast(sum(usage.quantity) as decimal(38, 9)) as quantity
from marts.fct_usage as usage
group by usage.scope
""",
}
DERIVED = (
    "intermediate.int_resolution",
    "intermediate.int_usage",
    "marts.fct_usage",
    "reports.total",
)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def day(number: int) -> datetime:
    """Midnight of that day of January 2026."""
    return FIRST + (number - 1) * DAY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of six models and a calendar of forty days."""
    for name, sql in MODELS.items():
        write(tmp_path, name, sql)
    days = "\n".join(f"{FIRST + number * DAY:%Y-%m-%d}" for number in range(40))
    write(tmp_path, "seeds/calendar_days.csv", f"date\n{days}\n")
    return tmp_path


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB file with empty raw tables."""
    connection = duckdb.connect(tmp_path / "warehouse.duckdb")
    connection.execute("set TimeZone = 'UTC'")
    create_raw(connection)
    yield connection
    connection.close()


def create_raw(connection: duckdb.DuckDBPyConnection) -> None:
    """Raw tables of which nothing has landed."""
    connection.execute("create schema raw")
    connection.execute(
        "create table raw.loads (load_id varchar, source varchar, resource varchar,"
        " granularity varchar, scope varchar, window_start timestamptz, window_end timestamptz,"
        " asked_at timestamptz, landed_at timestamptz, rows bigint, pages bigint, complete boolean)"
    )
    connection.execute(
        "create table raw.usage (load_id varchar, scope varchar, granularity varchar,"
        " bucket_start timestamptz, quantity bigint)"
    )


def write(folder: Path, name: str, text: str) -> None:
    """One file of a project."""
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)


def edit(folder: Path, name: str, old: str, new: str) -> None:
    """Replace a piece of a model that is there."""
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def land(
    connection: duckdb.DuckDBPyConnection,
    granularity: str,
    window: tuple[datetime, datetime],
    quantities: dict[datetime, int],
    scope: str = "org",
) -> None:
    """One load and its receipt, a second after the one before."""
    (number,) = rows(connection, "select count(*) from raw.loads")[0]
    load_id, landed_at = (
        f"load {number}",
        datetime(2026, 3, 1, tzinfo=UTC) + number * timedelta(seconds=1),
    )
    connection.execute("begin")
    for bucket, quantity in quantities.items():
        connection.execute(
            "insert into raw.usage values ($1, $2, $3, $4, $5)",
            [load_id, scope, granularity, bucket, quantity],
        )
    connection.execute(
        "insert into raw.loads values ($1, 'vendor', 'usage', $2, $3, $4, $5, $6, $6, $7, 1, true)",
        [load_id, granularity, scope, *window, landed_at, len(quantities)],
    )
    connection.execute("commit")


def build(
    connection: duckdb.DuckDBPyConnection,
    since: datetime | None = None,
    until: datetime | None = None,
    folder: Path = PACKAGE_FOLDER,
    now: datetime = NOW,
) -> BuildReport:
    """A build at half past twelve on the first of March."""
    return runner.build(connection, since, until, folder, now=now)


def rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    return connection.execute(sql).fetchall()


def usage(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, int]]:
    """Day of January and quantity of every row of the fact."""
    return rows(
        connection,
        "select cast(date_diff('day', timestamptz '2025-12-31 00:00:00+00', period_start) as int),"
        " cast(quantity as int) from marts.fct_usage order by period_start",
    )


def changed(report: BuildReport) -> tuple[str, ...]:
    """Models that a build made or rewrote."""
    return tuple(name for name, action in actions(report).items() if action != "unchanged")


def actions(report: BuildReport) -> dict[str, str]:
    """What happened to each model."""
    return {model.name: model.action for model in report.models}


def test_first_build_makes_every_model(warehouse: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Views, whole tables and windowed tables all stand after the first build."""
    land(warehouse, "daily", (day(1), day(3)), {day(1): 5, day(2): 7})
    report = build(warehouse, folder=folder)
    assert actions(report) == {
        "staging.stg_receipts": "view",
        "staging.stg_usage": "view",
        "intermediate.int_resolution": "whole",
        "intermediate.int_usage": "all",
        "marts.fct_usage": "all",
        "reports.total": "whole",
    }
    assert usage(warehouse) == [(1, 5), (2, 7)]
    assert rows(warehouse, "select scope, quantity::int from reports.total") == [("org", 12)]
    assert {model.name: model.rows_total for model in report.models}["marts.fct_usage"] == 2
    assert report.failed_checks == ()


def test_nothing_due_changes_nothing(warehouse: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """A second build without a new receipt leaves every table, and the ledger, as it is."""
    land(warehouse, "daily", (day(1), day(3)), {day(1): 5})
    build(warehouse, folder=folder)
    ledger = rows(warehouse, "from meta.builds order by model")
    report = build(warehouse, folder=folder)
    assert changed(report) == ()
    assert report.ranges == ()
    assert rows(warehouse, "from meta.builds order by model") == ledger


def test_only_due_days_are_built(warehouse: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """A row outside the window that a receipt touched is not even looked at."""
    land(warehouse, "daily", (day(1), day(4)), {day(1): 1, day(2): 2, day(3): 3})
    build(warehouse, folder=folder)
    warehouse.execute("update marts.fct_usage set quantity = 100 + quantity")
    land(warehouse, "daily", (day(2), day(3)), {day(2): 20})
    report = build(warehouse, folder=folder)
    assert report.ranges == (Window(day(2), day(3)),)
    assert actions(report)["marts.fct_usage"] == "windows"
    assert usage(warehouse) == [(1, 101), (2, 20), (3, 103)]


def test_an_emptied_window_loses_its_rows(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """An empty answer is a fact: rows that a vendor withdrew are gone."""
    land(warehouse, "daily", (day(1), day(4)), {day(1): 1, day(2): 2, day(3): 3})
    build(warehouse, folder=folder)
    land(warehouse, "daily", (day(2), day(4)), {})
    build(warehouse, folder=folder)
    assert usage(warehouse) == [(1, 1)]


def test_a_changed_decision_rebuilds_its_days(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """Days on which a whole table differs are built in its windowed readers, and below them."""
    land(warehouse, "daily", (day(1), day(4)), {day(1): 1, day(2): 2, day(3): 3})
    land(warehouse, "hourly", (day(2), day(3)), {day(2) + timedelta(hours=5): 50})
    build(warehouse, folder=folder)
    assert usage(warehouse) == [(1, 1), (2, 50), (3, 3)]
    warehouse.execute("update marts.fct_usage set quantity = 100 + quantity")
    # the only difference is in the table that decides; the snapshot's receipt concerns no day
    warehouse.execute(
        "update intermediate.int_resolution set served_by = 'monthly'"
        " where period_start = timestamptz '2026-01-03 00:00:00+00'"
    )
    land(warehouse, "snapshot", (day(1), None), {}, scope="other")  # type: ignore[arg-type]
    report = build(warehouse, folder=folder)
    assert report.ranges == ()
    assert actions(report)["intermediate.int_resolution"] == "whole"
    assert usage(warehouse) == [(1, 101), (2, 150), (3, 3)]


def test_a_whole_table_without_days_rebuilds_its_readers_over_all_time(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """When nothing says which days a change concerns, it concerns all."""
    write(
        folder,
        "intermediate/int_scopes.sql",
        "select receipt.scope, count(*) as receipts from staging.stg_receipts as receipt"
        " group by receipt.scope",
    )
    edit(
        folder,
        "marts/fct_usage.sql",
        "from intermediate.int_usage as usage",
        "from intermediate.int_usage as usage\n"
        "inner join intermediate.int_scopes as known on usage.scope = known.scope",
    )
    land(warehouse, "daily", (day(1), day(4)), {day(1): 1, day(3): 3})
    build(warehouse, folder=folder)
    warehouse.execute("update marts.fct_usage set quantity = 100 + quantity")
    land(warehouse, "daily", (day(3), day(4)), {day(3): 30})
    report = build(warehouse, folder=folder)
    assert actions(report)["intermediate.int_usage"] == "windows"
    assert actions(report)["marts.fct_usage"] == "all"
    assert usage(warehouse) == [(1, 1), (3, 30)]


def test_a_window_can_be_asked_for(warehouse: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Asked days are built in whole days, besides those that are due."""
    land(warehouse, "daily", (day(1), day(5)), {day(n): n for n in range(1, 5)})
    build(warehouse, folder=folder)
    warehouse.execute("update marts.fct_usage set quantity = 100 + quantity")
    land(warehouse, "daily", (day(4), day(5)), {day(4): 40})
    report = build(warehouse, day(2) + timedelta(hours=3), day(2) + timedelta(hours=4), folder)
    assert report.ranges == (Window(day(2), day(3)), Window(day(4), day(5)))
    assert usage(warehouse) == [(1, 101), (2, 2), (3, 103), (4, 40)]
    assert changed(build(warehouse, folder=folder)) == ()


def test_a_changed_select_is_built_over_all_time(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """What a table is made of changed: it and everything below it is made again."""
    land(warehouse, "daily", (day(1), day(3)), {day(1): 1, day(2): 2})
    build(warehouse, folder=folder)
    edit(folder, "marts/fct_usage.sql", "usage.quantity --", "usage.quantity * 2 as quantity --")
    report = build(warehouse, folder=folder)
    assert changed(report) == ("marts.fct_usage", "reports.total")
    assert usage(warehouse) == [(1, 2), (2, 4)]


def test_a_changed_column_makes_the_table_again(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """Columns are those of the SELECT, also when the table stood with others."""
    land(warehouse, "daily", (day(1), day(3)), {day(1): 1})
    build(warehouse, folder=folder)
    edit(folder, "marts/fct_usage.sql", "-- how much", "-- how much\n    , true as is_open")
    build(warehouse, folder=folder)
    assert describe(warehouse)["marts.fct_usage"]["is_open"] == "BOOLEAN"


def test_a_changed_comment_builds_nothing(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """Prose is no reason to compute."""
    land(warehouse, "daily", (day(1), day(3)), {day(1): 1})
    build(warehouse, folder=folder)
    edit(folder, "staging/stg_receipts.sql", "-- hourly or daily", "-- how fine")
    assert changed(build(warehouse, folder=folder)) == ()


def test_a_changed_seed_builds_its_readers(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """A day added to the calendar is a day more in what reads the calendar."""
    land(warehouse, "daily", (day(40), day(42)), {day(40): 1, day(41): 2})
    build(warehouse, folder=folder)
    assert len(usage(warehouse)) == 1
    edit(folder, "seeds/calendar_days.csv", "date\n", "date\n2026-02-10\n")
    build(warehouse, folder=folder)
    assert usage(warehouse) == [(40, 1), (41, 2)]


def test_a_seed_whose_columns_are_of_other_types_by_now_is_loaded_again(
    warehouse: duckdb.DuckDBPyConnection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that holds prices in other decimals works with those, and not with the old ones."""
    write(folder, "seeds/prices.csv", "usd_each\n0.1\n")
    write(
        folder,
        "reports/price.sql",
        "-- One.\nselect price.usd_each -- one\nfrom seeds.prices as price\n",
    )
    build(warehouse, folder=folder)
    monkeypatch.setitem(seeds._TYPES, "^usd_", "DOUBLE")
    build(warehouse, folder=folder)
    assert [describe(warehouse)[table] for table in ("seeds.prices", "reports.price")] == [
        {"usd_each": "DOUBLE"}
    ] * 2


def test_a_removed_model_leaves_no_table(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """A table's name is its file: without the file there is no table."""
    build(warehouse, folder=folder)
    (folder / "reports/total.sql").unlink()
    build(warehouse, folder=folder)
    assert "reports.total" not in describe(warehouse)


def test_a_failed_check_changes_nothing(warehouse: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """The tables of the last build stand, and the error says what is wrong with which rows."""
    land(warehouse, "daily", (day(1), day(3)), {day(1): 1, day(2): 2})
    build(warehouse, folder=folder)
    before = {table: rows(warehouse, f"from {table} order by all") for table in DERIVED}
    land(warehouse, "daily", (day(2), day(3)), {day(2): -2})
    with pytest.raises(CheckFailedError) as raised:
        build(warehouse, folder=folder)
    message = str(raised.value)
    assert "marts.fct_usage: check `quantity >= 0` is not true for 1 row" in message
    assert "'quantity': -2.000000000" in message
    assert "the tables of the last build stand" in message
    assert before == {table: rows(warehouse, f"from {table} order by all") for table in DERIVED}
    land(warehouse, "daily", (day(2), day(3)), {day(2): 3})
    build(warehouse, folder=folder)
    assert usage(warehouse) == [(1, 1), (2, 3)]


def test_null_is_no_pass(warehouse: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """A check that is neither true nor false fails."""
    edit(
        folder,
        "marts/fct_usage.sql",
        "usage.quantity --",
        "nullif(usage.quantity, 1) as quantity --",
    )
    land(warehouse, "daily", (day(1), day(3)), {day(1): 1})
    with pytest.raises(CheckFailedError, match="is not true for 1 row"):
        build(warehouse, folder=folder)


def test_a_repeated_grain_fails_null_or_not(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """Two rows whose grain is null in the same column are the same row twice."""
    edit(
        folder, "reports/total.sql", "select usage.scope,", "select cast(null as varchar) as scope,"
    )
    land(warehouse, "daily", (day(1), day(3)), {day(1): 1})
    land(warehouse, "daily", (day(1), day(3)), {day(1): 1}, scope="other")
    with pytest.raises(CheckFailedError, match=r"grain `scope` is shared by 2 rows"):
        build(warehouse, folder=folder)


def test_a_report_shows_its_trouble(warehouse: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """A failed check on a report is told at every build, and stops none."""
    land(warehouse, "daily", (day(1), day(3)), {day(1): 5000})
    for _ in range(2):
        (failed,) = build(warehouse, folder=folder).failed_checks
        assert (failed.model, failed.expression) == ("reports.total", "quantity < 1000")
        assert failed.failing_rows == 1
        assert "5000.000000000" in failed.samples[0]
        # not tried again while nothing about it changed
        warehouse.execute("update reports.total set quantity = 1")
    assert usage(warehouse) == [(1, 5000)]
    edit(folder, "reports/total.sql", "quantity < 1000", "quantity < 10000")
    assert build(warehouse, folder=folder).failed_checks == ()


def test_a_model_on_the_clock_is_built_every_hour(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """Rows that depend on the time change without a receipt; what asks for the day, every day."""
    write(folder, "reports/clock.sql", "select cast(current_timestamp as timestamptz) as told_at")
    write(folder, "reports/day.sql", "select current_date as told_on")
    build(warehouse, folder=folder, now=day(2))
    for later, anew in (
        (timedelta(minutes=59), ()),
        (timedelta(minutes=60), ("reports.clock",)),
        (timedelta(minutes=61), ()),
        (timedelta(hours=24), ("reports.clock", "reports.day")),
    ):
        report = build(warehouse, folder=folder, now=day(2) + later)
        assert changed(report) == anew


def test_a_build_has_one_clock(warehouse: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Whoever asks for the time is told the one handed in, and the day that it is in UTC."""
    write(
        folder,
        "reports/clock.sql",
        "with a as (select now() as x) select a.x, current_timestamp as y, current_date as z,"
        " today() + 1 as tomorrow from a",
    )
    late = datetime(2026, 3, 1, 23, 30, 0, 5, tzinfo=timezone(timedelta(hours=-3)))
    build(warehouse, folder=folder, now=late)
    assert rows(warehouse, "from reports.clock") == [
        (late, late, date(2026, 3, 2), date(2026, 3, 3))
    ]
    assert rows(warehouse, "select distinct built_at from meta.builds") == [(late,)]


VIEW = """-- Usage above ten.
-- grain: scope, period_start
-- check: quantity < 1000
-- window: period_start
-- materialized: view
select
    usage.scope,
    usage.period_start,
    usage.quantity
from marts.fct_usage as usage
where usage.quantity > 10
"""


def test_a_mart_may_be_a_view(warehouse: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """It holds no rows of its own, says which days changed, and stands where a table stood."""
    write(folder, "marts/fct_large.sql", VIEW.replace("-- materialized: view\n", ""))
    land(warehouse, "daily", (day(1), day(4)), {day(1): 10, day(2): 20, day(3): 30})
    build(warehouse, folder=folder)
    write(folder, "marts/fct_large.sql", VIEW)
    assert actions(build(warehouse, folder=folder))["marts.fct_large"] == "view"
    assert ("fct_large",) in rows(warehouse, "select view_name from duckdb_views()")
    land(warehouse, "daily", (day(2), day(3)), {day(2): 50})
    report = build(warehouse, folder=folder)
    (large,) = [model for model in report.models if model.name == "marts.fct_large"]
    assert (large.action, large.windows) == ("unchanged", (Window(day(2), day(3)),))
    quantities = rows(warehouse, "select quantity::int from marts.fct_large order by period_start")
    assert quantities == [(50,), (30,)]


def test_the_checks_of_a_view_are_tried_on_the_days_that_changed(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """A broken promise stops the build; one that stood on another day is not looked for."""
    write(folder, "marts/fct_large.sql", VIEW)
    land(warehouse, "daily", (day(1), day(4)), {day(1): 10, day(2): 20, day(3): 30})
    build(warehouse, folder=folder)
    warehouse.execute("update marts.fct_usage set quantity = 5000 where quantity = 10")
    land(warehouse, "daily", (day(3), day(4)), {day(3): 40})
    tried = {(c.model, c.kind) for c in build(warehouse, folder=folder).checks}
    assert {("marts.fct_large", "grain"), ("marts.fct_large", "check")} <= tried
    land(warehouse, "daily", (day(3), day(4)), {day(3): 4000})
    with pytest.raises(CheckFailedError, match="fct_large: check `quantity < 1000` is not true"):
        build(warehouse, folder=folder)


def test_a_report_that_should_be_empty_shows_what_it_holds(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """Its rows are told at every build, until there are none."""
    sql = MODELS["reports/total.sql"].replace("check: quantity < 1000", "expect: no rows")
    write(folder, "reports/total.sql", sql + "having sum(usage.quantity) > 10")
    land(warehouse, "daily", (day(1), day(3)), {day(1): 11})
    for _ in range(2):
        (failed,) = build(warehouse, folder=folder).failed_checks
        assert failed.sentence == "reports.total: 1 row where there should be none"
        assert "11.000000000" in failed.samples[0]
    land(warehouse, "daily", (day(1), day(3)), {day(1): 10})
    assert build(warehouse, folder=folder).failed_checks == ()


def test_what_should_be_empty_and_is_no_report_stops_the_build(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """As any other promise that has to hold."""
    write(folder, "marts/broken.sql", VIEW.replace("check: quantity < 1000", "expect: no rows"))
    land(warehouse, "daily", (day(1), day(3)), {day(1): 11})
    with pytest.raises(CheckFailedError, match=r"marts.broken: 1 row where there should be none"):
        build(warehouse, folder=folder)


def test_monthly_receipts_touch_the_first_of_the_month(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    """A year of monthly rows is twelve days to build, not 365; snapshots are none."""
    land(warehouse, "monthly", (day(15), day(80)), {})
    land(warehouse, "snapshot", (day(1), None), {})  # type: ignore[arg-type]
    assert due_windows(warehouse, None) == (
        Window(day(32), day(33)),
        Window(day(60), day(61)),
    )


def test_what_was_refused_is_no_day_to_build(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """An organization that is refused at every tick, as far back as it would answer, changes
    nothing; what did tell a row counts, however its walk ended."""
    land(warehouse, "daily", (day(1), day(3)), {day(1): 5, day(2): 6})
    build(warehouse, folder=folder)
    refused = "insert into raw.loads select * replace (false as complete, {0} as rows,"
    refused += " landed_at + interval {1} hour as landed_at) from raw.loads limit 1"
    warehouse.execute(refused.format(0, 1))
    assert due_windows(warehouse, datetime(2026, 3, 1, tzinfo=UTC)) == ()
    assert changed(build(warehouse, folder=folder)) == ()
    warehouse.execute(refused.format(1, 2))
    assert due_windows(warehouse, datetime(2026, 3, 1, tzinfo=UTC)) == (Window(day(1), day(3)),)


BY_MONTH = """-- What of a month its days add up to.
-- grain: scope, period_start
-- window: period_start, by month
select
    usage.scope,
    cast(date_trunc('month', usage.period_start) as timestamptz) as period_start,
    cast(least(sum(usage.quantity), 100) as decimal(38, 9)) as quantity
from intermediate.int_usage as usage
group by usage.scope, date_trunc('month', usage.period_start)
"""


def test_what_is_by_month_is_built_by_whole_months_where_it_differs(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """A day that changes is seen from the first of its month; other months are not looked at, and
    where the month comes to the same nothing is written."""
    write(folder, "marts/monthly.sql", BY_MONTH)
    land(warehouse, "daily", (day(30), day(34)), {day(n): n for n in range(30, 34)})
    build(warehouse, folder=folder)
    warehouse.execute(
        "update intermediate.int_usage set quantity = -1 where period_start > $1", [day(32)]
    )
    for quantity, action in (
        (20, "windows"),
        (20, "unchanged"),
        (80, "windows"),
        (90, "unchanged"),
    ):
        land(warehouse, "daily", (day(31), day(32)), {day(31): quantity})
        report = build(warehouse, folder=folder)
        (monthly,) = [model for model in report.models if model.name == "marts.monthly"]
        assert monthly.action == action
        if action == "windows":
            assert monthly.windows == (Window(day(1), day(32)),)
    found = rows(
        warehouse, "select period_start, cast(quantity as int) from marts.monthly order by 1"
    )
    assert found == [(day(1), 100), (day(32), 32 + 33)]


def test_a_view_by_month_is_tried_on_the_whole_months_of_what_changed(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """A month begins before the days that changed in it: its rows are looked at all the same."""
    view = BY_MONTH.replace("select\n", "-- materialized: view\nselect\n", 1)
    view = view.replace("', usage.period_start)\n", "', usage.period_start), usage.quantity > 1\n")
    write(folder, "marts/monthly.sql", view)
    land(warehouse, "daily", (day(1), day(3)), {day(1): 1, day(2): 0})
    build(warehouse, folder=folder)  # as yet no day has more than 1
    land(warehouse, "daily", (day(2), day(3)), {day(2): 2})
    with pytest.raises(CheckFailedError, match="grain `scope, period_start` is shared by 2 rows"):
        build(warehouse, folder=folder)


def test_a_table_is_first_built_in_parts_of_a_month() -> None:
    """Together they are all of time, and each holds one month of what was asked for; or more, of
    which the rows are few."""
    assert parts(day(30), day(31), 10**9) == (ALL_TIME,)
    assert parts(day(30), day(75), 10**9) == (
        Window(BEGINNING, day(32)),
        Window(day(32), day(60)),
        Window(day(60), END),
    )
    assert parts(day(30), day(75), 375_000) == (Window(BEGINNING, day(60)), Window(day(60), END))
    assert parts(day(30), day(75), 250_000) == parts(day(30), day(75), 0) == (ALL_TIME,)


def test_days_near_each_other_are_built_at_once_and_those_between_are_left(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """One statement for all of them; what is cut at the turn of a month is cut for its memory."""
    near, far = Window(day(5), day(6)), Window(day(40), day(41))
    assert together((Window(day(2), day(3)), near, far)) == [(Window(day(2), day(3)), near), (far,)]
    months = parts(day(30), day(75), 10**9)
    assert together(months) == [(part,) for part in months]
    land(warehouse, "daily", (day(1), day(6)), {day(n): n for n in range(1, 6)})
    build(warehouse, folder=folder)
    warehouse.execute(
        "update intermediate.int_usage set quantity = -1 where period_start = $1", [day(3)]
    )
    for number in (2, 5):
        land(warehouse, "daily", (day(number), day(number + 1)), {day(number): 10 * number})
    build(warehouse, folder=folder)
    found = rows(warehouse, "select cast(quantity as int) from intermediate.int_usage order by all")
    assert found == [(-1,), (1,), (4,), (20,), (50,)]


@pytest.mark.parametrize("last", [3, 70])
def test_a_row_of_no_day_is_refused(
    warehouse: duckdb.DuckDBPyConnection, folder: Path, last: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would never be deleted or built again; also where a first build goes month by month."""
    monkeypatch.setattr(windows, "ROWS_AT_ONCE", 1)
    edit(
        folder,
        "intermediate/int_usage.sql",
        "usage.bucket_start as period_start",
        "case when usage.quantity > 0 then usage.bucket_start end as period_start",
    )
    land(warehouse, "daily", (day(1), day(last)), {day(1): 5, day(2): 0})
    with pytest.raises(CheckFailedError, match="period_start is not null"):
        build(warehouse, folder=folder)


def test_windows_are_whole_days_and_few() -> None:
    """Touching windows become one, and beyond the limit the smallest gap is built too."""
    apart = [Window(day(n), day(n + 1)) for n in (1, 2, 4, 20, 30)]
    assert coalesce(apart) == (
        Window(day(1), day(3)),
        Window(day(4), day(5)),
        Window(day(20), day(21)),
        Window(day(30), day(31)),
    )
    assert coalesce(apart, at_most=2) == (Window(day(1), day(5)), Window(day(20), day(31)))
    assert asked_window(None, None) == ()
    # no day begins after the last one that there is
    assert asked_window(day(1), datetime.max.replace(tzinfo=UTC)) == ((day(1), END),)
    with pytest.raises(ValueError, match="no time zone"):
        asked_window(datetime(2026, 1, 1), None)  # noqa: DTZ001  (naive is the point)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_any_order_of_receipts_ends_in_the_same_tables(
    warehouse: duckdb.DuckDBPyConnection, folder: Path, seed: int
) -> None:
    """Building after every receipt, in any order, equals building everything once."""
    dice = random.Random(seed)
    for _ in range(8):
        granularity = dice.choice(["hourly", "daily"])
        first = dice.randrange(1, 12)
        window = (day(first), day(first + dice.randrange(1, 6)))
        step = DAY if granularity == "daily" else timedelta(hours=1)
        buckets = [window[0] + n * step for n in range(int((window[1] - window[0]) / step))]
        picked = dice.sample(buckets, k=dice.randrange(0, min(6, len(buckets) + 1)))
        scope = dice.choice(["org", "other"])
        land(warehouse, granularity, window, {at: dice.randrange(9) for at in picked}, scope)
        if dice.random() < 0.7:
            build(warehouse, folder=folder)
    build(warehouse, folder=folder)
    step_by_step = {table: rows(warehouse, f"from {table} order by all") for table in DERIVED}
    warehouse.execute("drop schema meta cascade")
    build(warehouse, folder=folder)
    assert step_by_step == {
        table: rows(warehouse, f"from {table} order by all") for table in DERIVED
    }


def test_the_window_reaches_the_scan(warehouse: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """The rows of other days are not read: the filter stands in the scan of the raw table."""
    land(warehouse, "daily", (day(1), day(5)), {day(n): n for n in range(1, 5)})
    build(warehouse, folder=folder)
    sql = load_models(folder)["intermediate.int_usage"].select((Window(day(2), day(3)),))
    (_, plan) = rows(warehouse, f"explain (format json) {sql}")[0]
    scans = [
        node["extra_info"]
        for node in _nodes(json.loads(plan))
        if "usage" in str(node["extra_info"].get("Table", ""))
    ]
    assert scans
    assert all("bucket_start>=" in str(scan.get("Filters")) for scan in scans)


def _nodes(nodes: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for node in nodes:
        yield node
        yield from _nodes(node["children"])


def test_every_mention_of_a_windowed_input_is_filtered(folder: Path) -> None:
    """In a CTE, a subquery and a join, with an alias or without; others are left alone."""
    write(
        folder,
        "marts/fct_usage.sql",
        """-- window: period_start
with early as (select u.scope from staging.stg_usage u)
select stg_usage.bucket_start as period_start
from staging.stg_usage
left join intermediate.int_usage as again on again.scope = stg_usage.scope
inner join intermediate.int_resolution on true
where exists (select 1 as x from early where early.scope in (select scope from staging.stg_usage))
""",
    )
    sql = load_models(folder)["marts.fct_usage"].select((Window(day(2), day(3)),))
    since = "timestamptz '2026-01-02"
    assert sql.count(f'FROM staging.stg_usage WHERE "bucket_start" >= {since}') == 3
    assert sql.count(f'FROM intermediate.int_usage WHERE "period_start" >= {since}') == 1
    assert sql.count("2026-01-03 00:00:00+00") == 5  # four inputs and the output
    assert "JOIN intermediate.int_resolution ON" in sql


def test_a_view_of_undated_rows_rebuilds_its_readers_over_all_time(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """Raw rows that no window dates may concern any day, so new ones concern all."""
    write(folder, "staging/stg_names.sql", "select distinct usage.scope from raw.usage as usage")
    edit(
        folder,
        "marts/fct_usage.sql",
        "from intermediate.int_usage as usage",
        "from intermediate.int_usage as usage\n"
        "inner join staging.stg_names as known on usage.scope = known.scope",
    )
    land(warehouse, "daily", (day(1), day(4)), {day(1): 1, day(3): 3})
    build(warehouse, folder=folder)
    land(warehouse, "daily", (day(3), day(4)), {day(3): 30})
    report = build(warehouse, folder=folder)
    assert actions(report)["intermediate.int_usage"] == "windows"
    assert actions(report)["marts.fct_usage"] == "all"


def test_the_sql_can_be_read_before_it_runs(folder: Path) -> None:
    """A window is shown as the delete and the insert that a build runs."""
    sql = runner.show_sql(load_models(folder), "marts.fct_usage", day(2), day(3))
    delete, insert, rest = sql.split(";")
    assert delete.startswith("DELETE FROM marts.fct_usage")
    assert insert.strip().startswith("INSERT INTO marts.fct_usage")
    assert insert.count("2026-01-02 00:00:00+00") == 2  # the input and the output
    assert not rest.strip()


def test_tables_carry_their_documentation(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """Descriptions and column comments, own or passed on, stand in the catalogue."""
    build(warehouse, folder=folder)
    comments = dict(
        rows(
            warehouse,
            "select table_name || '.' || column_name, comment from duckdb_columns()"
            " where comment is not null",
        )
    )
    assert comments["fct_usage.quantity"] == "how much"
    assert comments["total.scope"] == "who used it"
    assert ("Usage per scope.",) in rows(warehouse, "select comment from duckdb_tables()")


def test_an_error_names_the_model(warehouse: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """A SELECT that DuckDB refuses is told with the file it stands in; nothing is left behind."""
    edit(folder, "marts/fct_usage.sql", "usage.quantity --", "usage.quantiti as quantity --")
    with pytest.raises(duckdb.Error) as raised:
        build(warehouse, folder=folder)
    assert "marts/fct_usage.sql" in str(raised.value.__notes__)
    assert "meta.builds" not in describe(warehouse)
