"""Neon REST: its endpoints, its paging, its records, as Arrow pages for raw.neon_*.

Reference: https://api-docs.neon.tech/reference/ (Consumption, Project, Branch, Organization).
Not here: which windows to ask for (assets/planning.py) and what a metric means
(dbt_like_sql/seeds/meters.csv).
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pyarrow as pa
from pyrate_limiter import Duration, Rate

import pipelines.neon.records as records
from pipelines.http import Budget, Client, VendorClient, VendorError
from pipelines.neon.endpoints import ACCOUNT_USAGE
from pipelines.source import OutOfReachError, PartialAnswerError, RetiredError
from pipelines.windows import Window

BRANCH_METRICS = (
    "compute_unit_seconds",
    "root_branch_bytes_month",
    "child_branch_bytes_month",
    "instant_restore_bytes_month",
    "public_network_transfer_bytes",
    "private_network_transfer_bytes",
)
PROJECT_METRICS = (*BRANCH_METRICS, "extra_branches_month", "snapshot_storage_bytes_month")
PROJECTS_PER_PAGE, BRANCHES_PER_PAGE, IDS_PER_REQUEST = 100, 1000, 100
LISTED_PROJECTS_PER_PAGE, LISTED_BRANCHES_PER_PAGE = 400, 10_000
# 700 a minute and bursts of 40 a second per account, shared with Neon's own console
MANAGEMENT_RATES = (Rate(15, Duration.SECOND), Rate(500, Duration.MINUTE))

PageT = TypeVar("PageT", bound=records.Page)


class Neon(VendorClient):
    """One Neon credential: its endpoints, paged to the end, as Arrow tables of records.TABLES."""

    def __init__(
        self,
        api_key: str,
        org_ids: Sequence[str],
        base_url: str,
        requests_per_minute: int,
        state_dir: Path,
        backoff_seconds: float = 1.0,
    ) -> None:
        self._asked_org_ids = tuple(org_ids)
        self._organizations: list[records.Organization] | None = None
        self._consumption = Budget(
            state_dir, "neon-consumption", api_key, [Rate(requests_per_minute, Duration.MINUTE)]
        )
        self._management = Budget(state_dir, "neon-management", api_key, MANAGEMENT_RATES)
        client = Client(
            "neon",
            base_url,
            {"Authorization": f"Bearer {api_key}"},
            [api_key],
            self._budget_for,
            _explain,
            backoff_seconds,
            setting="NEON_BASE_URL",
        )
        super().__init__(client, self._consumption, self._management)

    def _budget_for(self, request: httpx.Request) -> Budget:
        return (
            self._consumption if "/consumption_history/" in request.url.path else self._management
        )

    # -- usage --------------------------------------------------------------------------------

    def project_usage(self, org_id: str, window: Window) -> Iterator[pa.Table]:
        """v2/projects: one walk over the org's projects, deleted ones included, all metrics."""
        about = f"v2/projects of {org_id}, {window}"
        params = _window_params(org_id, window) | {
            "metrics": ",".join(PROJECT_METRICS),
            "limit": PROJECTS_PER_PAGE,
        }
        for page in self._walk(
            "consumption_history/v2/projects", params, about, records.ProjectUsagePage
        ):
            rows = (
                (p.project_id, *row)
                for p in page.projects
                for row in records.usage_rows(p, p.periods)
            )
            yield records.usage_table("neon_project_usage", rows, org_id, window)

    def branch_usage(
        self, org_id: str, window: Window, project_ids: Sequence[str]
    ) -> Iterator[pa.Table]:
        """v2/branches of these projects (100 ids a request, the endpoint's maximum)."""
        for ids in _chunks(sorted(project_ids), IDS_PER_REQUEST):
            about = f"v2/branches of {org_id}, {window}"
            params = _window_params(org_id, window) | {
                "metrics": ",".join(BRANCH_METRICS),
                "project_ids": ",".join(ids),
                "limit": BRANCHES_PER_PAGE,
            }
            path = "consumption_history/v2/branches"
            for page in self._walk(path, params, about, records.BranchUsagePage):
                rows = (
                    (b.project_id, b.branch_id, *row)
                    for b in page.branches
                    for row in records.usage_rows(b, b.periods)
                )
                yield records.usage_table("neon_branch_usage", rows, org_id, window)

    def account_usage(self, org_id: str, window: Window) -> Iterator[pa.Table]:
        """The legacy account endpoint, or RetiredError where its route is gone."""
        about = f"account usage (legacy) of {org_id}, {window}"
        params = _window_params(org_id, window)
        try:
            pages = list(
                self._walk("consumption_history/account", params, about, records.AccountUsagePage)
            )
        except VendorError as error:
            if error.status == 404 and "route does not exist" in str(error):
                retired = f"retired by Neon on {ACCOUNT_USAGE.retired_on}"
                raise RetiredError(f"{retired}; org totals come from v2/projects", 404) from None
            raise
        for page in pages:
            yield records.usage_table(
                "neon_account_usage", records.legacy_rows(page.periods), org_id, window
            )

    # -- names --------------------------------------------------------------------------------

    def org_ids(self) -> list[str]:
        """The configured orgs, or else every org the key sees."""
        return list(self._asked_org_ids) or [org.org_id for org in self._list_organizations()]

    def organizations(self) -> Iterator[pa.Table]:
        """Every org the key sees, or the configured ones one by one."""
        listed = self._list_organizations()
        yield records.named_table("neon_organizations", listed)

    def projects(self, org_id: str) -> Iterator[pa.Table]:
        """The org's live projects. Deleted ones are not listed, and bill all the same."""
        unavailable: list[str] = []
        params = {"org_id": org_id, "limit": LISTED_PROJECTS_PER_PAGE}
        for page in self._walk("projects", params, f"projects of {org_id}", records.ProjectsPage):
            unavailable += page.unavailable_project_ids
            yield records.named_table("neon_projects", page.projects, org_id=org_id)
        if unavailable:
            raise PartialAnswerError(
                f"neon projects of {org_id}: Neon left out {len(unavailable)} projects "
                "(unavailable_project_ids); they keep the names known before"
            )

    def branches(self, org_id: str, project_ids: Sequence[str]) -> Iterator[pa.Table]:
        """The live branches of these projects, one request each, eight at a time."""
        with ThreadPoolExecutor(max_workers=8) as pool:
            for found in pool.map(self._branches_of, project_ids):
                yield records.named_table("neon_branches", found, org_id=org_id)

    def _branches_of(self, project_id: str) -> list[records.Branch]:
        params = {"limit": LISTED_BRANCHES_PER_PAGE}
        path, about = f"projects/{project_id}/branches", f"branches of {project_id}"
        try:
            pages = list(self._walk(path, params, about, records.BranchesPage))
        except VendorError as error:
            if error.status == 404:  # deleted since it was listed; its usage is asked elsewhere
                return []
            raise
        return [branch for page in pages for branch in page.branches]

    def _list_organizations(self) -> list[records.Organization]:
        if self._organizations is None:
            self._organizations = self._ask_organizations()
        return self._organizations

    def _ask_organizations(self) -> list[records.Organization]:
        if self._asked_org_ids:
            return [
                self.client.decoded(
                    self.client.get(f"organizations/{org_id}", {}, f"organization {org_id}"),
                    records.Organization,
                    f"organization {org_id}",
                )
                for org_id in self._asked_org_ids
            ]
        about = "organizations of this key"
        try:
            body = self.client.get("users/me/organizations", {}, about)
        except VendorError as error:
            if error.status not in (403, 404):
                raise
            return self._organizations_of_projects()
        page: records.OrganizationsPage = self.client.decoded(
            body, records.OrganizationsPage, about
        )
        return page.organizations

    def _organizations_of_projects(self) -> list[records.Organization]:
        """Some organization keys could not list organizations; their projects name the org."""
        params = {"limit": LISTED_PROJECTS_PER_PAGE}
        pages = self._walk("projects", params, "projects of this key", records.ProjectsPage)
        found = {project.org_id for page in pages for project in page.projects if project.org_id}
        return [records.Organization(org_id=org_id) for org_id in sorted(found)]

    # -- paging -------------------------------------------------------------------------------

    def _walk(
        self, path: str, params: dict[str, Any], about: str, kind: type[PageT]
    ) -> Iterator[PageT]:
        """Every page; the next one is under way while this one is read and written.

        The end is a page without a cursor (consumption) or an empty page (/projects, which
        echoes the cursor it was asked with).
        """
        asked: set[str] = set()
        with ThreadPoolExecutor(max_workers=1) as ahead:
            pending: Future[bytes] | None = ahead.submit(self._get, path, params, about)
            while pending is not None:
                body = pending.result()
                cursor = self._cursor(body, about)
                repeated = cursor in asked
                pending = None
                if cursor and not repeated:
                    asked.add(cursor)
                    following = params | {"cursor": cursor}
                    pending = ahead.submit(self._get, path, following, about)
                page = self.client.decoded(body, kind, about)
                if repeated and page.items():
                    raise self.client.error(
                        about,
                        f"page {len(asked) + 1} repeats the cursor of an earlier page",
                        "The walk cannot be complete: try again; report it to Neon if it stays.",
                    )
                yield page

    def _get(self, path: str, params: dict[str, Any], about: str) -> bytes:
        try:
            return self.client.get(path, params, about)
        except VendorError as error:
            if error.status == 406:
                raise OutOfReachError(str(error), 406) from None
            raise

    def _cursor(self, body: bytes, about: str) -> str | None:
        pagination = self.client.decoded(body, records.Envelope, about).pagination
        return (pagination.cursor or pagination.next) if pagination else None


def _window_params(org_id: str, window: Window) -> dict[str, Any]:
    return {
        "org_id": org_id,
        "granularity": window.grain,
        "from": window.since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "to": window.until.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _chunks(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _explain(status: int, message: str) -> str:
    """What a person can do about this refusal (https://neon.com/docs/guides/consumption-metrics)."""
    if status == 401:
        return "The key is not valid: set NEON_API_KEY to a current one (Neon console, API keys)."
    if status == 403:
        return (
            "This org's plan has no such endpoint: v2 consumption needs Launch, Scale, Agent, "
            "Business or Enterprise. It is not a fault of the key."
        )
    if status == 404 and "scoped to" in message:
        return "The key is limited to one project: use a personal or organization key."
    if status == 404:
        return (
            "The key does not belong to a member of this org, or the org id is wrong: check "
            "NEON_ORG_IDS and whose key it is. This is no sign of zero usage."
        )
    if status == 406:
        return "The window starts before what Neon keeps; a coarser grain reaches further back."
    if status == 429:
        return "Something else spends this account's budget too: lower NEON_REQUESTS_PER_MINUTE."
    if status == 400:
        return "meterhouse asked what Neon no longer accepts: please report it with this text."
    return "Neon has trouble: see https://neonstatus.com and run the same command again later."
