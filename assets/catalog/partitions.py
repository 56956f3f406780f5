"""The partitions of assets: where they begin, how each is called, and which are whole."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache, partial
from itertools import groupby

import dagster as dg
import duckdb

from assets import settings
from assets.retention import retention
from assets.runs import planning
from assets.sources import ENDPOINTS
from dbt_like_sql.engine import warehouse
from pipelines import receipts
from pipelines.endpoint import Endpoint
from pipelines.receipts import Connection
from pipelines.windows import Window, floor

KINDS = {
    "hourly": dg.HourlyPartitionsDefinition,
    "daily": dg.DailyPartitionsDefinition,
    "monthly": dg.MonthlyPartitionsDefinition,
}
# of a vendor that may answer for all of time
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def _held_since() -> dict[tuple[str, str], datetime]:
    """By table and grain, the first bucket that readers are told to be held."""
    sql = "select resource, granularity, min(span_start) from reports.coverage group by all"
    try:
        with warehouse.reader(settings.warehouse_at()) as connection:
            rows = connection.execute(sql).fetchall()
    except (warehouse.WarehouseError, duckdb.Error):  # there is none yet, or one of another version
        return {}
    return {(table, grain): since for table, grain, since in rows}


def first_partition(endpoint: Endpoint, grain: str) -> datetime:
    """Where data can begin: at what is held, or at what the vendor answered for when this process
    began, whichever is earlier."""
    table, at = endpoint.table, endpoint.receipts_at(grain)
    starts = [planning.earliest(table, at, settings.LOADED_AT)]
    starts += [since for of, since in _held_since().items() if of == (table, at)]
    if retention(table, at).beyond_reach != "refused":
        starts.append(FIRST_DAY)
    return floor(min(starts), "monthly" if grain == "monthly" else "daily")


def partition_key(grain: str, start: datetime) -> str:
    """How Dagster names the partition of the bucket that starts here."""
    return start.strftime("%Y-%m-%d-%H:%M" if grain == "hourly" else "%Y-%m-%d")


def whole_partitions(
    connection: Connection, endpoint: Endpoint, grain: str, window: Window, scopes: Iterable[str]
) -> dict[str, int]:
    """The partitions of a window of receipts of which each scope holds all, and their rows."""
    held = receipts.held_since(connection, endpoint.table, window.grain, window.since)
    of_scopes = [held.get(scope, {}).keys() for scope in scopes]
    rows = receipts.row_counts(connection, endpoint, window)
    whole = {}
    for start, group in groupby(window.buckets(), partial(floor, grain=grain)):
        buckets = {*group}
        if of_scopes and all(buckets <= of_scope for of_scope in of_scopes):
            whole[partition_key(grain, start)] = sum(rows.get(bucket, 0) for bucket in buckets)
    return whole


# those of what is made from all of them
DAYS = dg.DailyPartitionsDefinition(
    floor(min(first_partition(e, g) for e in ENDPOINTS for g in e.grains if g in KINDS), "monthly"),
    end_offset=1,
)
