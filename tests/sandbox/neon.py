"""Neon's consumption and dimension endpoints over real HTTP, served from a simulated company.

Every trap of the real API that is known is here: see neon.md of the project's references.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.routing import Route

from tests.sandbox.company import Company
from tests.sandbox.desk import Desk, Fault, RefusalError, control
from tests.sandbox.estate import Branch, Org, Project
from tests.sandbox.periods import flat_periods_as_json, periods_as_json
from tests.sandbox.question import Question, ids, limit, metrics, question, required
from tests.sandbox.records import (
    Json,
    branch_as_json,
    cursor,
    is_gone,
    org_as_json,
    project_as_json,
    size_of_live_branches,
)
from tests.sandbox.usage import BRANCH_METRICS, METRICS, UNKNOWN_METRIC

BASE_PATH = "/api/v2"
API_KEY = "sandbox-key"
CONSUMPTION = "/consumption_history/"
NO_ROUTE = "this route does not exist"
T = TypeVar("T", Project, Branch)


class Neon:
    """Neon's API for one company and one personal key that sees all its orgs.

    `legacy_account` brings back the account endpoint that Neon removed. `page_size_cap` keeps
    pages smaller than asked for. The rate limit holds for all consumption endpoints together.
    """

    def __init__(
        self,
        company: Company,
        *,
        faults: Sequence[Fault] = (),
        requests_per_minute: int | None = None,
        page_size_cap: int = 10_000,
        legacy_account: bool = False,
        latency_seconds: float = 0.0,
    ) -> None:
        self.company = company
        self._page_size_cap, self._legacy_account = page_size_cap, legacy_account
        self.desk = Desk(
            BASE_PATH,
            API_KEY,
            faults,
            requests_per_minute,
            CONSUMPTION,
            latency_seconds,
            clock=lambda: company.now,
        )

    def app(self) -> Starlette:
        """The routes as an ASGI application, with the control API under /_sandbox."""
        answers: dict[str, Callable[[HttpRequest], Json]] = {
            "/consumption_history/v2/projects": self._usage_of_projects,
            "/consumption_history/v2/branches": self._usage_of_branches,
            "/consumption_history/account": self._usage_of_account,
            "/users/me/organizations": self._organizations,
            "/organizations/{org_id}": self._organization,
            "/projects": self._projects,
            "/projects/{project_id}/branches": self._branches,
            "/auth": lambda _: {"account_id": "sandbox-user", "auth_method": "api_key_user"},
            "/{rest:path}": _no_route,
        }
        routes = [Route(BASE_PATH + p, self.desk.guard(a)) for p, a in answers.items()]
        return Starlette(routes=[*routes, *self._control_routes()])

    def _usage_of_projects(self, request: HttpRequest) -> Json:
        query, now = request.query_params, self.company.now
        asked, org = question(query, now), self._paying_org(required(query, "org_id"))
        names, wanted = metrics(query, METRICS), ids(query, "project_ids")
        found = [
            project
            for project in self.company.projects_of(org.id)
            if project.created_at < asked.until
            and not (project.deleted_at and project.deleted_at <= asked.since)
            and (not wanted or project.id in wanted)
        ]
        size = limit(query, 10, 100)
        page, next_page = self._page(found, query.get("cursor"), size)
        projects = [self._project_usage(org, project, asked, names, now) for project in page]
        return {"projects": projects} | _pagination(next_page)

    def _project_usage(
        self, org: Org, project: Project, asked: Question, names: list[str], now: datetime
    ) -> Json:
        if (None, UNKNOWN_METRIC) in project.streams:
            names = [*names, UNKNOWN_METRIC]
        shown = {
            name: self.company.shown(project.id, None, name, asked.granularity, asked.starts, now)
            for name in names
        }
        usage = {
            "project_id": project.id,
            "periods": periods_as_json(org, asked, shown, now, project.number),
        }
        return usage | ({"project_slug": project.name} if project.number % 9 == 4 else {})

    def _usage_of_branches(self, request: HttpRequest) -> Json:
        query, now = request.query_params, self.company.now
        asked, org = question(query, now), self._paying_org(required(query, "org_id"))
        required(query, "project_ids")
        names, wanted = metrics(query, BRANCH_METRICS), set(ids(query, "branch_ids"))
        own = set(self.company.project_ids(org.id))
        found = [
            branch
            for project_id in sorted(own.intersection(ids(query, "project_ids")))
            for branch in sorted(self.company.branches_of(project_id), key=lambda b: b.id)
            if branch.created_at < asked.until
            and not (branch.deleted_at and branch.deleted_at <= asked.since)
            and not branch.hidden
            and (not wanted or branch.id in wanted)
        ]
        size = limit(query, 100, 1000)
        page, next_page = self._page(found, query.get("cursor"), size)
        branches = [self._branch_usage(org, branch, asked, names, now) for branch in page]
        return {"branches": branches} | _pagination(next_page)

    def _branch_usage(
        self, org: Org, branch: Branch, asked: Question, names: list[str], now: datetime
    ) -> Json:
        id, granularity = branch.project_id, asked.granularity
        shown = {
            name: self.company.shown(id, branch.id, name, granularity, asked.starts, now)
            for name in names
        }
        periods = periods_as_json(org, asked, shown, now, len(branch.name))
        return {"project_id": id, "branch_id": branch.id, "periods": periods}

    def _usage_of_account(self, request: HttpRequest) -> Json:
        if not self._legacy_account:
            raise RefusalError(404, NO_ROUTE)
        query, now = request.query_params, self.company.now
        asked, org = question(query, now), self._paying_org(required(query, "org_id"))
        projects = self.company.projects_of(org.id)
        columns = [
            self.company.shown(
                project.id, None, "compute_unit_seconds", asked.granularity, asked.starts, now
            )
            for project in projects
        ]
        compute = [sum(value or 0 for value in row) for row in zip(*columns, strict=True)]
        sizes = [sum(size_of_live_branches(p, start) for p in projects) for start in asked.starts]
        shown: dict[str, list[int | None]] = {
            "active_time_seconds": [value // 2 for value in compute],
            "compute_time_seconds": [*compute],
            "written_data_bytes": [value * 1_000 for value in compute],
            "synthetic_storage_size_bytes": [*sizes],
            "data_storage_bytes_hour": [
                size * hours for size, hours in zip(sizes, asked.bucket_hours, strict=True)
            ],
        }
        return {"periods": flat_periods_as_json(org, asked, shown, now)}

    def _organizations(self, request: HttpRequest) -> Json:
        free = [self.company.free_org] if self.company.free_org else []
        orgs, now = [*self.company.orgs.values(), *free], self.company.now
        return {"organizations": [org_as_json(org, now) for org in orgs]}

    def _organization(self, request: HttpRequest) -> Json:
        return org_as_json(self._org(request.path_params["org_id"]), self.company.now)

    def _org(self, org_id: str) -> Org:
        free = self.company.free_org
        org = free if free and free.id == org_id else self.company.orgs.get(org_id)
        if org is None:
            raise RefusalError(404, "organization not found or you are not a member of it")
        return org

    def _paying_org(self, org_id: str) -> Org:
        org = self._org(org_id)
        if org is self.company.free_org:
            message = "This endpoint is not available. It is included with Launch plans and above"
            raise RefusalError(403, message)
        return org

    def _projects(self, request: HttpRequest) -> Json:
        query, now = request.query_params, self.company.now
        org = self._org(required(query, "org_id"))
        live = [p for p in self.company.projects_of(org.id) if not is_gone(p.deleted_at, now)]
        sent = query.get("cursor")
        page, _ = self._page(live, sent, limit(query, 10, 400))
        last = cursor(page[-1].id) if page else sent
        pagination = {"pagination": {"cursor": last}} if last else {}
        listed = [project_as_json(project, org) for project in page]
        return {"projects": listed, **pagination, "applications": {}, "integrations": {}}

    def _branches(self, request: HttpRequest) -> Json:
        query, now = request.query_params, self.company.now
        project = self.company.projects.get(request.path_params["project_id"])
        if project is None or project.created_at > now or is_gone(project.deleted_at, now):
            raise RefusalError(404, "project not found")
        live = [b for b in self.company.branches_of(project.id) if not is_gone(b.deleted_at, now)]
        size = limit(query, 10_000, 10_000)
        page, next_page = self._page(live, query.get("cursor"), size)
        pagination = {"sort_by": "updated_at", "sort_order": "desc"}
        return {
            "branches": [branch_as_json(branch, project, now) for branch in page],
            "annotations": {},
            "pagination": pagination | ({"next": next_page} if next_page else {}),
        }

    def _page(self, found: list[T], after: str | None, size: int) -> tuple[list[T], str | None]:
        """The page after the cursor `after`, and its own cursor where another page follows."""
        size, start = min(size, self._page_size_cap), 0
        if after:
            places = [n for n, item in enumerate(found) if cursor(item.id) == after]
            if not places:
                raise RefusalError(400, 'query parameter "cursor" is invalid')
            start = places[0] + 1
        page = found[start : start + size]
        return page, cursor(page[-1].id) if start + size < len(found) else None

    def _control_routes(self) -> list[Route]:
        company, desk = self.company, self.desk

        def clock(body: Json) -> Json:
            company.now = datetime.fromisoformat(body["now"]) if body["now"] else None
            return {"now": company.now.isoformat()}

        def restate(body: Json) -> Json:
            hour = datetime.fromisoformat(body["hour"])
            part = (body["project_id"], body.get("branch_id"), body["metric"])
            if body.get("delta") is None:
                company.withdraw(*part, hour, datetime.fromisoformat(body["until"]))
            else:
                company.restate(*part, hour, body["delta"])
            return {}

        def script(body: list[Json]) -> Json:
            desk.faults[:] = [Fault(**fault) for fault in body]
            return {}

        def forget(_: Any) -> Json:
            desk.requests.clear()
            return {}

        def totals(_: Any) -> Json:
            since, until = company.history_start, company.now
            return {
                org: {metric: company.total(metric, since, until, org) for metric in METRICS}
                for org in company.orgs
            }

        def log(_: Any) -> Json:
            return {"requests": [request.as_json() for request in desk.requests]}

        return [
            Route("/_sandbox/requests", control(log)),
            Route("/_sandbox/requests", control(forget), methods=["DELETE"]),
            Route("/_sandbox/clock", control(clock), methods=["POST"]),
            Route("/_sandbox/restate", control(restate), methods=["POST"]),
            Route("/_sandbox/faults", control(script), methods=["POST"]),
            Route("/_sandbox/totals", control(totals)),
        ]


def _pagination(next_page: str | None) -> Json:
    """The last page of a consumption walk has no such key."""
    return {"pagination": {"cursor": next_page}} if next_page else {}


def _no_route(_: HttpRequest) -> Json:
    raise RefusalError(404, NO_ROUTE)
