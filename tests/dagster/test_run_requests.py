"""What a run that failed, was canceled or was killed leaves undone is asked for again, once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import RunFailureReason
from dagster._core.execution.retries import auto_reexecution_should_retry_run

from assets import automation
from assets.automation import RANGE_END, RANGE_START, SCHEDULES, build_what_landed, run_request
from assets.catalog.tables import model_key, raw_key
from assets.definitions import defs
from assets.model_assets import models
from assets.runs.loading import Loader
from assets.sources import endpoint_of
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.lakes.address import beside
from pipelines.windows import Window, next_bucket
from tests.conftest import Open, World

ROOT = Path(__file__).parents[2]
FRESH = dg.AssetCheckKey(raw_key("neon_project_usage", "daily"), "data_is_fresh")
UNDER_WAY = ("NOT_STARTED", "STARTING", "STARTED", "CANCELING")
# the run that a sensor asked for, in a process of its own
RUN_A_BUILD = """
import json, sys
import dagster as dg
from assets.definitions import defs
with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    defs.resolve_job_def("build").execute_in_process(
        instance=instance,
        tags=json.loads(sys.argv[2]),
        asset_selection=[dg.AssetKey(["marts", "fct_compute"])],  # all are built, this is shown
    )
"""


@pytest.fixture
def landed_hours(world: Open, monkeypatch: pytest.MonkeyPatch) -> World:
    """A small company of which some hours have landed, and are not built; its clock is Dagster's,
    which says by it when runs were."""
    small = {"projects": 2, "branches": 1, "orgs": 1, "apps": 0, "workspaces": 0}
    opened = world(now=None, oddities=False, built=True, **small)
    opened.configure(monkeypatch)
    land_some_hours(opened)
    return opened


def land_some_hours(opened: World) -> None:
    """The latest hours, as the command line would land them."""
    end = next_bucket(opened.company.now, "hourly")
    window = Window("hourly", end - timedelta(hours=5), end)
    with Loader(opened.settings) as loader, loader.at_once():
        assert not loader.load_window(endpoint_of("neon_project_usage"), window).failures


def made(instance: dg.DagsterInstance, request: dg.RunRequest, status: str) -> dg.DagsterRun:
    """A run that was made of a request, and came to this."""
    run = dg.DagsterRun(
        "build", run_id=str(uuid.uuid4()), tags=request.tags, status=dg.DagsterRunStatus[status]
    )
    return instance.add_run(run)


def asked(instance: dg.DagsterInstance, what: str = "today") -> dg.RunRequest:
    """The run that is asked for."""
    request = run_request(instance, what, {"day": "2026-11-26"}, datetime.now(UTC))
    assert isinstance(request, dg.RunRequest)
    return request


def why_not(instance: dg.DagsterInstance, what: str = "today") -> str:
    """Why none is asked for."""
    skipped = run_request(instance, what, {}, datetime.now(UTC))
    assert isinstance(skipped, dg.SkipReason)
    return skipped.skip_message or ""


def sense(instance: dg.DagsterInstance) -> Any:
    """A tick of the sensor that builds: the run that it asks for, or why it asks for none."""
    context = dg.build_sensor_context(instance, repository_def=defs.get_repository_def())
    data = build_what_landed.evaluate_tick(context)
    return data.run_requests[0] if data.run_requests else data.skip_message


def build(instance: dg.DagsterInstance, request: dg.RunRequest) -> bool:
    """Do what a sensor asked for, in this process; whether it succeeded."""
    result = defs.resolve_job_def("build").execute_in_process(
        instance=instance,
        tags=request.tags,
        asset_selection=[model_key("marts.fct_compute")],
        raise_on_error=False,
    )
    return result.success


@pytest.mark.parametrize("status", ["FAILURE", "CANCELED"])
def test_what_was_not_done_is_asked_for_again(instance: dg.DagsterInstance, status: str) -> None:
    """Under another key, with the same tags, at the very next tick; what succeeded is not."""
    first = asked(instance)
    assert (first.run_key, first.tags["day"]) == ("today", "2026-11-26")
    made(instance, first, status)
    again = asked(instance)
    assert again.run_key != first.run_key
    assert again.tags == first.tags
    run = made(instance, again, "SUCCESS")
    assert why_not(instance) == f"run {run.run_id[:8]} did it"
    assert asked(instance, "tomorrow").run_key == "tomorrow"


@pytest.mark.parametrize("status", UNDER_WAY)
def test_what_is_under_way_is_not_asked_for_twice(
    instance: dg.DagsterInstance, status: str
) -> None:
    """Created, starting, running or ending, after a run that failed."""
    made(instance, asked(instance), "FAILURE")
    run = made(instance, asked(instance), status)
    assert why_not(instance) == f"run {run.run_id[:8]} is under way for it"


@pytest.mark.slow  # three builds; by default what succeeds and is still due is asked for again
def test_what_was_done_elsewhere_is_asked_for_here(
    landed_hours: World, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """A backup of before the build takes the place of the warehouse; the read copy is then of
    another, and after that it is gone: each time it is built again, by one run."""
    at = beside(landed_hours.settings.warehouse)
    shutil.copy2(at, tmp_path / "backup")
    request = sense(instance)
    assert build(instance, request)
    assert sense(instance) == "every receipt is built"
    shutil.copy2(tmp_path / "backup", at)
    again = sense(instance)
    assert again.run_key != request.run_key
    assert build(instance, again)
    assert sense(instance) == "every receipt is built"
    warehouse.read_copy(at).unlink()
    assert build(instance, sense(instance))
    assert sense(instance) == "every receipt is built"
    assert landed_hours.facts()


@pytest.mark.parametrize("status", ["FAILURE", "SUCCESS"])
def test_what_is_not_done_again_and_again_is_asked_for_less_and_less(
    instance: dg.DagsterInstance, status: str
) -> None:
    """What failed, or succeeded and is still due, is asked for at once; after the second time there
    is a pause as long as all attempts so far."""

    def ask(now: datetime) -> dg.RunRequest | dg.SkipReason:
        return run_request(instance, "today", {}, now, is_still_due=status == "SUCCESS")

    for attempt in ("today", "today, attempt 2"):
        request = ask(datetime.now(UTC))
        assert isinstance(request, dg.RunRequest)
        assert request.run_key == attempt
        made(instance, request, status)
        threading.Event().wait(0.1)
    last, first = (record.create_timestamp for record in instance.get_run_records())
    paused = ask(last + (last - first) / 2)
    assert isinstance(paused, dg.SkipReason)
    assert f"{paused.skip_message}".startswith("2 runs did not do it, the last is ")
    request = ask(last + (last - first))
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == "today, attempt 3"


@pytest.mark.slow
def test_a_build_that_failed_is_done_when_all_is_well(
    landed_hours: World, instance: dg.DagsterInstance
) -> None:
    """No new receipt, and no person: the next tick asks again, until it is built, which
    test_schedules.py has."""
    landed_hours.raw("update seeds.meters set unit = null")  # a check stops the build
    request = sense(instance)
    assert not build(instance, request)
    landed_hours.raw("delete from meta.builds where model = 'seeds.meters'")
    again = sense(instance)
    assert again.run_key != request.run_key


@pytest.mark.slow  # by default one that failed is, and tests/neon/test_exactness.py kills builds
def test_a_build_that_was_killed_is_done_by_the_next(landed_hours: World, tmp_path: Path) -> None:
    """SIGKILL in the step `models`, with nobody left to notice: the next tick asks again."""
    settings, home = landed_hours.settings, tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.from_config(str(home)) as instance:
        request = sense(instance)
        with warehouse.writer_lock(settings.warehouse):  # it waits there for its turn
            killed = start_a_build(home, request)
            (run_id,) = wait_for_step(instance)
            os.kill(killed.pid, signal.SIGKILL)
            killed.communicate()
        again = sense(instance)
        assert again.run_key != request.run_key
        dead = instance.get_run_by_id(run_id)
        assert dead
        assert dead.status == dg.DagsterRunStatus.FAILURE
        assert build(instance, again)
        assert sense(instance) == "every receipt is built"
    assert landed_hours.facts()


def start_a_build(home: Path, request: dg.RunRequest) -> subprocess.Popen[bytes]:
    """A run of what was asked for, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN_A_BUILD, str(home), json.dumps(dict(request.tags))],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )


def wait_for_step(instance: dg.DagsterInstance) -> list[str]:
    """The ids of the runs, once the one that there is has started its step."""
    for _ in range(600):
        for run in instance.get_runs():
            started = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
            if started and run.status == dg.DagsterRunStatus.STARTED:
                return [run.run_id]
        threading.Event().wait(0.05)
    raise AssertionError("the run did not start")


def test_a_run_that_lives_is_left_alone(landed_hours: World, instance: dg.DagsterInstance) -> None:
    """Its process is there: this one."""
    seen: list[str] = []

    @dg.op
    def look(context: dg.OpExecutionContext) -> None:
        automation.end_dead_runs(context.instance)
        run = context.instance.get_run_by_id(context.run_id)
        seen.append(run.status.value if run else "")

    @dg.job
    def looks() -> None:
        look()

    assert looks.execute_in_process(instance=instance).success
    assert seen == ["STARTED"]


def test_no_pool_can_keep_a_build_waiting() -> None:
    """A slot of a pool outlives the run that holds it; the warehouse's lock ends with it."""
    assert models.op.pool is None


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)
def test_the_next_tick_of_a_schedule_asks_again(
    schedule: dg.ScheduleDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key is its own, and what the run before may have left undone is within its window."""
    for name in ("NEON_API_KEY", "ATLASSIAN_EMAIL", "ATLASSIAN_API_TOKEN", "BITBUCKET_TOKEN"):
        monkeypatch.setenv(name, "set")
    monkeypatch.setenv("FORGE_APP_IDS", str(uuid.UUID(int=1)))
    for name in ("ATLASSIAN_ORG_ID", "ATLASSIAN_ORG_API_KEY"):
        monkeypatch.setenv(name, "set")
    monkeypatch.setenv("METERS_API_FILE", str(ROOT / "tests" / "sandbox" / "meters_api.toml"))
    at = datetime(2026, 11, 21, 12, 20, tzinfo=UTC)
    step = timedelta(hours=1) if schedule.name.endswith("_hourly") else timedelta(days=1)
    requests: list[dg.RunRequest] = []
    for tick in (at, at + step):
        context = dg.build_schedule_context(
            scheduled_execution_time=tick, repository_def=defs.get_repository_def()
        )
        requests += schedule.evaluate_tick(context).run_requests or []
    failed, later = requests
    assert later.run_key != failed.run_key
    if schedule.name != "atlassian_meters_daily":  # a running total: the later one has it all
        assert later.tags.get(RANGE_START, "") <= failed.tags.get(RANGE_END, "")


def test_dagster_lets_nothing_dead_hold_anything(tmp_path: Path) -> None:
    """dagster.yaml: what does not start, does not end or is gone ends, and frees what it held."""
    (tmp_path / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_start_timeout_seconds > 0
        assert instance.run_monitoring_cancel_timeout_seconds > 0
        assert instance.run_monitoring_max_runtime_seconds > 0
        assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] > 0
        assert instance.run_retries_enabled


def test_dagster_starts_again_what_was_killed(tmp_path: Path) -> None:
    """A load whose process is gone; not one that failed, nor what a sensor asks for again."""
    (tmp_path / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        load, build = (made(instance, r, "FAILURE") for r in (dg.RunRequest(), asked(instance)))
        assert auto_reexecution_should_retry_run(instance, load, None)
        assert not auto_reexecution_should_retry_run(instance, load, RunFailureReason.STEP_FAILURE)
        assert not auto_reexecution_should_retry_run(instance, build, None)


def test_a_build_without_a_warehouse_fails_in_one_sentence(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in the event log is what a person reads at the terminal, and no page of stack."""
    monkeypatch.setenv("WAREHOUSE", str(tmp_path / "meterhouse.duckdb"))
    (tmp_path / "meterhouse.duckdb").write_text("hello")
    result = defs.resolve_job_def("build").execute_in_process(
        instance=instance, asset_selection=[model_key("marts.fct_compute")], raise_on_error=False
    )
    (failure,) = result.filter_events(lambda event: event.is_step_failure)
    error = failure.step_failure_data.error
    assert error
    assert "meterhouse.duckdb cannot be used: it is no DuckDB database. Put a" in error.message
    assert error.cause is None


@pytest.mark.parametrize("asset", ["raw.neon_projects", "marts.fct_compute", None])
def test_a_setting_that_cannot_be_used_fails_the_step_in_one_sentence(
    asset: str | None, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step, and not the run before its first one: that is taken for killed, and started again."""
    monkeypatch.setenv("MEMORY_LIMIT", "lots")
    job = defs.resolve_implicit_global_asset_job_def()
    its = {model_key(asset)} if asset else set()
    of_it = job.get_subset(asset_selection=its, asset_check_selection=set() if asset else {FRESH})
    result = of_it.execute_in_process(instance=instance, raise_on_error=False)
    (failure,) = result.filter_events(lambda event: event.is_step_failure)
    error = failure.step_failure_data.error
    assert error
    assert "MEMORY_LIMIT is 'lots': it has to be an amount like 512MB or 2GB" in error.message
    assert error.cause is None


def test_a_check_of_what_was_never_told_says_so(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks for it reads why there is no verdict."""
    monkeypatch.setenv("WAREHOUSE", str(tmp_path / "meterhouse.duckdb"))
    job = defs.resolve_implicit_global_asset_job_def()
    of_it = job.get_subset(asset_selection=set(), asset_check_selection={FRESH})
    result = of_it.execute_in_process(instance=instance)
    assert result.get_asset_check_evaluations() == []
    said = [record.user_message for record in instance.all_logs(result.run_id)]
    assert (
        f"{FRESH.asset_key.to_user_string()} was never told, or no setting asks for it"
        in " ".join(said)
    )
