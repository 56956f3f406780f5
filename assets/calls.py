"""What can be asked of vendors, and the asking of it: for Dagster and the terminal alike.

One Call per vendor call. To add a vendor: its client in pipelines/, its calls here, its SQL.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

import pyarrow as pa

from assets import partitions
from assets.settings import Settings
from dbt_like_sql import warehouse
from pipelines import load, neon
from pipelines.http import VendorError
from pipelines.load import Ask, Connection, Landing, Window
from pipelines.neon_shapes import TABLES as NEON_TABLES

RAW_TABLES: dict[str, pa.Schema] = {**NEON_TABLES}
SNAPSHOT = "snapshot"


@dataclass(frozen=True)
class Call:
    """One vendor call: where its answers go (raw.<table>) and at which granularities."""

    source: str
    table: str
    request: str
    description: str
    granularities: tuple[str, ...] = (SNAPSHOT,)
    needs: tuple[str, ...] = ()


CALLS = (
    Call(
        "neon",
        "neon_organizations",
        "GET /users/me/organizations",
        "The organizations that the key sees, with their plans. A snapshot per load.",
    ),
    Call(
        "neon",
        "neon_projects",
        "GET /projects",
        "Names, regions and ages of live projects. Deleted projects are not listed, and bill all "
        "the same: facts never depend on this table. A snapshot per load.",
    ),
    Call(
        "neon",
        "neon_branches",
        "GET /projects/{project_id}/branches",
        "Names, parents and sizes of live branches: one request per project. A snapshot per load.",
        needs=("neon_projects",),
    ),
    Call(
        "neon",
        "neon_project_usage",
        "GET /consumption_history/v2/projects",
        "What each project used, deleted ones included, per metric: the totals that Neon bills. "
        "One walk of 100 projects a request, however many partitions are asked for.",
        partitions.GRANULARITIES,
    ),
    Call(
        "neon",
        "neon_branch_usage",
        "GET /consumption_history/v2/branches",
        "What each branch used, six of the eight metrics, for the projects that "
        "neon_project_usage showed with usage in the same window. Attribution, not the total.",
        partitions.GRANULARITIES,
        needs=("neon_project_usage",),
    ),
    Call(
        "neon_legacy",
        "neon_account_usage",
        "GET /consumption_history/account",
        "Org totals on the legacy meters. Retired by Neon on 2026-06-01; org totals come from "
        "v2/projects. Still asked, for hosts that keep the route, and compared in "
        "reports.reconciliation.",
        partitions.GRANULARITIES,
    ),
)


def call_of(table: str) -> Call:
    """The call whose answers go to raw.<table>."""
    return next(call for call in CALLS if call.table == table)


class Vendors:
    """The vendors' clients for the length of a run, made when first needed; close when done."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._neon: neon.Neon | None = None

    @property
    def neon(self) -> neon.Neon:
        """The client of the configured Neon key."""
        if self._neon is None:
            self._neon = neon.Neon(
                self.settings.neon_api_key or "",
                self.settings.neon_org_ids,
                self.settings.neon_base_url,
                self.settings.neon_requests_per_minute,
                self.settings.state_dir,
            )
        return self._neon

    @property
    def requests_sent(self) -> int:
        """Requests sent so far, retries included."""
        return self._neon.client.requests_sent if self._neon else 0

    @property
    def rate_limited(self) -> int:
        """How many of them were answered 429."""
        return self._neon.client.rate_limited if self._neon else 0

    def __enter__(self) -> "Vendors":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._neon:
            self._neon.close()
            self._neon = None


def missing_settings(settings: Settings, call: Call) -> str | None:
    """Why this call's source is skipped, or None when it can be asked."""
    return settings.neon_missing if call.source in ("neon", "neon_legacy") else None


def open_warehouse(settings: Settings) -> AbstractContextManager[Connection]:
    """The warehouse, for writing, when it is this process's turn."""
    return warehouse.writer(settings.warehouse)


def land(vendors: Vendors, call: Call, window: Window | None) -> Landing:
    """Ask for one window (None: a snapshot) of every scope, and land the answers with receipts."""
    settings = vendors.settings
    return load.load(
        partial(open_warehouse, settings),
        call.source,
        call.table,
        RAW_TABLES[call.table],
        _scopes(vendors, call, window),
        window,
    )


def _scopes(vendors: Vendors, call: Call, window: Window | None) -> dict[str, Ask]:
    client = vendors.neon
    if call.table == "neon_organizations":
        return {"all": _snapshot(client.organizations)}
    org_ids = client.org_ids()
    if call.table == "neon_projects":
        return {org: _snapshot(client.projects, org) for org in org_ids}
    if call.table == "neon_branches":
        listed = _listed_projects(vendors, org_ids)
        return {org: _snapshot(client.branches, org, listed[org]) for org in org_ids}
    if call.table == "neon_branch_usage" and window is not None:
        used = _projects_with_usage(vendors, org_ids, window)
        return {org: _asking_branches(client, org, used[org]) for org in org_ids}
    ask = {"neon_project_usage": client.project_usage, "neon_account_usage": client.account_usage}
    return {org: partial(ask[call.table], org) for org in org_ids}


def _snapshot(ask: Callable[..., Iterator[pa.Table]], *arguments: Any) -> Ask:
    """A call that has no window."""
    return lambda _: ask(*arguments)


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
        walked = land(vendors, call_of("neon_project_usage"), window)
        error = next(iter(walked.failures), error)
        with open_warehouse(vendors.settings) as connection:
            found = {org: neon.projects_with_usage(connection, org, window) for org in org_ids}
    return {org: error if ids is None else ids for org, ids in found.items()}


def _listed_projects(vendors: Vendors, org_ids: Iterable[str]) -> dict[str, list[str]]:
    """The projects of the latest listing; listed now, where that has not been done yet."""
    with open_warehouse(vendors.settings) as connection:
        found = {org: neon.listed_projects(connection, org) for org in org_ids}
    if any(ids is None for ids in found.values()):
        listing = land(vendors, call_of("neon_projects"), None)
        if listing.failures:
            raise listing.failures[0]
        with open_warehouse(vendors.settings) as connection:
            found = {org: neon.listed_projects(connection, org) for org in org_ids}
    return {org: ids or [] for org, ids in found.items()}
