"""When things run by themselves: a schedule per granularity, and the build that follows a load.

Start and stop each of them in the UI. Freshness is a policy on every raw asset (raw.py).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg

from assets import partitions
from assets.calls import CALLS, SNAPSHOT, open_warehouse
from assets.models import DAYS, models
from assets.raw import PARTITIONS, RAW_ASSETS, raw_key
from assets.settings import read_settings
from dbt_like_sql.runner import due_days

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def load_job(granularity: str) -> dg.UnresolvedAssetJobDefinition:
    """All raw assets of one granularity. Backfill from an asset's page instead: job backfills
    ignore the backfill policy (dagster #17404) and would make a run per partition."""
    keys = [raw_key(call.table, granularity) for call in CALLS if granularity in call.granularities]
    return dg.define_asset_job(
        f"load_{granularity}" if granularity != SNAPSHOT else "load_names",
        selection=dg.AssetSelection.assets(*keys),
        description=f"Ask every vendor for {granularity} usage"
        if granularity != SNAPSHOT
        else "Ask every vendor for the names of things",
    )


JOBS = {granularity: load_job(granularity) for granularity in (*partitions.GRANULARITIES, SNAPSHOT)}
BUILD_JOB = dg.define_asset_job(
    "build",
    selection=dg.AssetSelection.assets(models),
    description="Build the SQL models of some days, and publish the read copy",
)


def _trailing_request(granularity: str, now: datetime) -> dg.RunRequest:
    """One run over the trailing partitions: one walk however many they are."""
    window = partitions.trailing("neon_project_usage", granularity, now)
    definition = PARTITIONS[granularity]
    keys = definition.get_partition_keys_in_time_window(
        dg.TimeWindow(window.since, window.until)
    )
    return dg.RunRequest(
        job_name=JOBS[granularity].name,
        run_key=f"{granularity} {now:%Y-%m-%dT%H:%M}",
        tags={RANGE_START: keys[0], RANGE_END: keys[-1]},
    )
