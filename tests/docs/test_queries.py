"""The queries of the documentation: each runs, and gives the columns that are printed below it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from assets.runs.loading import Loader
from assets.sources import endpoint_of
from dbt_like_sql.engine.lakes.address import beside
from pipelines.windows import Window, next_bucket
from tests.clock import this_hour
from tests.conftest import World, Worlds, open_world
from tests.docs.pages import CURRENT, answers, blocks, cells
from tests.reading import copy_of
from tests.sandbox import platform_exports
from tests.sandbox.atlassian_usage import PlatformUsage
from tests.sandbox.times import buckets, floor, following

QUESTIONS = {
    question: answer for page in CURRENT.values() for question, answer in answers(page).items()
}
CU_SECONDS = "compute_unit_seconds"
EXPORTED = ("rovo_credits", "pipelines_build_minutes", "indexed_objects")
STORAGE = ("root_branch", "child_branch", "instant_restore", "snapshot_storage")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Iterator[World]:
    """A loaded and built company, of which one past hour was corrected after it had been loaded."""
    folder = tmp_path_factory.mktemp("docs")
    worlds.begin(folder)
    neon: dict[str, Any] = {"orgs": 1, "projects": 4, "branches": 2}
    atlassian: dict[str, Any] = {"apps": 1, "sites": 2, "workspaces": 1, "repositories": 2}
    exports = folder / "exports"
    exports.mkdir()
    # queries ask DuckDB what time it is
    now = this_hour()
    with open_world(
        folder, now=now, oddities=False, platform_usage_dir=exports, **neon, **atlassian
    ) as here:
        with Loader(here.settings) as loader, loader.at_once():
            reach = here.reach("hourly")
            for table, window in (
                ("neon_organizations", None),
                ("neon_projects", None),
                ("neon_project_usage", reach),
                ("neon_branch_usage", reach),
                ("neon_project_usage", here.reach("daily")),
            ):
                load(loader, table, window)
        restate_an_hour(here)
        # a run of its own: one does not ask for a window twice
        with Loader(here.settings) as loader, loader.at_once():
            load(loader, "neon_project_usage", reach)
            land_atlassian(here, exports, loader)
        here.build()
        yield here


def load(loader: Loader, table: str, window: Window | None) -> None:
    """Load one window; None: names."""
    endpoint = endpoint_of(table)
    found = loader.load_window(endpoint, window) if window else loader.load_names(endpoint)
    assert found.failures == []


def land_atlassian(world: World, exports: Path, loader: Loader) -> None:
    """This month of Forge, all runs of last month and this, and what an admin exported."""
    this_month, last_month = months(world)
    platform_exports.write(world.company.atlassian, exports, "csv", EXPORTED, last_month)
    end = next_bucket(world.company.now, "daily")
    for table, window in (
        ("forge_app_usage", Window("daily", this_month, end)),
        ("forge_site_usage", Window("daily", this_month, end)),
        ("bitbucket_workspaces", None),
        ("bitbucket_repositories", None),
        ("bitbucket_pipeline_runs", Window("daily", last_month, end)),
        ("platform_usage", None),
    ):
        load(loader, table, window)


def months(world: World) -> tuple[datetime, datetime]:
    """The starts of this month and the last."""
    this_month = floor(world.company.now, "monthly")
    return this_month, floor(this_month - timedelta(days=1), "monthly")


def restate_an_hour(world: World) -> None:
    """Two CU-hours more, three hours ago, in the part of a project that no branch accounts for."""
    project_id = next(iter(world.company.projects))
    hour = floor(world.company.now, "hourly") - timedelta(hours=3)
    world.company.restate(project_id, None, CU_SECONDS, hour, 7200)


def answer(world: World, question: str) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns and rows that the SQL under a question gives on the read copy."""
    sql = QUESTIONS[next(q for q in QUESTIONS if question in q)][0]
    result = copy_of(beside(world.settings.warehouse)).execute(sql)
    columns = [column[0] for column in result.description or []]
    return columns, [dict(zip(columns, row, strict=True)) for row in result.fetchall()]


def test_every_block_of_sql_is_covered() -> None:
    """All SQL is a question's, or the one about the three hops."""
    assert sum(len(blocks(page, "sql")) for page in CURRENT.values()) == len(QUESTIONS) + 1
    assert len(QUESTIONS) >= 9


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_sql_gives_the_printed_columns(world: World, question: str) -> None:
    """Every query runs on the read copy, finds rows, and its columns are those printed below it."""
    columns, rows = answer(world, question)
    printed = [cells(line) for line in QUESTIONS[question][1].splitlines()]
    assert rows
    assert columns == printed[0]
    assert {len(line) for line in printed} == {len(columns)}


def test_usage_by_project_is_the_true_usage(world: World) -> None:
    """This month and last, each project's compute, storage and egress are the company's own."""
    _, rows = answer(world, "this month and last")
    company = world.company
    projects = {p.name: p.id for p in company.projects.values()}
    metrics = {
        "cu_hours": ((CU_SECONDS,), 3600),
        "egress_gb": (("public_network_transfer_bytes",), 10**9),
        "gb_months": (
            tuple(f"{kind}_bytes_month" for kind in STORAGE),
            10**9,
        ),
    }
    for row in rows:
        month = datetime.fromisoformat(f"{row['month']}T00:00:00+00:00")
        project_id = projects.get(row["project"], row["project"])
        org_id = company.projects[project_id].org_id
        for column, (names, divisor) in metrics.items():
            true = sum(
                company.value(org_id, project_id, None, name, "monthly", month) for name in names
            )
            assert float(row[column] or 0) == pytest.approx(true / divisor, abs=0.006)


def test_compute_by_day_is_the_true_compute(world: World) -> None:
    """Day by day, the compute of an org is the company's own, at whichever granularity."""
    _, rows = answer(world, "day by day")
    (org_id,) = world.company.orgs
    for row in rows:
        day = datetime.fromisoformat(f"{row['day']}T00:00:00+00:00")
        true = world.company.total(CU_SECONDS, day, following(day, "daily"), org_id)
        assert row["cu_hours"] == pytest.approx(true / 3600, abs=0.006)
    assert {row["served_by"] for row in rows} >= {"hourly"}


def test_the_correction_is_found(world: World) -> None:
    """What the vendor corrected is one row, and it differs by the correction."""
    _, rows = answer(world, "correct after the fact")
    assert [row["quantity_after"] - (row["quantity_before"] or 0) for row in rows] == [7200]


def test_usage_by_site_is_what_the_sites_used(world: World) -> None:
    """This month, each site's compute and its share of the free allowance are the company's."""
    _, rows = answer(world, "Forge sites")
    apps, month = world.company.forge, months(world)[0]
    (app,) = apps.app_ids
    days = [day.date() for day in buckets("daily", month, world.company.now)]
    true: dict[tuple[str, str | None], float] = {}
    for site in (*apps.site_aris(app), None):
        amounts = [apps.amount(app, "FUNCTION_COMPUTE", day, site=site) for day in days]
        if any(amounts):
            key = (site.rpartition("/")[2], site.split(":")[2]) if site else ("(no site)", None)
            true[key] = float(sum(amounts))
    used = {(row["site"], row["product"]): float(row["gb_seconds"]) for row in rows}
    assert used == pytest.approx(true, abs=0.06)
    shares = {(row["site"], row["product"]): row["percent_of_free"] for row in rows}
    # of 200,000 GB-seconds
    assert shares == pytest.approx({key: part / 2_000 for key, part in true.items()}, abs=0.06)
    for row in rows:
        assert row["app"] == app[:8]
        assert row["percent_of_app"] == pytest.approx(sum(true.values()) / 2_000, abs=0.06)


def test_rovo_credits_are_the_organizations_own(world: World) -> None:
    """Each organization's credits since its last renewal, of what its page showed as included."""
    _, rows = answer(world, "Rovo credits")
    org = world.company.atlassian
    found = {row["id"]: row for row in rows if row["meter"] == "rovo_credits"}
    assert found.keys() == {organization.id[:8] for organization in org.organizations}
    shown = PlatformUsage(org).readings(org.history_start, org.now, ["rovo_credits"])
    for organization in org.organizations:
        of_org = [r for r in shown if (r.org_id, r.scope_type) == (organization.id, "org")]
        reset_at = of_org[-1].allowance_reset_at
        assert reset_at is not None
        row = found[organization.id[:8]]
        assert row["renews_on"] == reset_at.date()
        used = sum(r.quantity for r in of_org if r.allowance_reset_at == reset_at)
        assert (row["used"], row["included"]) == (used, of_org[-1].included_quantity)


def test_minutes_by_repository_are_the_exported_minutes(world: World) -> None:
    """Repositories have what their runs say, and with the remainder it is what was exported."""
    _, rows = answer(world, "build minutes")
    org = world.company.atlassian
    (workspace,) = org.workspaces
    assert {row["workspace"] for row in rows} == {workspace.slug}
    live = {r.uuid: r.full_name for r in org.live_repositories(workspace.uuid)}
    for month in months(world):
        end = following(month, "monthly")
        true: dict[str, Decimal] = {}
        for (_, uuid, day), seconds in org.seconds_by_repository_day(month, end).items():
            # of the day on which it was exported nobody can say what of it came before
            if uuid in live and day < org.now.date():
                true[live[uuid]] = true.get(live[uuid], Decimal(0)) + Decimal(seconds) / 60
        found = {row["repository"]: row["minutes"] for row in rows if row["month"] == month.date()}
        exported = org.exported_minutes(workspace.uuid, month)
        assert sum(found.values()) == pytest.approx(exported, abs=Decimal("0.03"))
        remainder = found.pop("(no repository)")
        assert remainder > 0
        assert found == pytest.approx(true, abs=Decimal("0.006"))


def test_three_hops_lead_from_a_fact_to_its_receipt(world: World) -> None:
    """The SQL of the three hops finds, for every branch row, the answers that add up to it."""
    (sql,) = blocks(CURRENT["docs/models.md"], "sql")
    hops = world.raw(sql)
    assert hops
    answers: dict[tuple[str, datetime, str], list[Decimal]] = {}
    for branch_id, start, plan, quantity, value, *_ in hops:
        answers.setdefault((branch_id, start, plan), [-quantity]).append(value)
    facts = world.read(
        "select branch_id, period_start, plan from marts.fct_compute where branch_id <> ''"
    )
    assert answers.keys() == set(facts)
    assert {sum(parts) for parts in answers.values()} == {0}
