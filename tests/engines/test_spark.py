"""The models as a Spark cluster works them out: each of them has the rows that DuckDB says."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import duckdb
import pytest

from assets.runs.opening import open_warehouse
from dbt_like_sql.engine.checks import CheckFailedError
from dbt_like_sql.engine.models import load_models
from dbt_like_sql.engine.runner import BuildReport
from dbt_like_sql.engine.spark import building
from dbt_like_sql.engine.spark.dialect import to_spark
from dbt_like_sql.engine.spark.session import session
from tests.conftest import World
from tests.engines.cluster import Cluster, cluster
from tests.engines.comparing import unequal, verdict
from tests.engines.worlds import a_day_later, every_model
from tests.models.test_runner import MODELS, NOW, create_raw, day, land, write

pytest.importorskip("pyspark")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    # of pandas 3, which its client does not know yet
    pytest.mark.filterwarnings("ignore::FutureWarning:pyspark"),
]
# what models ask of SQL that engines answer differently, each with what DuckDB says
PROBES = (
    "date_diff('day', timestamptz '2026-01-01 23:00:00+00', timestamptz '2026-01-02 01:00:00+00')",
    "extract(epoch from timestamptz '2026-01-01 00:00:00.25+00')",
    "extract(epoch from timestamptz '2026-01-03 00:00:00.5+00'"
    " - timestamptz '2026-01-01 00:00:00+00')",
    "extract(dow from timestamptz '2026-11-22 00:00:00+00')",
    "extract(day from date '2026-11-22')",
    "cast(1 as decimal(38, 9)) / cast(3 as decimal(38, 9))",
    "-7 // 2",
    "cast('-170141183460469231731687303715' as hugeint) // 1000000007",
    "cast('99999999999999999999999999999999999999' as hugeint) // 11",
    "cast('9200000000000000000000000000000000000' as hugeint) // 1",
    "cast(123456789.123456789 as decimal(38, 9)) * 1000000000",
    "cast(0.000000001 as decimal(20, 9)) * cast(0.000000001 as decimal(18, 9))",
    "cast(2.5 as decimal(38, 9))::decimal(38, 0)",
    "md5(cast(json_array('a\"/é\\', null, '', chr(31)) as varchar))",
    "cast(json_merge_patch(json('{}'), json_object('a', 'x\"y', 'b', null)) as varchar)",
    "lower('Projekt [x]. (1)\n') like 'projekt%' escape '!'",
    "'50% é' like '50!% _' escape '!', 'a!b' like 'a!!b' escape '!', 'axb' like 'a!_b' escape '!'",
    "translate('a*?', '*?', '%_'), split_part(concat_ws(chr(31), 'a', '', 'b'), chr(31), 3)",
    "concat('a', null, 1), concat_ws('/', 'a', null, 'b'), 'a' || null",
    "concat('', cast(cast(86.5 as double) as decimal(38, 2)), cast(0 as decimal(38, 2)))",
    "split_part('a:b:c', ':', 2), split_part('a', ':', 2), split_part('a.b', '.', 1)",
    "strftime(timestamptz '2026-11-22 13:05:09+00' at time zone 'UTC', '%A, %Y-%m-%d')",
    "strftime(timestamptz '2026-11-22 13:05:09+00' at time zone 'UTC', '%Y-%m-%d %H:%M:%S+00')",
    "cast(date_trunc('month', timestamptz '2026-11-22 13:05:09+00') as date)",
    "cast(timestamptz '2026-01-31 00:00:00+00' + interval '1' month as date)",
    "cast(timestamptz '2026-11-22 23:30:00+00' at time zone 'UTC' as date)",
    "cast(round(2.5) as bigint), cast(floor(-0.5) as integer)",
    "try_cast('x' as integer), try_cast(' 12 ' as integer)",
    "greatest(1, null, 3), least(null, 2), nullif('a', 'a')",
    "rtrim(rtrim('1.500', '0'), '.'), lower('ÄB'), replace('a_b', '_', '!_')",
    "cast(list_max(list_filter(cast(string_split('0.5;0.8;1', ';') as decimal(9, 4)[]),"
    " lambda share: 0.9 >= share)) as double)",
    "(select median(x) from (values (1), (2), (4), (5)) as t (x))",
    "(select string_agg(distinct x, ', ' order by x) from (values ('b'), ('a'), ('b')) as t (x))",
    "(select sum(x) filter (where x > 1) from (values (1), (2)) as t (x))",
    "(select any_value(x) from (values (cast(null as integer)), (2)) as t (x))",
    "(select max_by(x, y) from (values (1, 1), (cast(null as integer), 2)) as t (x, y))",
    "(select count(distinct x) from (values (1), (1), (null)) as t (x))",
    "(select bool_or(x > 1) and not bool_and(x > 1) from (values (1), (2)) as t (x))",
    "(select max(n) from (select sum(x) over far as n from (values (1), (2)) as t (x)"
    " window near as (order by x), far as (near rows between 1 preceding and current row)))",
    "(select x from (values (1), (2), (null)) as t (x) qualify row_number() over (order by x) = 3)",
    "(select max(y) from (select lag(x) over (order by x) as y from (values (1)) as t (x)))",
    "(select min(hash(x)) is not null from (values (1), (null)) as t (x))",
)


WINDOWED = ("intermediate.int_usage", "marts.fct_usage")
WHOLE = {
    "staging.stg_receipts": "view",
    "staging.stg_usage": "view",
    "intermediate.int_resolution": "whole",
    "reports.total": "whole",
}


@pytest.fixture(scope="module")
def spark_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of two workers, for all that is asked of it here."""
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world into which everything was loaded."""
    with every_model(tmp_path_factory.mktemp("world")) as opened:
        yield opened


@pytest.mark.parametrize("probe", PROBES)
def test_what_models_ask_means_the_same(spark_cluster: Cluster, probe: str) -> None:
    """An expression has one value, whichever engine is asked."""
    sql = f"select {probe}"
    with duckdb.connect() as connection, session(spark_cluster.remote) as spark:
        connection.execute("set TimeZone = 'UTC'")
        assert spark.run(to_spark(sql)).fetchall() == connection.execute(sql).fetchall()


def test_days_are_overwritten_and_a_build_goes_on(tmp_path: Path, spark_cluster: Cluster) -> None:
    """A day that is told of again is written again, one of which nothing is left goes, and what a
    build that broke off had changed reaches what the next one builds."""
    for name, sql in MODELS.items():
        write(tmp_path, name, sql)
    write(tmp_path, "seeds/calendar_days.csv", "date\n2026-01-01\n2026-01-02\n2026-01-03\n")
    days_of = "select day(period_start), cast(quantity as int) from marts.fct_usage order by 1"
    remote = spark_cluster.remote
    with duckdb.connect() as raw:
        create_raw(raw)
        raw.execute("alter table raw.usage add column landed_at timestamptz; create schema meta")
        raw.execute("create table meta.warehouse as select uuid() as id; set TimeZone = 'UTC'")

        def built() -> tuple[list[tuple[int, int]], dict[str, str]]:
            report = building.build(
                partial(_itself, raw), tmp_path / "shared", remote, folder=tmp_path, now=NOW
            )
            with session(remote) as spark:
                days = spark.run(days_of).fetchall()
            return days, {done.name: done.action for done in report.models}

        tell(raw, {1: 10, 2: 20, 3: 30})
        assert built() == ([(1, 10), (2, 20), (3, 30)], dict.fromkeys(WINDOWED, "all") | WHOLE)
        tell(raw, {2: None, 3: 33})
        days, done = built()
        assert days == [(1, 10), (3, 33)]
        assert [done[name] for name in WINDOWED] == ["windows", "windows"]
        tell(raw, {1: -1})
        with pytest.raises(CheckFailedError, match="tables before it in this build are new"):
            built()
        tell(raw, {1: 11})
        assert built()[0] == [(1, 11), (3, 33)]
        assert {*built()[1].values()} == {"unchanged"}


@contextmanager
def _itself(connection: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    yield connection


def tell(connection: duckdb.DuckDBPyConnection, quantities: dict[int, int | None]) -> None:
    """A receipt for each of these days of January, and what was used on it, if anything."""
    for number, quantity in quantities.items():
        usage = {day(number): quantity} if quantity is not None else {}
        connection.execute("alter table raw.usage drop column landed_at")
        land(connection, "daily", (day(number), day(number + 1)), usage)
        connection.execute(
            "create or replace table raw.usage as select usage.*, receipt.landed_at"
            " from raw.usage as usage inner join raw.loads as receipt using (load_id)"
        )


def test_a_build_survives_a_worker(here: World, spark_cluster: Cluster) -> None:
    """A worker and its executor are killed while a first build is under way: it goes on with the
    other one, and every model has the rows that it has in DuckDB."""
    here.build()
    killer = threading.Thread(target=_kill_once, args=(spark_cluster, 10), daemon=True)
    killer.start()
    report = build(here, spark_cluster)
    killer.join(timeout=1)
    assert spark_cluster.processes["worker-2"].poll() is not None
    assert {found.action for found in report.models} <= {"view", "whole", "all"}
    assert unequal(verdicts(here, spark_cluster)) == {}


def test_a_day_costs_a_day(here: World, spark_cluster: Cluster) -> None:
    """A day later, with a correction of one before: only days that are due are written, and every
    model has the rows that it has in DuckDB. Another build has nothing to do."""
    a_day_later(here)
    here.build()
    report = build(here, spark_cluster)
    actions = {found.name: found.action for found in report.models}
    assert actions["intermediate.int_neon_usage"] == "windows"
    assert "all" not in actions.values()
    assert unequal(verdicts(here, spark_cluster)) == {}
    again = build(here, spark_cluster)
    assert {found.action for found in again.models} == {"unchanged"}


def build(here: World, on: Cluster) -> BuildReport:
    """Build on the cluster, as of the instant of the last build in DuckDB."""
    settings = here.settings
    ((now,),) = here.raw("select max(built_at) from meta.builds")
    opened, shared = partial(open_warehouse, settings), on.folder / "shared"
    return building.build(opened, shared, on.remote, now=now, own_seeds=settings.own_seeds)


def verdicts(here: World, on: Cluster) -> list[tuple[str, str]]:
    """Of each model whether its rows are those of DuckDB."""
    rows = on.folder / "rows"
    with session(on.remote) as spark:
        for name in load_models():
            spark.session.table(name).write.mode("overwrite").parquet(str(rows / name))
    with open_warehouse(here.settings) as connection:
        return [(name, verdict(connection, name, rows / name)) for name in load_models()]


def _kill_once(on: Cluster, tables: int) -> None:
    """Kill a worker once so many tables stand."""
    while len([*on.folder.glob("tables/meterhouse.db/*")]) < tables:
        time.sleep(0.2)
    on.kill_worker("worker-2")
