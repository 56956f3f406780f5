"""Alerts from Dagster: what needs somebody every few minutes, the week on Mondays."""

from collections.abc import Iterator

import dagster as dg

from assets.alerts.notify import notify, send_digest, tell_of
from assets.catalog.failing import failing_in_words, skipping_in_words
from assets.settings import SettingsError, read_settings

NO_CHANNEL = "no channel is set up: ALERT_WEBHOOK_URL, or ALERT_SMTP_URL and who mails whom"
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


@dg.sensor(
    name="alerts",
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tell by webhook and mail what needs somebody, once when it appears and once when "
    "it is gone: rows of reports.needs_you, checks that fail, jobs whose last run failed.",
)
@skipping_in_words
def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Tell what is new."""
    try:
        settings = read_settings()
    except SettingsError as error:
        tell_of(error)
        raise
    if not settings.channels:
        return dg.SkipReason(NO_CHANNEL)
    failures = notify(settings, {name: [*_failed(context, name)] for name in _jobs(context)})
    return dg.SkipReason("\n".join(failures) or "everybody knows")


def _jobs(context: dg.SensorEvaluationContext) -> list[str]:
    """Jobs by name, but for the one behind the buttons of assets."""
    assert context.repository_def is not None  # noqa: S101  # Dagster's daemon gives it
    return [name for name in context.repository_def.job_names if not name.startswith("__")]


def _failed(context: dg.SensorEvaluationContext, job: str) -> Iterator[str]:
    """That its last run failed, if so, and why."""
    ended = dg.RunsFilter(job_name=job, statuses=ENDED)
    for record in context.instance.get_run_records(ended, limit=1):
        if record.dagster_run.status == dg.DagsterRunStatus.FAILURE:
            run_id = record.dagster_run.run_id
            yield f"run {run_id[:8]} failed: {_why(context.instance, run_id)}"


def _why(instance: dg.DagsterInstance, run_id: str) -> str:
    """What a step that failed says; of a run that was killed, that it was."""
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    for record in instance.get_records_for_run(run_id, of_type=kinds, limit=1).records:
        event = record.event_log_entry.get_dagster_event()
        if not event.is_step_failure:
            return event.message or ""
        data = event.step_failure_data
        said = data.user_failure_data.description if data.user_failure_data else None
        error = data.error and (data.error.cause or data.error)
        return said or (error.message if error else "")
    return "its page says why"


@dg.op(description="Send what was used, what it cost and what changed in the last 7 whole days")
def send_week(context: dg.OpExecutionContext) -> None:
    """Send it."""
    with failing_in_words():
        settings = read_settings()
        if not settings.channels:
            context.log.info(NO_CHANNEL)
            return
        failures = send_digest(settings)
    if failures:
        raise dg.Failure("\n".join(failures))


@dg.job(description="The week in a message")
def weekly_digest() -> None:
    """Send it."""
    send_week()


DIGEST = dg.ScheduleDefinition(
    name="weekly_digest",
    job=weekly_digest,
    cron_schedule="0 7 * * 1",
    execution_timezone="UTC",
    description="On Mondays: what was used in the last 7 days, what it cost, what changed",
)
