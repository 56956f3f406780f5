"""When things run by themselves: schedules derived from endpoints and retention, and what follows.

Start and stop each of them in the UI. Freshness is a policy on every raw asset (raw_assets.py).
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from os import sysconf
from pathlib import Path
from typing import Any

import dagster as dg

from assets import planning
from assets.model_assets import DAYS, models
from assets.raw_assets import partition_key, raw_key
from assets.retention import retention
from assets.settings import read_settings
from assets.sources import SOURCES
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.build_state import due, last_built_at
from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.receipts import create_raw_tables
from pipelines.source import Source
from pipelines.windows import floor

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"

# Dagster ends a tick after 60 seconds, as an error; a build may hold the warehouse for longer
TICK_WAITS_SECONDS = 10
WHAT = "meterhouse/what"
NOT_DONE = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
LONGEST_PAUSE = timedelta(hours=1)
# between a process and its run's first event, and what a clock is put right by
SLACK_SECONDS = 60.0


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
    """One run whenever the fingerprint of a source is another than before, and one a day; again
    where it failed.

    The daily one looks again at what was rejected for a date that was yet to come. A run that
    failed for a rejected file is followed by one that has nothing to load, and succeeds.
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
        # a folder may come to be as it was before, and that is news again
        asked = context.cursor or ""
        what = asked if asked.startswith(found) else f"{found} {now.isoformat()}"
        tags = {RANGE_START: today, RANGE_END: today}
        request = run_request(context.instance, what, tags, now)
        if isinstance(request, dg.RunRequest):
            return dg.SensorResult(run_requests=[request], cursor=what)
        return _nothing_new(source, request.skip_message)

    return sensor


def _nothing_new(source: Source[Any, Any], why: str | None) -> dg.SkipReason:
    """Why nothing is asked for, and what could not be loaded, as of the last build."""
    try:
        with warehouse.reader(read_settings().warehouse) as connection:
            sql = f"select * exclude found_at from {source.problems} order by all"  # noqa: S608
            found = connection.execute(sql)
            names = [name.removesuffix("_name") for name, *_ in found.description or []]
            rows = [zip(names, row, strict=True) for row in found.fetchall()]
    except FileNotFoundError:
        rows = []
    wrong = (", ".join(f"{name} {value}" for name, value in row if value) for row in rows)
    return dg.SkipReason("\n".join([f"no new file; {why}", *(f"rejected: {w}" for w in wrong)]))


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
    "landed them: a schedule, a backfill, or the command line; again where that failed. Once a "
    "day, build all the same: what is stale or about to be lost follows the clock.",
)
def build_what_landed(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """One build run over the days that are due."""
    settings = read_settings()
    if not settings.warehouse.exists():
        return dg.SkipReason("nothing has been loaded yet")
    try:
        with warehouse.writer(settings.warehouse, TICK_WAITS_SECONDS) as connection:
            create_raw_tables(connection)
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
    token = what.token if what else f"{today:%Y-%m-%d}"
    return run_request(context.instance, token, tags, settings.clock())


# -- whether what a sensor asked for was done ---------------------------------------------------
#
# Dagster never starts a second run for one run key, whatever became of the first, and where all of
# it was killed at once it takes the run for a living one. Both are mended here, with no person.


def run_request(
    instance: dg.DagsterInstance, what: str, tags: dict[str, str], now: datetime
) -> dg.RunRequest | dg.SkipReason:
    """A run that does `what`; a reason to skip while one is under way, or after one did it.

    What failed, was canceled or was killed is asked for again at the next tick. What fails again
    and again is asked for after pauses that double, up to an hour.
    """
    end_dead_runs(instance)
    runs = instance.get_run_records(dg.RunsFilter(tags={WHAT: what}))  # the latest first
    failed = list(takewhile(lambda record: record.dagster_run.status in NOT_DONE, runs))
    if runs and not failed:
        run = runs[0].dagster_run
        return dg.SkipReason(f"run {run.run_id[:8]} for it is {run.status.value.lower()}")
    if failed:
        last, first = failed[0].create_timestamp, failed[-1].create_timestamp
        again_at = last + min(last - first, LONGEST_PAUSE)
        if now < again_at:
            run_id, count = failed[0].dagster_run.run_id[:8], len(failed)
            return dg.SkipReason(
                f"{count} runs for it failed, the last is {run_id}; the next: {again_at:%H:%M:%SZ}"
            )
    key = f"{what}, attempt {len(runs) + 1}" if runs else what
    return dg.RunRequest(run_key=key, tags={**tags, WHAT: what})


def end_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark as failed the runs whose process is gone, so that they hold neither work nor a slot.

    A run that is killed alone is noticed by the code server that started it. One that dies with the
    code server, or with the machine, is not, and would count as running until its maximum runtime.
    Where runs are launched elsewhere (a container each), that launcher knows, and not this machine.
    """
    if not isinstance(instance.run_launcher, dg.DefaultRunLauncher):
        return
    for record in instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        run_id = record.dagster_run.run_id
        if _is_alive(instance, run_id):
            continue
        run = instance.get_run_by_id(run_id)  # it may have ended by itself in this very moment
        if run and not run.is_finished:
            instance.report_run_failed(run, "The process of this run is gone: it was killed.")


def _is_alive(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether the process that started the run still is; True where nobody can say."""
    started = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.RUN_START, limit=1)
    if not started.records or not Path("/proc/self/stat").exists():
        return True
    entry = started.records[0].event_log_entry
    pid = entry.get_dagster_event().pid
    return pid is None or _age_of_process(pid) > time.time() - entry.timestamp - SLACK_SECONDS


def _age_of_process(pid: int) -> float:
    """Seconds since the process started; -inf where there is none, or only its exit code."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return float("-inf")
    if after_name[0] == "Z":
        return float("-inf")
    # the 22nd of proc(5): ticks between the machine's start and the process's
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(after_name[19]) / sysconf("SC_CLK_TCK")
