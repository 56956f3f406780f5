"""Runs that ended and say no seconds: they ran on somebody's own runner, or Bitbucket says them in
another way now."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from pipelines.bitbucket.client import Bitbucket
from pipelines.http import VendorError
from pipelines.windows import Window
from tests.clock import TODAY
from tests.conftest import Open, World
from tests.faults.front import Asked, Front, Reply

RUNS = "bitbucket_pipeline_runs"
WINDOW = Window("daily", TODAY - timedelta(days=3), TODAY)
SMALL = {"projects": 1, "apps": 0, "workspaces": 1, "repositories": 2}


def told_as(name: str | None) -> Callable[[Asked, Reply], None]:
    """Seconds are told under this name, or not at all."""

    def spoil(_: Asked, reply: Reply) -> None:
        page = reply.json
        for run in page.get("values", [page]):
            seconds = run.pop("build_seconds_used", None)
            run |= {} if name is None or seconds is None else {name: seconds}
        reply.say(page)

    return spoil


def runs(here: World) -> list[tuple[object, ...]]:
    """What was ever told of runs, and how often."""
    sql = "select run_uuid, state, build_seconds_used from raw.bitbucket_pipeline_runs order by all"
    return here.raw(sql)


@pytest.mark.parametrize("name", [None, pytest.param("seconds", marks=pytest.mark.slow)])
def test_runs_that_had_seconds_are_never_told_without(world: Open, name: str | None) -> None:
    """They are refused, and what they said stands."""
    front = Front(is_meant=lambda asked: "/pipelines" in asked.path)
    here = world(**SMALL, front=front.before)
    assert here.land(RUNS, WINDOW).failures == []
    before, front.spoil = runs(here), told_as(name)
    after = here.land(RUNS, WINDOW)
    assert {str(failure).partition("{")[0] for failure in after.failures} == {
        f"bitbucket pipelines of repository team-1/repo-{number}, {WINDOW}: the answer is not the "
        "documented shape: run "
        for number in (1, 2)
    }
    assert all("no build_seconds_used, but it had before" in str(f) for f in after.failures)
    assert runs(here) == before


def test_a_run_that_is_asked_for_alone_is_refused_as_well(world: Open) -> None:
    """Where it had seconds before; else it ran on somebody's own runner."""
    front = Front(is_meant=lambda asked: "/pipelines/" in asked.path, spoil=told_as(None))
    here = world(**SMALL, front=front.before)
    sql = "select repository_uuid, run_uuid from raw.bitbucket_pipeline_runs"
    assert here.land(RUNS, WINDOW).failures == []
    repository, run = here.raw(f"{sql} where build_seconds_used > 0 limit 1")[0]
    client = Bitbucket(here.settings.accounts["bitbucket"][0])
    try:
        for workspace in client.workspace_uuids():
            list(client.repositories(workspace))
        (told,) = client.runs_again(repository, [run])
        assert told["build_seconds_used"].to_pylist() == [None]
        with pytest.raises(VendorError, match="no build_seconds_used, but it had before"):
            list(client.runs_again(repository, [run], {run}))
    finally:
        client.close()


def test_a_name_that_is_like_it_is_refused(world: Open) -> None:
    """Also of runs that nobody saw before."""
    front = Front(lambda asked: "/pipelines" in asked.path, told_as("build_time_used"))
    here = world(**SMALL, front=front.before)
    failures = here.land(RUNS, WINDOW).failures
    assert failures
    assert all("no build_seconds_used, but build_time_used" in str(each) for each in failures)
    assert runs(here) == []


def test_a_workspace_with_runners_of_its_own_is_told_once(world: Open) -> None:
    """Nothing tells its runs from those whose seconds Bitbucket no longer says."""
    front = Front(lambda asked: "/pipelines" in asked.path, told_as(None))
    here = world(**SMALL, front=front.before)
    first, again = here.land(RUNS, WINDOW), here.land(RUNS, WINDOW)
    assert (first.failures, again.failures, again.notes) == ([], [], [])
    assert first.notes
    assert all("runs that ended has build_seconds_used" in note for note in first.notes)
    assert len(runs(here)) > len(first.notes)
