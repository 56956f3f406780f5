"""Atlassian's GraphQL gateway over real HTTP, as far as it exports what Forge apps used.

Every trap of the real API that is known is here: see atlassian.md of the project's references.
Not here: what was used (forge_apps.py), who may ask and how often (forge_desk.py).
"""

import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLResolveInfo,
    execute_sync,
)
from starlette.requests import Request as HttpRequest
from starlette.routing import Route

from tests.sandbox.company import Company
from tests.sandbox.desk import Fault, RefusalError
from tests.sandbox.forge_apps import Cell
from tests.sandbox.forge_desk import (
    API_TOKEN,
    APP_ARI,
    BASE_PATH,
    EMAIL,
    FIELD,
    ForgeDesk,
    bare,
    parsed,
    read_schema,
)

PATH = "/graphql"
Json = dict[str, Any]
Resolution = Literal["ONE_DAY", "ONE_HOUR"]


class Forge:
    """The gateway for one company and the account that owns its apps.

    `page_counts` is what `page_size` counts in the grouped form. With `pagination=False` that
    field is null. Faults that only it knows, beside those of desk.Fault: null_answer (no usage and
    no error); graphql_errors (half of the rows, and `errors`); error_in_200 (the payload's error,
    with the fault's message and its `extensions`: a list, an object or None); repeat_page (a page
    after the first brings the rows of the one before, under its own number).
    """

    def __init__(
        self,
        company: Company,
        *,
        faults: Sequence[Fault] = (),
        requests_per_minute: int | None = 5,
        page_size: int = 100,
        page_counts: Literal["periods", "groups"] = "periods",
        pagination: bool = True,
        resolution: Resolution = "ONE_DAY",
    ) -> None:
        self._apps = company.forge
        self._page_size, self._page_counts = page_size, page_counts
        self._has_pagination, self._resolution = pagination, resolution
        self._chance = random.Random(company.seed)
        http_app = next(iter(self._apps.app_ids), None)
        self.desk = ForgeDesk(http_app, faults, requests_per_minute, lambda: company.now)

    def routes(self) -> list[Route]:
        """The one route of a GraphQL gateway."""
        return [Route(BASE_PATH + PATH, self.desk.guard(self._answer), methods=["POST"])]

    def environment(self, origin: str) -> dict[str, str]:
        """The product's settings; none where the company has no apps."""
        if not self._apps.app_ids:
            return {}
        # both forms of an id are taken
        forms = [id if n % 2 == 0 else APP_ARI + id for n, id in enumerate(self._apps.app_ids)]
        return {
            "ATLASSIAN_EMAIL": EMAIL,
            "ATLASSIAN_API_TOKEN": API_TOKEN,
            "ATLASSIAN_GRAPHQL_URL": origin + BASE_PATH + PATH,
            "FORGE_APP_IDS": ",".join(forms),
            "FORGE_REQUESTS_PER_MINUTE": "3000",
        }

    def _answer(self, request: HttpRequest) -> Json:
        fault: Fault | None = request.state.fault
        result = self._execute(request.state.body, fault)
        answer: Json = {"extensions": {"gateway": {"request_id": request.state.request_id}}}
        if result.errors:
            answer["errors"] = [_error_as_json(error) for error in result.errors]
        if result.data is not None:
            answer["data"] = result.data
        if fault and fault.kind == "graphql_errors":
            path = ["ecosystem", "devConsole", FIELD]
            extensions = fault.extensions or {"errorType": "UPSTREAM_TIMEOUT", "statusCode": 504}
            error = {"message": fault.message, "path": path, "extensions": extensions}
            answer.setdefault("errors", []).append(error)
        if fault and fault.kind == "error_in_200" and isinstance(fault.extensions, dict):
            _unwrap_extensions(answer.get("data"))
        return answer

    def _execute(self, body: bytes, fault: Fault | None) -> ExecutionResult:
        """The answer to a query; invalid ones are answered with `errors`, as a 200."""
        try:
            sent = json.loads(body)
            document, errors = parsed(sent["query"])
            variables = dict(sent.get("variables") or {})
        except GraphQLError as error:
            return ExecutionResult(None, [error])
        except (KeyError, TypeError, ValueError):
            raise RefusalError(400, "the body has to be JSON with a query") from None
        if errors:
            return ExecutionResult(None, errors)
        return execute_sync(
            read_schema(),
            document,
            {"ecosystem": {"devConsole": {FIELD: self._usage}}},
            fault,
            variables,
            sent.get("operationName"),
        )

    # names as in the schema
    def _usage(
        self,
        info: GraphQLResolveInfo,
        appId: str,  # noqa: N803
        filters: Json,
        groupBy: str | None = None,  # noqa: N803
    ) -> Json | None:
        """The response for one app, one resource and one page of an interval."""
        fault: Fault | None = info.context
        kind = fault.kind if fault else None
        # automatic groupBy: where sites are given, usage comes by site unless told otherwise
        group_by = groupBy or ("CONTEXT_ARI" if filters.get("contextAris") else None)
        shape = "Grouped" if group_by else "Flat"
        response: Json = {"__typename": f"DevConsoleAppResourceUsage{shape}Response"}
        if kind == "null_answer":
            return None
        if fault and kind == "error_in_200":
            return response | _error(fault.message, appId, fault.extensions)
        if refusal := self._refusal(bare(appId), filters):
            return response | refusal
        page = _page_number(filters)
        rows = self._page(bare(appId), filters, group_by, page - (kind == "repeat_page"))
        if kind == "graphql_errors":
            rows = rows[: len(rows) // 2]
        pagination = {"page": page, "pageSize": self._page_size} if self._has_pagination else None
        return response | {"resourceUsage": rows, "pagination": pagination}

    def _refusal(self, app: str, filters: Json) -> Json | None:
        if app not in self._apps.app_ids:
            told = {"errorType": "FORBIDDEN", "statusCode": 403}
            return _error("The caller does not own this app", app, [told])
        since, until = _interval(filters)
        if since > until or _page_number(filters) < 1:
            told = {"errorType": "BAD_REQUEST", "statusCode": 400}
            return _error("Invalid filters: interval or page", app, [told])
        return None

    def _page(self, app: str, filters: Json, group_by: str | None, page: int) -> list[Json]:
        """One page of rows. Which rows it has is certain; their order is not."""
        rows = self._rows(app, filters, group_by)
        start, end = (page - 1) * self._page_size, page * self._page_size
        rows = self._grouped(rows, start, end) if group_by else rows[start:end]
        self._chance.shuffle(rows)
        return rows

    def _grouped(self, rows: list[Json], start: int, end: int) -> list[Json]:
        """Rows of one group each as periods with their groups; a page may split a period."""
        if self._page_counts == "groups":
            rows = rows[start:end]
        periods = []
        for period, members in groupby(rows, itemgetter("period")):
            groups = list(members)
            self._chance.shuffle(groups)
            periods.append({"period": period, "resolution": self._resolution, "groups": groups})
        return periods if self._page_counts == "groups" else periods[start:end]

    def _rows(self, app: str, filters: Json, group_by: str | None) -> list[Json]:
        """What was used, oldest first: a row for each period, or for each group of it."""
        resource, rows = filters["resource"], []
        for day, hour, period in self._periods(*_interval(filters)):
            groups: dict[str | None, int] = defaultdict(int)
            for cell, steps in self._apps.cells(app, resource, day, hour).items():
                if _is_asked_for(cell, filters, group_by):
                    site, environment = cell
                    by = {"CONTEXT_ARI": site, "ENVIRONMENT_ID": environment}
                    groups[by[group_by] if group_by else None] += steps
            for value, steps in groups.items():
                row: Json = {"period": period, "resolution": self._resolution}
                row |= {"groupBy": group_by, "groupValue": value} if group_by else {}
                row["tokensConsumed"] = f"{self._apps.decimal(resource, steps):f}"
                rows.append(row | {"tokenUnit": self._apps.unit(resource)})
        return rows

    def _periods(self, since: datetime, until: datetime) -> Iterator[tuple[date, int | None, str]]:
        """The UTC days or hours that `since` to `until` touches; the last instant is inside."""
        moment = max(since, self._apps.history_start)
        if self._resolution == "ONE_DAY":
            while moment.date() <= until.date():
                yield moment.date(), None, f"{moment:%Y-%m-%d}"
                moment += timedelta(days=1)
            return
        moment = moment.replace(minute=0, second=0, microsecond=0)
        while moment <= until:
            yield moment.date(), moment.hour, f"{moment:%Y-%m-%dT%H:%M:%SZ}"
            moment += timedelta(hours=1)


def _is_asked_for(cell: Cell, filters: Json, group_by: str | None) -> bool:
    site, environment = cell
    sites = filters.get("contextAris")
    if (sites or group_by == "CONTEXT_ARI") and site is None:
        return False
    return (not sites or site in sites) and filters.get("environment") in (None, environment)


def _page_number(filters: Json) -> int:
    page: int | None = filters.get("page")
    return 1 if page is None else page


def _interval(filters: Json) -> tuple[datetime, datetime]:
    given = filters["interval"]
    since, until = (datetime.fromisoformat(given[name]) for name in ("start", "end"))
    # no later than what can be counted on from there
    latest = datetime.now(UTC) + timedelta(days=3650)
    return since.astimezone(UTC), min(until.astimezone(UTC), latest)


def _error(message: str, identifier: str, extensions: Any) -> Json:
    """The payload's own error; `extensions` is a list in the schema, whatever comes of it."""
    told = [extensions] if isinstance(extensions, dict) else extensions
    typed = [{"__typename": "GenericQueryErrorExtension", **one} for one in told or ()]
    error: Json = {"message": message, "identifier": identifier}
    error |= {"extensions": typed if told is not None else None}
    return {"resourceUsage": [], "pagination": None, "error": error}


def _error_as_json(error: GraphQLError) -> Json:
    told = {"errorType": "VALIDATION_ERROR", "statusCode": 400}
    return {"extensions": told, **error.formatted}


def _unwrap_extensions(data: Any) -> None:
    """Turn lists of one extension into the extension."""
    for key, value in data.items() if isinstance(data, dict) else ():
        if key == "error" and isinstance(value, dict) and value.get("extensions"):
            value["extensions"] = value["extensions"][0]
        else:
            _unwrap_extensions(value)
