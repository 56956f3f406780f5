"""The front desk of the stand-in gateway: who may ask, how often, and what was asked."""

import base64
import json
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    Visitor,
    build_schema,
    parse,
    validate,
    visit,
)
from graphql.execution.values import get_argument_values, get_variable_values
from starlette.requests import Request as HttpRequest

from tests.sandbox.desk import Desk, Fault, RefusalError

BASE_PATH = "/gateway/api"
EMAIL, API_TOKEN = "owner@forge.example", "sandbox-api-token"
APP_ARI = "ari:cloud:ecosystem::app/"
EXPERIMENTAL = "X-ExperimentalAPI"
FIELD = "appResourceUsage"
_BASIC = base64.b64encode(f"{EMAIL}:{API_TOKEN}".encode()).decode()
TOO_MANY = "Too many requests: this API takes {} a minute"


@cache
def read_schema() -> GraphQLSchema:
    """The schema of forge.graphql, whose instants need a time zone."""
    schema = build_schema(Path(__file__).with_name("forge.graphql").read_text(encoding="utf-8"))
    scalar = schema.type_map["DateTime"]
    assert isinstance(scalar, GraphQLScalarType)
    # instances carry methods: graphql-core has no other way to give a scalar of an SDL its parser
    scalar.parse_value = _instant_text  # type: ignore[method-assign]
    return schema


@lru_cache(maxsize=16)
def parsed(query: str) -> tuple[DocumentNode, list[GraphQLError]]:
    """A query and what is wrong with it; raises GraphQLError where it cannot be read."""
    document = parse(query)
    return document, validate(read_schema(), document)


def _instant_text(value: Any) -> str:
    try:
        if datetime.fromisoformat(value).tzinfo:
            return str(value)
    except (TypeError, ValueError):
        pass
    raise GraphQLError(f"DateTime cannot represent value: {value!r}")


def bare(app_id: str) -> str:
    """An app's id without the ARI around it."""
    return app_id.removeprefix(APP_ARI)


class SlidingWindow:
    """Admits `count` requests in any 60 seconds; a refused one does not count."""

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.count, self._clock = count, clock
        self._admitted: deque[float] = deque()

    def take(self) -> float:
        """Admit a request: 0, or the seconds until one is admitted."""
        now = self._clock()
        while self._admitted and self._admitted[0] <= now - 60:
            self._admitted.popleft()
        if len(self._admitted) >= self.count:
            return self._admitted[0] + 60 - now
        self._admitted.append(now)
        return 0.0


class ForgeDesk(Desk):
    """Basic authentication, the experimental header, a strict limit that is told in two ways.

    As HTTP 429 for `http_app`, and inside a 200 for all other apps.
    """

    request_id_header = "x-request-id"

    def __init__(
        self,
        http_app: str | None,
        faults: Sequence[Fault],
        requests_per_minute: int | None,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(BASE_PATH, _BASIC, faults, clock=clock)
        self._http_app = http_app
        self._window = SlidingWindow(requests_per_minute) if requests_per_minute else None

    def asked(self, request: HttpRequest) -> dict[str, Any]:
        """The arguments of the first usage field, filters beside the rest; {} if there is none."""
        try:
            body = json.loads(request.state.body)
            return _arguments(body["query"], body.get("variables") or {})
        except (GraphQLError, LookupError, TypeError, ValueError):
            return {}

    def applies(self, fault: Fault, request: HttpRequest) -> bool:
        """Only a second page can repeat one."""
        page = request.state.variables.get("page") or 1
        return super().applies(fault, request) and (fault.kind != "repeat_page" or page > 1)

    def admit(self, path: str, request: HttpRequest) -> None:
        """Raise RefusalError, or have the answer be the error that stands inside a 200."""
        if request.headers.get("authorization") != f"Basic {_BASIC}":
            raise RefusalError(401, "Unauthorized; scope does not match")
        if not request.headers.get(EXPERIMENTAL, "").strip():
            raise RefusalError(400, f"this field is experimental: set the {EXPERIMENTAL} header")
        wait_seconds = self._window.take() if self._window else 0.0
        if not self._window or not wait_seconds:
            return
        message = TOO_MANY.format(self._window.count)
        app = request.state.variables.get("appId")
        if app is None or bare(app) == self._http_app:
            raise RefusalError(
                429, message, {"Retry-After": _minute_after(self.clock(), wait_seconds)}
            )
        told = [{"errorType": "TOO_MANY_REQUESTS", "statusCode": 429}]
        request.state.fault = Fault(path, "error_in_200", message=message, extensions=told)

    def refusal_as_json(self, error: RefusalError, request: HttpRequest) -> dict[str, Any]:
        """The body of an error answer: not GraphQL's."""
        return {"code": error.status, "message": error.message}


def _minute_after(now: datetime, seconds: float) -> str:
    """A timestamp without seconds, as the gateway's documentation shows it: rounded up."""
    moment = now.timestamp() + seconds
    minute = datetime.fromtimestamp(0, UTC) + timedelta(minutes=math.ceil(moment / 60))
    return f"{minute:%Y-%m-%dT%H:%MZ}"


class _Fields(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[FieldNode] = []

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        if node.name.value == FIELD:
            self.found.append(node)


def _arguments(query: str, variables: dict[str, Any]) -> dict[str, Any]:
    (document, _), schema, fields = parsed(query), read_schema(), _Fields()
    visit(document, fields)
    operations = [n for n in document.definitions if isinstance(n, OperationDefinitionNode)]
    coerced = get_variable_values(schema, operations[0].variable_definitions, variables)
    if isinstance(coerced, list) or not fields.found:
        return {}
    field: Any = schema.type_map["DevConsoleQuery"]
    given = get_argument_values(field.fields[FIELD], fields.found[0], coerced)
    filters = given.pop("filters")
    return {**given, **filters}
