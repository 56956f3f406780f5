"""What Bitbucket's runs come to: the simulated company's own seconds, asked for once."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
import pytest

from assets.sources import endpoint_of
from pipelines.bitbucket import records
from pipelines.bitbucket.records import runs_table
from pipelines.bitbucket.slices import SeenRun, plan
from pipelines.decode import table_of
from pipelines.source import LoadResult
from pipelines.windows import Window, floor
from tests.atlassian_usage.folder import Exports, Line, facts_of
from tests.clients import load_due
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
    load_due(here.settings, ("bitbucket",), ("daily",))
    paths(here)
    again = load_due(here.settings, ("bitbucket",), ("daily",))
    assert (again["asked"], again["failures"], paths(here)) == ([], [], [])


def load_four_days_ago(here: World) -> None:
    """Names and runs, built."""
    land(here, *NAMES, RUNS)
    here.build()


def loaded_four_days_ago(folder: Path, worlds: Worlds) -> AbstractContextManager[World]:
    """A company that has been loaded at eleven of a morning."""
    options = {"facts_alone": True, "now": TODAY - 4 * DAY + timedelta(hours=11)}
    opened = partial(worlds.opened, folder, "bitbucket", load_four_days_ago)
    return company(opened, **options)


@pytest.fixture
def four_days_ago(tmp_path: Path, worlds: Worlds) -> Iterator[World]:
    """It, for tests that change it."""
    with loaded_four_days_ago(tmp_path, worlds) as here:
        yield here


@pytest.mark.slow
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


@pytest.mark.slow  # by default tests/neon/test_exactness.py has a walk that breaks
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


@pytest.mark.slow
@pytest.mark.parametrize("status", [404, 403])
def test_a_repository_that_does_not_answer_once_is_asked_again(world: Open, status: int) -> None:
    """It is named, fails no run where others answer, and no receipt claims it: the next run asks
    again, and has it. (Of a 404 its slug is tried first.)"""
    here = company(world, repositories=1)
    one = here.company.atlassian.live_repositories(here.company.atlassian.workspaces[0].uuid)[0]
    for key in (one.uuid, one.slug):
        path = f"/repositories/{one.workspace_uuid}/{key}"
        here.sandbox.bitbucket.faults.append(Fault(path, status))
    asked = (here.settings, ("bitbucket",), ("daily",))
    first = load_due(*asked)
    (note,) = [note for line in first["asked"] for note in line["notes"]]
    assert f"{one.full_name}, daily" in note
    assert first["failures"] == []
    held = "select count(distinct scope) from raw.loads where complete and granularity = 'daily'"
    assert here.raw(held) == [(1,)]
    paths(here)
    again = load_due(*asked)
    assert len({path for path in paths(here) if path.endswith("/pipelines")}) == 1
    assert (again["failures"], here.raw(held)) == ([], [(2,)])
    landed = "select count(*) > 0 from raw.bitbucket_pipeline_runs where repository_uuid = ?"
    assert here.raw(landed, one.uuid) == [(True,)]
    assert load_due(*asked)["asked"] == []


@pytest.mark.slow
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
    for days, failures in ((6, 1), (8, 0), (9, 0)):
        here.company.now = TODAY - 4 * DAY + timedelta(days=days, hours=11)
        landing = here.land(RUNS, window(here, 1))
        assert len(landing.failures) == failures
        assert here.raw(ended, one.uuid) == [(1 - failures,)]
        assert len(landing.notes) == 1 - failures


@dataclass
class Later:
    """A day after: what was before, what was asked then, and of which repositories.

    The steps of a run of nine days before were run again, where the schedule asks for four; and
    another repository is gone.
    """

    here: World
    before: Seconds
    asked: list[str]
    notes: list[str]
    rerun: Run
    gone: str


@pytest.fixture(scope="module")
def a_day_later(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Iterator[Later]:
    """All that, loaded and built."""
    with loaded_four_days_ago(tmp_path_factory.mktemp("later"), worlds) as here:
        atlassian, before = here.company.atlassian, seconds(here)
        (_, again), (gone, _) = (
            [r.uuid for r in atlassian.live_repositories(w.uuid)] for w in atlassian.workspaces
        )
        of_day = window(here, 9).since
        runs = atlassian._runs_of(again)
        rerun = next(
            run
            for run in reversed(atlassian.runs(again))
            if run.created_at >= of_day and run.seconds(here.company.now)
        )
        again_at = here.company.now + timedelta(hours=1)
        runs[runs.index(rerun)] = replace(rerun, rerun_at=again_at, rerun_seconds=240)
        atlassian.delete_repository(gone)
        here.company.now = here.company.now + DAY
        paths(here)
        notes = land(here, days=3).notes
        asked = [path for path in paths(here) if path.endswith("/pipelines")]
        here.build()
        yield Later(here, before, asked, notes, rerun, gone)


@pytest.mark.slow
def test_a_run_whose_steps_are_run_again_is_noticed(a_day_later: Later) -> None:
    """Of nine days before, where the schedule asks for four; at no request more, and no receipt
    says that its day was asked for again."""
    here, run = a_day_later.here, a_day_later.rerun
    assert len(a_day_later.asked) == 3
    key = (run.repository_uuid, run.created_at.date())
    after, before = seconds(here), a_day_later.before
    assert [used - before[k] for k, used in after.items() if k[1:] == key] == [240]
    spans = here.raw(
        "select granularity from raw.loads where scope = ? and window_start <= ?",
        run.repository_uuid,
        run.created_at,
    )
    assert sorted(spans) == [("daily",), ("run",)]


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_repository_that_is_gone_is_asked_no_more(a_day_later: Later) -> None:
    """It is no longer listed: ended, and neither missing nor at risk; what it used stays."""
    here, gone = a_day_later.here, a_day_later.gone
    assert a_day_later.notes == []
    assert not any(gone in path for path in a_day_later.asked)
    last = here.raw(
        "select granularity, complete from raw.loads where scope = ? order by landed_at", gone
    )[-1]
    assert last == ("ended", True)
    assert {k: v for k, v in seconds(here).items() if k[1] == gone} == {
        k: v for k, v in a_day_later.before.items() if k[1] == gone
    }


@pytest.mark.slow
def test_a_spent_hour_is_waited_for_or_said(world: Open) -> None:
    """429 is counted and tried again; where it stays, it is said what to do, and nothing counts."""
    here = company(world)
    land(here, *NAMES)
    here.sandbox.bitbucket.faults += [Fault("/repositories/", 429, count=2)]
    with here.impatient() as loader:
        assert not loader.load_window(endpoint_of(RUNS), window(here, 1)).failures
        assert loader.accounts.rate_limited == 2
        here.sandbox.bitbucket.faults += [Fault("/repositories/", 429, count=99)]
        # a day more: what it has asked once a run does not ask again
        landing = loader.load_window(endpoint_of(RUNS), window(here, 2))
    assert len(landing.failures) == 4
    assert "BITBUCKET_REQUESTS_PER_HOUR" in str(landing.failures[0])
    assert not landing.receipts


@pytest.mark.slow  # by default exports of October, below, split minutes into runs
@pytest.mark.parametrize("named_first", [False, True])
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


OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
MINUTES = "pipelines_build_minutes"


def ten_minutes(workspace: str, repository: str, days: range) -> tuple[str, Window, pa.Table]:
    """What is answered of October: a run of ten minutes on each of these days."""
    runs = [
        {"uuid": f"{workspace} {n}", "created_on": OCTOBER + n * DAY, "build_seconds_used": 600}
        for n in days
    ]
    table = runs_table(workspace, repository, msgspec.convert(runs, list[records.Run]))
    return workspace, Window("daily", OCTOBER, OCTOBER + 31 * DAY), table


def _same(instant: datetime) -> datetime:
    return instant


def list_repository(here: Exports, at: datetime, workspace: str, full_name: str) -> None:
    """A workspace lists this name of the repository {r}."""
    slug = full_name.rpartition("/")[2]
    listed = records.Repository(repository_uuid="{r}", slug=slug, full_name=full_name)
    table = table_of(records.TABLES[NAMES[1]], [listed], "repository", workspace_uuid=workspace)
    land_tables(
        replace(here.settings, clock=partial(_same, at)), NAMES[1], (workspace, None, table)
    )


@pytest.fixture(scope="module")
def october(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Exports:
    """Exports of October, loaded after the runs and names that they are about, and built.

    Of `split` a month that was read on its tenth day, and runs of nineteen days; of `ann` minutes
    of a user and a run; of `moved` a repository that two workspaces listed, one after the other.
    """
    folder = tmp_path_factory.mktemp("october")
    here = Exports.in_folder(folder, worlds.begin_facts(folder, "marts.dim_project"))
    land_tables(
        here.settings,
        RUNS,
        ten_minutes("{s}", "{q}", range(19)),
        ten_minutes("{u}", "{p}", range(4, 5)),
    )
    list_repository(here, datetime(2026, 8, 15, tzinfo=UTC), "{v}", "team-1/x")
    list_repository(here, datetime(2026, 9, 15, tzinfo=UTC), "{w}", "team-2/x")
    # of another organization, and of a user: they hide nothing
    here.write("user.csv", "other", Line(MINUTES, "user:bob", "2026-10", "7", "2026-11-01"))
    for scope, org_id in (("workspace:{s}", "split"), ("org", "split")):
        early = Line(MINUTES, scope, "2026-10", "100", "2026-10-10T12:00")
        here.write(f"{scope}.csv", org_id, early)
    of_before = Line(MINUTES, "workspace:{u}", "2026-09", "5", "2026-10-01")
    here.write("a.csv", "ann", of_before, Line(MINUTES, "user:ann", "2026-10", "7", "2026-11-01"))
    here.write(
        "moved.csv",
        "moved",
        Line(MINUTES, "repository:team-1/x", "2026-08", "3", "2026-09-01"),
        Line(MINUTES, "repository:team-2/x", "2026-10", "7", "2026-11-01"),
    )
    assert not here.land().failures
    here.build()
    return here


OF_RUNS = "select count(*), sum(quantity) from marts.fct_compute where source = 'bitbucket'"


@pytest.mark.slow
def test_minutes_of_users_hide_the_runs_of_their_organization(october: Exports) -> None:
    """They are the same minutes, where it is known whose the workspace is."""
    assert october.facts("ann") == [("ann", "2026-10", "7"), ("{u}", "2026-09", "5")]
    assert october.read(f"{OF_RUNS} and org_id = '{{u}}'") == [(0, None)]


@pytest.mark.slow
def test_a_repository_that_moved_has_one_name_and_its_minutes_move_with_it(
    october: Exports,
) -> None:
    """Two workspaces listed the same uuid, one after the other."""
    assert october.facts("moved") == [("{v} {r}", "2026-08", "3"), ("{w} {r}", "2026-10", "7")]
    named = "select project_name from marts.dim_project where source = 'atlassian_platform'"
    assert october.read(f"{named} and org_id = 'moved'") == [("team-2/x",)]


@pytest.mark.slow
def test_runs_split_what_was_exported_after_them(october: Exports) -> None:
    """A month that was read on its tenth day: nine days of runs are part of it, the tenth may be,
    and from the eleventh on runs are facts of their own, until the month is read again."""
    of_days = [("{s} {q}", f"2026-10-{n:02}", "10") for n in range(1, 20)]
    assert october.facts("split") == [("{s}", "2026-10", "10"), *of_days[:9]]
    assert october.read(OF_RUNS) == [(9, 9 * 600)]
    october.write(
        "later.csv",
        "split",
        Line(MINUTES, "workspace:{s}", "2026-10", "300", "2026-11-01"),
        Line(MINUTES, "org", "2026-10", "300", "2026-11-01"),
    )
    october.land()
    october.build()
    assert october.facts("split") == [("{s}", "2026-10", "110"), *of_days]
    assert october.read(OF_RUNS) == [(0, None)]


def test_runs_split_the_total_of_the_organization_that_is_stated(
    tmp_path: Path, worlds: Worlds
) -> None:
    """No workspace is guessed to be of the only organization: seeds/workspace_orgs.csv says it,
    and until then the runs are facts of their own."""
    here = Exports.in_folder(tmp_path, worlds.begin(tmp_path, facts_alone=True))
    answers = [ten_minutes(workspace, "{r}" + workspace, range(1)) for workspace in ("{v}", "{w}")]
    land_tables(here.settings, RUNS, *answers)
    here.write("a.csv", "org", Line(MINUTES, "org", "2026-10", "25", "2026-11-01"))
    here.land()
    here.build()
    of_runs = "select org_id, quantity from marts.fct_compute where source = 'bitbucket' order by 1"
    assert here.facts("org") == [("", "2026-10", "25")]
    assert here.read(of_runs) == [("{v}", 600), ("{w}", 600)]
    seed = tmp_path / "workspace_orgs.csv"
    seed.write_text("workspace_uuid,org_id\n{V},org\n")
    here.settings = replace(here.settings, own_seeds={"seeds.workspace_orgs": seed})
    here.build()
    assert here.facts("org") == [("", "2026-10", "15"), ("{v} {r}{v}", "2026-10-01", "10")]
    assert here.read(of_runs) == [("{w}", 600)]
