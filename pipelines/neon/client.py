"""Neon REST: its endpoints, its paging, its records, as Arrow pages for raw.neon_*.

Reference: https://api-docs.neon.tech/reference/ (Consumption, Project, Branch, Organization).
Not here: which windows to ask for (assets/runs/planning.py) and what a metric means
(dbt_like_sql/seeds/meters.csv).
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property, partial
from typing import Any, ClassVar, TypeVar

import httpx
import pyarrow as pa
from pyrate_limiter import Duration, Rate

import pipelines.neon.records as records
from pipelines.decode import table_of
from pipelines.endpoint import Endpoint
from pipelines.http import Budget, VendorClient, VendorError, may_tell_of_pages
from pipelines.neon import ACCOUNT_USAGE, BRANCHES, ORGANIZATIONS, PROJECTS, Settings
from pipelines.source import (
    SAFE,
    Account,
    BucketsRefusedError,
    OutOfReachError,
    PartialAnswerError,
    RefusedError,
    RetiredError,
    UsagePages,
)
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
AT_ONCE = 8
OF_A_PLAN = (
    "This org's plan has no such endpoint: v2 consumption needs Launch, Scale, Agent, Business or "
    "Enterprise. It is not a fault of the key. To leave this org out, name the others in "
    "NEON_ORG_IDS."
)
# 700 a minute and bursts of 40 a second per account, shared with Neon's own console
MANAGEMENT_RATES = (Rate(15, Duration.SECOND), Rate(500, Duration.MINUTE))

P = TypeVar("P", bound=records.Page)


class Neon(VendorClient):
    """One Neon credential: its endpoints, paged to the end, as Arrow tables of records.TABLES."""

    name, title = "neon", "Neon"
    address_setting, budget_setting = "NEON_BASE_URL", "NEON_REQUESTS_PER_MINUTE"
    status_page = "https://neonstatus.com"
    # https://neon.com/docs/guides/consumption-metrics
    advice: ClassVar = {
        401: "The key is not valid: set NEON_API_KEY to a current one (Neon console, API keys).",
        403: "The key may not be allowed to read this: check NEON_API_KEY, and whose it "
        "is. To leave this org out, name the others in NEON_ORG_IDS.",
        404: "The key does not belong to a member of this org, or the org id is wrong: check "
        "NEON_ORG_IDS and whose key it is. This is no sign of zero usage.",
        406: "The window starts before what Neon keeps; a coarser grain reaches further back.",
    }

    def __init__(self, account: Account[Settings]) -> None:
        key, folder = account.settings.api_key, account.budgets
        self._asked_org_ids = account.settings.org_ids
        self._refused: dict[str, RefusedError] = {}
        rates = [Rate(account.settings.requests_per_minute, Duration.MINUTE)]
        super().__init__(
            account,
            account.settings.base_url,
            {"Authorization": f"Bearer {key}"},
            [key],
            Budget(folder, "neon-consumption", key, rates),
            Budget(folder, "neon-management", key, MANAGEMENT_RATES),
        )

    def budget_of(self, request: httpx.Request) -> Budget:
        """Consumption has a budget of its own."""
        consumption, management = self._budgets
        return consumption if "/consumption_history/" in request.url.path else management

    def explain(self, status: int, message: str) -> str:
        """What a person can do about this refusal."""
        if status == 404 and "scoped to" in message:
            return "The key is limited to one project: use a personal or organization key."
        if _is_of_a_plan(status, message):
            return OF_A_PLAN
        return super().explain(status, message)

    def scopes(self, endpoint: Endpoint) -> Sequence[str]:
        """The organizations of NEON_ORG_IDS, or else all that the key sees: one request a run."""
        return super().scopes(endpoint) if endpoint == ORGANIZATIONS else self.org_ids()

    def probe(self) -> Iterable[object]:
        """The organizations."""
        return self.organizations()

    # -- usage --------------------------------------------------------------------------------

    def project_usage(self, org_id: str, window: Window) -> UsagePages:
        """v2/projects: one walk over the org's projects, deleted ones included, all metrics."""
        params = {"metrics": ",".join(PROJECT_METRICS), "limit": PROJECTS_PER_PAGE}
        pages = self._usage(records.ProjectUsagePage, "v2/projects", org_id, window, params)
        return self._tables("neon_project_usage", pages, org_id, window)

    def branch_usage(self, org_id: str, window: Window, project_ids: Sequence[str]) -> UsagePages:
        """v2/branches of these projects (100 ids a request, the endpoint's maximum)."""
        ids, metrics = sorted(project_ids), ",".join(BRANCH_METRICS)
        params: dict[str, Any] = {"metrics": metrics, "limit": BRANCHES_PER_PAGE}
        some_ids = (ids[n : n + IDS_PER_REQUEST] for n in range(0, len(ids), IDS_PER_REQUEST))
        ask = partial(self._usage, records.BranchUsagePage, "v2/branches", org_id, window)
        pages = (
            page for some in some_ids for page in ask(params | {"project_ids": ",".join(some)})
        )
        return self._tables("neon_branch_usage", pages, org_id, window, {*ids})

    def account_usage(self, org_id: str, window: Window) -> UsagePages:
        """The legacy account endpoint, or RetiredError where its route is gone."""
        try:
            pages = list(self._usage(records.AccountUsagePage, "account", org_id, window, {}))
        except VendorError as error:
            if error.status == 404 and "route does not exist" in str(error):
                retired = f"neon account usage: retired by Neon on {ACCOUNT_USAGE.retired_on}"
                raise RetiredError(f"{retired}; org totals come from v2/projects", 404) from None
            raise
        accounts = [records.Page(items=[records.account_usage(page.items)]) for page in pages]
        yield from self._tables("neon_account_usage", accounts, org_id, window)

    def _tables(
        self,
        name: str,
        pages: Iterable[records.Page],
        org_id: str,
        window: Window,
        asked_ids: Set[str] = frozenset(),
    ) -> UsagePages:
        """Pages of usage as raw.<name>; last, buckets of which a value cannot be. Of a project that
        is not among `asked_ids` no total is held, so a branch of it would be counted beside it."""
        about, refused = f"{name} of {org_id}, {window}", dict[datetime, str]()
        for page in pages:
            try:
                for project_id in {it.project_id for it in page.items if asked_ids} - asked_ids:
                    raise ValueError(f"it has project {project_id}, which was not asked for")
                yield records.usage_table(name, page.items, org_id, window, refused)
            except ValueError as error:
                raise self.undocumented(about, str(error)) from None
        if refused:
            yield BucketsRefusedError(self.strike(f"neon {about}"), refused, self.title)

    def _usage(
        self, kind: type[P], endpoint: str, org_id: str, window: Window, params: dict[str, Any]
    ) -> Iterator[P]:
        """The pages of one walk; RefusedError where a plan has no consumption: any other 403 is of
        an organization that should answer."""
        asked = {
            "org_id": org_id,
            "granularity": window.grain,
            "from": window.since.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "to": window.until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        what = "account usage (legacy)" if endpoint == "account" else endpoint
        about = f"{what} of {org_id}, {window}"
        if org_id in self._refused:
            raise self._refused[org_id]
        try:
            yield from self._walk(f"consumption_history/{endpoint}", asked | params, about, kind)
        except VendorError as error:
            if not _is_of_a_plan(error.status, str(error)) or org_id in self._asked_org_ids:
                raise
            # the key sees it, and nobody named it: it is asked once a run
            self._refused[org_id] = refused = RefusedError(error, org_id)
            raise refused from None

    # -- names --------------------------------------------------------------------------------

    def org_ids(self) -> list[str]:
        """The configured orgs, or else every org the key sees."""
        return list(self._asked_org_ids) or [org.org_id for org in self._organizations]

    def organizations(self) -> Iterator[pa.Table]:
        """Every org the key sees, or the configured ones one by one."""
        found, refused = [], []
        for org_id in self._asked_org_ids:
            path, about = f"organizations/{org_id}", f"organization {org_id}"
            try:
                found.append(self.get_as(records.Organization, path, about))
            except VendorError as error:
                if error.status not in (403, 404):
                    raise
                refused.append(str(error))
        listed = found if self._asked_org_ids else self._organizations
        yield table_of(ORGANIZATIONS.schema, listed)
        if refused:
            raise PartialAnswerError("; ".join(refused))

    def projects(self, org_id: str) -> Iterator[pa.Table]:
        """The org's live projects. Deleted ones are not listed, and bill all the same."""
        unavailable: list[str] = []
        params = {"org_id": org_id, "limit": LISTED_PROJECTS_PER_PAGE}
        for page in self._walk("projects", params, f"projects of {org_id}", records.ProjectsPage):
            unavailable += page.unavailable_project_ids
            yield table_of(PROJECTS.schema, page.items, org_id=org_id)
        if unavailable:
            raise PartialAnswerError(
                f"neon projects of {org_id}: Neon left out {len(unavailable)} projects "
                "(unavailable_project_ids); they keep the names known before"
            )

    def branches(self, org_id: str, project_ids: Sequence[str]) -> Iterator[pa.Table]:
        """The live branches of these projects, one request each, AT_ONCE at a time."""
        refused: list[VendorError] = []
        with pool(AT_ONCE) as threads:
            for found in threads.map(partial(self._branches_of, refused=refused), project_ids):
                yield table_of(BRANCHES.schema, found, org_id=org_id)
        if refused:
            first = str(refused[0]).removesuffix(SAFE).rstrip()
            raise PartialAnswerError(
                f"neon branches of {org_id}: {len(refused)} of {len(project_ids)} projects did not "
                f"answer ({first}) "
                "The others are loaded; everything landed before is untouched. What did not answer "
                "keeps the names known before, and is asked for again.",
                refused,
            )

    def _branches_of(self, project_id: str, refused: list[VendorError]) -> list[records.Branch]:
        params = {"limit": LISTED_BRANCHES_PER_PAGE}
        path, about = f"projects/{project_id}/branches", f"branches of {project_id}"
        try:
            pages = list(self._walk(path, params, about, records.BranchesPage))
        except VendorError as error:
            # deleted since it was listed, or in a bad moment: the next list of projects tells which
            is_down = error.status not in (403, 404) and len(refused) >= AT_ONCE
            if is_down or error.status == 401 or self._ended:
                raise
            refused.append(error)
            return []
        return [branch for page in pages for branch in page.items]

    @cached_property
    def _organizations(self) -> list[records.Organization]:
        about = "organizations of this key"
        try:
            pages = [*self._walk("users/me/organizations", {}, about, records.OrganizationsPage)]
        except VendorError as error:
            if error.status not in (403, 404):
                raise
            found = self._organizations_of_projects()
            if len(found) != 1:  # a key that may not list sees one: this was a bad moment
                raise
            return found
        listed = [organization for page in pages for organization in page.items]
        if not listed:  # whoever saw one before would be told that it has ended
            advice = "Check whose key NEON_API_KEY is. This is no sign of zero usage."
            raise self.error(about, "it sees none", advice)
        return listed

    def _organizations_of_projects(self) -> list[records.Organization]:
        """Some organization keys could not list organizations; their projects name the org."""
        params = {"limit": LISTED_PROJECTS_PER_PAGE}
        pages = self._walk("projects", params, "projects of this key", records.ProjectsPage)
        found = {project.org_id for page in pages for project in page.items if project.org_id}
        return [records.Organization(org_id=org_id) for org_id in sorted(found)]

    # -- paging -------------------------------------------------------------------------------

    def _walk(self, path: str, params: dict[str, Any], about: str, kind: type[P]) -> Iterator[P]:
        """Every page; the next one is under way while this one is read and written.

        The end is a page without a cursor (consumption) or an empty page (/projects, which
        echoes the cursor it was asked with).
        """
        asked: set[str] = set()
        with pool(1) as ahead:
            pending: Future[bytes] | None = ahead.submit(self._get, path, about, params)
            while pending is not None:
                body = pending.result()
                cursor = self._cursor(body, about)
                repeated = cursor in asked
                pending = None
                if cursor and not repeated:
                    asked.add(cursor)
                    following = params | {"cursor": cursor}
                    pending = ahead.submit(self._get, path, about, following)
                page = self.decoded(body, kind, about)
                if repeated and page.items:
                    what = f"page {len(asked) + 1} repeats the cursor of an earlier page"
                    raise self.endless(about, what)
                if not asked and "limit" in params:
                    is_doubtful = may_tell_of_pages(page.odd_fields)
                    names_next = partial(self._names_next, path, params, about, kind)
                    self.prove_last(about, len(page.items), is_doubtful, names_next)
                yield page

    def _names_next(
        self, path: str, params: dict[str, Any], about: str, kind: type[P], limit: int
    ) -> bool:
        """Whether a first page of so many has a cursor, or has fewer after all."""
        body = self._get(path, about, params | {"limit": limit})
        return bool(self._cursor(body, about)) or len(self.decoded(body, kind, about).items) < limit

    def _get(self, path: str, about: str, params: dict[str, Any]) -> bytes:
        try:
            return self.ask("GET", path, about, params=params)
        except VendorError as error:
            if error.status == 406:
                raise OutOfReachError(str(error), 406) from None
            raise

    def _cursor(self, body: bytes, about: str) -> str | None:
        pagination = self.decoded(body, records.Envelope, about).pagination
        return (pagination.cursor or pagination.next) if pagination else None


def _is_of_a_plan(status: int | None, message: str) -> bool:
    """Recorded: "It is included with Scale plans and above"."""
    return status == 403 and " plan" in message.lower()


@contextmanager
def pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """So many threads, and nobody waits for one at the end.

    A walk that failed is closed by the garbage collector, in whatever thread that runs: to join
    another there may wait for a lock that the very same thread holds (CPython, threading._stop).
    """
    executor = ThreadPoolExecutor(max_workers=workers)
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
