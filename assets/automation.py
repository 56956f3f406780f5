"""When things run by themselves: schedules derived from endpoints and retention, and what follows.

Start and stop each of them in the UI. Freshness is a policy on every raw asset (raw_assets.py).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from assets import planning
from assets.loading import Loader
from assets.model_assets import DAYS, models
from assets.raw_assets import partition_key, raw_key
from assets.retention import retention
from assets.settings import read_settings
from assets.sources import SOURCES
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.build_state import due, last_built_at
from pipelines.receipts import create_raw_tables
from pipelines.source import SNAPSHOT, Endpoint, Source
from pipelines.windows import floor

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"

# Dagster ends a tick after 60 seconds, as an error; a build may hold the warehouse for longer
TICK_WAITS_SECONDS = 10


@dataclass(frozen=True)
class Schedule:
    """What a vendor is asked for at one grain, and what a run of it reads again."""

    source: Source[Any, Any]
    grain: str
    endpoints: tuple[Endpoint, ...]

    @property
    def name(self) -> str:
        """neon_hourly, neon_names, forge_daily."""
        return f"{self.source.name}_{'names' if self.grain == SNAPSHOT else self.grain}"

    @property
    def table(self) -> str:
        """The table whose retention says when it runs, and what it reads again."""
        return self.endpoints[0].table

    @property
    def description(self) -> str:
        """What a run of it does."""
        if self.grain == SNAPSHOT:
            tables = ", ".join(endpoint.table for endpoint in self.endpoints)
            return f"List what has a name again: {tables}."
        rules, unit = retention(self.table, self.grain), _UNITS[self.grain]
        text = f"Read the open {unit} and the {rules.reread_count} before it again"
        if rules.reread_month_until_day:
            text += (
                f", and the whole month; until day {rules.reread_month_until_day} the month before "
                "it too"
            )
        if self.grain == "hourly":
            daily = retention(self.table, "daily")
            text += f"; at {daily.tick_hour:02}:20 the hours of {daily.reread_count} days"
        return f"{text}."


_UNITS = {"hourly": "hour", "daily": "day", "monthly": "month"}


def _schedules_of(source: Source[Any, Any]) -> list[Schedule]:
    """One per grain at which something of the source falls due by the clock."""
    found: dict[str, list[Endpoint]] = {}
    for endpoint in source.endpoints:
        if not (endpoint.part_of or endpoint.any_time):
            for grain in endpoint.grains:
                if grain not in endpoint.only_backfilled:
                    found.setdefault(grain, []).append(endpoint)
    in_order = sorted(found, key=lambda grain: grain == SNAPSHOT)
    return [Schedule(source, grain, tuple(found[grain])) for grain in in_order]


def _load_job(schedule: Schedule) -> Any:
    """The raw assets of a schedule. Backfill from an asset's page instead: job backfills ignore the
    backfill policy (dagster #17404) and would make a run per partition."""
    return dg.define_asset_job(
        f"load_{schedule.name}",
        selection=dg.AssetSelection.assets(
            *(raw_key(endpoint.table, schedule.grain) for endpoint in schedule.endpoints)
        ),
        description=schedule.description,
    )


_ALL = [schedule for source in SOURCES for schedule in _schedules_of(source)]
JOBS = {schedule.name: _load_job(schedule) for schedule in _ALL}
BUILD_JOB = dg.define_asset_job(
    "build",
    selection=dg.AssetSelection.assets(models),
    description="Build the SQL models of some days, and publish the read copy",
)


def trailing_request(schedule: Schedule, now: datetime) -> dg.RunRequest:
    """One run over the trailing partitions: one walk however many they are."""
    starts = planning.trailing(schedule.table, schedule.grain, now).buckets()
    return dg.RunRequest(
        run_key=f"{schedule.name} {now:%Y-%m-%dT%H:%M}",
        tags={
            RANGE_START: partition_key(schedule.grain, starts[0]),
            RANGE_END: partition_key(schedule.grain, starts[-1]),
        },
    )


def _dagster_schedule(schedule: Schedule) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=schedule.name,
        job=JOBS[schedule.name],
        cron_schedule=planning.cron(schedule.table, schedule.grain),
        execution_timezone="UTC",
        description=schedule.description,
    )
    def evaluate(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        missing = read_settings().missing.get(schedule.source.name)
        if missing:
            return dg.SkipReason(missing)
        now = context.scheduled_execution_time.astimezone(UTC)
        if schedule.grain == SNAPSHOT:
            return dg.RunRequest(run_key=f"{schedule.name} {now:%Y-%m-%d}")
        return trailing_request(schedule, now)

    return evaluate


SCHEDULES = [_dagster_schedule(schedule) for schedule in _ALL]


def _watched(source: Source[Any, Any]) -> list[Endpoint]:
    """The endpoints of a source that have something new at any time."""
    return [endpoint for endpoint in source.endpoints if endpoint.any_time]


def _load_and_build_job(endpoint: Endpoint) -> Any:
    return dg.define_asset_job(
        f"load_{endpoint.table}_files",
        selection=dg.AssetSelection.assets(raw_key(endpoint.table, SNAPSHOT))
        | dg.AssetSelection.assets(models),
        description=f"Load what is new of {endpoint.request}, say what is wrong with the rest, and "
        "build. Where something is rejected, build_what_landed builds what the rest said.",
    )


def _sensor_of(source: Source[Any, Any], endpoint: Endpoint, job: Any) -> dg.SensorDefinition:
    """One run whenever the fingerprint of a source is another than before, and one a day.

    That one makes up for a run that was killed or found the warehouse busy, and looks again at what
    was rejected for a date that was yet to come.
    """

    @dg.sensor(
        name=f"{endpoint.table}_files",
        job=job,
        minimum_interval_seconds=15,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Load {endpoint.request} when one came or changed; once a day, look again.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        settings = read_settings()
        if why := settings.missing.get(source.name):
            return dg.SkipReason(why)
        now = settings.clock()
        today = partition_key("daily", floor(now, "daily"))
        prints = [source.fingerprint(a.settings) for a in settings.accounts[source.name]]
        found = " ".join([*prints, today])
        if found == context.cursor:
            return _nothing_new(source)
        # a folder may come to be as it was before, and that is news again: no key comes twice
        request = dg.RunRequest(
            run_key=f"{found} {now.isoformat()}", tags={RANGE_START: today, RANGE_END: today}
        )
        return dg.SensorResult(run_requests=[request], cursor=found)

    return sensor


def _nothing_new(source: Source[Any, Any]) -> dg.SkipReason:
    with Loader(read_settings(), TICK_WAITS_SECONDS) as loader:
        if not loader.settings.warehouse.exists():
            return dg.SkipReason("no new file")
        try:
            return dg.SkipReason("\n".join(["no new file", *source.problems(loader.landed)]))
        except warehouse.WarehouseBusyError as busy:
            return dg.SkipReason(f"no new file; {busy}")


_WATCHED = [(source, endpoint) for source in SOURCES for endpoint in _watched(source)]
FILES_JOBS = {endpoint.table: _load_and_build_job(endpoint) for _, endpoint in _WATCHED}
FILES_SENSORS = [
    _sensor_of(source, endpoint, FILES_JOBS[endpoint.table]) for source, endpoint in _WATCHED
]


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
    today = floor(settings.clock(), "daily")
    if what is None and (built_at is None or built_at >= today):
        return dg.SkipReason("every receipt is built")
    windows = what.windows if what else ()
    first = max(windows[0].since, DAYS.start) if windows else today
    last = min(windows[-1].until - timedelta(days=1), today) if windows else today
    range_end = partition_key("daily", max(first, last))
    tags = {RANGE_START: partition_key("daily", first), RANGE_END: range_end}
    return dg.RunRequest(run_key=what.token if what else f"{today:%Y-%m-%d}", tags=tags)
