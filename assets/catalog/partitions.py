"""Where the partitions of an asset begin: where data can."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

import dagster as dg
import duckdb

from assets import planning, settings
from assets.retention import retention
from assets.sources import ENDPOINTS
from dbt_like_sql.engine import warehouse
from pipelines.endpoint import Endpoint
from pipelines.windows import floor

PARTITIONS: dict[str, tuple[Callable[..., dg.TimeWindowPartitionsDefinition], datetime]] = {
    "hourly": (dg.HourlyPartitionsDefinition, datetime(2026, 6, 1, tzinfo=UTC)),
    "daily": (dg.DailyPartitionsDefinition, datetime(2026, 1, 1, tzinfo=UTC)),
    "monthly": (dg.MonthlyPartitionsDefinition, datetime(2025, 1, 1, tzinfo=UTC)),
}


@cache
def _held_since() -> dict[tuple[str, str], datetime]:
    """By table and grain, the first bucket that readers are told to be held."""
    sql = "select resource, granularity, min(span_start) from reports.coverage group by all"
    try:
        with warehouse.reader(settings.warehouse_path()) as connection:
            rows = connection.execute(sql).fetchall()
    except (warehouse.WarehouseError, duckdb.Error):  # there is none yet, or one of another version
        return {}
    return {(table, grain): since for table, grain, since in rows}


def partitions_of(endpoint: Endpoint, grain: str) -> dg.TimeWindowPartitionsDefinition | None:
    """From where data can be on: what is held, or what the vendor answered for when this process
    began, whichever is earlier. Where a vendor may answer for all of time, from a fixed day too."""
    if grain not in PARTITIONS:
        return None
    kind, since = PARTITIONS[grain]
    at = endpoint.receipts_at(grain)
    reach = planning.earliest(endpoint.table, at, settings.LOADED_AT)
    can_be = min(reach, _held_since().get((endpoint.table, at), reach))
    if retention(endpoint.table, at).beyond_reach != "refused":
        can_be = min(can_be, since)
    return kind(floor(can_be, "monthly" if grain == "monthly" else "daily"), end_offset=1)


def _first_day() -> datetime:
    """The first day of any partition, from the start of its month on."""
    kinds = [partitions_of(endpoint, grain) for endpoint in ENDPOINTS for grain in endpoint.grains]
    return floor(min(kind.start for kind in kinds if kind), "monthly")


# those of what is made from all of them
DAYS = dg.DailyPartitionsDefinition(_first_day(), end_offset=1)
