"""Bitbucket Cloud over real HTTP, as far as it tells of workspaces, repositories and pipelines.

Every trap of the real API that is known is here: see atlassian.md of the project's references.
Not here: what ran (atlassian_org.py), and how a record is written (bitbucket_records.py).
"""

import base64
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import Request as HttpRequest
from starlette.routing import Route

from tests.sandbox.atlassian_org import AtlassianOrg, Repository, Workspace
from tests.sandbox.atlassian_runs import Run
from tests.sandbox.bitbucket_records import (
    Json,
    repository_as_json,
    run_as_json,
    workspace_as_json,
    workspace_base_as_json,
)
from tests.sandbox.desk import Desk, Fault, FaultKind, RefusalError
from tests.sandbox.usage import number

BASE_PATH = "/2.0"
EMAIL, TOKEN = "admin@bitbucket.example", "sandbox-bitbucket-token"
BASIC = base64.b64encode(f"{EMAIL}:{TOKEN}".encode()).decode()
LIMITED = "/repositories/"
TOO_MANY = "Rate limit for this resource has been exceeded"
GONE = "CHANGE-2770 - Functionality has been deprecated"
LONGEST_PAGE = 100
RUN_SORTS = {"created_on": False, "run_creation_date": False, "-created_on": True}
T = TypeVar("T")


@dataclass
class ForeignNext(Fault):
    """The next page is said to be at `origin`, with the same path and query."""

    kind: FaultKind = "repeat_page"
    origin: str = "http://127.0.0.1:9"


class BitbucketDesk(Desk):
    """Bearer or Basic, errors in Bitbucket's words, so many requests in any 60 minutes."""

    request_id_header = "x-request-id"

    def __init__(
        self,
        faults: Sequence[Fault],
        requests_per_hour: int | None,
        latency_seconds: float,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(BASE_PATH, TOKEN, faults, latency_seconds=latency_seconds, clock=clock)
        self._requests_per_hour = requests_per_hour
        self._admitted: deque[float] = deque()

    def applies(self, fault: Fault, request: HttpRequest) -> bool:
        """A fault of the next address needs a list; repeat_page is of its later pages."""
        is_later = request.query_params.get("page", "1") != "1"
        return isinstance(fault, ForeignNext) or fault.kind != "repeat_page" or is_later

    def admit(self, path: str, request: HttpRequest) -> None:
        """Raise RefusalError where the token is wrong or the hour is spent: no Retry-After."""
        if request.headers.get("authorization") not in (f"Bearer {TOKEN}", f"Basic {BASIC}"):
            raise RefusalError(401, "Token is invalid, expired, or not supported for this endpoint")
        if self._requests_per_hour is None or not path.startswith(LIMITED):
            return
        now = time.monotonic()
        while self._admitted and self._admitted[0] <= now - 3600:
            self._admitted.popleft()
        if len(self._admitted) >= self._requests_per_hour:
            raise RefusalError(429, TOO_MANY)
        self._admitted.append(now)

    def refusal_as_json(self, error: RefusalError, request: HttpRequest) -> Json:
        """The body of an error answer."""
        return {"type": "error", "error": {"message": error.message}}

    def spoil(self, page: Json, fault: Fault, request: HttpRequest) -> None:
        """Change where a page says that the next one is."""
        if isinstance(fault, ForeignNext):
            if "next" in page:
                page["next"] = fault.origin + page["next"].removeprefix(_origin(request))
        elif fault.kind == "repeat_page":
            page["next"] = f"{_origin(request)}{quote(request.url.path)}?{request.url.query}"


class Bitbucket:
    """Bitbucket's API for one token that sees all workspaces.

    `page_size_cap` keeps pages smaller than asked for. `arrivals` runs begin in a repository after
    each page of its pipelines was served. Lists of pipelines name no `sort` in `next`, as in
    September 2026; with `next_of_pipelines=False` they have no `next` at all, as until 2021
    (BCLOUD-20639). The specification knows no minus before a sort: `minus` may be ignored or
    refused. With `knows_uuids=False` repositories are known by their slugs alone.
    """

    def __init__(
        self,
        org: AtlassianOrg,
        *,
        faults: Sequence[Fault] = (),
        requests_per_hour: int | None = None,
        page_size_cap: int = LONGEST_PAGE,
        latency_seconds: float = 0.0,
        arrivals: int = 0,
        next_of_pipelines: bool = True,
        minus: Literal["taken", "ignored", "refused"] = "taken",
        knows_uuids: bool = True,
    ) -> None:
        self.org = org
        self.desk: Desk = BitbucketDesk(faults, requests_per_hour, latency_seconds, lambda: org.now)
        self._page_size_cap, self._arrivals = page_size_cap, arrivals
        self._next_of_pipelines, self._minus = next_of_pipelines, minus
        self._knows_uuids = knows_uuids

    def routes(self) -> list[Route]:
        """The calls, with and without a slash at the end where Bitbucket takes both."""
        repository = "/repositories/{workspace}/{repository}"
        answers: dict[str, Callable[[HttpRequest], Json]] = {
            "/user/workspaces": self._user_workspaces,
            "/workspaces": _gone,
            "/workspaces/{workspace}": self._one_workspace,
            "/repositories/{workspace}": self._repositories,
            f"{repository}/pipelines": self._pipelines,
            f"{repository}/pipelines/": self._pipelines,
            f"{repository}/pipelines/{{run}}": self._pipeline,
            "/{rest:path}": _no_route,
        }
        return [Route(BASE_PATH + path, self.desk.guard(a)) for path, a in answers.items()]

    def environment(self, origin: str) -> dict[str, str]:
        """The settings that point the product here; none where there is no workspace."""
        if not self.org.workspaces:
            return {}
        return {
            "BITBUCKET_BASE_URL": origin + BASE_PATH,
            "BITBUCKET_TOKEN": TOKEN,
            "BITBUCKET_WORKSPACES": ",".join(workspace.slug for workspace in self.org.workspaces),
            "BITBUCKET_REQUESTS_PER_HOUR": "36000",
        }

    def _user_workspaces(self, request: HttpRequest) -> Json:
        found = sorted(self.org.workspaces, key=lambda workspace: workspace.slug)
        return self._page(request, found, workspace_base_as_json)

    def _one_workspace(self, request: HttpRequest) -> Json:
        return workspace_as_json(self._workspace(request))

    def _repositories(self, request: HttpRequest) -> Json:
        workspace, query = self._workspace(request), request.query_params
        found = self.org.live_repositories(workspace.uuid)
        if "sort" not in query:  # in no stable order: each page is cut from another one
            turn = _whole_number(query.get("page"), 1, "page") % max(1, len(found))
            found = found[turn:] + found[:turn]
        now = self.org.now
        return self._page(request, found, lambda r: repository_as_json(r, workspace, now))

    def _pipelines(self, request: HttpRequest) -> Json:
        repository = self._repository(request)
        sort = request.query_params.get("sort", "created_on")
        if sort not in RUN_SORTS or (RUN_SORTS[sort] and self._minus == "refused"):
            raise RefusalError(400, f"Invalid sort: {sort}")
        runs = self.org.runs(repository.uuid)
        if not (RUN_SORTS[sort] and self._minus == "taken"):
            runs.reverse()
        page = self._page(
            request, runs, lambda run: self._run_as_json(repository, run), is_of_pipelines=True
        )
        for _ in range(self._arrivals):
            self.org.start_run(repository.uuid)
        return page

    def _pipeline(self, request: HttpRequest) -> Json:
        repository, key = self._repository(request), request.path_params["run"]
        for run in self.org.runs(repository.uuid):
            if key in (run.uuid, str(run.build_number)):
                return self._run_as_json(repository, run)
        raise RefusalError(404, f"Pipeline {key} not found")

    def _run_as_json(self, repository: Repository, run: Run) -> Json:
        return run_as_json(run, repository, self.org.now)

    def _workspace(self, request: HttpRequest) -> Workspace:
        key = request.path_params["workspace"]
        for workspace in self.org.workspaces:
            if key in (workspace.uuid, workspace.slug):
                return workspace
        raise RefusalError(404, f"No workspace with identifier '{key}'.")

    def _repository(self, request: HttpRequest) -> Repository:
        workspace, key = self._workspace(request), request.path_params["repository"]
        for repository in self.org.live_repositories(workspace.uuid):
            if key == repository.slug or (self._knows_uuids and key == repository.uuid):
                return repository
        message = "You may not have access to this repository or it no longer exists in this"
        raise RefusalError(404, f"{message} workspace.")

    def _page(
        self,
        request: HttpRequest,
        found: Sequence[T],
        as_json: Callable[[T], Json],
        is_of_pipelines: bool = False,
    ) -> Json:
        """The page asked for; `size` is told on every other page, as Bitbucket need not tell it."""
        query, path = request.query_params, request.url.path
        place = _whole_number(query.get("page"), 1, "page")
        length = _whole_number(query.get("pagelen"), 10, "pagelen")
        has_next = self._next_of_pipelines or not is_of_pipelines
        if length > LONGEST_PAGE:
            raise RefusalError(400, f"Invalid pagelen: at most {LONGEST_PAGE}")
        if place > 1 and has_next and query.get("ctx") != _context(path, place):
            raise RefusalError(400, "Invalid page")
        length = min(length, self._page_size_cap)
        start, end = (place - 1) * length, place * length
        values = [as_json(item) for item in found[start:end]]
        page: Json = {"page": place, "pagelen": length, "values": values}
        if place % 2 == 0 or not has_next:
            page["size"] = len(found)
        if end < len(found) and has_next:
            page["next"] = _next(request, place + 1, without={"sort"} if is_of_pipelines else set())
        return page


def _next(request: HttpRequest, place: int, without: set[str]) -> str:
    """The address of a page, with a parameter that no documentation names."""
    path, dropped = request.url.path, {"page", "ctx", *without}
    query = parse_qsl(str(request.url.query), keep_blank_values=True)
    kept = [(name, value) for name, value in query if name not in dropped]
    kept += [("page", str(place)), ("ctx", _context(path, place))]
    return f"{_origin(request)}{quote(path)}?{urlencode(kept)}"


def _context(path: str, place: int) -> str:
    return f"{number(path.rstrip('/'), place)}+/=="


def _origin(request: HttpRequest) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def _whole_number(text: str | None, default: int, name: str) -> int:
    try:
        value = default if text is None else int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise RefusalError(400, f"Invalid {name}")
    return value


def _gone(_: HttpRequest) -> Json:
    raise RefusalError(410, GONE)


def _no_route(_: HttpRequest) -> Json:
    raise RefusalError(404, "Resource not found")
