"""Loading pages of usage: ours, a floor written by hand, and dlt's own REST source.

Each is run in a process of its own: `python -m tests.benchmarks.loading WHO URL HOURS`.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import httpx
import msgspec
import pyarrow as pa

from tests.benchmarks.pages import SINCE

ORG, PATH = "org-1", "consumption_history/v2/projects"
HOUR = timedelta(hours=1)


def ours(url: str, file: Path, hours: int) -> None:
    """As `meterhouse load` does it: client, slice, load, receipt."""
    from dbt_like_sql.engine import warehouse
    from pipelines.load import load
    from pipelines.neon import PROJECT_USAGE, SOURCE, Settings
    from pipelines.neon.client import Neon
    from pipelines.source import Account, Slice
    from pipelines.windows import Window

    window = Window("hourly", SINCE, SINCE + hours * HOUR)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            api_key="key", org_ids=(ORG,), base_url=url, requests_per_minute=100_000
        )
        neon = Neon(Account("", settings, Path(folder), lambda: datetime.now(tz=UTC)))
        slices = [Slice(ORG, window, partial(neon.project_usage, ORG))]
        opened = partial(warehouse.writer, file)
        result = load(opened, PROJECT_USAGE, SOURCE.resources, slices, lambda: datetime.now(tz=UTC))
        neon.close()
    assert not result.failures, result.failures


class Metric(msgspec.Struct):
    """Of the floor: what is documented, and nothing else."""

    metric_name: str
    value: Decimal


class Hour(msgspec.Struct):
    """The same."""

    timeframe_start: datetime
    timeframe_end: datetime
    metrics: list[Metric]


class Period(msgspec.Struct):
    """The same."""

    period_id: str
    period_plan: str
    period_start: datetime
    consumption: list[Hour]


class Project(msgspec.Struct):
    """The same."""

    project_id: str
    periods: list[Period]


class Cursor(msgspec.Struct):
    """The same."""

    cursor: str


class Page(msgspec.Struct):
    """The same."""

    projects: list[Project]
    pagination: Cursor | None = None


FLOOR = pa.schema(
    {
        "project_id": pa.string(),
        "period_id": pa.string(),
        "period_plan": pa.string(),
        "period_start": pa.timestamp("us", "UTC"),
        "timeframe_start": pa.timestamp("us", "UTC"),
        "timeframe_end": pa.timestamp("us", "UTC"),
        "metric_name": pa.string(),
        "value": pa.decimal128(38, 9),
    }
)


def floor(url: str, file: Path, _: int) -> None:
    """The least that lands the same values: no log, no receipt, no retry, nothing unexpected."""
    decoder, cursor = msgspec.json.Decoder(Page), ""
    with httpx.Client(base_url=url, timeout=60) as client, duckdb.connect(file) as connection:
        while True:
            params = {"cursor": cursor} if cursor else {}
            page = decoder.decode(client.get(PATH, params=params).content)
            rows = [
                (
                    project.project_id,
                    period.period_id,
                    period.period_plan,
                    period.period_start,
                    hour.timeframe_start,
                    hour.timeframe_end,
                    metric.metric_name,
                    metric.value,
                )
                for project in page.projects
                for period in project.periods
                for hour in period.consumption
                for metric in hour.metrics
            ]
            columns = zip(zip(*rows, strict=True), FLOOR.types, strict=True)
            answer = pa.table([pa.array(*column) for column in columns], schema=FLOOR)
            connection.register("answer", answer)
            connection.execute("create table if not exists usage as from answer limit 0")
            connection.execute("insert into usage from answer")
            connection.unregister("answer")
            if page.pagination is None:
                return
            cursor = page.pagination.cursor


def dlt_source(url: str, file: Path, _: int, **tuned: Any) -> None:
    """dlt's REST source, told where the pages are; nested lists become tables of their own."""
    import dlt
    from dlt.sources.rest_api import rest_api_source
    from dlt.sources.rest_api.typing import RESTAPIConfig

    flat = tuned.pop("flat", False)
    config: RESTAPIConfig = {
        "client": {
            "base_url": url,
            "paginator": {
                "type": "cursor",
                "cursor_path": "pagination.cursor",
                "cursor_param": "cursor",
            },
        },
        "resources": [
            {
                "name": "usage",
                "endpoint": {"path": PATH, "data_selector": "projects"},
                "processing_steps": [{"yield_map": _flat}] if flat else [],
            }
        ],
    }
    pipeline = dlt.pipeline(
        "bench",
        destination=dlt.destinations.duckdb(str(file)),
        dataset_name="usage",
        pipelines_dir=f"{file}.dlt",
    )
    pipeline.run(rest_api_source(config), **tuned).raise_on_failed_jobs()


def _flat(project: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for period in project["periods"]:
        for hour in period["consumption"]:
            for metric in hour["metrics"]:
                yield {
                    "project_id": project["project_id"],
                    "period_id": period["period_id"],
                    "period_plan": period["period_plan"],
                    "period_start": period["period_start"],
                    "timeframe_start": hour["timeframe_start"],
                    "timeframe_end": hour["timeframe_end"],
                    **metric,
                }


WHO: dict[str, Callable[[str, Path, int], None]] = {
    "ours": ours,
    "floor": floor,
    "dlt": dlt_source,
    # what its manual advises for speed: flat rows, and Parquet instead of INSERT statements
    "dlt_tuned": partial(dlt_source, flat=True, loader_file_format="parquet"),
}


def main(who: str, url: str, hours: str) -> None:
    """Load into a warehouse that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        WHO[who](url, Path(folder) / "here.duckdb", int(hours))


if __name__ == "__main__":
    main(*sys.argv[1:])
