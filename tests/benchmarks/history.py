# ruff: noqa: S608  (a table made of numbers)
"""What an hour costs by how much is held: `python -m tests.benchmarks.history PROJECTS WEEKS`.

Neon's hours of projects with two branches each are written straight into raw.*, as hourly loads
leave them. Then hours go by: each is loaded, built and published, and built again with nothing new.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa

from assets.runs import building
from assets.settings import Settings, read_settings
from assets.sources import ENDPOINTS, endpoint_of, source_of
from dbt_like_sql.engine import warehouse
from pipelines import receipts
from pipelines.load import load
from pipelines.neon.client import BRANCH_METRICS, PROJECT_METRICS
from pipelines.source import Slice
from pipelines.windows import Window

END = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
# after the hour, when the next one is asked for; and how many hours each load asks for
ASKED_AFTER, ASKED_HOURS = timedelta(minutes=80), 7
BRANCHES = {"neon_project_usage": 1, "neon_branch_usage": 2}
# the facts of a project and hour: six metrics of two branches and what they leave of the project's
# eight
VALUES_PER_PROJECT_AND_HOUR = 20
# ids as long as Neon's
NAME, BRANCH = "steep-frost-", "lpad(cast(10 * p + b as varchar), 8, '0')"
METRICS = {"neon_project_usage": PROJECT_METRICS, "neon_branch_usage": BRANCH_METRICS}


@dataclass(frozen=True)
class Cost:
    """CPU seconds of this process."""

    load: float
    build: float
    nothing_new: float


def usage(table: str, projects: int, since: datetime, until: datetime) -> str:
    """SQL of what Neon says of these hours: branches have half of their project, together."""
    branch = "" if table == "neon_project_usage" else f"concat('br-{NAME}', {BRANCH}) as branch_id,"
    return f"""
        select
            concat('{NAME}', lpad(cast(p as varchar), 8, '0')) as project_id, {branch}
            '4ae3f1d4-60a0-4e2b-a1a1-9a43e2cf5a0c' as period_id, 'scale' as period_plan,
            timestamptz '2026-01-01 00:00:00+00' as period_start,
            cast(null as timestamptz) as period_end, hour as timeframe_start,
            hour + interval 1 hour as timeframe_end, ({[*METRICS[table]]})[m] as metric_name,
            cast(hash(p, m, hour) % 100000 // if({bool(branch)}, 4, 1) as decimal(38, 9)) as value,
            cast(null as varchar) as extra, 'org' as org_id, 'hourly' as granularity,
            hour as bucket_start
        from generate_series(timestamptz '{since}', timestamptz '{until - HOUR}', interval 1 hour)
            as hours (hour),
            range({projects}) as projects (p), range({BRANCHES[table]}) as branches (b),
            range(1, {len(METRICS[table])} + 1) as metrics (m)
        order by hour, p
    """


def fill(path: Path, projects: int, weeks: int) -> None:
    """A warehouse into which that many weeks of hours were loaded, hour by hour."""
    since = END - timedelta(weeks=weeks)
    with warehouse.writer(path) as connection:
        receipts.create_raw_tables(connection, ENDPOINTS)
        for number, table in enumerate(BRANCHES):
            # receipts of two tables have no instant in common
            landed = f"interval 80 minute + interval {number} microsecond"
            rows = projects * BRANCHES[table] * len(METRICS[table]) * ASKED_HOURS
            connection.execute(
                f"""
                insert into raw.{table} by name
                select *, 'org' as scope, concat('load ', bucket_start) as load_id,
                    bucket_start + {landed} as landed_at, false as is_withdrawn
                from ({usage(table, projects, since, END)});
                insert into raw.loads by name
                select concat('load ', hour) as load_id, 'neon' as source, '{table}' as resource,
                    'hourly' as granularity, 'org' as scope,
                    greatest(hour - interval {ASKED_HOURS - 1} hour, timestamptz '{since}')
                        as window_start, hour + interval 1 hour as window_end,
                    hour + interval 80 minute as asked_at, {rows} as rows, 1 as pages,
                    true as complete, hour + {landed} as landed_at
                from generate_series(
                    timestamptz '{since}', timestamptz '{END - HOUR}', interval 1 hour
                ) as hours (hour)
                """
            )


def settings_at(path: Path, now: datetime) -> Settings:
    """Settings of a warehouse at that time."""
    return read_settings({"WAREHOUSE": str(path)}, clock=lambda: now)


def hour_goes_by(path: Path, projects: int, number: int) -> Cost:
    """Load, build and publish the hour that is `number` hours after what was filled in."""
    until = END + (number + 1) * HOUR
    window = Window("hourly", until - ASKED_HOURS * HOUR, until)
    settings = settings_at(path, until - HOUR + ASKED_AFTER)
    answers = {table: _page(table, projects, window) for table in BRANCHES}
    return Cost(
        sum(
            cpu_seconds(partial(load_pages, settings, t, window, [page]))
            for t, page in answers.items()
        ),
        cpu_seconds(partial(building.build, settings)),
        cpu_seconds(partial(building.build, settings)),
    )


def cpu_seconds(work: Callable[[], object]) -> float:
    """What a piece of work takes of CPU."""
    before = time.process_time()
    work()
    return time.process_time() - before


def _page(table: str, projects: int, window: Window) -> pa.Table:
    schema = endpoint_of(table).schema
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        rows = connection.sql(usage(table, projects, window.since, window.until))
        return rows.to_arrow_table().select(schema.names).cast(schema)


def load_pages(settings: Settings, table: str, window: Window, pages: Iterable[pa.Table]) -> None:
    """Land what was told of a window."""
    endpoint, opened = endpoint_of(table), partial(warehouse.writer, settings.warehouse)
    slices = [Slice("org", window, lambda _: iter(pages))]
    result = load(opened, endpoint, source_of(endpoint).resources, slices, settings.clock)
    assert not result.failures


def parquet_bytes(path: Path) -> int:
    """How many bytes the same rows take as Parquet, packed with zstd: what vendors told (raw.*) and
    what it comes to (marts.fct_usage), each table once, in the order in which it stands."""
    total = 0
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(path, read_only=True) as opened:
        opened.execute("set TimeZone = 'UTC'")
        for table in (*(f"raw.{table}" for table in BRANCHES), "marts.fct_usage"):
            file = Path(folder) / f"{table}.parquet"
            opened.execute(f"copy (from {table}) to '{file}' (format parquet, compression zstd)")
            total += file.stat().st_size
    return total


def main(projects: int, weeks: int) -> None:
    """Fill, build, let hours go by; what it cost, as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "meterhouse.duckdb"
        fill(path, projects, weeks)
        first = cpu_seconds(partial(building.build, settings_at(path, END)))
        hour_goes_by(path, projects, 0)  # imports what a load needs
        costs = [hour_goes_by(path, projects, number) for number in (1, 2, 3)]
        told = {part: min(getattr(c, part) for c in costs) for part in vars(costs[0])}
        told |= {
            "first": first,
            "bytes": sum(file.stat().st_size for file in Path(folder).glob("*.duckdb")),
            "parquet": parquet_bytes(path),
            "values": VALUES_PER_PROJECT_AND_HOUR * projects * weeks * 168,
        }
    print(json.dumps(told))


if __name__ == "__main__":
    if sys.argv[1] == "--fill":
        fill(Path(sys.argv[2]), *map(int, sys.argv[3:]))
    else:
        main(*map(int, sys.argv[1:]))
