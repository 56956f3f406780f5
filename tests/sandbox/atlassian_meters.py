"""A meters API of the sandbox's own invention (Atlassian's is not known), and the truth behind it.

Two organizations of which the exports say nothing. It answers in two layouts: GET with repeated
ids, as meters_api.toml declares it, and POST with a body and a cursor (tests/atlassian_meters/).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.routing import Route

from tests.sandbox.desk import Desk, RefusalError
from tests.sandbox.times import buckets, floor, following
from tests.sandbox.usage import number

API_KEY = "sandbox-organization-key"
BASE_PATH = "/sandbox/v9"
DECLARED = Path(__file__).with_name("meters_api.toml")
METER = "rovo-credits"
AT_ONCE, PER_PAGE = 100, 120
ALLOWANCE, LIMIT, ACCOUNT_LIMIT = 25_000, 40_000, 500


@dataclass
class MeteredOrg:
    """An organization, the day on which its cycles begin, and its accounts.

    `left`: accounts that are listed no more, and since when; what they used stays in the total.
    `failing`: in error when asked about. `corrections`: by account and cycle, from when on how
    much less. `begins_later`: by how much it says that cycles begin later than they do.
    """

    id: str
    cycle_day: int
    account_ids: tuple[str, ...]
    left: dict[str, datetime] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    corrections: dict[tuple[str, datetime], tuple[datetime, Decimal]] = field(default_factory=dict)
    begins_later: timedelta = timedelta()

    @property
    def meter_id(self) -> str:
        """Another in each organization."""
        return f"meter-of-{self.id}"

    def cycle_of(self, instant: datetime) -> tuple[datetime, datetime]:
        """The billing cycle at an instant."""
        start = floor(instant, "monthly").replace(day=self.cycle_day)
        if start > instant:
            start = floor(start.replace(day=1) - timedelta(days=1), "monthly")
            start = start.replace(day=self.cycle_day)
        return start, following(floor(start, "monthly"), "monthly").replace(day=self.cycle_day)

    def told_cycle(self, instant: datetime) -> tuple[datetime, datetime]:
        """The same as the API says it: never one that has not begun."""
        start, end = self.cycle_of(instant)
        return min(start + self.begins_later, floor(instant, "daily")), end + self.begins_later

    def used(self, account_id: str, at: datetime) -> Decimal:
        """The running total of an account in the cycle of an instant, in tenths of a credit."""
        start, _ = self.cycle_of(at)
        at = max(start, min(at, self.left.get(account_id, at)))
        tenths = sum(
            _amount(account_id, day) for day in buckets("daily", start, floor(at, "daily"))
        )
        seconds = int((at - floor(at, "daily")).total_seconds())
        tenths += _amount(account_id, floor(at, "daily")) * seconds // 86_400
        since, less = self.corrections.get((account_id, start), (at, Decimal()))
        return Decimal(tenths) / 10 - (less if at >= since else 0)

    def accounts_at(self, at: datetime) -> list[str]:
        """Those that are listed."""
        return [account for account in self.account_ids if self.left.get(account, at) >= at]

    def total(self, at: datetime) -> Decimal:
        """That of the organization: agents use credits, too, and accounts that left did."""
        everybody = (*self.account_ids, f"agents of {self.id}")
        return sum((self.used(account_id, at) for account_id in everybody), Decimal())


@cache
def _amount(account_id: str, day: datetime) -> int:
    """Tenths of a credit on a day."""
    return number(account_id, day, "rovo") % 60


def metered_orgs(accounts: int = 250) -> tuple[MeteredOrg, ...]:
    """Two of them; the second has three accounts."""
    many = tuple(f"712020:{number:04}" for number in range(accounts))
    few = tuple(f"557058:{number:04}" for number in range(3))
    return MeteredOrg("0rg-a", 15, many), MeteredOrg("0rg-b", 3, few)


class MetersDesk(Desk):
    """Errors in words, and a 429 that says when to come back in X-RateLimit-Reset."""

    request_id_header = "x-request-id"

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(BASE_PATH, API_KEY, clock=clock)

    def refusal_as_json(self, error: RefusalError, request: HttpRequest) -> dict[str, Any]:
        """The body of an error answer."""
        return {"errors": [{"status": error.status, "message": error.message}]}


class AtlassianMeters:
    """The stand-in."""

    def __init__(self, clock: Callable[[], datetime], accounts: int = 250) -> None:
        self.clock, self.desk = clock, MetersDesk(clock)
        self.orgs = {org.id: org for org in metered_orgs(accounts)}

    def environment(self, origin: str) -> dict[str, str]:
        """The settings that point the product to it."""
        return {
            "ATLASSIAN_ORG_ID": ",".join(self.orgs),
            "ATLASSIAN_ORG_API_KEY": API_KEY,
            "ATLASSIAN_ADMIN_URL": origin,
            "ATLASSIAN_ADMIN_REQUESTS_PER_MINUTE": "3000",
            "METERS_API_FILE": str(DECLARED),
        }

    def routes(self) -> list[Route]:
        """Both layouts."""
        of_org = f"{BASE_PATH}/orgs/{{org}}"
        of_meter = f"{of_org}/meters/{{meter}}"
        by_path = {
            f"{of_org}/meters": self._meters,
            f"{of_org}/accounts": self._listed,
            f"{of_meter}/usage": self._usage,
            f"{of_meter}/accounts": self._accounts,
        }
        routes = [Route(path, self.desk.guard(answer)) for path, answer in by_path.items()]
        return [*routes, Route(f"{BASE_PATH}/ask", self.desk.guard(self._asked), methods=["POST"])]

    # -- GET ----------------------------------------------------------------------------------

    def _org(self, org_id: str, meter_id: str | None = None) -> MeteredOrg:
        org = self.orgs.get(org_id)
        if org is None or meter_id not in (None, org.meter_id):
            raise RefusalError(404, "there is no such organization or meter")
        return org

    def _meters(self, request: HttpRequest) -> dict[str, Any]:
        org = self._org(request.path_params["org"])
        return {
            "meters": [
                {"key": "indexed-objects", "id": "another"},
                {"key": METER, "id": org.meter_id, "payAsYouGo": {"enabled": True}},
            ]
        }

    def _listed(self, request: HttpRequest) -> dict[str, Any]:
        org = self._org(request.path_params["org"])
        listed = org.accounts_at(self.clock())
        first = int(request.query_params.get("after", 0))
        page = [{"id": account, "name": "Somebody"} for account in listed[first : first + PER_PAGE]]
        after = first + PER_PAGE
        return {"accounts": page, **({"next": str(after)} if after < len(listed) else {})}

    def _usage(self, request: HttpRequest) -> dict[str, Any]:
        org, now = self._org(request.path_params["org"], request.path_params["meter"]), self.clock()
        start, end = org.told_cycle(now)
        return {
            "usage": {"amount": float(org.total(now)), "isEstimate": False},
            "limits": {"organization": LIMIT},
            "allowance": {"amount": ALLOWANCE},
            "cycle": {"from": start.isoformat(), "to": end.isoformat()},
        }

    def _accounts(self, request: HttpRequest) -> dict[str, Any]:
        org = self._org(request.path_params["org"], request.path_params["meter"])
        ids = request.query_params.getlist("id")
        if not 0 < len(ids) <= AT_ONCE:
            raise RefusalError(400, f"between 1 and {AT_ONCE} ids")
        return {"accounts": [self._account(org, account_id) for account_id in ids]}

    def _account(self, org: MeteredOrg, account_id: str) -> dict[str, Any]:
        now = self.clock()
        if account_id in org.failing or account_id not in org.accounts_at(now):
            return {"id": account_id, "error": {"code": "ACCOUNT_NOT_FOUND"}}
        used = org.used(account_id, now)
        return {"id": account_id, "usage": {"amount": float(used)}, "limit": ACCOUNT_LIMIT}

    # -- POST ---------------------------------------------------------------------------------

    def _asked(self, request: HttpRequest) -> dict[str, Any]:
        """Everything at one path, numbers as text, instants in milliseconds, pages of 40."""
        asked = json.loads(request.state.body)
        org, now = self._org(asked["org"]), self.clock()
        if asked["what"] == "meter":
            return {"data": {"found": [{"name": METER, "uuid": org.meter_id}]}}
        if asked["meter"] != org.meter_id:
            raise RefusalError(404, "no such meter")
        start, end = (int(instant.timestamp() * 1000) for instant in org.told_cycle(now))
        if asked["what"] == "org":
            return {"data": {"total": f"{org.total(now)}", "since": start, "renews": end}}
        first, ids = int(asked.get("page", 0)), asked["who"]
        found = [[account_id, f"{org.used(account_id, now)}"] for account_id in ids]
        after = str(first + 40) if first + 40 < len(found) else None
        return {"data": {"rows": found[first : first + 40], "page": {"next": after}}}
