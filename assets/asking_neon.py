"""Neon's calls, and how each is asked: which orgs, and branches of which projects."""

from collections.abc import Iterable, Iterator
from functools import partial

import pyarrow as pa

from assets.settings import Settings
from assets.vendors import Call, Vendors, land_pieces, open_warehouse, snapshot
from pipelines import neon
from pipelines.http import VendorError
from pipelines.load import Ask, Piece
from pipelines.neon_shapes import TABLES
from pipelines.windows import GRAINS, Window

ORGANIZATIONS = Call(
    "neon",
    "neon_organizations",
    "GET /users/me/organizations",
    "The organizations that the key sees, with their plans. A snapshot per load.",
    TABLES["neon_organizations"],
)
PROJECTS = Call(
    "neon",
    "neon_projects",
    "GET /projects",
    "Names, regions and ages of live projects. Deleted projects are not listed, and bill all "
    "the same: facts never depend on this table. A snapshot per load.",
    TABLES["neon_projects"],
)
BRANCHES = Call(
    "neon",
    "neon_branches",
    "GET /projects/{project_id}/branches",
    "Names, parents and sizes of live branches: one request per project. A snapshot per load.",
    TABLES["neon_branches"],
    needs=("neon_projects",),
)
PROJECT_USAGE = Call(
    "neon",
    "neon_project_usage",
    "GET /consumption_history/v2/projects",
    "What each project used, deleted ones included, per metric: the totals that Neon bills. "
    "One walk of 100 projects a request, however many partitions are asked for.",
    TABLES["neon_project_usage"],
    GRAINS,
)
BRANCH_USAGE = Call(
    "neon",
    "neon_branch_usage",
    "GET /consumption_history/v2/branches",
    "What each branch used, six of the eight metrics, for the projects that "
    "neon_project_usage showed with usage in the same window. Attribution, not the total.",
    TABLES["neon_branch_usage"],
    GRAINS,
    needs=("neon_project_usage",),
)
ACCOUNT_USAGE = Call(
    "neon_legacy",
    "neon_account_usage",
    "GET /consumption_history/account",
    "Org totals on the legacy meters. Retired by Neon on 2026-06-01; org totals come from "
    "v2/projects. Still asked, for hosts that keep the route, and compared in "
    "reports.reconciliation.",
    TABLES["neon_account_usage"],
    GRAINS,
    retired_on="2026-06-01",
)
CALLS = (ORGANIZATIONS, PROJECTS, BRANCHES, PROJECT_USAGE, BRANCH_USAGE, ACCOUNT_USAGE)


def missing(settings: Settings) -> str | None:
    """Why Neon is skipped, or None when it can be asked."""
    return None if settings.neon_api_key else "NEON_API_KEY is not set"


def make_client(settings: Settings) -> neon.Neon:
    """The client of the configured key."""
    return neon.Neon(
        settings.neon_api_key or "",
        settings.neon_org_ids,
        settings.neon_base_url,
        settings.neon_requests_per_minute,
        settings.state_dir,
    )


def pieces(vendors: Vendors, call: Call, window: Window | None) -> list[Piece]:
    """One piece per org, over the whole window (None: a snapshot)."""
    asks = _asks(vendors, call, window)
    return [Piece(scope, window, ask) for scope, ask in asks.items()]


def _asks(vendors: Vendors, call: Call, window: Window | None) -> dict[str, Ask]:
    client = vendors.client(neon.Neon, make_client)
    if call == ORGANIZATIONS:
        return {"all": snapshot(client.organizations)}
    org_ids = client.org_ids()
    if call == PROJECTS:
        return {org: snapshot(client.projects, org) for org in org_ids}
    if call == BRANCHES:
        listed = _listed_projects(vendors, org_ids)
        return {org: snapshot(client.branches, org, listed[org]) for org in org_ids}
    if call == BRANCH_USAGE and window is not None:
        used = _projects_with_usage(vendors, org_ids, window)
        return {org: _asking_branches(client, org, used[org]) for org in org_ids}
    ask = client.account_usage if call == ACCOUNT_USAGE else client.project_usage
    return {org: partial(ask, org) for org in org_ids}


def _asking_branches(client: neon.Neon, org_id: str, used: list[str] | VendorError) -> Ask:
    def ask(window: Window) -> Iterator[pa.Table]:
        if isinstance(used, VendorError):
            raise used
        return client.branch_usage(org_id, window, used)

    return ask


def _projects_with_usage(
    vendors: Vendors, org_ids: Iterable[str], window: Window
) -> dict[str, list[str] | VendorError]:
    """The projects to ask for branches, from the v2/projects walk of this window.

    Where that walk has not been made yet, it is made now, for it is needed anyhow; an org for
    which it fails has its error here.
    """
    with open_warehouse(vendors.settings) as connection:
        found = {org: neon.projects_with_usage(connection, org, window) for org in org_ids}
    error = VendorError("v2/projects was not asked")
    if any(ids is None for ids in found.values()):
        walk = pieces(vendors, PROJECT_USAGE, window)
        walked = land_pieces(vendors.settings, PROJECT_USAGE, walk)
        error = next(iter(walked.failures), error)
        with open_warehouse(vendors.settings) as connection:
            found = {org: neon.projects_with_usage(connection, org, window) for org in org_ids}
    return {org: error if ids is None else ids for org, ids in found.items()}


def _listed_projects(vendors: Vendors, org_ids: Iterable[str]) -> dict[str, list[str]]:
    """The projects of the latest listing; listed now, where that has not been done yet."""
    with open_warehouse(vendors.settings) as connection:
        found = {org: neon.listed_projects(connection, org) for org in org_ids}
    if any(ids is None for ids in found.values()):
        listing = land_pieces(vendors.settings, PROJECTS, pieces(vendors, PROJECTS, None))
        if listing.failures:
            raise listing.failures[0]
        with open_warehouse(vendors.settings) as connection:
            found = {org: neon.listed_projects(connection, org) for org in org_ids}
    return {org: ids or [] for org, ids in found.items()}
