"""When things run by themselves: a schedule per granularity, and the build that follows a load.

Start and stop each of them in the UI. Freshness is a policy on every raw asset (raw.py).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from assets import partitions
from assets.calls import CALLS, SNAPSHOT, missing_settings
from assets.models import DAYS, models
from assets.raw import partition_key, raw_key
from assets.settings import read_settings
from dbt_like_sql import warehouse
from dbt_like_sql.due import due
from pipelines.load import create_raw_tables

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"

# Dagster ends a tick after 60 seconds, as an error; a build may hold the warehouse for longer
TICK_WAITS_SECONDS = 10


def load_job(granularity: str) -> Any:
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


def trailing_request(granularity: str, now: datetime) -> dg.RunRequest:
    """One run over the trailing partitions: one walk however many they are."""
    window = partitions.trailing("neon_project_usage", granularity, now)
    first, last = partitions.buckets(window)[0], partitions.buckets(window)[-1]
    return dg.RunRequest(
        run_key=f"{granularity} {now:%Y-%m-%dT%H:%M}",
        tags={
            RANGE_START: partition_key(granularity, first),
            RANGE_END: partition_key(granularity, last),
        },
    )


def _schedule(granularity: str, cron: str, description: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"every_{granularity}" if granularity != SNAPSHOT else "names_daily",
        job=JOBS[granularity],
        cron_schedule=cron,
        execution_timezone="UTC",
        description=description,
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        settings = read_settings()
        missing = [missing_settings(settings, call) for call in CALLS]
        if all(missing):
            return dg.SkipReason("; ".join(dict.fromkeys(filter(None, missing))))
        now = context.scheduled_execution_time.astimezone(UTC)
        if granularity == SNAPSHOT:
            return dg.RunRequest(run_key=f"names {now:%Y-%m-%d}")
        return trailing_request(granularity, now)

    return schedule


SCHEDULES = [
    _schedule(
        "hourly",
        f"{partitions.TICK_MINUTE} * * * *",
        "Re-read the open hour and the 6 before it; at 02:20 those of the last 3 days.",
    ),
    _schedule(
        "daily",
        f"{partitions.TICK_MINUTE} {partitions.DAILY_HOUR} * * *",
        "Re-read today and the 3 days before it.",
    ),
    _schedule(
        "monthly",
        f"{partitions.TICK_MINUTE} {partitions.MONTHLY_HOUR} * * *",
        "Re-read this month and the 2 before it.",
    ),
    _schedule(
        SNAPSHOT,
        f"{partitions.TICK_MINUTE} {partitions.DAILY_HOUR} * * *",
        "List organizations, projects and branches again.",
    ),
]


@dg.sensor(
    name="build_what_landed",
    job=BUILD_JOB,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Build the models of the days whose receipts landed since the last build, whoever "
    "landed them: a schedule, a backfill, or the command line.",
)
def build_what_landed(_: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """One build run over the days that are due."""
    settings = read_settings()
    if not settings.warehouse.exists():
        return dg.SkipReason("nothing has been loaded yet")
    try:
        with warehouse.writer(settings.warehouse, TICK_WAITS_SECONDS) as connection:
            create_raw_tables(connection, {})
            what = due(connection)
    except warehouse.WarehouseBusyError as busy:
        return dg.SkipReason(f"looking again at the next tick: {busy}")
    if what is None:
        return dg.SkipReason("every receipt is built")
    today = partitions.floor(datetime.now(UTC), "daily")
    first = max(what.windows[0].since, DAYS.start) if what.windows else today
    last = min(what.windows[-1].until - timedelta(days=1), today) if what.windows else today
    tags = {RANGE_START: partition_key("daily", first), RANGE_END: partition_key("daily", last)}
    return dg.RunRequest(run_key=what.token, tags=tags)
