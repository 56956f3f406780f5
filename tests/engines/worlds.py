"""A small company with something in every table: all vendors, two loads, and seeds of one's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from assets.sources import ENDPOINTS
from assets.terminal import runs
from assets.terminal.console import Report
from tests.conftest import GRAINS, World, open_world
from tests.sandbox import platform_exports

# of what the sandbox has, little: each model is a query, and what it costs is seldom its rows
SMALL: dict[str, Any] = {
    "orgs": 2,
    "projects": 4,
    "branches": 2,
    "apps": 1,
    "sites": 2,
    "repositories": 2,
}
SEEDS = {
    "names": "kind,id,name\nuser,{user},Ann\norg,{org},Acme\nproject,{app},The app\n",
    "owners": "priority,source,org,project,branch,site,user,valid_from_date,valid_until_date,"
    "team,customer,product,environment,split_by\n"
    "10,neon,,*{project}*,,,,,2026-11-10,data,,{{project}},,\n"
    "10,neon,,{project},,,,2026-11-10,,data,{{branch}},,prod,\n"
    "20,neon,{org},,ma?n*,,,,,web,,,,\n20,forge,,,,,,,,apps,,,,even\n"
    "30,bitbucket,,,,,,,,,,build.[x],,cost\n",
    "monthly_budgets": "budget,source,org,project,team,customer,amount_usd,thresholds,"
    "valid_from_date,valid_until_date\n"
    "all,,,,,,1,0.5;0.8;1,,\nneon,neon,{org},*,,,100000,0.1;0.9,2026-01-01,\n"
    "data,,,,DATA,,0.01,,,2027-01-01\n",
    "invoices": "source,org,month,invoice_line,quantity,amount_usd,invoice_id\n"
    "neon,{org},2026-10,Compute,,12.34,B\nneon,{org},2026-10,Compute,1,0.66,A\n"
    "neon,{org},2026-10,Something else,,5,A\n",
    "plans": "source,org_id,meter,plan,user_count\n"
    "atlassian_platform,{org},pipelines_build_minutes,standard,\n"
    "atlassian_platform,{org},rovo_dev_credits,standard,3\n",
    "workspace_orgs": "workspace_uuid,org_id\n{workspace},{org}\n",
}


@contextmanager
def every_model(folder: Path) -> Iterator[World]:
    """A world of which everything was loaded and nothing is built; with `a_day_later` for more."""
    exports = folder / "exports"
    with open_world(folder, platform_usage_dir=exports, **SMALL) as here:
        platform_exports.write(here.company.atlassian, exports)
        load(here)
        here.settings = replace(here.settings, own_seeds=_own_seeds(here, folder / "own"))
        yield here


def load(here: World) -> None:
    """All that is due of every vendor."""
    families = {endpoint.source for endpoint in ENDPOINTS}
    assert not runs.load_due(here.settings, Report(True), families, GRAINS).failures


def a_day_later(here: World) -> None:
    """Correct something that had settled, let a day pass, and load what is due."""
    company = here.company
    project = (
        company.special["steady"] if "steady" in company.special else next(iter(company.projects))
    )
    hour = company.now.replace(minute=0) - timedelta(hours=40)
    company.restate(project, None, "compute_unit_seconds", hour, 3600)
    company.now += timedelta(days=1)
    load(here)


def _own_seeds(here: World, folder: Path) -> dict[str, Path]:
    ((org, project),) = here.raw(
        "select org_id, min(project_id) from raw.neon_projects group by all order by all limit 1"
    )
    ((app,),) = here.raw("select min(app_id) from raw.forge_app_usage")
    ((workspace,),) = here.raw("select min(workspace_uuid) from raw.bitbucket_workspaces")
    ((user,),) = here.raw("select min(account_id) from raw.platform_readings")
    found = {"org": org, "project": project[:9], "app": app, "workspace": workspace, "user": user}
    folder.mkdir()
    files = {f"seeds.{name}": folder / f"{name}.csv" for name in SEEDS}
    for name, text in SEEDS.items():
        (folder / f"{name}.csv").write_text(text.format(**found))
    return files
