"""Forge app resource usage from Atlassian's GraphQL gateway: asked by app, resource and month.

https://developer.atlassian.com/platform/forge/export-app-resource-usage. Not here: which apps and
windows to ask for (slices.py), and what a resource is (seeds/meters.csv).
"""

import base64
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from pyrate_limiter import Rate

import pipelines.forge.records as records
from pipelines.decode import decode, typed
from pipelines.endpoint import Endpoint
from pipelines.forge import APP_USAGE, Settings, app_uuid, scopes_of
from pipelines.http import RETRIED_STATUSES, Answer, Budget, VendorClient, VendorError
from pipelines.source import Account, BucketsRefusedError, UsagePages
from pipelines.windows import Window, floor

USER_AGENT = "ForgeMetricsExportServer/1.0.0"  # Atlassian asks for this one
QUERY = Path(__file__).with_name("usage.graphql").read_text(encoding="utf-8")
# a minute, and what a request may take from being counted here to being counted there
BUDGET_MILLISECONDS = 62_000
NOT_THE_OWNER = (
    "Only the account that owns an app may ask about it: check FORGE_APP_IDS, and whose token this "
    "is. This is no sign of zero usage."
)
# table -> how the gateway is asked to group
GROUPINGS: dict[str, str | None] = {
    "forge_app_usage": None,
    "forge_site_usage": "CONTEXT_ARI",
    "forge_environment_usage": "ENVIRONMENT_ID",
    "forge_site_environment_usage": "CONTEXT_ARI",
}
# what a group is called, and the column of its value
GROUPS = {"CONTEXT_ARI": ("site", "site_id"), "ENVIRONMENT_ID": ("environment", "environment_id")}


class Forge(VendorClient):
    """One Atlassian account: usage of the apps that it owns, as Arrow tables."""

    name, title = "forge", "Atlassian"
    address_setting, budget_setting = "ATLASSIAN_GRAPHQL_URL", "FORGE_REQUESTS_PER_MINUTE"
    status_page = "status.atlassian.com"
    advice: ClassVar = {
        401: "ATLASSIAN_EMAIL and ATLASSIAN_API_TOKEN are not accepted: make a token at "
        "id.atlassian.com/manage/api-tokens with the account of that address.",
        403: NOT_THE_OWNER,
        404: NOT_THE_OWNER,
    }

    def __init__(self, account: Account[Settings]) -> None:
        its = account.settings
        self._gateway_url = its.gateway_url
        self._refused: dict[str, VendorError] = {}
        credential = f"{its.email}:{its.api_token}"
        basic = base64.b64encode(credential.encode()).decode()
        headers = {
            "Authorization": f"Basic {basic}",
            "User-Agent": USER_AGENT,
            "X-ExperimentalAPI": its.experimental_api,
        }
        rate = Rate(its.requests_per_minute, BUDGET_MILLISECONDS)
        budget = Budget(account.budgets, "forge", credential, [rate])
        super().__init__(account, its.gateway_url, headers, [its.api_token, basic], budget)

    def scopes(self, endpoint: Endpoint) -> Sequence[str]:
        """Every resource of every app."""
        return scopes_of(self.account)

    def probe(self) -> Iterable[object]:
        """What the first app used of the first resource today: one page."""
        now, app_id = self.account.clock(), self.account.settings.app_ids[0]
        today = Window.covering("daily", floor(now, "daily"), now)
        return islice(self.usage(APP_USAGE.table, app_id, self.account.meters[0], today), 1)

    def status_of(self, answer: Answer) -> int:
        """The status an answer really has: a limit or an outage may be told inside a 200."""
        if answer.status != 200 or b"statusCode" not in answer.body:
            return answer.status
        try:
            envelope = decode(answer.body, records.Envelope)
        except msgspec.DecodeError:
            return 200  # what it is instead is told where it is read
        usage, errors = _answer_of(envelope), _listed(envelope.errors)
        errors += [usage.get("error")] if isinstance(usage, dict) else []
        return next((status for status in _statuses(errors) if status in RETRIED_STATUSES), 200)

    def explain(self, status: int, message: str) -> str:
        """What a person can do about this refusal."""
        if status not in self.advice and "experimental" in message.lower():
            return "The gateway wants another X-ExperimentalAPI header: set FORGE_EXPERIMENTAL_API."
        return super().explain(status, message)

    def usage(
        self,
        table: str,
        app_id: str,
        resource: str,
        window: Window,
        environment_ids: Sequence[str | None] = (None,),
    ) -> UsagePages:
        """What an app used of a resource in a window of days, grouped as raw.<table> is; a walk for
        each of these environments, or one of all.

        `app_id` is sent as it is given. Raises VendorError; a null answer is one, never zero. Days
        of which a number cannot be come last.
        """
        group_by = GROUPINGS[table]
        group, column = GROUPS[group_by] if group_by else (None, None)
        by = f" by {group}" if group else ""
        about = f"{resource} of app {app_uuid(app_id)}{by}, {window}"
        owner = {"app_id": app_uuid(app_id), "resource": resource}
        variables = {
            "appId": app_id,
            "resource": resource,
            "start": window.since.strftime("%Y-%m-%dT%H:%M:%SZ"),
            # the documented form: the last second, not the first one after
            "end": (window.until - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "groupBy": group_by,
        }
        refused = dict[datetime, str]()
        for environment_id in environment_ids:
            of = about
            if environment_id is not None:
                variables["environment"] = owner["environment_id"] = environment_id
                of = f"{about}, environment {environment_id}"
            days = _Days(group_by, window)
            for page in self._pages(variables, of):
                try:
                    days.check(page)
                    yield records.usage_table(table, owner, page, column, refused)
                except ValueError as error:
                    raise self.undocumented(of, str(error)) from None
        if refused:
            yield BucketsRefusedError(f"forge {about}", refused, self.title)

    def _pages(self, variables: dict[str, Any], about: str) -> Iterator[records.Usage]:
        """Every page. There is no total: the last one is empty, or short however one counts.

        How many a page holds is known from the pages alone: where none says so, only an empty one
        is surely the last.
        """
        seen: set[tuple[str | None, ...]] = set()
        page_number: int | None = None
        page_size: int | None = None
        while True:
            asked = variables if page_number is None else variables | {"page": page_number}
            usage = self._ask(asked, about)
            parts = [part for period in usage.resourceUsage for part in _parts(period)]
            if parts and seen.issuperset(parts):
                what = f"page {page_number} repeats what was on an earlier page"
                raise self.endless(about, what)
            seen.update(parts)
            yield usage
            page_size = usage.pagination.pageSize if usage.pagination else page_size
            count = max(len(usage.resourceUsage), len(parts))
            if not count or (page_size is not None and count < page_size):
                return
            page_number = (usage.pagination.page if usage.pagination else page_number or 1) + 1

    def _ask(self, variables: dict[str, Any], about: str) -> records.Usage:
        """One page, checked; an account or app that was refused is not asked about again."""
        for refused in ("", variables["appId"]):
            if refused in self._refused:
                raise self._refused[refused]
        body = {
            "operationName": "MeterhouseAppResourceUsage",
            "query": QUERY,
            "variables": variables,
        }
        try:
            found = self.ask("POST", self._gateway_url, about, json=body)
            return self._checked(found, variables, about)
        except VendorError as error:
            if error.status == 401:
                self._refused[""] = error
            elif error.status in (403, 404):
                self._refused[variables["appId"]] = error
            raise

    def _checked(self, body: bytes, variables: dict[str, Any], about: str) -> records.Usage:
        try:
            envelope = decode(body, records.Envelope)
            if envelope.errors:
                raise self._refusal(about, envelope.errors)
            answer = _answer_of(envelope)
            if answer is None:
                raise self.error(
                    about,
                    "the gateway answered null, with no error",
                    "That is no sign of zero usage: run the same again later.",
                )
            if isinstance(answer, dict) and answer.get("error") is not None:
                raise self._refusal(about, [answer["error"]])
            return typed(
                answer, records.GroupedUsage if variables["groupBy"] else records.FlatUsage
            )
        except (ValueError, ArithmeticError) as error:
            raise self.undocumented(about, str(error), body) from None

    def _refusal(self, about: str, errors: Any) -> VendorError:
        """errors[], or the `error` inside a 200: the window fails, partial data or not."""
        found = [error for error in errors if isinstance(error, dict)] if errors else []
        messages = [str(error.get("message") or "no message") for error in found]
        status = next(iter(_statuses(found)), None)
        text = "; ".join(dict.fromkeys(messages)) or "an error without a message"
        return self.error(about, text.rstrip("."), self.explain(status or 0, text), status)


class _Days:
    """What the pages of a walk have told of so far: how each day, and how each time was written."""

    def __init__(self, group_by: str | None, window: Window) -> None:
        self._group_by, self._window = group_by, window
        self._resolutions, self._written = dict[datetime, str](), dict[datetime, str]()

    def check(self, usage: records.Usage) -> None:
        """ValueError where a day was not asked for, or is told twice: as a whole and by its hours,
        or written in two ways; or where groups are others than asked for."""
        for period in usage.resourceUsage:
            text, resolution, day = period.period, period.resolution, records.day_of(period.period)
            if not self._window.since <= day < self._window.until:
                raise ValueError(f"it has {text}, which was not asked for")
            if self._resolutions.setdefault(day, resolution) != resolution:
                raise ValueError(f"{day:%Y-%m-%d} comes by the day and by the hour")
            at = day if resolution == "ONE_DAY" else records.day_of(text, "hourly")
            if (before := self._written.setdefault(at, text)) != text:
                raise ValueError(f"one time comes twice, as {before} and as {text}")
            # the schema has free text here, the documentation no answer: only what is surely wrong
            told = {group.groupBy for group in period.groups} if self._group_by else set()
            if others := told & GROUPS.keys() - {self._group_by}:
                raise ValueError(f"it is grouped by {', '.join(sorted(others))}")


def _parts(period: records.Period | records.GroupedPeriod) -> list[tuple[str | None, ...]]:
    """What a page says of a period: of each group, or of the whole."""
    if isinstance(period, records.Period):
        return [(period.period, None, period.tokenUnit)]
    found = [(period.period, group.groupValue, group.tokenUnit) for group in period.groups]
    return [*found] or [(period.period, None, None)]


def _answer_of(envelope: records.Envelope) -> Any:
    answer = envelope.data
    for level in ("ecosystem", "devConsole", "appResourceUsage"):
        answer = answer.get(level) if isinstance(answer, dict) else None
    return answer


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _statuses(errors: list[Any]) -> list[int]:
    """The status codes in the extensions of errors: a list by the schema, elsewhere an object."""
    told = [error.get("extensions") for error in errors if isinstance(error, dict)]
    extensions = [one for some in told for one in _listed(some) if isinstance(one, dict)]
    statuses = [one.get("statusCode") for one in extensions]
    return [status for status in statuses if isinstance(status, int)]
