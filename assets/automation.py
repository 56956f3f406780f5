"""When things run by themselves: schedules derived from endpoints and retention, and what follows.

Start and stop each of them in the UI. Not here: how fresh assets are (catalog/freshness.py).
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from os import sysconf
from pathlib import Path
from typing import Any

import dagster as dg

from assets.catalog.failing import skipping_in_words
from assets.catalog.partitions import DAYS, partition_key
from assets.catalog.seen import unseen
from assets.catalog.tables import raw_key
from assets.model_assets import SHOWN
from assets.raw_assets import STEPS
from assets.retention import retention
from assets.runs import planning
from assets.runs.opening import open_warehouse, rows_of
from assets.settings import Settings, SettingsError, read_settings
from assets.sources import SOURCES
from dbt_like_sql.engine import publishing, warehouse
from dbt_like_sql.engine.build_state import Due, due, last_built_at
from dbt_like_sql.engine.lakes.address import exists
from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.receipts import create_raw_tables
from pipelines.source import Source
from pipelines.windows import bucket_unit, floor

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"

# Dagster ends a tick after 60 seconds, as an error; a build may hold the warehouse for longer
TICK_WAITS_SECONDS = 10
WHAT, NO_FILE = "meterhouse/what", "no file"
NOT_DONE = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
# Dagster plans each day of each mart, one by one, before a run starts; more is built all the same
MOST_PLANNED = timedelta(days=31)
LONGEST_PAUSE = timedelta(hours=1)
# stands for when a build was that readers do not see: it was killed, or their copy is of another
NOT_READ = datetime.min.replace(tzinfo=UTC)
# between a process and its run's first event, and what a clock is put right by
SLACK_SECONDS = 60.0


def _partitions(grain: str, first: datetime, last: datetime) -> dict[str, str]:
    """The tags of one run over these partitions: one walk however many they are."""
    return {RANGE_START: partition_key(grain, first), RANGE_END: partition_key(grain, last)}


def _description(grain: str, endpoints: Sequence[Endpoint]) -> str:
    """What a run of a schedule does."""
    table = endpoints[0].table
    if grain == SNAPSHOT:
        return f"List what has a name again: {', '.join(e.table for e in endpoints)}."
    rules, unit = retention(table, grain), bucket_unit(grain)
    text = f"Read the open {unit} and the {rules.reread_count} before it again"
    if rules.reread_month_until_day:
        text += (
            f", and the whole month; until day {rules.reread_month_until_day} the month before "
            "it too"
        )
    if grain == "hourly":
        daily = retention(table, "daily")
        text += f"; at {daily.tick_hour:02}:20 the hours of {daily.reread_count} days"
    return f"{text}."


def _schedule(
    source: Source[Any], grain: str, endpoints: Sequence[Endpoint]
) -> dg.ScheduleDefinition:
    """A load of these endpoints, and when: the retention of the first says it, and what is read
    again."""
    name = f"{source.name}_{'names' if grain == SNAPSHOT else grain}"
    table, description = endpoints[0].table, _description(grain, endpoints)
    keys = [raw_key(endpoint.table, grain) for endpoint in endpoints]

    @dg.schedule(
        name=name,
        job=dg.define_asset_job(
            f"load_{name}",
            selection=dg.AssetSelection.assets(*keys).without_checks(),
            description=description,
        ),
        cron_schedule=planning.cron(table, grain),
        execution_timezone="UTC",
        description=description,
    )
    def evaluate(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        with suppress(SettingsError):  # which the run says in a sentence, and a tick in stacks
            if missing := read_settings().missing.get(source.name):
                return dg.SkipReason(missing)
        now = context.scheduled_execution_time.astimezone(UTC)
        if grain == SNAPSHOT:
            return dg.RunRequest(run_key=f"{name} {now:%Y-%m-%d}")
        starts = planning.trailing(table, grain, now).buckets()
        tags = _partitions(grain, starts[0], starts[-1])
        return dg.RunRequest(run_key=f"{name} {now:%Y-%m-%dT%H:%M}", tags=tags)

    return evaluate


# what falls due by the clock
SCHEDULES = [
    _schedule(source, grain, timed)
    for source, grain, endpoints in STEPS
    if (timed := [e for e in endpoints if not e.any_time and grain not in e.only_backfilled])
]
BUILD_JOB = dg.define_asset_job(
    "build",
    # checks are told as they are tried: one that is planned and not tried is shown as skipped
    selection=dg.AssetSelection.assets(*SHOWN).without_checks(),
    description="Build the SQL models of some days, and publish the read copy",
)


def _files_sensor(source: Source[Any], endpoint: Endpoint) -> dg.SensorDefinition:
    """One run whenever the fingerprint of a source is another than before, and one a day; again
    where it failed.

    The daily one looks again at what was rejected for a date that was yet to come. A run that
    failed for a rejected file is followed by one that has nothing to load, and succeeds.
    """
    job = dg.define_asset_job(
        f"load_{endpoint.table}_files",
        selection=dg.AssetSelection.assets(raw_key(endpoint.table, SNAPSHOT)).without_checks(),
        description=f"Load what is new of {endpoint.request}, and say what is wrong with the rest.",
    )

    @dg.sensor(
        name=f"{endpoint.table}_files",
        job=job,
        minimum_interval_seconds=15,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Load {endpoint.request} when one came or changed; once a day, look again.",
    )
    @skipping_in_words
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        settings = read_settings()
        if why := settings.missing.get(source.name):
            return dg.SkipReason(why)
        now = settings.clock()
        tags = _partitions("daily", now, now)
        prints = [source.client(it).fingerprint() for it in settings.accounts[source.name]]
        # where there is no file there is none to look at again, only one that was there before
        parts = [*prints, tags[RANGE_END], f"{settings.warehouse}"]
        found = " ".join(parts) if any(prints) else NO_FILE
        # a folder may come to be as it was before, and that is news again
        asked = context.cursor or NO_FILE
        what = asked if asked.startswith(found) else f"{found} {now.isoformat()}"
        if what == NO_FILE:
            return dg.SkipReason(f"{NO_FILE} yet")
        request = run_request(context.instance, what, tags, now)
        if isinstance(request, dg.RunRequest):
            return dg.SensorResult(run_requests=[request], cursor=what)
        rejected = _rejected(settings, source)
        return dg.SkipReason("\n".join([f"no new file; {request.skip_message}", *rejected]))

    return sensor


def _rejected(settings: Settings, source: Source[Any]) -> list[str]:
    """What could not be loaded, as of the last build."""
    sql = f"select * exclude found_at from {source.problems} order by all"  # noqa: S608
    try:
        with warehouse.reader(settings.warehouse) as connection:
            rows = rows_of(connection, sql)
    except warehouse.WarehouseError:
        return []
    return [
        "rejected: "
        + ", ".join(f"{name.removesuffix('_name')} {value}" for name, value in row.items() if value)
        for row in rows
    ]


FILES_SENSORS = [
    _files_sensor(source, endpoint)
    for source in SOURCES
    for endpoint in source.endpoints
    if endpoint.any_time
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
@skipping_in_words
def build_what_landed(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """One build run over the days that are due; and what others did is told to Dagster."""
    end_dead_runs(context.instance)
    settings = read_settings()
    if not exists(settings.warehouse):
        return dg.SkipReason("nothing has been loaded yet")
    now = settings.clock()
    try:
        with open_warehouse(settings, TICK_WAITS_SECONDS) as connection:
            create_raw_tables(connection)
            what = due(connection, own_seeds=settings.own_seeds)
            built_at = last_built_at(connection)
            if built_at and not publishing.is_current(connection, settings.warehouse):
                built_at = NOT_READ
            instance, cursor, is_built = context.instance, context.cursor, what is None
            events, cursor = unseen(instance, connection, settings, cursor, is_built)
    except warehouse.WarehouseError as error:
        return dg.SkipReason(f"looking again at the next tick: {error}")
    request = _build_request(context.instance, what, built_at, now)
    is_due = isinstance(request, dg.RunRequest)
    return dg.SensorResult(
        **({"run_requests": [request]} if is_due else {"skip_reason": request}),
        asset_events=events,
        cursor=cursor,
    )


def _build_request(
    instance: dg.DagsterInstance, what: Due | None, built_at: datetime | None, now: datetime
) -> dg.RunRequest | dg.SkipReason:
    today = floor(now, "daily")
    if what is None and (built_at is None or built_at >= today):
        return dg.SkipReason("every receipt is built")
    first = last = today
    if what and what.windows:
        first = max(what.windows[0].since, DAYS.start, today - MOST_PLANNED)
        last = max(first, min(what.windows[-1].until - timedelta(days=1), today))
    token = what.token if what else f"{today:%Y-%m-%d}"
    return run_request(instance, token, _partitions("daily", first, last), now, is_still_due=True)


# -- whether what a sensor asked for was done ---------------------------------------------------
#
# Dagster never starts a second run for one run key, whatever became of the first, and where all of
# it was killed at once it takes the run for a living one. Both are mended here, with no person.


def run_request(
    instance: dg.DagsterInstance,
    what: str,
    tags: dict[str, str],
    now: datetime,
    is_still_due: bool = False,
) -> dg.RunRequest | dg.SkipReason:
    """A run that does `what`; a reason to skip while one is under way, or after one did it.

    What failed, was canceled or was killed is asked for again at the next tick. What fails again
    and again is asked for after pauses that double, up to an hour. So is what a run did that is
    still due: it did it in another warehouse, or a backup took the place of that one.
    """
    end_dead_runs(instance)
    runs = instance.get_run_records(dg.RunsFilter(tags={WHAT: what}))  # the latest first
    undone = {*NOT_DONE, *[dg.DagsterRunStatus.SUCCESS] * is_still_due}
    failed = list(takewhile(lambda record: record.dagster_run.status in undone, runs))
    if runs and not failed:
        run = runs[0].dagster_run
        what_of_it = "did it" if run.is_finished else "is under way for it"
        return dg.SkipReason(f"run {run.run_id[:8]} {what_of_it}")
    if failed:
        last, first = failed[0].create_timestamp, failed[-1].create_timestamp
        again_at = last + min(last - first, LONGEST_PAUSE)
        if now < again_at:
            run_id, count = failed[0].dagster_run.run_id[:8], len(failed)
            return dg.SkipReason(
                f"{count} runs did not do it, the last is {run_id}; the next: {again_at:%H:%M:%SZ}"
            )
    key = f"{what}, attempt {len(runs) + 1}" if runs else what
    # it is asked for again here, and not by Dagster as well
    return dg.RunRequest(run_key=key, tags={**tags, WHAT: what, "dagster/max_retries": "0"})


def end_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark as failed the runs whose process is gone, so that they hold neither work nor a slot.

    A run that is killed alone is noticed by the code server that started it. One that dies with the
    code server, or with the machine, is not, and would count as running until its maximum runtime.
    Where runs are launched elsewhere (a container each), that launcher knows, and not this machine.
    """
    if not isinstance(instance.run_launcher, dg.DefaultRunLauncher):
        return
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        if not _is_alive(instance, run.run_id):
            now = instance.get_run_by_id(run.run_id)  # it may have ended in this very moment
            if now and not now.is_finished:
                instance.report_run_failed(now, "The process of this run is gone: it was killed.")


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
