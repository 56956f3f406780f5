"""Requests sent are requests needed: counted at the vendor, for loads great and small."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from assets.runs.loading import Loader
from assets.sources import endpoint_of
from assets.terminal import runs
from assets.terminal.console import Report
from tests.clients import load_due
from tests.conftest import GRAINS, USAGE_TABLES, Open, World
from tests.sandbox.desk import Request

PROJECTS = "/consumption_history/v2/projects"
BRANCHES = "/consumption_history/v2/branches"


def paths(requests: list[Request]) -> Counter[str]:
    """How often each path was asked."""
    return Counter(request.path for request in requests)


def first_pages(requests: list[Request], path: str) -> list[Request]:
    """The requests that start a walk."""
    return [r for r in requests if r.path == path and "cursor" not in r.query]


def ids(request: Request) -> list[str]:
    """The project ids that a request asks about."""
    return request.query["project_ids"][0].split(",")


def used(here: World, grain: str) -> set[str]:
    """The projects that the company knows to have used something in reach."""
    return {key[1] for key in here.expected(grain)}


def test_a_cold_load_asks_for_each_page_once(world: Open) -> None:
    """120 projects: two pages of v2/projects a grain, branches of 100 projects a request."""
    here = world(orgs=1, projects=120, branches=1, oddities=False)
    grain = "monthly"
    here.land("neon_project_usage", here.reach(grain))
    asked = here.new_requests()
    assert paths(asked) == {"/users/me/organizations": 1, PROJECTS: 2}
    assert [request.query["limit"] for request in asked[1:]] == [["100"], ["100"]]
    here.land("neon_branch_usage", here.reach(grain))
    asked = here.new_requests()
    assert paths(asked) == {"/users/me/organizations": 1, BRANCHES: 2}
    assert [len(ids(request)) for request in asked[1:]] == [100, len(used(here, grain)) - 100]
    assert {id for request in asked[1:] for id in ids(request)} == used(here, grain)
    assert here.company.special["deleted"] in used(here, grain)
    assert here.company.special["idle"] not in used(here, grain)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_cold_load_of_a_thousand_projects(world: Open) -> None:
    """Ten pages of v2/projects for 168 hours, for 60 days and for 12 months; ten of branches."""
    here = world(orgs=1, projects=1000, branches=1, oddities=False)
    for grain in GRAINS:
        for table in USAGE_TABLES:
            assert here.land(table, here.reach(grain)).failures == []
        asked = here.new_requests()
        assert paths(asked)[PROJECTS] == 10
        assert paths(asked)[BRANCHES] == -(-len(used(here, grain)) // 100) == 10
        assert all(request.status == 200 for request in asked)


def test_an_hour_more_is_one_walk(landed_world: World) -> None:
    """At the next tick the trailing hours are one request an org and call, and so it lands."""
    here = landed_world
    here.company.now += timedelta(hours=1)
    orgs = len(here.company.orgs)
    for table in USAGE_TABLES:
        later = here.company.now.replace(minute=50)
        with Loader(replace(here.settings, clock=later.replace)) as loader:
            due = loader.due(endpoint_of(table), "hourly")
        assert due is not None
        window = due.window
        assert window is not None
        assert window.until == here.reach("hourly").until
        here.new_requests()
        assert here.land(table, window).failures == []
        asked = paths(here.new_requests())
        path = PROJECTS if table == "neon_project_usage" else BRANCHES
        assert asked == {"/users/me/organizations": 1, path: orgs}


@pytest.mark.slow
def test_a_window_of_168_hours_is_one_walk(world: Open) -> None:
    """However many partitions a backfill asks for: one run, one walk an org."""
    here = world(projects=5)
    window = here.reach("hourly")
    arguments = (("neon",), ("hourly",), window.since, window.until)
    result = runs.load_window(here.settings, Report(True), *arguments).as_json()
    assert result["failures"] == []
    asked = here.new_requests()
    assert len(first_pages(asked, PROJECTS)) == len(here.company.orgs)
    assert len(first_pages(asked, BRANCHES)) == len(here.company.orgs)
    for request in first_pages(asked, PROJECTS):
        assert request.query["from"] == [window.since.strftime("%Y-%m-%dT%H:%M:%SZ")]
        assert request.query["to"] == [window.until.strftime("%Y-%m-%dT%H:%M:%SZ")]
    assert result["requests"] == len(asked)


@pytest.mark.slow
def test_a_first_run_asks_what_it_needs_and_a_second_nothing(world: Open) -> None:
    """Names once, usage once a grain, the retired endpoint once an org and grain; then silence."""
    here = world(orgs=1, projects=4)
    sources, grains = ("neon", "neon_legacy"), ("daily", "monthly")
    orgs = len(here.company.orgs)
    first = load_due(here.settings, sources, grains)
    assert first["failures"] == []
    live = [p for p in here.company.projects.values() if p.deleted_at is None]
    asked = paths(here.new_requests())
    assert asked["/users/me/organizations"] == 1
    assert asked[PROJECTS] == asked[BRANCHES] == orgs * len(grains)
    # the list of projects ends with an empty page, which has to be asked for
    assert asked["/projects"] == 2 * orgs
    of_projects = {p: n for p, n in asked.items() if p.startswith("/projects/")}
    assert of_projects == {f"/projects/{project.id}/branches": 1 for project in live}
    assert first["requests"] == asked.total()
    assert first["rate_limited"] == 0
    second = load_due(here.settings, sources, grains)
    assert (second["asked"], second["requests"]) == ([], 0)
    assert here.new_requests() == []


def test_nothing_is_asked_without_a_key(world: Open) -> None:
    """The source is skipped, says why, and is no failure."""
    here = world(projects=3)
    settings = here.settings_with(NEON_API_KEY="")
    result = load_due(settings, ("neon", "neon_legacy"), GRAINS)
    assert {skipped["why"] for skipped in result["skipped"]} == {"NEON_API_KEY is not set"}
    assert {skipped["source"] for skipped in result["skipped"]} == {"neon"}
    assert (result["asked"], result["failures"], result["requests"]) == ([], [], 0)
    assert here.new_requests() == []


@pytest.mark.slow
def test_branches_of_the_same_window_are_asked_and_no_others(world: Open) -> None:
    """A deleted project is asked about while its usage is in the window, and not after."""
    here = world(orgs=1)
    for grain in ("hourly", "daily"):
        here.land("neon_project_usage", here.reach(grain))
        here.new_requests()
        here.land("neon_branch_usage", here.reach(grain))
        (request,) = (r for r in here.new_requests() if r.path == BRANCHES)
        assert set(ids(request)) == used(here, grain)
        assert here.company.special["deleted_long_ago"] not in ids(request)
