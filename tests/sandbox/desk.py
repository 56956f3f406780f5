"""The front desk of a stand-in vendor: request log, scripted faults, key, rate limit, errors."""

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Literal
from uuid import uuid4

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

FaultKind = (
    int
    | Literal["drop", "cut", "html", "truncate", "repeat_cursor", "partial"]
    | Literal["repeat_page", "null_answer", "graphql_errors", "error_in_200"]
)
# never the key
LOGGED_HEADERS = ("user-agent", "x-experimentalapi")
Answer = Callable[[HttpRequest], dict[str, Any]]
HTML = "<!doctype html><html><body><h1>We'll be right back</h1></body></html>"


@dataclass
class Fault:
    """What goes wrong for the next `count` requests under `path`, after `skip` that go well.

    An HTTP status; drop: no byte of an answer; cut: the connection ends in the middle of one;
    html: a page with status 200; truncate: half of the JSON; repeat_cursor: the next cursor that
    is sent comes back; partial: `/projects` could not reach one project. What the others do, and
    what `extensions` is for: see forge.py.
    """

    path: str
    kind: FaultKind
    count: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    skip: int = 0
    message: str = "scripted fault"
    extensions: Any = None


@dataclass(frozen=True)
class Request:
    """One logged request; status 0 where no whole answer was sent. `path` is below the base.

    `variables` is what a body asked for, `headers` those of LOGGED_HEADERS that were sent.
    """

    path: str
    query: dict[str, list[str]]
    status: int
    asked_at: datetime
    variables: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The record as the control API shows it."""
        return {**asdict(self), "asked_at": self.asked_at.isoformat()}


class RefusalError(Exception):
    """An error answer."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}


class _TokenBucket:
    def __init__(self, per_minute: int) -> None:
        self._per_minute, self._tokens, self._at = per_minute, float(per_minute), time.monotonic()

    def take(self) -> float:
        """Take a token: 0, or the seconds until there is one."""
        now = time.monotonic()
        refilled = self._tokens + (now - self._at) * self._per_minute / 60
        self._tokens, self._at = min(float(self._per_minute), refilled), now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) * 60 / self._per_minute


class _Dropped(Response):
    """Ends the connection before the answer, or in the middle of `content`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.body:
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [(b"content-length", str(len(self.body)).encode())],
                }
            )
            half = self.body[: len(self.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            return
        # ASGI has no word for this; `receive` is a method of uvicorn's request cycle
        cycle: Any = getattr(receive, "__self__", None)
        cycle.transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


class Desk:
    """Stands before every route of one vendor; `answer` is asked only when nothing is amiss.

    As it is, Neon's. Another vendor's overrides what differs: the methods without an underscore.
    """

    request_id_header = "x-neon-ret-request-id"

    def __init__(
        self,
        base_path: str,
        api_key: str,
        faults: Sequence[Fault] = (),
        requests_per_minute: int | None = None,
        limited_prefix: str = "/",
        latency_seconds: float = 0.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.clock = clock
        self.requests: list[Request] = []
        self.faults = list(faults)
        self._base_path, self._api_key, self._limited = base_path, api_key, limited_prefix
        self._bucket = _TokenBucket(requests_per_minute) if requests_per_minute else None
        self._latency_seconds = latency_seconds

    def guard(self, answer: Answer) -> Callable[[HttpRequest], Awaitable[Response]]:
        """`answer` as an endpoint."""

        async def endpoint(request: HttpRequest) -> Response:
            asked_at = datetime.now(UTC)
            if self._latency_seconds:
                await asyncio.sleep(self._latency_seconds)
            path = request.url.path.removeprefix(self._base_path)
            request_id = request.headers.get("x-request-id") or str(uuid4())
            request.state.body, request.state.request_id = await request.body(), request_id
            request.state.variables = variables = self.asked(request)
            kind, response = self._respond(path, request, answer)
            response.headers[self.request_id_header] = request_id
            response.headers["Date"] = format_datetime(self.clock().astimezone(UTC), usegmt=True)
            status = 0 if kind in ("drop", "cut") else response.status_code
            query = {name: request.query_params.getlist(name) for name in request.query_params}
            sent = request.headers
            headers = {name: sent[name] for name in LOGGED_HEADERS if name in sent}
            self.requests.append(Request(path, query, status, asked_at, variables, headers))
            return response

        return endpoint

    def asked(self, request: HttpRequest) -> dict[str, Any]:
        """What the body in `request.state.body` asks for, to be logged as `variables`."""
        return {}

    def applies(self, fault: Fault, request: HttpRequest) -> bool:
        """Whether a fault under this path can happen to this request."""
        return fault.kind != "repeat_cursor" or "cursor" in request.query_params

    def admit(self, path: str, request: HttpRequest) -> None:
        """Raise RefusalError where the key is wrong or the rate limit is exceeded."""
        if request.headers.get("authorization") != f"Bearer {self._api_key}":
            raise RefusalError(401, "supplied credentials do not pass authentication")
        if self._bucket and path.startswith(self._limited):
            wait_seconds = self._bucket.take()
            if wait_seconds:
                headers = {"Retry-After": str(math.ceil(wait_seconds))}
                raise RefusalError(429, "Too many requests", headers)

    def refusal_as_json(self, error: RefusalError, request: HttpRequest) -> dict[str, Any]:
        """The body of an error answer."""
        return {"request_id": request.state.request_id, "code": "", "message": error.message}

    def spoil(self, page: dict[str, Any], fault: Fault, request: HttpRequest) -> None:
        """Change a good page as the fault has it; faults of the connection are not for here."""
        if fault.kind == "repeat_cursor":
            page["pagination"] = {"cursor": request.query_params["cursor"]}
        if fault.kind == "partial" and page.get("projects"):
            page["unavailable_project_ids"] = [page["projects"].pop()["id"]]

    def _respond(
        self, path: str, request: HttpRequest, answer: Answer
    ) -> tuple[FaultKind | None, Response]:
        request.state.fault = fault = self._next_fault(path, request)
        kind = fault.kind if fault else None
        try:
            if fault and isinstance(fault.kind, int):
                raise RefusalError(fault.kind, fault.message, fault.headers)
            if kind == "html":
                return kind, HTMLResponse(HTML)
            if kind == "drop":
                return kind, _Dropped()
            self.admit(path, request)
            page = answer(request)
        except RefusalError as error:
            return kind, _json(self.refusal_as_json(error, request), error.status, error.headers)
        if fault:
            self.spoil(page, fault, request)
        response = _json(page)
        if kind == "truncate":
            half = bytes(response.body[: len(response.body) // 2])
            return kind, Response(half, media_type="application/json")
        return kind, _Dropped(response.body) if kind == "cut" else response

    def _next_fault(self, path: str, request: HttpRequest) -> Fault | None:
        for fault in self.faults:
            is_due = fault.count > 0 and path.startswith(fault.path)
            if is_due and self.applies(fault, request):
                if fault.skip > 0:
                    fault.skip -= 1
                    return None
                fault.count -= 1
                return fault
        return None


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    content = msgspec.json.encode(body)
    return Response(content, status, headers, media_type="application/json")


def control(answer: Callable[[Any], Any]) -> Callable[[HttpRequest], Awaitable[Response]]:
    """`answer` to a request's JSON body as an endpoint of the control API: no key, no log."""

    async def endpoint(request: HttpRequest) -> Response:
        body = await request.body()
        try:
            return _json(answer(json.loads(body) if body else None))
        except (KeyError, TypeError, ValueError) as error:
            return _json({"message": f"{type(error).__name__}: {error}"}, 400)

    return endpoint
