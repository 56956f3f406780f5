"""Who asks for the same windows at once: each is asked once, and who comes second says so."""

from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from assets.catalog.partitions import partition_key
from assets.catalog.tables import BACKFILL, raw_key
from assets.definitions import defs
from assets.runs.loading import Loader
from assets.sources import endpoint_of
from pipelines.endpoint import SNAPSHOT
from pipelines.windows import Window, floor
from tests.conftest import Open, World

DAILY, PROJECTS = raw_key("neon_project_usage", "daily"), raw_key("neon_projects", SNAPSHOT)
USAGE, LISTING = "/consumption_history/v2/projects", "/projects"
ORGS = 2


@pytest.fixture
def here(world: Open, monkeypatch: pytest.MonkeyPatch) -> World:
    """A small company whose clock is Dagster's, which says by it when runs were asked for."""
    small = {"projects": 2, "branches": 1, "apps": 0, "workspaces": 0}
    opened = world(now=None, orgs=ORGS, oddities=False, **small)
    opened.configure(monkeypatch)
    return opened


def days(here: World, count: int) -> Window:
    """The latest days that are over."""
    today = floor(here.company.now, "daily")
    return Window("daily", today - timedelta(days=count), today)


def asked_for(
    instance: dg.DagsterInstance, key: dg.AssetKey, window: Window | None = None, **tags: str
) -> dg.DagsterRun:
    """A run that is in the queue."""
    starts = [partition_key("daily", start) for start in window.buckets()] if window else []
    if starts:
        tags["dagster/asset_partition_range_start"] = starts[0]
        tags["dagster/asset_partition_range_end"] = starts[-1]
    name = "load_neon_daily" if window else "load_neon_names"
    return instance.create_run_for_job(
        defs.resolve_job_def(name), tags=tags, asset_selection=frozenset([key])
    )


def done(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Let a run of the queue go; what its log says."""
    job = defs.resolve_job_def(run.job_name).get_subset(asset_selection=run.asset_selection)
    assert execute_run(InMemoryJob(job), run, instance, raise_on_error=True).success
    return "\n".join(entry.user_message for entry in instance.all_logs(run.run_id))


def sent(here: World, path: str) -> int:
    """How many requests the vendor had at a path since the last time this was called."""
    return len([request for request in here.new_requests() if request.path == path])


def test_of_two_runs_for_one_window_the_second_asks_nothing(
    here: World, instance: dg.DagsterInstance
) -> None:
    """Both were asked for before either began: its partitions are green all the same. One that is
    asked for later asks again, for a person wants to know it anew."""
    window = days(here, 5)
    keys = {partition_key("daily", start) for start in window.buckets()}
    first, second = (asked_for(instance, DAILY, window) for _ in range(2))
    assert "nothing to ask" not in done(instance, first)
    assert sent(here, USAGE) == ORGS
    instance.wipe_assets([DAILY])
    assert "nothing to ask: all of it was asked since " in done(instance, second)
    assert sent(here, USAGE) == 0
    assert instance.get_materialized_partitions(DAILY) == keys
    done(instance, asked_for(instance, DAILY, window))
    assert sent(here, USAGE) == ORGS


def test_what_another_asked_first_is_not_asked_again(
    here: World, instance: dg.DagsterInstance
) -> None:
    """Of ten days, where the command line had the first three meanwhile, seven are left."""
    run = asked_for(instance, DAILY, days(here, 10))
    before = Window("daily", days(here, 10).since, days(here, 7).since)
    assert not here.land("neon_project_usage", before).failures
    here.new_requests()
    assert "nothing to ask" not in done(instance, run)
    asked = [request.query for request in here.new_requests() if request.path == USAGE]
    assert [query["from"] for query in asked] == [[f"{before.until:%Y-%m-%dT%H:%M:%SZ}"]] * ORGS
    assert len(instance.get_materialized_partitions(DAILY)) == 10


def test_the_command_line_leaves_what_a_run_asked_while_it_waited(here: World) -> None:
    """Two of `meterhouse load --since --until` at once: the second one finds it held."""
    endpoint, window = endpoint_of("neon_project_usage"), days(here, 5)
    with Loader(here.settings) as waiting:
        assert not here.land(endpoint.table, window).failures
        assert sent(here, USAGE) == ORGS
        (note,) = waiting.load_window(endpoint, window).notes
    assert note.startswith("nothing to ask: all of it was asked since ")
    assert sent(here, USAGE) == 0


@pytest.mark.slow
def test_a_backfill_was_asked_for_when_it_was_launched(
    here: World, instance: dg.DagsterInstance
) -> None:
    """And not when its run was made: another of the same days may have ended in between."""
    launched_at = here.settings.clock()
    assert not here.land("neon_project_usage", days(here, 5)).failures
    backfill = PartitionBackfill(
        backfill_id="twice",
        status=BulkActionStatus.REQUESTED,
        from_failure=False,
        tags={},
        backfill_timestamp=launched_at.timestamp(),
    )
    instance.add_backfill(backfill)
    here.new_requests()
    run = asked_for(instance, DAILY, days(here, 5), **{BACKFILL: backfill.backfill_id})
    assert "nothing to ask" in done(instance, run)
    assert sent(here, USAGE) == 0


@pytest.mark.slow
def test_what_is_listed_is_listed_once(here: World, instance: dg.DagsterInstance) -> None:
    """By two runs that were asked for at once; a later one lists it again."""
    first, second = (asked_for(instance, PROJECTS) for _ in range(2))
    done(instance, first)
    listed = sent(here, LISTING)
    assert listed >= ORGS
    done(instance, second)
    assert sent(here, LISTING) == 0
    done(instance, asked_for(instance, PROJECTS))
    assert sent(here, LISTING) == listed
