"""What the simulated company's Forge apps used, known to the last digit: the tests' answer key.

An amount is the sum of cells: one app, resource, UTC day, site and environment each. What no site
accounts for (scheduled triggers, containers) has None for a site. Plain Python, as company.py is.
Not here: how the gateway shows it (forge.py).
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from hashlib import blake2b
from itertools import product
from typing import Final
from uuid import UUID

from tests.sandbox.times import months_before
from tests.sandbox.usage import number

# `tokenUnit`: GB-seconds is the only one that Atlassian's documentation shows
UNITS = {
    "CONTAINER_COMPUTE": "vCPU-hours",
    "CONTAINER_MEMORY": "GiB-hours",
    "FUNCTION_COMPUTE": "GB-seconds",
    "KVS_READ": "GB",
    "KVS_WRITE": "GB",
    "LLM_INPUT": "credits",
    "LLM_OUTPUT": "credits",
    "LOGS_WRITE": "GB",
    "OS_REQUESTS": "requests",
    "SQL_COMPUTE": "hours",
    "SQL_REQUESTS": "requests",
    "SQL_STORAGE": "GB-hours",
}
RESOURCES = tuple(UNITS)
UNKNOWN_UNIT: Final = "furlongs"
ALL: Final = "*"
HISTORY_MONTHS, QUARTERS, NEVER = 14, 96, 10**7
# about what a busy site's production uses in a day, in the unit of the resource
LEVELS = {"GB-seconds": 2_000, "GB": 1, "requests": 9_000, "credits": 40}
# beyond 2**53 whole units, six decimals after them
HUGE, HUGE_RESOURCES = 2 * 10**16, ("FUNCTION_COMPUTE", "SQL_REQUESTS")
# scheduled triggers run for no site; containers run for none at all
SCHEDULED = ("FUNCTION_COMPUTE", "KVS_READ", "KVS_WRITE", "LOGS_WRITE", "SQL_REQUESTS")
SITELESS = ("CONTAINER_COMPUTE", "CONTAINER_MEMORY")
# the one never used, app after app
UNUSED = ("LLM_OUTPUT", "OS_REQUESTS", "LLM_INPUT", "SQL_STORAGE")

Cell = tuple[str | None, str]
FactKey = tuple[str, str | None, str | None, str, datetime]


class Apps:
    """Forge apps on sites in environments with fourteen months of usage; the same for one `seed`.

    `clock` is the time of the company that owns them. All apps are on the same sites, of which
    every second one is another product's of the same cloud id. `special` names the app that
    carries a case: huge (more than 2**53 with six decimals, where `oddities`), scheduled (usage
    of no site). `unused` is each app's resource that it never used. `unknown_unit` is a resource
    that answers in UNKNOWN_UNIT; it may be set. `foreign_app_id` is an app of somebody else.
    """

    def __init__(
        self,
        seed: int,
        clock: Callable[[], datetime],
        apps: int = 2,
        sites: int = 5,
        environments: int = 3,
        *,
        oddities: bool = True,
        unknown_unit: str | None = None,
    ) -> None:
        self._seed, self._clock, self.unknown_unit = seed, clock, unknown_unit
        self.history_start = months_before(clock(), HISTORY_MONTHS)
        self.app_ids = [_uuid(seed, "app", place) for place in range(apps)]
        self.foreign_app_id = _uuid(seed, "app", "foreign")
        self.unused = {id: UNUSED[n % len(UNUSED)] for n, id in enumerate(self.app_ids)}
        self.special = {"scheduled": self.app_ids[0]} if apps else {}
        if apps and oddities:
            self.special["huge"] = self.app_ids[-1]
        self._sites = [_site(seed, place) for place in range(sites)]
        # the newest site came lately, and one left before now: no usage before and after
        self._first_day, today = self.history_start.toordinal(), clock().toordinal()
        self._lives = dict.fromkeys(self._sites, (self._first_day, NEVER))
        if sites > 2:
            self._lives[self._sites[-1]] = (today - 20, NEVER)
            self._lives[self._sites[1]] = (self._first_day, today - 15)
        self._environments = {
            id: [_uuid(seed, id, "environment", place) for place in range(environments)]
            for id in self.app_ids
        }
        self._restated: dict[tuple[str, str, int], dict[Cell, int]] = defaultdict(dict)
        self._days: dict[tuple[str, str, int], dict[Cell, int]] = {}

    def site_aris(self, app: str) -> list[str]:
        """The sites that an app is or was on."""
        return self._sites if app in self.unused else []

    def environment_ids(self, app: str) -> list[str]:
        """An app's environments: production, staging, development, and custom ones."""
        return self._environments[app]

    def unit(self, resource: str) -> str:
        """The `tokenUnit` of a resource."""
        return UNKNOWN_UNIT if resource == self.unknown_unit else UNITS[resource]

    def amount(
        self,
        app: str,
        resource: str,
        day: date,
        *,
        site: str | None = ALL,
        environment: str = ALL,
    ) -> Decimal:
        """What was used on a UTC day up to now; of no site where `site` is None."""
        cells = self.cells(app, resource, day)
        return self.decimal(
            resource,
            sum(
                held
                for (of_site, of_environment), held in cells.items()
                if site in (ALL, of_site) and environment in (ALL, of_environment)
            ),
        )

    def cells(self, app: str, resource: str, day: date, hour: int | None = None) -> dict[Cell, int]:
        """What each site and environment used up to now on a day or in an hour of it.

        In whole steps of the resource (see `decimal`), without zeros. Hours sum to their day.
        """
        ordinal = day.toordinal()
        over = self._quarters_over(ordinal)
        first, last = (0, QUARTERS) if hour is None else (hour * 4, hour * 4 + 4)
        first, last = min(first, over), min(last, over)
        shares = {
            cell: held * last // QUARTERS - held * first // QUARTERS
            for cell, held in self._day(app, resource, ordinal).items()
        }
        return {cell: share for cell, share in shares.items() if share}

    @staticmethod
    def decimal(resource: str, steps: int) -> Decimal:
        """Steps as an amount: whole requests, millionths of anything else."""
        return Decimal(steps) if UNITS[resource] == "requests" else Decimal(steps).scaleb(-6)

    def restate(
        self,
        app: str,
        resource: str,
        day: date,
        site: str | None,
        environment: str,
        delta: Decimal | int,
    ) -> None:
        """Correct a past day of one site (or of no site) and environment by `delta`."""
        ordinal = self._past(day)
        if site not in (*self.site_aris(app), None) or environment not in self._environments[app]:
            raise ValueError(f"{app} has no such site or environment: {site}, {environment}")
        held = self._day(app, resource, ordinal).get((site, environment), 0)
        change = Decimal(delta) if UNITS[resource] == "requests" else Decimal(delta).scaleb(6)
        if change != int(change) or held + change < 0:
            raise ValueError(f"{resource} on {day} is {self.decimal(resource, held)}: not {delta}")
        cells = self._restated[app, resource, ordinal]
        cells[site, environment] = cells.get((site, environment), 0) + int(change)

    def withdraw(self, app: str, resource: str, day: date) -> None:
        """Take back all of an app's usage of a resource on a past day: no row is shown of it."""
        for (site, environment), held in self._day(app, resource, self._past(day)).items():
            self.restate(app, resource, day, site, environment, -self.decimal(resource, held))

    def expected_facts(
        self, since: datetime, until: datetime, cube: bool = False
    ) -> dict[FactKey, Decimal]:
        """The daily rows that the facts must have for the UTC days that touch `[since, until)`.

        By (app, site, environment, resource, day): a row for each site, or with `cube` for each
        environment of each site; one with neither for the rest of the app's flat total, if any.
        """
        days = range(since.toordinal(), (until - timedelta(microseconds=1)).toordinal() + 1)
        facts: dict[FactKey, int] = defaultdict(int)
        for app, resource, ordinal in product(self.app_ids, RESOURCES, days):
            day = datetime.combine(date.fromordinal(ordinal), time(), UTC)
            for (site, environment), steps in self.cells(app, resource, day).items():
                shown = environment if cube and site else None
                facts[app, site, shown, resource, day] += steps
        return {key: self.decimal(key[3], steps) for key, steps in facts.items()}

    def _quarters_over(self, ordinal: int) -> int:
        """How many quarters of an hour of a UTC day are over."""
        start = datetime.combine(date.fromordinal(ordinal), time(), UTC)
        return max(0, min(QUARTERS, int((self._clock() - start).total_seconds()) // 900))

    def _past(self, day: date) -> int:
        if self._quarters_over(day.toordinal()) < QUARTERS:
            raise ValueError(f"not a past day: {day}")
        return day.toordinal()

    def _day(self, app: str, resource: str, ordinal: int) -> dict[Cell, int]:
        """The steps of a whole day, with what was restated and without zeros."""
        key = (app, resource, ordinal)
        if key not in self._days:
            sites = [s for s in (*self._sites, None) if self._runs(app, resource, ordinal, s)]
            cells = product(sites, self._environments[app])
            metered = {cell: self._metered(app, resource, ordinal, *cell) for cell in cells}
            self._days[key] = {cell: steps for cell, steps in metered.items() if steps}
        if key not in self._restated:
            return self._days[key]
        held = dict(self._days[key])
        for cell, change in self._restated[key].items():
            held[cell] = held.get(cell, 0) + change
        return {cell: steps for cell, steps in held.items() if steps}

    def _metered(
        self, app: str, resource: str, ordinal: int, site: str | None, environment: str
    ) -> int:
        """The steps of a whole day as first metered."""
        place = self._environments[app].index(environment)
        chance = number(self._seed, app, resource, ordinal, site, environment)
        # production every day, the others on fewer and fewer
        if chance % 4 < min(place, 3):
            return 0
        level = LEVELS.get(UNITS[resource], 12)
        is_huge = app == self.special.get("huge") and resource in HUGE_RESOURCES
        if is_huge and place == 0 and self._sites[:1] == [site]:
            level = HUGE
        steps = level * (1 if UNITS[resource] == "requests" else 10**6) // 12**place
        return steps // 2 + chance // 4 % steps if steps else 0

    def _runs(self, app: str, resource: str, ordinal: int, site: str | None) -> bool:
        """Whether there is usage of a site on that day; of no site where it is None."""
        if resource == self.unused[app] or ordinal < self._first_day:
            return False
        is_scheduled = self.app_ids.index(app) % 2 == 0
        if is_scheduled and resource in SITELESS:
            return site is None
        if site is None:
            return is_scheduled and resource in SCHEDULED
        first, last = self._lives[site]
        rests = self._sites.index(site) % 2 == 1 and date.fromordinal(ordinal).weekday() >= 5
        return first <= ordinal < last and not rests


def _uuid(*key: object) -> str:
    return str(UUID(bytes=blake2b(repr(key).encode(), digest_size=16).digest(), version=4))


def _site(seed: int, place: int) -> str:
    product_name = ("jira", "confluence")[place % 2]
    return f"ari:cloud:{product_name}::site/{_uuid(seed, 'site', place // 2)}"
