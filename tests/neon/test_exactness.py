"""Exactly-once effect, and exact numbers: the facts are the company's own, to the last digit."""

import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.runs import planning
from assets.sources import endpoint_of
from pipelines.windows import Window, floor
from tests.builds import keep_models
from tests.clients import load_due
from tests.conftest import GRAINS, USAGE_TABLES, Open, World, Worlds
from tests.neon.until_killed import OF_A_BUILD, OF_A_LOAD, POINTS, build, load_hours, run
from tests.processes import ended, start
from tests.sandbox.company import Company
from tests.sandbox.desk import Fault, FaultKind
from tests.sandbox.usage import UNKNOWN_METRIC

COMPUTE = "compute_unit_seconds"
PROJECT_USAGE = "/consumption_history/v2/projects"


def exit_code(here: World, folder: Path, work: Callable[..., None], point: str = "") -> int:
    """That of a load or a build in a process of its own."""
    environment = here.environment | {"TMPDIR": str(folder)}
    return ended(start(work, environment, point, here.clock.lent(), here.models))


def used_hour(company: Company, metric: str, hour: datetime, skip: str = "") -> tuple[str, str]:
    """A project other than `skip` and a branch of it that used something in this hour."""
    for project in company.projects.values():
        for branch in project.branches:
            shown = company.shown(project.id, branch.id, metric, "hourly", [hour])
            if shown[0] and not branch.hidden and project.id != skip:
                return project.id, branch.id
    raise LookupError(f"nobody used {metric} at {hour}")


def correct_and_withdraw(company: Company) -> tuple[str, str, datetime]:
    """One settled hour of a branch goes up by 123; of another, two hours of storage go away."""
    hour = floor(company.now, "hourly") - timedelta(hours=4)
    corrected = used_hour(company, COMPUTE, hour)
    company.restate(*corrected, COMPUTE, hour, 123)
    other, branch = used_hour(company, "root_branch_bytes_month", hour, skip=corrected[0])
    since, until = hour, hour + timedelta(hours=2)
    company.withdraw(other, branch, "root_branch_bytes_month", since, until)
    return *corrected, hour


def pieces(chance: random.Random, window: Window, count: int) -> list[Window]:
    """The window cut into `count` windows at random buckets, some of them overlapping."""
    starts = window.buckets()
    cuts = sorted(chance.sample(starts[1:], count - 1))
    return [
        Window(window.grain, chance.choice([since, window.since]), until)
        for since, until in zip([window.since, *cuts], [*cuts, window.until], strict=True)
    ]


def load_hours_of_reach(here: World) -> None:
    """A week of hours, built."""
    here.land_reach("hourly")
    here.build()


@pytest.fixture
def hours(tmp_path: Path, worlds: Worlds) -> Iterator[World]:
    """A small world into whose warehouse they were loaded."""
    options: dict[str, Any] = {"facts_alone": True, "orgs": 1, "projects": 5}
    with worlds.opened(tmp_path, "hours", load_hours_of_reach, **options) as here:
        yield here


def recent(here: World, grain: str) -> Window:
    """The latest buckets in reach: a day and more, a week, two months."""
    reach = here.reach(grain)
    count = {"hourly": 30, "daily": 7, "monthly": 2}[grain]
    return Window(grain, reach.buckets()[-count], reach.until)


def test_a_cold_load_gives_the_answer_key(landed_world: World) -> None:
    """Three grains loaded once and built: every fact row is the company's, and none besides."""
    facts = landed_world.facts()
    assert len(facts) > 5_000
    assert {key[4] for key in facts} == set(GRAINS)
    assert facts == landed_world.expected()


@pytest.mark.slow  # by default tests/test_any_sequence.py has a sequence
@pytest.mark.parametrize("seed", range(40))
def test_any_order_of_partitions_gives_the_answer_key(world: Open, seed: int) -> None:
    """Windows cut at random, asked and built in a random order: the same facts."""
    here = world(seed=seed, orgs=1, projects=9 if seed > 1 else 5, branches=2, facts_alone=True)
    chance = random.Random(seed)
    # all that is in reach where there is time for it
    windows = [here.reach(grain) if seed > 1 else recent(here, grain) for grain in GRAINS]
    todo = [
        (table, piece)
        for table in USAGE_TABLES
        for window in windows
        for piece in pieces(chance, window, 1 if window.grain != "hourly" and seed == 1 else 2)
    ]
    chance.shuffle(todo)
    # every other order has a build in the middle, whose tables the last build then corrects
    built_after = chance.randrange(len(todo)) if seed % 2 else None
    for place, (table, piece) in enumerate(todo):
        assert not here.land(table, piece).failures  # a run each: one asks for no hour twice
        if place == built_after:
            here.build()
    here.build()
    assert here.facts() == here.expected_of(*windows)


def test_run_twice_changes_nothing(landed_world: World) -> None:
    """The second of two runs in one tick asks the vendor nothing and leaves every fact as it is."""
    here = landed_world
    facts = here.facts()
    second = load_due(here.settings, ("neon",), GRAINS)
    here.build()
    assert (second["asked"], second["failures"], second["requests"]) == ([], [], 0)
    assert here.new_requests() == []
    assert here.facts() == facts == here.expected()


def test_a_restatement_reaches_the_facts_and_is_named(
    landed_world: World, tmp_path: Path, worlds: Worlds
) -> None:
    """What Neon corrects or withdraws replaces what it said before, and the report says both."""
    here = landed_world
    here.models = worlds.models(True, "reports.restatements")
    keep_models(here.models, tmp_path / "meterhouse.duckdb")
    before = here.facts()
    project, branch, hour = correct_and_withdraw(here.company)
    for table in USAGE_TABLES:
        here.land(table, planning.trailing(table, "hourly", here.company.now))
    here.build()
    after = here.facts()
    assert after == here.expected()
    key = (here.company.projects[project].org_id, project, branch, COMPUTE, "hourly", hour)
    assert after[key] == before[key] + 123
    assert len(before.keys() - after.keys()) == 2
    corrections = here.read(
        """
        select resource, branch_id, meter, quantity_before, quantity_after
        from reports.restatements
        where granularity = 'hourly' and period_start = ? and project_id = ? and meter = ?
        order by resource
        """,
        hour,
        project,
        COMPUTE,
    )
    total = here.company.value(key[0], project, None, COMPUTE, "hourly", hour)
    assert corrections == [
        ("neon_branch_usage", branch, COMPUTE, before[key], before[key] + 123),
        ("neon_project_usage", None, COMPUTE, total - 123, total),
    ]
    withdrawn = here.read(
        "select count(*) from reports.restatements"
        " where granularity = 'hourly' and quantity_after is null and branch_id is not null"
    )
    assert withdrawn == [(2,)]


@pytest.mark.parametrize(
    "points",
    [
        # with rows and no receipts, and with a build that nobody sees
        {"before receipts", "before publishing"},
        pytest.param({*POINTS}, marks=pytest.mark.slow),
    ],
    ids=["twice", "at every boundary"],
)
def test_killed_again_and_again_and_then_run(
    hours: World, tmp_path: Path, points: set[str]
) -> None:
    """SIGKILL at boundaries of a load and a build: readers see the old facts, then the true."""
    here = hours
    before = here.facts()
    correct_and_withdraw(here.company)
    for work, its in ((load_hours, OF_A_LOAD), (build, OF_A_BUILD)):
        for point in (point for point in its if point in points):
            assert exit_code(here, tmp_path, work, point) == -signal.SIGKILL, point
            assert here.facts() == before, point
        assert exit_code(here, tmp_path, work) == 0
    assert here.facts() == here.expected("hourly")
    assert here.build().ranges == ()
    assert [*tmp_path.glob("meterhouse-*")] == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_killed_at_any_moment_and_then_run(world: Open, tmp_path: Path, seed: int) -> None:
    """SIGKILL whenever it may be, and one run more is as if nothing had been."""
    here = world(projects=2, branches=1, orgs=1, apps=0, workspaces=0)
    environment = here.environment | {"TMPDIR": str(tmp_path)}
    process = start(run, environment, "", here.clock.lent(), here.models)
    process.join(random.Random(seed).uniform(0, 4))
    process.kill()
    process.join()
    assert exit_code(here, tmp_path, run) == 0
    assert here.facts() == here.expected()
    assert [*tmp_path.glob("meterhouse-*")] == []
    assert here.build().ranges == ()


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_once_and_then_run(landed_world: World, tmp_path: Path, point: str) -> None:
    """SIGKILL at one boundary alone, and the next run brings the facts of an undisturbed one."""
    here = landed_world
    before = here.facts()
    correct_and_withdraw(here.company)
    if point in OF_A_BUILD:
        assert exit_code(here, tmp_path, load_hours) == 0
    killed = build if point in OF_A_BUILD else load_hours
    assert exit_code(here, tmp_path, killed, point) == -signal.SIGKILL
    assert here.facts() == before
    for _ in range(2):
        assert exit_code(here, tmp_path, load_hours) == 0
        assert exit_code(here, tmp_path, build) == 0
        assert here.facts() == here.expected()


@pytest.mark.slow
def test_pages_of_one_item_give_the_answer_key(world: Open) -> None:
    """A page for each project and branch: nothing is lost or doubled between pages."""
    here = world(projects=5, page_size_cap=1, facts_alone=True)
    here.land_reach("daily")
    here.build()
    assert here.facts() == here.expected("daily")


def test_a_plan_change_puts_one_hour_under_two_periods(landed_world: World) -> None:
    """The hour in which the plan changed is a fact under each plan, and their sum is the hour."""
    here, changed_at = landed_world, landed_world.company.plan_changed_at
    assert changed_at is not None
    hour, meter = floor(changed_at, "hourly"), "root_branch_bytes_month"
    org = next(iter(here.company.orgs))
    billed = here.raw(
        """
        select project_id, array_agg(period_plan order by period_plan), sum(quantity)
        from staging.stg_neon__usage
        where resource = 'neon_project_usage' and granularity = 'hourly'
            and bucket_start = ? and meter = ? and org_id = ?
        group by project_id
        """,
        hour,
        meter,
        org,
    )
    facts: Counter[str] = Counter()
    for (_, project, _, name, _, began), quantity in here.facts().items():
        if (name, began) == (meter, hour):
            facts[project] += quantity
    assert billed
    for project, plans, quantity in billed:
        assert plans == ["launch", "scale"]
        assert quantity == facts[project]
        assert quantity == here.company.value(org, project, None, meter, "hourly", hour)
    plans = here.read(
        "select list(distinct plan order by plan) from marts.fct_storage"
        " where org_id = ? and period_start = ? and meter = ? group by project_id",
        org, hour, meter,
    )  # fmt: skip
    assert set(map(str, plans)) == {"(['launch', 'scale'],)"}


def test_the_open_bucket_is_marked(landed_world: World) -> None:
    """The hour that is still filling is open; hours that ended long ago are not."""
    hour = floor(landed_world.company.now, "hourly")
    found = landed_world.read(
        """
        select period_start = ?, bool_and(is_open), bool_or(is_open) from marts.fct_storage
        where period_start = ? or (granularity = 'hourly' and period_end < ?)
        group by 1 order by 1
        """,
        hour,
        hour,
        hour - timedelta(hours=1),
    )
    assert found == [(False, False, False), (True, True, True)]


def test_the_sum_of_compute_is_what_the_company_used(landed_world: World) -> None:
    """sum(quantity) over all fact rows of a meter is its total over everything in reach."""
    here = landed_world
    since = here.reach("monthly").since
    rows = here.read(
        "select org_id, sum(quantity) from marts.fct_compute where meter = ? group by 1", COMPUTE
    )
    assert {org: int(quantity) for org, quantity in rows} == {
        org: here.company.total(COMPUTE, since, here.company.now, org) for org in here.company.orgs
    }


def test_an_unknown_metric_lands_and_fails_its_own_check_only(landed_world: World) -> None:
    """A metric nobody knows is kept and reported; it is in no fact and stops no other table."""
    here = landed_world
    report = here.build()
    assert [check.model for check in report.failed_checks] == ["reports.unmapped_meters"]
    unknown = here.company.special["unknown_metric"]
    months = here.reach("monthly").buckets()
    shown = here.company.shown(unknown, None, UNKNOWN_METRIC, "monthly", months)
    rows = here.read("select source, meter, project_count, quantity from reports.unmapped_meters")
    assert rows == [("neon", UNKNOWN_METRIC, 1, sum(value or 0 for value in shown))]
    assert UNKNOWN_METRIC not in {key[3] for key in here.facts()}


@pytest.mark.parametrize(("kind", "count"), [(404, 1), (503, 7), ("html", 1), ("truncate", 7)])
def test_an_org_that_fails_in_mid_walk_leaves_no_receipt(
    world: Open, kind: FaultKind, count: int
) -> None:
    """Nor rows: of the pages it gave nothing is kept; the other org lands."""
    here = world(page_size_cap=2)
    first, second = here.company.orgs
    here.sandbox.faults.append(Fault(PROJECT_USAGE, kind, count=count, skip=1))
    with here.impatient() as loader, loader.at_once():
        landing = loader.load_window(endpoint_of("neon_project_usage"), here.reach("monthly"))
    assert len(landing.failures) == 1
    assert first in str(landing.failures[0])
    assert [receipt.scope for receipt in landing.receipts] == [second]
    told = "select scope, complete from raw.loads where window_start is not null"
    assert here.raw(told) == [(second, True)]
    rows = here.raw("select distinct org_id from raw.neon_project_usage order by 1")
    assert rows == [(second,)]


def test_an_org_that_failed_is_no_fact_until_it_lands(world: Open) -> None:
    """A broken walk is not shown as a small one: the org has no fact, and then the true ones."""
    here = world(projects=6, page_size_cap=2, facts_alone=True)
    window = here.reach("daily")
    first, second = here.company.orgs
    here.sandbox.faults.append(Fault(PROJECT_USAGE, 404, skip=1))
    assert len(here.land("neon_project_usage", window).failures) == 1
    here.build()
    assert {key[0] for key in here.facts()} == {second}
    here.land_reach("daily")
    here.build()
    assert here.facts() == here.expected("daily")
    assert {key[0] for key in here.facts()} == {first, second}
