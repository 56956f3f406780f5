"""What a terminal or cron loaded and built is known to Dagster: each partition, and once."""

import json
import uuid
from collections import Counter
from datetime import timedelta
from functools import partial

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationPlanned,
)

from assets.automation import build_what_landed
from assets.catalog import seen
from assets.catalog.partitions import partition_key, whole_partitions
from assets.catalog.tables import BUILT, model_key, raw_key
from assets.definitions import defs
from assets.runs.opening import open_warehouse
from assets.sources import endpoint_of
from pipelines import receipts
from pipelines.windows import Window, next_bucket
from tests.clock import NOW, TODAY
from tests.conftest import Open, World
from tests.dagster.conftest import HOURS
from tests.sandbox.desk import Fault

HOURLY, COMPUTE = raw_key("neon_project_usage", "hourly"), model_key("marts.fct_compute")
RECEIPTS = model_key("raw.loads")
END = next_bucket(NOW, "hourly")
YESTERDAY = TODAY - timedelta(days=1)
CHECKED = {key.asset_key for key in defs.resolve_asset_graph().asset_check_keys}


def planned(instance: dg.DagsterInstance, run: dg.DagsterRun, check: dg.AssetCheckKey) -> None:
    """Note that a run is to try this check, as the run of a person does."""
    about = AssetCheckEvaluationPlanned(asset_key=check.asset_key, check_name=check.name)
    kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
    event = dg.DagsterEvent(kind.value, run.job_name, event_specific_data=about)
    instance.report_dagster_event(event, run.run_id)


@pytest.fixture
def here(world: Open, monkeypatch: pytest.MonkeyPatch) -> World:
    """A small company of whose tables the facts stand, with the settings that runs read pointed at
    its vendor."""
    small = {"projects": 2, "branches": 1, "orgs": 2, "apps": 0, "workspaces": 0}
    opened = world(oddities=False, facts_alone=True, **small)
    opened.configure(monkeypatch)
    return opened


class Ticks:
    """The sensor, tick after tick, on one instance."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.cursor = instance, ""
        self.checks: dict[tuple[dg.AssetKey, str], bool] = {}

    def __call__(self) -> Counter[tuple[dg.AssetKey, str | None]]:
        """What one tick tells: how often each partition (None: of a whole table)."""
        context = dg.build_sensor_context(
            self.instance, cursor=self.cursor or None, repository_def=defs.get_repository_def()
        )
        found = build_what_landed.evaluate_tick(context)
        self.cursor = found.cursor or ""
        for event in found.asset_events:
            self.instance.report_runless_asset_event(event)
        self.checks = {
            (event.asset_key, event.check_name): event.passed
            for event in found.asset_events
            if isinstance(event, dg.AssetCheckEvaluation)
        }
        made = [it for it in found.asset_events if isinstance(it, dg.AssetMaterialization)]
        return Counter((event.asset_key, event.partition) for event in made)


@pytest.fixture
def tick(instance: dg.DagsterInstance) -> Ticks:
    """Ticks of a Dagster that was never told anything."""
    return Ticks(instance)


def land(here: World, hours: int) -> list[str]:
    """The latest hours, as the command line would land them; the keys of their partitions."""
    window = Window("hourly", END - timedelta(hours=hours), END)
    assert not here.land("neon_project_usage", window).failures
    return [partition_key("hourly", start) for start in window.buckets()]


@pytest.mark.slow
def test_what_the_terminal_did_is_told_once(
    built_hours: World, instance: dg.DagsterInstance, tick: Ticks
) -> None:
    """Hours that landed, days that were built, and every table once; then nothing, and nothing
    either where the sensor has forgotten that it told it."""
    here, ends = built_hours, (END - timedelta(hours=n) for n in range(HOURS, 0, -1))
    hours = [partition_key("hourly", start) for start in ends]
    told = tick()
    assert set(told.values()) == {1}
    assert instance.get_materialized_partitions(HOURLY) == {*hours}
    days = {partition_key("daily", day) for day in (YESTERDAY, TODAY)}
    assert instance.get_materialized_partitions(COMPUTE) == days
    whole = {key for key, partition in told if partition is None}
    names = ("raw.loads", "seeds.meters", "staging.stg_neon__usage", "reports.coverage")
    assert {model_key(name) for name in names} <= whole
    assert tick.checks[COMPUTE, "grain_is_unique"]
    assert tick() == Counter()
    assert tick.checks == {}
    built_at, tick.cursor = json.loads(tick.cursor)["built"], ""
    assert tick() == Counter()
    # where a run of Dagster did the same build, it told of the models itself
    with dg.DagsterInstance.ephemeral() as another:
        another.add_run(dg.DagsterRun("build", run_id=str(uuid.uuid4()), tags={BUILT: built_at}))
        assert {key.path[0] for key, _ in Ticks(another)()} == {"raw", "seeds"}
    # a report that found something, as a later build of the terminal remembers it
    here.raw("update meta.builds set built_at = built_at + interval 1 minute")
    here.raw(
        "insert into meta.failed_checks values"
        " ('reports.coverage', 'not is_at_risk', 'check', 1, [])"
    )
    told = tick()
    at_risk = (model_key("reports.coverage"), "not_is_at_risk")
    assert {check for check, holds in tick.checks.items() if not holds} == {at_risk}
    # all of what is told: Dagster shows a check that is older than its table as not evaluated
    assert {key for key, _ in tick.checks} == {key for key, _ in told} & CHECKED
    here.raw("update meta.builds set built_at = built_at + interval 1 minute")
    here.raw("delete from meta.failed_checks")
    tick()
    assert tick.checks[at_risk]
    assert all(tick.checks.values())
    assert tick() == Counter()
    assert tick.checks == {}


def test_every_event_says_as_of_when_and_how_many_rows(
    here: World, instance: dg.DagsterInstance, tick: Ticks
) -> None:
    """By the warehouse's own instants: that of the receipt."""
    (hour,) = land(here, 1)
    tick()
    entry = instance.get_latest_materialization_event(HOURLY)
    event = entry.asset_materialization if entry else None
    assert event
    ((rows, landed_at),) = here.raw(
        "select (select count(*) from raw.neon_project_usage), max(landed_at)"
        " from raw.loads where granularity = 'hourly'"
    )
    assert (event.partition, rows > 0) == (hour, True)
    assert event.metadata["dagster/partition_row_count"].value == rows
    assert event.metadata["as of"].value == landed_at.isoformat()


def test_what_a_run_of_dagster_told_is_not_told_again(
    here: World, instance: dg.DagsterInstance, tick: Ticks
) -> None:
    """That hours landed is known by its events; that there are receipts is not."""
    hours = [partition_key("hourly", END - timedelta(hours=n)) for n in (2, 1)]
    names = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    done = defs.resolve_job_def("load_neon_hourly").execute_in_process(
        instance=instance, asset_selection=[HOURLY], tags=dict(zip(names, hours, strict=True))
    )
    assert done.success
    assert {key for key, _ in tick()} == {RECEIPTS}
    assert instance.get_materialized_partitions(HOURLY) == {*hours}
    assert here.new_requests()


def test_a_tick_tells_what_is_new(here: World, instance: dg.DagsterInstance, tick: Ticks) -> None:
    """However much was told before: an hour that is read again is one event."""
    land(here, 20)
    tick()
    (hour,) = land(here, 1)
    assert tick() == Counter([(HOURLY, hour), (RECEIPTS, None)])


def test_a_partition_is_whole_once_every_scope_has_it(here: World) -> None:
    """All of its buckets up to the open one; a day of hours as much as an hour."""
    land(here, 20)
    usage = endpoint_of("neon_project_usage")
    window = Window("hourly", YESTERDAY, END)
    with open_warehouse(here.settings) as connection:
        scopes = [*receipts.standings(connection, usage.table, "hourly")]
        whole = partial(whole_partitions, connection, usage)
        assert len(scopes) == 2
        assert len(whole("hourly", window, scopes)) == 20
        assert [*whole("daily", window, scopes)] == [partition_key("daily", TODAY)]
        assert whole("daily", window, [*scopes, "another"]) == whole("daily", window, []) == {}


def test_a_partition_is_not_whole_where_one_never_answered(here: World, tick: Ticks) -> None:
    """It failed before it ever did, and may hold something: no hour is green until it answers."""
    here.sandbox.faults.append(Fault("/consumption_history/v2/projects", 422))
    window = Window("hourly", END - timedelta(hours=1), END)
    assert here.land("neon_project_usage", window).failures
    assert {key for key, _ in tick()} == {RECEIPTS}
    (hour,) = land(here, 1)
    assert tick()[HOURLY, hour] == 1


def test_a_partition_is_whole_without_one_that_has_not_the_plan(
    world: Open, tick: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused, and nobody can tell of it."""
    few = {"projects": 2, "branches": 1, "orgs": 1, "apps": 0, "workspaces": 0}
    opened = world(oddities=False, facts_alone=True, free_org=True, **few)
    opened.configure(monkeypatch)
    (hour,) = land(opened, 1)
    assert tick()[HOURLY, hour] == 1


@pytest.mark.slow
def test_what_a_run_under_way_may_tell_waits(
    here: World, instance: dg.DagsterInstance, tick: Ticks
) -> None:
    """Until it has ended: then what landed is told, though the run failed."""
    job = defs.resolve_job_def("load_neon_hourly")
    (hour,) = land(here, 1)
    names = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    under_way = instance.create_run_for_job(
        job,
        tags=dict.fromkeys(names, hour),
        status=dg.DagsterRunStatus.STARTING,
        asset_selection=frozenset([HOURLY]),
    )
    assert HOURLY not in {key for key, _ in tick()}
    instance.report_run_failed(under_way)
    assert (HOURLY, hour) in tick()
    assert tick() == Counter()


def test_of_another_warehouse_everything_is_told(here: World, tick: Ticks) -> None:
    """Also of what landed in it before the last news of the one that was there."""
    (hour,) = land(here, 1)
    tick.cursor = json.dumps({"warehouse": "another", "landed": f"{END + timedelta(days=1)}"})
    assert (HOURLY, hour) in tick()
    assert tick() == Counter()


@pytest.mark.slow
def test_much_is_told_in_several_ticks(
    here: World, instance: dg.DagsterInstance, tick: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest first; nothing twice, nothing left out."""
    monkeypatch.setattr(seen, "MOST_EVENTS", 8)
    hours = land(here, 20)
    first, all_told = tick(), Counter[tuple[dg.AssetKey, str | None]]()
    assert {partition for _, partition in first if partition} == {*hours[-7:]}
    while told := tick():
        assert sum(told.values()) <= 8
        all_told += told
    assert set((first + all_told).values()) == {1}
    assert instance.get_materialized_partitions(HOURLY) == {*hours}


@pytest.mark.slow
def test_usage_is_stale_by_what_was_told_last(
    here: World, instance: dg.DagsterInstance, tick: Ticks
) -> None:
    """And not by when it was written: three hours after the hour that was told last, for which
    reading an older one again is no help; told once, and once that it is fresh again."""
    check = (HOURLY, "data_is_fresh")
    land(here, 2)
    tick()
    assert tick.checks[check]
    here.raw("update raw.loads set asked_at = asked_at - interval 3 hour")
    tick()
    assert tick.checks == {check: False}
    older = Window("hourly", END - timedelta(hours=20), END - timedelta(hours=19))
    assert not here.land("neon_project_usage", older).failures
    tick()
    assert tick.checks == {check: False}  # of that hour as well
    tick()
    assert tick.checks == {}
    land(here, 1)
    tick()
    assert tick.checks == {check: True}


@pytest.mark.slow
def test_a_check_that_no_run_tried_is_told_once_that_run_has_ended(
    here: World, instance: dg.DagsterInstance, tick: Ticks
) -> None:
    """Its process was killed, or its step was skipped: Dagster would show that for ever."""
    land(here, 2)
    tick()
    check = dg.AssetCheckKey(HOURLY, "data_is_fresh")
    job = defs.resolve_job_def("load_neon_hourly")
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    planned(instance, run, check)
    tick()
    assert tick.checks == {}
    instance.report_run_failed(run)
    tick()
    assert tick.checks == {(HOURLY, "data_is_fresh"): True}
