"""What a sensor has asked Dagster for: whether that is done, and when to ask again.

Dagster never starts a second run for one run key, whatever became of the first, and where all of
it was killed at once it takes the run for a living one. Both are mended here, with no person.
"""

import time
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from os import sysconf
from pathlib import Path

import dagster as dg

WHAT = "meterhouse/what"
NOT_DONE = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
LONGEST_PAUSE = timedelta(hours=1)
# between a process and its run's first event, and what a clock is put right by
SLACK_SECONDS = 60.0


def request(
    instance: dg.DagsterInstance, what: str, tags: dict[str, str]
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
        if datetime.now(UTC) < again_at:
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
    """
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
