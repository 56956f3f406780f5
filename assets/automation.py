"""When things run by themselves: schedules per vendor, and the build that follows a load.

Start and stop each of them in the UI. Freshness is a policy on every raw asset (raw.py).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from assets import asking_platform_usage, partitions
from assets.calls import CALLS, missing_settings
from assets.models import DAYS, models
from assets.raw import partition_key, raw_key
from assets.settings import read_settings
from assets.vendors import SNAPSHOT, Call
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.build_state import due, last_built_at
from pipelines.load import create_raw_tables

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"

# Dagster ends a tick after 60 seconds, as an error; a build may hold the warehouse for longer
TICK_WAITS_SECONDS = 10


@dataclass(frozen=True)
class Turn:
    """One schedule: a vendor's calls at one granularity, and what a run of it reads again."""

    vendor: str
    granularity: str
    usage_table: str
    description: str

    @property
    def name(self) -> str:
        """neon_hourly, neon_names, forge_daily."""
        return f"{self.vendor}_{'names' if self.granularity == SNAPSHOT else self.granularity}"

    @property
    def calls(self) -> list[Call]:
        """The vendor's calls at this granularity."""
        return [
            call
            for call in CALLS
            if call.source.split("_")[0] == self.vendor and self.granularity in call.granularities
        ]

    @property
    def cron(self) -> str:
        """When it runs: at the ticks after which a terminal would find the same due."""
        if self.granularity == "hourly":
            return f"{partitions.TICK_MINUTE} * * * *"
        hour = partitions.DAILY_HOUR
        if self.granularity != SNAPSHOT:
            hour = partitions.retention(self.usage_table, self.granularity).tick_hour
        return f"{partitions.TICK_MINUTE} {hour} * * *"


TURNS = (
    Turn(
        "neon",
        "hourly",
        "neon_project_usage",
        "Re-read the open hour and the 6 before it; at 02:20 those of the last 3 days.",
    ),
    Turn("neon", "daily", "neon_project_usage", "Re-read today and the 3 days before it."),
    Turn("neon", "monthly", "neon_project_usage", "Re-read this month and the 2 before it."),
    Turn("neon", SNAPSHOT, "", "List organizations, projects and branches again."),
    Turn(
        "forge",
        "daily",
        "forge_app_usage",
        "Re-read this month (until the 5th, the one before it too) and at least the last 7 days, "
        "after Atlassian's daily refresh at 12:00 UTC.",
    ),
    Turn(
        "bitbucket",
        "daily",
        "bitbucket_pipeline_runs",
        "Re-read the runs of today and the 3 days before it, and older ones that had not finished.",
    ),
    Turn("bitbucket", SNAPSHOT, "", "List workspaces and repositories again."),
)


def _load_job(turn: Turn) -> Any:
    """The raw assets of a turn. Backfill from an asset's page instead: job backfills ignore the
    backfill policy (dagster #17404) and would make a run per partition."""
    return dg.define_asset_job(
        f"load_{turn.name}",
        selection=dg.AssetSelection.assets(
            *(raw_key(call.table, turn.granularity) for call in turn.calls)
        ),
        description=turn.description,
    )


JOBS = {turn.name: _load_job(turn) for turn in TURNS}
BUILD_JOB = dg.define_asset_job(
    "build",
    selection=dg.AssetSelection.assets(models),
    description="Build the SQL models of some days, and publish the read copy",
)


def trailing_request(turn: Turn, now: datetime) -> dg.RunRequest:
    """One run over the trailing partitions: one walk however many they are."""
    window = partitions.trailing(turn.usage_table, turn.granularity, now)
    first, last = partitions.buckets(window)[0], partitions.buckets(window)[-1]
    return dg.RunRequest(
        run_key=f"{turn.name} {now:%Y-%m-%dT%H:%M}",
        tags={
            RANGE_START: partition_key(turn.granularity, first),
            RANGE_END: partition_key(turn.granularity, last),
        },
    )


def _schedule(turn: Turn) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=turn.name,
        job=JOBS[turn.name],
        cron_schedule=turn.cron,
        execution_timezone="UTC",
        description=turn.description,
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        settings = read_settings()
        missing = [missing_settings(settings, call) for call in turn.calls]
        if all(missing):
            return dg.SkipReason("; ".join(dict.fromkeys(filter(None, missing))))
        now = context.scheduled_execution_time.astimezone(UTC)
        if turn.granularity == SNAPSHOT:
            return dg.RunRequest(run_key=f"{turn.name} {now:%Y-%m-%d}")
        return trailing_request(turn, now)

    return schedule


SCHEDULES = [_schedule(turn) for turn in TURNS]


FILES_JOB = dg.define_asset_job(
    "load_platform_usage_files",
    selection=dg.AssetSelection.assets(raw_key("platform_usage", SNAPSHOT))
    | dg.AssetSelection.assets(models),
    description="Load the platform usage files that are new, say what is wrong with others, and "
    "build. Where a file is rejected, the sensor build_what_landed builds what the rest said.",
)


@dg.sensor(
    name="platform_usage_files",
    job=FILES_JOB,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Load files that are dropped into PLATFORM_USAGE_DIR, or changed there; "
    "once a day, look again.",
)
def platform_usage_files(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """One run whenever the folder is another than before, and one a day.

    That one makes up for a run that was killed or found the warehouse busy, and looks again at what
    was rejected for a date that was yet to come.
    """
    settings = read_settings()
    if why := asking_platform_usage.missing(settings):
        return dg.SkipReason(why)
    now = datetime.now(UTC)
    today = partition_key("daily", partitions.floor(now, "daily"))
    found = f"{asking_platform_usage.fingerprint_of_folder(settings)} {today}"
    if found == context.cursor:
        rejected = asking_platform_usage.still_rejected(settings)
        return dg.SkipReason("\n".join(["no new file", *rejected]))
    # a folder may come to be as it was before, and that is news again: no key comes twice
    request = dg.RunRequest(
        run_key=f"{found} {now.isoformat()}", tags={RANGE_START: today, RANGE_END: today}
    )
    return dg.SensorResult(run_requests=[request], cursor=found)


@dg.sensor(
    name="build_what_landed",
    job=BUILD_JOB,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Build the models of the days whose receipts landed since the last build, whoever "
    "landed them: a schedule, a backfill, or the command line. Once a day, build all the same: "
    "what is stale or about to be lost follows the clock.",
)
def build_what_landed(_: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """One build run over the days that are due."""
    settings = read_settings()
    if not settings.warehouse.exists():
        return dg.SkipReason("nothing has been loaded yet")
    try:
        with warehouse.writer(settings.warehouse, TICK_WAITS_SECONDS) as connection:
            create_raw_tables(connection, {})
            what, built_at = due(connection), last_built_at(connection)
    except warehouse.WarehouseBusyError as busy:
        return dg.SkipReason(f"looking again at the next tick: {busy}")
    today = partitions.floor(datetime.now(UTC), "daily")
    if what is None and (built_at is None or built_at >= today):
        return dg.SkipReason("every receipt is built")
    windows = what.windows if what else ()
    first = max(windows[0].since, DAYS.start) if windows else today
    last = min(windows[-1].until - timedelta(days=1), today) if windows else today
    range_end = partition_key("daily", max(first, last))
    tags = {RANGE_START: partition_key("daily", first), RANGE_END: range_end}
    return dg.RunRequest(run_key=what.token if what else f"{today:%Y-%m-%d}", tags=tags)
