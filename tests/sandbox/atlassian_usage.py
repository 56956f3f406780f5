"""What an admin would see under Platform usage: every usage type there is, and one unknown one.

Counters are per day or month, gauges are readings at an instant; open periods say what was used
so far. Not here: the files that an admin makes of it (platform_exports.py).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Literal

from tests.sandbox.atlassian_org import AtlassianOrg, Organization, Workspace
from tests.sandbox.times import buckets, floor, following
from tests.sandbox.usage import number

Granularity = Literal["day", "month", "snapshot"]
TENTH, CENT = Decimal("0.1"), Decimal("0.01")
READ_ON = (1, 9, 17, 25)
READ_AT = timedelta(hours=6, minutes=30)
UNITS = {
    "rovo_credits": "credits",
    "rovo_dev_credits": "credits",
    "indexed_objects": "objects",
    "pipelines_build_minutes": "minutes",
    "large_file_storage": "GB",
    "packages_storage": "GB",
    "network_traffic": "GB",
    "automation_steps": "steps",
    "runners": "slots",
    "teamwork_graph_calls": "calls",
}
UNKNOWN_TYPE = "teamwork_graph_calls"
ALLOWANCES = {
    "rovo_credits": Decimal(9000),
    "rovo_dev_credits": Decimal(2000),
    "indexed_objects": Decimal(250_000),
    "pipelines_build_minutes": Decimal(3500),
    "large_file_storage": Decimal(10),
    "automation_steps": Decimal(50_000),
}
EXTRA_USAGE_LIMITS = {"rovo_credits": Decimal(5000)}


@dataclass(frozen=True)
class Reading:
    """One figure of Platform usage, over `[period_start, period_end)` or at that instant."""

    org_id: str
    usage_type: str
    app: str
    scope_type: str
    scope_id: str
    period_start: datetime
    period_end: datetime
    granularity: Granularity
    quantity: Decimal
    is_final: bool
    unit: str = field(init=False)
    included_quantity: Decimal | None = None
    extra_usage_limit: Decimal | None = None
    forecast_quantity: Decimal | None = None
    allowance_reset_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "unit", UNITS[self.usage_type])


def cycle_of(organization: Organization, instant: datetime) -> tuple[datetime, datetime]:
    """The billing month of an organization that contains `instant`."""
    first = floor(instant, "monthly")
    start = first.replace(day=organization.cycle_day)
    if start > instant:
        start = floor(first - timedelta(days=1), "monthly").replace(day=organization.cycle_day)
    return start, following(floor(start, "monthly"), "monthly").replace(day=organization.cycle_day)


class PlatformUsage:
    """The Platform usage pages of all organizations, as they are at the clock's now."""

    def __init__(self, org: AtlassianOrg) -> None:
        self._org = org

    def readings(
        self, since: datetime, until: datetime, usage_types: Iterable[str] = tuple(UNITS)
    ) -> list[Reading]:
        """Every figure whose period starts in `[since, until)` and has started by now."""
        wanted, end = set(usage_types), min(until, self._org.now)
        found = [
            reading
            for organization in self._org.organizations
            for reading in self._of(organization, since, end)
            if reading.usage_type in wanted and since <= reading.period_start < end
        ]
        return sorted(found, key=lambda r: (r.org_id, r.usage_type, r.period_start, r.scope_type))

    def _of(
        self, organization: Organization, since: datetime, until: datetime
    ) -> Iterator[Reading]:
        for day in buckets("daily", since, until):
            yield from self._rovo(organization, day)
        for start, end in _cycles(organization, since, until):
            yield from self._monthly(organization, start, end)
        for instant in _instants(since, until):
            objects = Decimal(180_000 + number(organization.id, instant, "objects") % 90_000)
            yield self._gauge("indexed_objects", "Rovo", organization, None, instant, objects)
        for workspace in self._org.workspaces:
            if workspace.org_id == organization.id:
                yield from self._of_workspace(organization, workspace, since, until)

    def _rovo(self, organization: Organization, day: datetime) -> Iterator[Reading]:
        """A row of the org, and rows of users that do not add up to it: agents use credits too."""
        period = (day, following(day, "daily"))
        users = {
            user: self._counted("rovo_credits", user, *period, 60) for user in organization.users
        }
        agents = self._counted("rovo_credits", organization.id, *period, 90)
        total = sum(users.values(), agents)
        yield self._counter("rovo_credits", "Rovo", organization, None, period, total)
        for user, quantity in users.items():
            scope = ("user", user)
            yield self._counter("rovo_credits", "Rovo", organization, scope, period, quantity)

    def _monthly(
        self, organization: Organization, start: datetime, end: datetime
    ) -> Iterator[Reading]:
        period = (start, end)
        for user in organization.users:
            used = self._counted("rovo_dev_credits", user, start, end, 70)
            scope = ("user", user)
            yield self._counter("rovo_dev_credits", "Rovo Dev", organization, scope, period, used)
        for kind, app in (("automation_steps", "Automation"), (UNKNOWN_TYPE, "Teamwork Graph")):
            used = self._counted(kind, organization.id, start, end, 2000).quantize(
                Decimal(1), ROUND_DOWN
            )
            yield self._counter(kind, app, organization, None, period, used)

    def _of_workspace(
        self, organization: Organization, workspace: Workspace, since: datetime, until: datetime
    ) -> Iterator[Reading]:
        scope, app = ("workspace", workspace.uuid), "Bitbucket"
        for month in buckets("monthly", since, until):
            period = (month, following(month, "monthly"))
            minutes = self._org.exported_minutes(workspace.uuid, month)
            kind = "pipelines_build_minutes"
            yield self._counter(kind, app, organization, scope, period, minutes)
            traffic = self._counted("network_traffic", workspace.uuid, *period, 3)
            yield self._counter("network_traffic", app, organization, scope, period, traffic)
        for instant in _instants(since, until):
            for kind, level in (("large_file_storage", 800), ("packages_storage", 300)):
                size = level + number(workspace.uuid, kind) % level
                held = Decimal(size + (instant - self._org.history_start).days) / 100
                yield self._gauge(kind, app, organization, scope, instant, held)
            slots = Decimal(1 + number(workspace.uuid, instant, "slots") % 4)
            yield self._gauge("runners", app, organization, scope, instant, slots)

    def _counted(
        self, kind: str, scope: str, start: datetime, end: datetime, level: int
    ) -> Decimal:
        """What was used in `[start, end)` up to now, in tenths, day by day; never nothing."""
        now, tenths = self._org.now, 0
        for day in buckets("daily", start, end):
            amount = 10 + number(self._org.seed, kind, scope, day) % (level * 10)
            elapsed_seconds = int((now - day).total_seconds())
            tenths += amount * max(0, min(elapsed_seconds, 86_400)) // 86_400
        return Decimal(tenths) / 10

    def _counter(
        self,
        kind: str,
        app: str,
        organization: Organization,
        scope: tuple[str, str] | None,
        period: tuple[datetime, datetime],
        quantity: Decimal,
    ) -> Reading:
        (start, end), now = period, self._org.now
        is_pooled = scope is None or kind != "rovo_credits"
        scope_type, scope_id = scope or ("org", organization.id)
        return Reading(
            organization.id,
            kind,
            app,
            scope_type,
            scope_id,
            start,
            end,
            "day" if end - start == timedelta(days=1) else "month",
            quantity,
            is_final=end <= now,
            included_quantity=ALLOWANCES.get(kind) if is_pooled else None,
            extra_usage_limit=EXTRA_USAGE_LIMITS.get(kind) if is_pooled else None,
            forecast_quantity=_forecast(quantity, start, end, now),
            allowance_reset_at=_reset(organization, scope_type, start) if is_pooled else None,
        )

    def _gauge(
        self,
        kind: str,
        app: str,
        organization: Organization,
        scope: tuple[str, str] | None,
        instant: datetime,
        quantity: Decimal,
    ) -> Reading:
        scope_type, scope_id = scope or ("org", organization.id)
        return Reading(
            organization.id,
            kind,
            app,
            scope_type,
            scope_id,
            instant,
            instant,
            "snapshot",
            quantity,
            is_final=True,
            included_quantity=ALLOWANCES.get(kind),
        )


def _reset(organization: Organization, scope_type: str, start: datetime) -> datetime:
    """Bitbucket's allowances are of calendar months, those of apps of the billing month."""
    if scope_type == "workspace":
        return following(floor(start, "monthly"), "monthly")
    return cycle_of(organization, start)[1]


def _forecast(quantity: Decimal, start: datetime, end: datetime, now: datetime) -> Decimal | None:
    """What an open period will come to at this rate."""
    if not start < now < end:
        return None
    elapsed, whole = int((now - start).total_seconds()), int((end - start).total_seconds())
    return (quantity * whole / max(1, elapsed)).quantize(CENT)


def _cycles(
    organization: Organization, since: datetime, until: datetime
) -> Iterator[tuple[datetime, datetime]]:
    start, end = cycle_of(organization, since)
    while start < until:
        yield start, end
        start, end = cycle_of(organization, end)


def _instants(since: datetime, until: datetime) -> list[datetime]:
    """When gauges are read: four times a month."""
    months = buckets("monthly", since, until)
    return [month.replace(day=day) + READ_AT for month in months for day in READ_ON]
