"""What Bitbucket's runs come to: the simulated company's own seconds, asked for once."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from assets.sources import endpoint_of
from assets.terminal import runs as runs_of
from assets.terminal.console import Report
from pipelines.bitbucket import records
from pipelines.bitbucket.records import named_table, runs_table
from pipelines.bitbucket.slices import Run as SeenRun
from pipelines.bitbucket.slices import plan
from pipelines.source import LoadResult
from pipelines.windows import Window, floor
from tests.atlassian_usage.folder import Exports, Line, facts_of
from tests.builds import write_seed
from tests.clock import TODAY
from tests.conftest import Open, World, Worlds, land_tables
from tests.sandbox.atlassian_runs import Run
from tests.sandbox.desk import Fault
from tests.sandbox.platform_exports import write_rows

RUNS, NAMES = "bitbucket_pipeline_runs", ("bitbucket_workspaces", "bitbucket_repositories")
DAY = timedelta(days=1)
Opened = TypeVar("Opened")
Seconds = dict[tuple[str, str, date], int]


def company(world: Callable[..., Opened], **more: Any) -> Opened:
    """Two workspaces with a busy and a quiet repository each, beside as little else as there is."""
    small: dict[str, Any] = {"orgs": 1, "projects": 1, "branches": 1, "apps": 1, "repositories": 2}
    return world(**small | more)


def window(here: World, days: int) -> Window:
    """The day that is filling at the company, and so many before it."""
    today = floor(here.company.now, "daily")
    return Window("daily", today - days * DAY, today + DAY)


def land(here: World, *tables: str, days: int = 9) -> LoadResult:
    """Ask for these tables (none: the runs), and nothing may fail."""
    for table in tables or (RUNS,):
        landing = here.land(table, window(here, days) if table == RUNS else None)
        assert not landing.failures
    return landing


def paths(here: World) -> list[str]:
    """What Bitbucket was asked for since the last time, without the queries."""
    asked = [request.path for request in here.sandbox.bitbucket.requests]
    here.sandbox.bitbucket.requests.clear()
    return asked


def seconds(here: World) -> Seconds:
    """The facts: seconds by workspace, repository and day."""
    rows = here.read(
        """
        select org_id, project_id, site_id, cast(period_start as date), quantity, meter, unit
        from marts.fct_compute where source = 'bitbucket'
        """
    )
    assert all(
        (site, *rest) == (org, "build_seconds_used", "seconds")
        for org, _, site, _, _, *rest in rows
    )
    found = {(org, project, day): int(used) for org, project, _, day, used, *_ in rows}
    assert len(found) == len(rows)
    return found


def expected(here: World, days: int = 9) -> Seconds:
    """The answer key of so many days."""
    asked = window(here, days)
    return here.company.atlassian.seconds_by_repository_day(asked.since, asked.until)


def unfinished_runs(here: World) -> list[Run]:
    """The runs of live repositories that have not ended."""
    company = here.company.atlassian
    live = [r for w in company.workspaces for r in company.live_repositories(w.uuid)]
    return [
        run for r in live for run in company.runs(r.uuid) if run.ended_at(here.company.now) is None
    ]


def export(here: World, name: str, org_id: str, *lines: Line) -> None:
    """Put a file into the folder, and load what is new there."""
    write_rows(here.exports / name, [line.row(org_id) for line in lines], "csv")
    assert not here.land("platform_usage", None).failures


def test_seconds_are_the_companys_and_asked_for_once(world: Open) -> None:
    """Each repository and day as the company has it, a request a repository; then nothing more."""
    here = company(world, facts_alone=True)
    retired = next(iter(here.company.atlassian.deleted_at))
    land(here, *NAMES, RUNS)
    here.build()
    truth = expected(here)
    assert seconds(here) == {key: used for key, used in truth.items() if key[1] != retired}
    live = [
        r
        for w in here.company.atlassian.workspaces
        for r in here.company.atlassian.live_repositories(w.uuid)
    ]
    asked = Counter(path.rpartition("/")[2] for path in paths(here))
    assert asked["pipelines"] == len(live) == 4
    runs_of.load_due(here.settings, Report(True), ("bitbucket",), ("daily",))
    paths(here)
    again = runs_of.load_due(here.settings, Report(True), ("bitbucket",), ("daily",)).as_json()
    assert (again["asked"], again["failures"], paths(here)) == ([], [], [])


def load_four_days_ago(here: World) -> None:
    """Names and runs, built."""
    land(here, *NAMES, RUNS)
    here.build()


@pytest.fixture
def four_days_ago(tmp_path: Path, worlds: Worlds) -> Iterator[World]:
    """A company that has been loaded at eleven of a morning."""
    options = {"facts_alone": True, "now": TODAY - 4 * DAY + timedelta(hours=11)}
    opened = partial(worlds.opened, tmp_path, "bitbucket", load_four_days_ago)
    with company(opened, **options) as here:
        yield here


def test_runs_that_end_later_grow_or_vanish_are_followed(four_days_ago: World) -> None:
    """A run that ends later, is run again or is from before the window, a deleted repository: the
    facts follow the company, and no request is added where a page goes back that far anyway."""
    here, atlassian = four_days_ago, four_days_ago.company.atlassian
    before = seconds(here)
    gone = atlassian.live_repositories(atlassian.workspaces[1].uuid)[0].uuid
    atlassian.delete_repository(gone)
    unfinished = unfinished_runs(here)
    here.company.now = here.company.now + 2 * DAY
    land(here, "bitbucket_repositories")
    paths(here)
    land(here, days=4)
    asked = paths(here)
    here.build()
    truth = atlassian.seconds_by_repository_day(window(here, 11).since, window(here, 0).until)
    after = seconds(here)
    retired = {*atlassian.deleted_at}
    assert {k: v for k, v in after.items() if k[1] not in retired} == {
        k: v for k, v in truth.items() if k[1] not in retired
    }
    assert {k: v for k, v in after.items() if k[1] == gone} == {
        k: v for k, v in before.items() if k[1] == gone
    }
    grown = {key for key in before if after[key] > before[key]}
    assert len(grown) > 1
    # three repositories are left
    assert any(run.created_at < window(here, 4).since for run in unfinished)
    assert len([path for path in asked if "/pipelines" in path]) == 3


FRIDAY = datetime(2026, 11, 20, 2, 20, tzinfo=UTC)
FOUR_DAYS = Window("daily", TODAY - 4 * DAY, TODAY)


def seen_runs(*days_ago: int, unfinished: int = 0) -> list[SeenRun]:
    """Runs of so many days before Friday, the first ones unfinished."""
    return [
        SeenRun(floor(FRIDAY, "daily") - days * DAY, f"{n}", None, state, None)
        for n, days in enumerate(days_ago)
        for state in ["PENDING" if n < unfinished else "COMPLETED"]
    ]


@pytest.mark.parametrize(
    ("runs", "now", "days_back", "alone"),
    [
        ([], FRIDAY, 0, 0),  # nothing is known of it: what is asked, and no more
        (seen_runs(*range(30)), FRIDAY, 26, 0),  # all that was seen is on one page
        (seen_runs(*[9] * 99), FRIDAY, 6, 0),
        (seen_runs(*[9] * 101), FRIDAY, 5, 0),  # of the ninth day some are not
        (seen_runs(*[9] * 101), FRIDAY + 2 * DAY, 6, 0),  # but on Sundays
        (seen_runs(*[2] * 40, *[9] * 70), FRIDAY, 5, 0),  # with 40 new ones
        (seen_runs(*[2] * 60, *[9] * 60), FRIDAY, 0, 0),  # 60 new ones leave no room
        (seen_runs(9, *[8] * 100, unfinished=1), FRIDAY, 4, 1),  # a request as good as a page
        (seen_runs(9, 9, *[8] * 100, unfinished=2), FRIDAY, 6, 0),  # a page instead of two
    ],
)
def test_what_costs_nothing_more_is_looked_at_again(
    runs: list[SeenRun], now: datetime, days_back: int, alone: int
) -> None:
    """The pages that are read anyway, or as few requests as it takes to find what had not ended."""
    since, uuids = plan(runs, FOUR_DAYS, now)
    assert ((FOUR_DAYS.since - since).days, len(uuids)) == (days_back, alone)


def test_a_run_whose_steps_are_run_again_is_noticed(four_days_ago: World) -> None:
    """Of nine days before, where the schedule asks for four; at no request more, and no receipt
    says that its day was asked for again."""
    here, atlassian = four_days_ago, four_days_ago.company.atlassian
    repository = atlassian.live_repositories(atlassian.workspaces[0].uuid)[1].uuid
    of_day = window(here, 9).since
    run = next(
        run
        for run in reversed(atlassian.runs(repository))
        if run.created_at >= of_day and run.seconds(here.company.now)
    )
    before = seconds(here)
    runs = atlassian._runs_of(repository)
    again_at = here.company.now + timedelta(hours=1)
    runs[runs.index(run)] = replace(run, rerun_at=again_at, rerun_seconds=240)
    here.company.now = here.company.now + DAY
    paths(here)
    land(here, days=3)
    assert len([path for path in paths(here) if path.endswith("/pipelines")]) == 4
    here.build()
    key = (run.repository_uuid, run.created_at.date())
    assert [used - before[k] for k, used in seconds(here).items() if k[1:] == key] == [240]
    spans = here.raw(
        "select granularity from raw.loads where scope = ? and window_start <= ?",
        repository,
        run.created_at,
    )
    assert sorted(spans) == [("daily",), ("run",)]


def test_a_walk_that_breaks_counts_for_nothing(four_days_ago: World) -> None:
    """Of that repository; the others land, and the same again heals it."""
    here, last_day = four_days_ago, four_days_ago.company.now.date()
    broken = here.company.atlassian.live_repositories(here.company.atlassian.workspaces[0].uuid)[0]
    here.company.now = here.company.now + 2 * DAY
    path = f"/repositories/{broken.workspace_uuid}/{broken.uuid}"
    here.sandbox.bitbucket.faults.append(Fault(path, 301))
    landing = here.land(RUNS, window(here, 1))
    (failure,) = landing.failures
    assert f"{broken.full_name}, daily" in str(failure)
    assert len(landing.landed_scopes) == 3
    here.build()
    assert max(day for _, r, day in seconds(here) if r == broken.uuid) <= last_day
    assert max(day for _, r, day in seconds(here) if r != broken.uuid) > last_day
    land(here, days=1)
    here.build()
    assert max(day for _, r, day in seconds(here) if r == broken.uuid) > last_day


@pytest.mark.parametrize("status", [404, pytest.param(403, marks=pytest.mark.slow)])
def test_a_repository_that_does_not_answer_once_is_asked_again(world: Open, status: int) -> None:
    """It is named, fails no run where others answer, and no receipt claims it: the next run asks
    again, and has it. (Of a 404 its slug is tried first.)"""
    here = company(world, facts_alone=True)
    one = here.company.atlassian.live_repositories(here.company.atlassian.workspaces[0].uuid)[0]
    for key in (one.uuid, one.slug):
        path = f"/repositories/{one.workspace_uuid}/{key}"
        here.sandbox.bitbucket.faults.append(Fault(path, status))
    asked = (here.settings, Report(True), ("bitbucket",), ("daily",))
    first = runs_of.load_due(*asked).as_json()
    (note,) = [note for line in first["asked"] for note in line["notes"]]
    assert f"{one.full_name}, daily" in note
    assert first["failures"] == []
    held = "select count(distinct scope) from raw.loads where complete and granularity = 'daily'"
    assert here.raw(held) == [(3,)]
    paths(here)
    again = runs_of.load_due(*asked).as_json()
    assert len({path for path in paths(here) if path.endswith("/pipelines")}) == 1
    assert (again["failures"], here.raw(held)) == ([], [(4,)])
    here.build()
    assert {key[1] for key in seconds(here)} >= {one.uuid}
    assert runs_of.load_due(*asked).as_json()["asked"] == []


def test_a_repository_that_answered_fails_the_run_until_it_has_lasted(
    four_days_ago: World,
) -> None:
    """A week later it is taken to have ended: a note, and it is asked once a tick all the same."""
    here, atlassian = four_days_ago, four_days_ago.company.atlassian
    one = atlassian.live_repositories(atlassian.workspaces[0].uuid)[0]
    here.sandbox.bitbucket.faults.append(
        Fault(f"/repositories/{one.workspace_uuid}/{one.uuid}", 403, count=9)
    )
    ended = "select count(*) from raw.loads where granularity = 'ended' and scope = ?"
    for days, failures in ((2, 1), (4, 1), (8, 0), (9, 0)):
        here.company.now = TODAY - 4 * DAY + timedelta(days=days, hours=11)
        landing = here.land(RUNS, window(here, 1))
        assert len(landing.failures) == failures
        assert here.raw(ended, one.uuid) == [(1 - failures,)]
        assert len(landing.notes) == 1 - failures


def test_a_repository_that_moves_is_asked_where_it_is(four_days_ago: World) -> None:
    """Its runs are counted once, those of before the move too."""
    here, atlassian = four_days_ago, four_days_ago.company.atlassian
    before = sum(seconds(here).values())
    moved = atlassian.live_repositories(atlassian.workspaces[0].uuid)[0]
    there = replace(moved, workspace_uuid=atlassian.workspaces[1].uuid, full_name="team-2/moved")
    atlassian.repositories[moved.uuid] = there
    land(here)
    here.build()
    assert sum(seconds(here).values()) == before
    assert {org for org, r, _ in seconds(here) if r == moved.uuid} == {there.workspace_uuid}


def test_a_repository_that_is_gone_is_asked_no_more(four_days_ago: World) -> None:
    """It is no longer listed: ended, and neither missing nor at risk; what it used stays."""
    here, atlassian = four_days_ago, four_days_ago.company.atlassian
    before = seconds(here)
    gone = atlassian.live_repositories(atlassian.workspaces[0].uuid)[0]
    atlassian.delete_repository(gone.uuid)
    here.company.now = here.company.now + DAY
    paths(here)
    assert land(here, days=1).notes == []
    assert len([path for path in paths(here) if path.endswith("/pipelines")]) == 3
    last = here.raw(
        "select granularity, complete from raw.loads where scope = ? order by landed_at", gone.uuid
    )[-1]
    assert last == ("ended", True)
    here.build()
    assert {k: v for k, v in seconds(here).items() if k[1] == gone.uuid} == {
        k: v for k, v in before.items() if k[1] == gone.uuid
    }


def test_a_spent_hour_is_waited_for_or_said(world: Open) -> None:
    """429 is counted and tried again; where it stays, it is said what to do, and nothing counts."""
    here = company(world)
    land(here, *NAMES)
    here.sandbox.bitbucket.faults += [Fault("/repositories/", 429, count=2)]
    with here.impatient() as loader:
        assert not loader.load_window(endpoint_of(RUNS), window(here, 1)).failures
        assert loader.accounts.rate_limited == 2
        here.sandbox.bitbucket.faults += [Fault("/repositories/", 429, count=99)]
        landing = loader.load_window(endpoint_of(RUNS), window(here, 1))
    assert len(landing.failures) == 4
    assert "BITBUCKET_REQUESTS_PER_HOUR" in str(landing.failures[0])
    assert not landing.receipts


@pytest.mark.parametrize("named_first", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_exported_minutes_are_the_fact_and_runs_attribute_them(
    world: Open, tmp_path: Path, named_first: bool
) -> None:
    """Seconds on days without exported minutes; else minutes, with what no run accounts for; and
    the same whether the slug of the export is known before or after it was loaded."""
    (tmp_path / "exports").mkdir()
    options = {"platform_usage_dir": tmp_path / "exports", "now": TODAY - timedelta(hours=1)}
    here = company(world, facts_alone=True, **options)
    first, second = here.company.atlassian.workspaces
    month = (TODAY - 60 * DAY).replace(day=1)
    until = (month + 31 * DAY).replace(day=1)
    line = Line(
        "pipelines_build_minutes",
        f"workspace:{first.slug}",
        f"{month:%Y-%m}",
        "999999.5",
        f"{until + DAY:%Y-%m-%d}",
    )
    order = [*NAMES, RUNS] if named_first else [RUNS, "export", *NAMES]
    if named_first:
        order.append("export")
    for table in order:
        if table == "export":
            export(here, "minutes.csv", "org-1", line)
        else:
            land(here, table, days=99)
        if table == "export" and not named_first:
            here.build()
    here.build()
    exported = facts_of(here.settings, "org-1")
    truth = {
        k: v for k, v in expected(here, 99).items() if k[1] not in here.company.atlassian.deleted_at
    }
    in_month = {
        key: used
        for key, used in truth.items()
        if key[0] == first.uuid and month.date() <= key[2] < until.date()
    }
    assert seconds(here) == {k: v for k, v in truth.items() if k not in in_month}
    assert sum(Decimal(quantity) for *_, quantity in exported) == Decimal("999999.5")
    attributed = {(who, day): Decimal(quantity) for who, day, quantity in exported}
    remainder = attributed.pop((first.uuid, f"{month:%Y-%m}"))
    assert remainder > 900_000
    assert attributed == {
        (f"{org} {repository}", f"{day}"): round(Decimal(used) / 60, 9)
        for (org, repository, day), used in in_month.items()
    }
    assert {org for org, *_ in seconds(here)} == {first.uuid, second.uuid}


def test_runs_split_what_was_exported_after_them(tmp_path: Path, worlds: Worlds) -> None:
    """A month that was read on its tenth day: nine days of runs are part of it, the tenth may be,
    and from the eleventh on runs are facts of their own, until the month is read again."""
    here = Exports.in_folder(tmp_path, worlds.begin(tmp_path, facts_alone=True))
    day = datetime(2026, 10, 1, tzinfo=UTC)
    runs = [
        {"uuid": f"{{{n}}}", "created_on": day + n * DAY, "build_seconds_used": 600}
        for n in range(19)
    ]
    table = runs_table("{w}", "{r}", msgspec.convert(runs, list[records.Run]))
    whole = Window("daily", day, day + 31 * DAY)
    land_tables(here.settings, RUNS, ("{w}", whole, table))
    of_runs = "select count(*), sum(quantity) from marts.fct_compute where source = 'bitbucket'"
    # of another organization, and of a user: they hide nothing
    user = Line("pipelines_build_minutes", "user:ann", "2026-10", "7", "2026-11-01")
    here.write("user.csv", "other", user)
    for scope, org_id in (("workspace:{w}", "org"), ("org", "org")):
        early = Line("pipelines_build_minutes", scope, "2026-10", "100", "2026-10-10T12:00")
        here.write(f"{scope}.csv", org_id, early)
    here.land()
    here.build()
    of_days = [("{w} {r}", f"2026-10-{n:02}", "10") for n in range(1, 20)]
    assert here.facts("org") == [("{w}", "2026-10", "10"), *of_days[:9]]
    assert here.read(of_runs) == [(9, 9 * 600)]
    here.write(
        "later.csv",
        "org",
        Line("pipelines_build_minutes", "workspace:{w}", "2026-10", "300", "2026-11-01"),
        Line("pipelines_build_minutes", "org", "2026-10", "300", "2026-11-01"),
    )
    here.land()
    here.build()
    assert here.facts("org") == [("{w}", "2026-10", "110"), *of_days]
    assert here.read(of_runs) == [(0, None)]


def test_runs_split_the_total_of_the_organization_that_is_stated(
    tmp_path: Path, worlds: Worlds
) -> None:
    """No workspace is guessed to be of the only organization: seeds/workspace_orgs.csv says it,
    and until then the runs are facts of their own."""
    here = Exports.in_folder(tmp_path, worlds.begin(tmp_path, facts_alone=True))
    day = datetime(2026, 10, 1, tzinfo=UTC)
    for workspace in ("{v}", "{w}"):
        run = {"uuid": f"{{{workspace}}}", "created_on": day, "build_seconds_used": 600}
        table = runs_table(workspace, "{r}" + workspace, msgspec.convert([run], list[records.Run]))
        land_tables(here.settings, RUNS, (workspace, Window("daily", day, day + DAY), table))
    here.write(
        "a.csv", "org", Line("pipelines_build_minutes", "org", "2026-10", "25", "2026-11-01")
    )
    here.land()
    here.build()
    of_runs = "select org_id, quantity from marts.fct_compute where source = 'bitbucket' order by 1"
    assert here.facts("org") == [("", "2026-10", "25")]
    assert here.read(of_runs) == [("{v}", 600), ("{w}", 600)]
    rows = "workspace_uuid,org_id\n{V},org\n"
    here.models = write_seed(here.models, tmp_path / "models", "workspace_orgs", rows)
    here.build()
    assert here.facts("org") == [("", "2026-10", "15"), ("{v} {r}{v}", "2026-10-01", "10")]
    assert here.read(of_runs) == [("{w}", 600)]


def test_minutes_of_users_hide_the_runs_of_their_organization(
    tmp_path: Path, worlds: Worlds
) -> None:
    """They are the same minutes, where it is known whose the workspace is."""
    here = Exports.in_folder(tmp_path, worlds.begin(tmp_path, facts_alone=True))
    day = datetime(2026, 10, 5, tzinfo=UTC)
    run = {"uuid": "{1}", "created_on": day, "build_seconds_used": 600}
    table = runs_table("{w}", "{r}", msgspec.convert([run], list[records.Run]))
    land_tables(here.settings, RUNS, ("{w}", Window("daily", day, day + DAY), table))
    of_before = Line("pipelines_build_minutes", "workspace:{w}", "2026-09", "5", "2026-10-01")
    of_users = Line("pipelines_build_minutes", "user:ann", "2026-10", "7", "2026-11-01")
    here.write("a.csv", "org", of_before, of_users)
    here.land()
    here.build()
    assert here.facts("org") == [("ann", "2026-10", "7"), ("{w}", "2026-09", "5")]
    assert here.read("select count(*) from marts.fct_compute where source = 'bitbucket'") == [(0,)]


def _same(instant: datetime) -> datetime:
    return instant


def test_a_repository_that_moved_has_one_name_and_its_minutes_move_with_it(
    tmp_path: Path, worlds: Worlds
) -> None:
    """Two workspaces listed the same uuid, one after the other."""
    worlds.begin(tmp_path)
    here = Exports.in_folder(tmp_path)
    repository = records.Repository(repository_uuid="{r}", slug="x", full_name="team-1/x")
    moved = records.Repository(repository_uuid="{r}", slug="x", full_name="team-2/x")
    for at, workspace, listed in (
        (datetime(2026, 8, 15, tzinfo=UTC), "{v}", repository),
        (datetime(2026, 9, 15, tzinfo=UTC), "{w}", moved),
    ):
        land_tables(
            replace(here.settings, clock=partial(_same, at)),
            NAMES[1],
            (
                workspace,
                None,
                named_table(
                    "bitbucket_repositories", "repository", [listed], workspace_uuid=workspace
                ),
            ),
        )
    here.write(
        "a.csv",
        "org",
        Line("pipelines_build_minutes", "repository:team-1/x", "2026-08", "3", "2026-09-01"),
        Line("pipelines_build_minutes", "repository:team-2/x", "2026-10", "7", "2026-11-01"),
    )
    assert not here.land().failures
    here.build()
    assert here.facts("org") == [("{v} {r}", "2026-08", "3"), ("{w} {r}", "2026-10", "7")]
    named = "select project_name from marts.dim_project where source = 'atlassian_platform'"
    assert here.read(named) == [("team-2/x",)]
