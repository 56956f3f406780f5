"""Allowances of contracts: whoever they are of, however long they last, and however usage is told,
the bill and the report are those of a model of a few lines of Python."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets.sources import endpoint_of
from dbt_like_sql.engine.runner import CheckFailedError
from pipelines.windows import Window
from tests.atlassian_usage.folder import Exports, Line
from tests.conftest import Worlds, land_tables
from tests.landed import Forge, Neon, Run, land
from tests.models.test_cost import OVERRIDES, opened

DAY = timedelta(days=1)
READINGS = endpoint_of("platform_readings")
READ = ("reports.allowance", "reports.cost_conservation", "reports.unpriced")
COLUMNS = OVERRIDES.partition("\n")[0].split(",")
# whose an allowance may be, and which id of a fact that is; and for how long it lasts
IDS = {
    "org": "org", "user, pooled": "org", "project": "project", "site": "site",
    "workspace": "site", "user": "user",
}  # fmt: skip
LISTED = ("org", "project", "site", "workspace", "user", "user, pooled")
PERIODS = ("bucket", "month", "cycle")
CONTRACTS = [*product(IDS, PERIODS)]
FEW = [("site", "cycle"), ("workspace", "month"), ("project", "cycle"), ("user, pooled", "month")]
# whose usage each source may tell
TOLD_OF = {
    "neon": ("org", "user, pooled", "project"),
    "forge": ("project", "site"),
    "bitbucket": ("org", "user, pooled", "project", "site", "workspace"),
    "atlassian_platform": tuple(IDS),
}
# of each meter its billed unit, how much of its own unit that is, and how much of it is one step: a
# contract includes 120 steps a month or a cycle, or 3 an hour
METERS = {
    "public_network_transfer_bytes": ("neon", "GB", 10**9, 10**6),
    "FUNCTION_COMPUTE": ("forge", "GB-second", 1, 1),
    "build_seconds_used": ("bitbucket", "minute", 60, 1),
    "rovo_credits": ("atlassian_platform", "credit", 1, 1),
    "automation_steps": ("atlassian_platform", "1000 steps", 1000, 1),
    "pipelines_build_minutes": ("atlassian_platform", "1000 minutes", 1000, 1),
}
NEON, FORGE, BITBUCKET, *_ = METERS


@dataclass(frozen=True)
class Fact:
    """Whose usage of which time, and how much."""

    meter: str
    org: str | None
    start: datetime
    end: datetime
    steps: int
    project: str | None = None
    branch: str | None = None
    site: str | None = None
    environment: str | None = None
    user: str | None = None
    # the day of the month on which its owner's cycles begin
    renews: int = 15
    # as what lines tell of its site themselves: a site or a workspace; else ''
    kind: str = ""

    @property
    def source(self) -> str:
        """Who told it."""
        return METERS[self.meter][0]

    @property
    def quantity(self) -> Decimal:
        """In the vendor's unit."""
        return Decimal(self.steps * METERS[self.meter][3])

    @property
    def ids(self) -> tuple[str | None, ...]:
        """All of them, as facts have them."""
        return self.org, self.project, self.branch, self.site, self.environment, self.user

    @property
    def place(self) -> tuple[Any, ...]:
        """Where it comes in order of time, and of ids, of which none is the last."""
        return self.start, *((name is None, name or "") for name in self.ids[1:])


@dataclass(frozen=True)
class Contract:
    """A price that holds for some days, and what it includes, for whom, and for how long."""

    owner: str
    period: str
    since: datetime
    until: datetime
    kind: str

    def rows(self, meter: str) -> Iterator[dict[str, str]]:
        """Its lines in a file."""
        source, unit, per_unit, step = METERS[meter]

        def billed(steps: int) -> str:
            return f"{Decimal(steps * step) / per_unit:f}"

        row = {
            "source": source, "sku": "c", "meter": meter, "billed_unit": unit,
            "usd_per_unit": "0.6", "allowed_per": self.owner, "period": self.period,
            "quantity_included": billed(3 if self.period == "bucket" else 120),
            "valid_from_date": f"{self.since:%Y-%m-%d}",
            "valid_until_date": f"{self.until:%Y-%m-%d}",
        }  # fmt: skip
        if self.kind == "tiers":
            yield row | {"quantity_ceiling": billed(60)}
            yield row | {"quantity_floor": billed(60), "usd_per_unit": "0.3"}
        else:
            yield row | ({"quantity_per_block": billed(30)} if self.kind == "blocks" else {})

    def allowance(self, fact: Fact) -> tuple[tuple[Any, ...], int] | None:
        """Of whom and since when it is that a fact counts against, and its steps; or nobody's."""
        owner = getattr(fact, IDS[self.owner])
        if owner is None:
            return None
        # a bucket is each row's, and of a site or a workspace it is one column
        since, steps = fact.start, int((fact.end - fact.start) / timedelta(hours=1)) * 3
        if self.period == "month":
            since, steps = fact.start.replace(day=1, hour=0), 120
        elif self.period == "cycle":
            first = fact.start.replace(day=fact.renews)
            since, steps = first if first <= fact.start else month_after(first, -1), 120
        return (fact.meter, fact.org, IDS[self.owner], owner, since), steps

    def beyond(self, steps: int, per_unit: int, step: int) -> Decimal:
        """Dollars for so many steps beyond what is included."""
        over = max(steps, 0)
        if self.kind == "blocks":
            over = -(-over // 30) * 30
        dearer = min(over, 60) if self.kind == "tiers" else over
        billed = Decimal(dearer) * Decimal("0.6") + Decimal(over - dearer) * Decimal("0.3")
        return billed * step / per_unit


def month_after(day: datetime, count: int = 1) -> datetime:
    """The same day of another month."""
    years, month = divmod(day.month - 1 + count, 12)
    return day.replace(year=day.year + years, month=month + 1)


def contracts_of(source: str, kind: str, are_all: bool) -> Iterator[Contract]:
    """All that can be meant, or a few, each of two months of its own; `late` ones from the tenth on
    to the tenth. What is beside them has a price, and nothing is included."""
    for number, (owner, period) in enumerate(CONTRACTS if are_all else FEW):
        since = month_after(datetime(2023, 1, 1, tzinfo=UTC), 2 * number)
        days = 9 * DAY if kind == "late" else 0 * DAY
        until = month_after(since, 1 if kind == "late" else 2) + days
        if owner in TOLD_OF[source] and (period != "cycle" or source == "atlassian_platform"):
            yield Contract(owner, period, since + days, until, kind)


def days_of(contract: Contract) -> list[datetime]:
    """In its two months, before and after a renewal on the fifteenth."""
    first = contract.since.replace(day=1)
    days = (3, 4, 17, 18)
    return [*(first.replace(day=day) for day in days), *(month_after(first).replace(day=d)
            for d in (2, 3, 16))]  # fmt: skip


def used(day: datetime, number: int) -> int:
    """How many steps an owner used on a day."""
    return 17 + (day.day * 13 + day.month * 7 + number * 29) % 60


def exported(meter: str, contract: Contract) -> Iterator[tuple[Fact, Line]]:
    """Platform usage as files tell it, each way in an organization of its own."""

    def told(org: str, day: datetime, steps: int, scope: str, said: int | None = None,
             resets: int = 15, included: str | None = None, end: datetime | None = None,
             **ids: str | None) -> tuple[Fact, Line]:  # fmt: skip
        until = end or day + DAY
        period = f"{day:%Y-%m-%d}/{until:%Y-%m-%d}" if end else f"{day:%Y-%m-%d}"
        renews = month_after(day.replace(day=resets))
        line = Line(meter, scope, period, str(steps if said is None else said), "2026-12-31",
                    resets=f"{renews:%Y-%m-%d}", included=included)  # fmt: skip
        kind = "workspace" if org == "some repositories" else scope.partition(":")[0]
        kind = kind if kind in ("workspace", "site") else ""
        fact = Fact(meter, org, day, until, steps, renews=resets, kind=kind, **ids)
        return fact, line

    for day in days_of(contract):
        a, b = used(day, 0), used(day, 1)
        yield told("whole", day, a, "org")
        for name, steps in (("a", a), ("b", b)):
            yield told("workspaces", day, steps, f"workspace:{name}", site=name)
            yield told("sites", day, steps, f"site:{name}", site=name)
            yield told("users", day, steps, f"user:{name}", user=name)
            yield told("repositories", day, steps, f"repository:w/{name}",
                       site="w", project=f"w/{name}")  # fmt: skip
            yield told("some workspaces", day, steps, f"workspace:{name}", site=name)
            yield told("some users", day, steps, f"user:{name}", user=name)
            yield told("some sites", day, steps, f"site:{name}", site=name)
            yield told("some repositories", day, steps, f"repository:w/{name}",
                       site="w", project=f"w/{name}")  # fmt: skip
            if contract.kind != "late":  # else the vendor's own counts on other days
                yield told("shown", day, steps, f"workspace:{name}", included="7", site=name)
            # an organization has no cycle where each has its own
            if IDS[contract.owner] == "site" or contract.period != "cycle":
                yield told("own cycles", day, steps, f"workspace:{name}",
                           resets={"a": 15, "b": 20}[name], site=name)  # fmt: skip
        for org in ("some workspaces", "some users", "some sites"):
            yield told(org, day, 5, "org", a + b + 5)
        yield told("some repositories", day, 5, "workspace:w", a + b + 5, site="w")
    start = contract.since.replace(day=15)
    for number, name in enumerate("ab"):
        end = month_after(start)
        yield told("cycles", start, used(start, number), f"workspace:{name}", end=end, site=name)


def asked(meter: str, contract: Contract) -> Iterator[tuple[Fact, pa.Table]]:
    """Platform usage as the meters API tells it, of an organization and two of its accounts."""
    start, end = contract.since.replace(day=15), month_after(contract.since.replace(day=15))
    totals: dict[str | None, int] = defaultdict(int)
    for day in (start, start + DAY, start + 2 * DAY):
        grown: dict[str | None, int] = {"a": used(day, 0), "b": used(day, 1), None: 5}
        for user, steps in grown.items():
            totals[user] += steps
            used_so_far = totals[user] if user else sum(totals.values())
            row = {
                "org_id": "asked", "usage_type": meter, "unit": "credits", "account_id": user,
                "bucket_start": day, "read_at": day + timedelta(hours=16),
                "used": Decimal(used_so_far), "cycle_start": start, "cycle_end": end,
                "is_partial": False, "meter_id": "m", "allowance_quantity": Decimal(7),
            }  # fmt: skip
            fact = Fact(meter, "asked", day, day + DAY, steps, user=user)
            yield fact, pa.Table.from_pylist([row], READINGS.schema)


def neon(contract: Contract) -> Iterator[tuple[Fact, Neon]]:
    """Projects by the day, the hour and the month, and one of which branches are told, too."""
    for day, (number, name) in product(days_of(contract), enumerate("ab")):
        steps, at = used(day, number), f"{day:%Y-%m-%d}"

        def told(org: str, at: str, start: datetime, end: datetime, steps: int,
                 name: str = name, branch: str | None = None,
                 said: int | None = None) -> tuple[Fact, Neon]:  # fmt: skip
            value = (steps if said is None else said) * 10**6
            fact = Fact(NEON, org, start, end, steps, project=f"{org} {name}", branch=branch)
            return fact, Neon(f"{org} {name}", NEON, at, value, branch=branch, org=org)

        yield told("days", at, day, day + DAY, steps)
        for hours in (5, 6):
            hour = day + timedelta(hours=hours)
            yield told("hours", f"{at} 0{hours}", hour, hour + timedelta(hours=1), steps)
        yield told("branches", at, day, day + DAY, 5, said=steps + 5)
        yield told("branches", at, day, day + DAY, steps, branch="x")
        if day.day == 3:
            first = day.replace(day=1)
            yield told("months", f"{day:%Y-%m}", first, month_after(first), steps)


def forge(contract: Contract) -> Iterator[tuple[Fact, Forge]]:
    """Apps, sites of an app, and environments of a site."""

    def told(day: datetime, app: str, steps: int, parts: int = 0, site: str | None = None,
             environment: str | None = None) -> tuple[Fact, Forge]:  # fmt: skip
        fact = Fact(FORGE, None, day, day + DAY, steps, project=app, site=site,
                    environment=environment)  # fmt: skip
        said = f"{steps + parts}"
        return fact, Forge(app, FORGE, f"{day:%Y-%m-%d}", said, site, environment)

    for day in days_of(contract):
        a, b = used(day, 0), used(day, 1)
        yield told(day, "of sites", 5, a + b)
        yield told(day, "of environments", 5, a + b + 2)
        yield told(day, "of environments", 2, a + b, "site")
        for name, steps in (("a", a), ("b", b)):
            yield told(day, f"app {name}", steps)
            yield told(day, "of sites", steps, 0, f"site {name}")
            yield told(day, "of environments", steps, 0, "site", name)


def bitbucket(contract: Contract) -> Iterator[tuple[Fact, Run]]:
    """Two repositories of one workspace."""
    for day, (number, name) in product(days_of(contract), enumerate("ab")):
        steps, repository = used(day, number), f"{{{name}}}"
        fact = Fact(BITBUCKET, "{w}", day, day + DAY, steps, project=repository, site="{w}")
        yield fact, Run(repository, f"{day:%Y-%m-%d}", steps)


Cost = tuple[Decimal, Decimal, Decimal | None]


def billed(
    facts: list[Fact], contracts: dict[str, list[Contract]]
) -> tuple[dict[tuple[Any, ...], Cost], dict[tuple[Any, ...], int]]:
    """Of each fact how much there is, how much of it is included, and what it costs (None: it is
    unpriced); and of each owner and period how much was used."""
    costs: dict[tuple[Any, ...], Cost] = {}
    report: dict[tuple[Any, ...], int] = defaultdict(int)
    before: dict[tuple[Any, ...], int] = defaultdict(int)
    for fact in sorted(facts, key=lambda fact: fact.place):
        _, _, per_unit, step = METERS[fact.meter]
        key = (fact.meter, *fact.ids, fact.start)
        of_day = [c for c in contracts[fact.source] if c.since <= fact.start < c.until]
        later = [c for c in contracts[fact.source] if fact.start < c.since < fact.end]
        is_cut = bool(later or [c for c in of_day if c.until < fact.end])
        if not of_day:
            cost = None if is_cut else fact.quantity * Decimal("0.06") / per_unit
            costs[key] = fact.quantity, Decimal(0), cost
            continue
        (contract,) = of_day
        allowance = contract.allowance(fact)
        if allowance is None:
            costs[key] = fact.quantity, Decimal(0), None
            continue
        whose, included = allowance
        since = before[whose]
        before[whose] = until = since + fact.steps
        if contract.period != "bucket":
            id_of = IDS[contract.owner]
            word = (fact.kind or contract.owner) if id_of == "site" else id_of
            report[(fact.source, fact.meter, fact.org, word, *whose[3:])] += fact.steps * step
        if is_cut:
            costs[key] = fact.quantity, Decimal(0), None
            continue
        free = min(until, included) - min(since, included)
        ends = (contract.beyond(at - included, per_unit, step) for at in (until, since))
        costs[key] = fact.quantity, Decimal(free * step), next(ends) - next(ends)
    return costs, report


Grid = tuple[Exports, dict[tuple[Any, ...], Cost], dict[tuple[Any, ...], int]]
KINDS = ("flat", "tiers", "blocks", "late", "parts")


@pytest.fixture(
    scope="module", params=["few", *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS)]
)
def grid(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, worlds: Worlds
) -> Grid:
    """Everybody's usage under every contract, or a few; and what the model says of it. In parts a
    few landed and were built in three of them, later months first."""
    kind = "late" if request.param in ("few", "parts") else request.param
    folder, are_all = tmp_path_factory.mktemp("contracts"), request.param in KINDS[:4]
    here = opened(folder, worlds, *READ, is_once=True)
    meters = {"tiers": "automation_steps", "blocks": "pipelines_build_minutes"}
    meter = meters.get(kind, "rovo_credits")
    contracts = {source: [*contracts_of(source, kind, are_all)] for source in TOLD_OF}
    rows = []
    for name in (NEON, FORGE, BITBUCKET, meter):
        source, unit, *_ = METERS[name]
        beside = {"source": source, "sku": "c", "meter": name, "billed_unit": unit}
        of = {"allowed_per": TOLD_OF[source][0], "period": "bucket", "quantity_included": "0"}
        # of what the price book includes something, a contract has to say that it does not
        rows.append(beside | {"usd_per_unit": "0.06"} | ({} if name == BITBUCKET else of))
        rows += [row for contract in contracts[source] for row in contract.rows(name)]
    write(folder / "own.csv", rows)
    own = {"seeds.price_overrides": folder / "own.csv"}
    here.settings = replace(here.settings, own_seeds=own)
    facts = [*told_under(contracts, meter)]
    parts = (2, 0, 1) if request.param == "parts" else (None,)
    dealt = [[it for it in facts if part in (None, it[0].start.month % 3)] for part in parts]
    # those first that land by the wall clock, which is behind the other one
    for number, it in enumerate([*map(of_vendors, dealt), *map(of_atlassian, dealt)]):
        at = datetime(2027, 1, 1 + number, tzinfo=UTC)
        here.settings = replace(here.settings, clock=partial(at.replace))
        land_facts(here, f"{number}", it)
        if len(parts) > 1 or number:
            here.build()
    return here, *billed([fact for fact, _ in facts], contracts)


Told = tuple[Fact, Line | pa.Table | Neon | Forge | Run]


def of_atlassian(facts: list[Told]) -> list[Told]:
    """Those of Atlassian platform usage."""
    return [it for it in facts if it[0].source == "atlassian_platform"]


def of_vendors(facts: list[Told]) -> list[Told]:
    """Those of others."""
    return [it for it in facts if it[0].source != "atlassian_platform"]


def told_under(contracts: dict[str, list[Contract]], meter: str) -> Iterator[Told]:
    """All facts, and what tells each of them."""
    for contract in contracts["atlassian_platform"]:
        yield from exported(meter, contract)
        if meter == "rovo_credits":
            yield from asked(meter, contract)
    for contract in contracts["neon"]:
        yield from neon(contract)
    for contract in contracts["forge"]:
        yield from forge(contract)
    for contract in contracts["bitbucket"]:
        yield from bitbucket(contract)


def land_facts(here: Exports, name: str, facts: list[Told]) -> None:
    """What tells these facts, of each organization one file of this name."""
    exports: dict[str, list[Line]] = defaultdict(list)
    pages: dict[datetime, list[pa.Table]] = defaultdict(list)
    answers: list[Neon | Forge | Run] = []
    for fact, told in facts:
        if isinstance(told, Line):
            exports[f"{fact.org}"].append(told)
        elif isinstance(told, pa.Table):
            pages[fact.start].append(told)
        else:
            answers.append(told)
    for org, lines in exports.items():
        here.write(f"{org} {name}.csv", org, *lines)
    assert not here.land().failures
    read = ((Window("daily", day, day + DAY), pa.concat_tables(it)) for day, it in pages.items())
    land_tables(here.settings, READINGS.table, *(("asked", *answer) for answer in read))
    land(here.settings, *answers)


def test_every_contract_is_priced_as_a_model_says(grid: Grid) -> None:
    """Each fact to the last digit, of what is included and of what is not; and what has no price is
    what names no owner, or is told with days of another price."""
    here, costs, _ = grid
    found = here.read(
        "select meter, org_id, project_id, branch_id, site_id, environment_id, user_id,"
        " period_start, sum(quantity), coalesce(sum(quantity) filter (is_included), 0), sum(cost)"
        " from marts.fct_cost group by all"
    )
    assert len(costs) > 500
    assert {row[:8]: row[8:] for row in found} == costs
    unpriced: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for key, (quantity, _, cost) in costs.items():
        if cost is None:
            unpriced[key[:2]] += quantity
    listed = here.read("select meter, org_id, sum(quantity) from reports.unpriced group by all")
    assert {row[:2]: row[2] for row in listed} == unpriced


def test_every_contract_is_reported_once(grid: Grid) -> None:
    """Each owner and period with what was used, and no other."""
    here, _, report = grid
    found = here.read(
        "select source, meter, org_id, owner_type, owner_id, period_start, used_quantity,"
        " included_quantity, overage_quantity from reports.allowance"
    )
    expected = {
        (*key, quantity, 120 * (step := METERS[key[1]][3]), max(quantity - 120 * step, 0))
        for key, quantity in report.items()
    }
    assert {*found} == expected
    assert len(found) == len(expected)


@pytest.mark.parametrize("source", TOLD_OF)
def test_a_contract_that_cannot_be_meant_is_refused(
    source: str, tmp_path: Path, worlds: Worlds
) -> None:
    """Of whom nothing is ever told, by a cycle of a vendor that has none, as a price alone where
    the price book includes something, or so dear that no sum could be kept: in one sentence each.
    All others are taken."""
    here = opened(tmp_path, worlds, "intermediate.int_price_rules", is_once=True)
    here.settings = replace(here.settings, own_seeds={"seeds.price_overrides": tmp_path / "own"})
    meter = next(name for name in METERS if METERS[name][0] == source)
    told_of = " or ".join(sorted(TOLD_OF[source], key=LISTED.index))
    fitting, refused = list[dict[str, str]](), dict[str, dict[str, str]]()
    for number, (owner, period) in enumerate(CONTRACTS):
        day = datetime(2026, 1, 1, tzinfo=UTC) + number * DAY
        (row,) = Contract(owner, period, day, day + DAY, "flat").rows(meter)
        row["sku"] = f"c{number}"
        if owner not in TOLD_OF[source]:
            why = f"nothing tells which {owner} used {meter}; write as allowed_per: {told_of}"
        elif period == "cycle" and source != "atlassian_platform":
            why = f"{source} has no billing cycle; write as period: month"
        else:
            fitting.append(row)
            continue
        refused[f"price_overrides.csv, {row['sku']}: {why}"] = row
    why = f"nothing tells which p_oject used {meter}; write as allowed_per: {told_of}"
    (typo,) = Contract("p_oject", "month", day + DAY, day + 2 * DAY, "flat").rows(meter)
    refused[f"price_overrides.csv, typo: {why}"] = typo | {"sku": "typo"}
    why = "price_overrides.csv, dear: with such a usd_per_unit, or quantity_per_block, what"
    why += f" {meter} costs is too large to be kept; write both by the {METERS[meter][1]}"
    refused[why] = typo | {
        "sku": "dear", "allowed_per": TOLD_OF[source][0], "usd_per_unit": "999999999",
        "quantity_per_block": "99999999999", "valid_from_date": "2025-01-01",
    }  # fmt: skip
    fitting.append(refused[why] | {"usd_per_unit": "9999", "quantity_per_block": "9999"})
    price = {name: row[name] for name in ("source", "sku", "meter", "billed_unit", "usd_per_unit")}
    if source == "bitbucket":
        fitting.append(price)
    else:
        why = f"price_overrides.csv, {row['sku']}: some {meter} is included by the price book;"
        why += " write allowed_per and period, too, and quantity_included 0 if nothing is"
        refused[why] = price
    write(tmp_path / "own", fitting)
    here.build()
    write(tmp_path / "own", [*refused.values()])
    with pytest.raises(CheckFailedError) as failed:
        here.build()
    (result,) = (result for result in failed.value.results if not result.passed)
    assert result.failing_rows == len(refused)
    shown = [sample.partition(", 'file'")[0].strip("{}'") for sample in result.samples]
    assert [sample.removeprefix("refused': '") for sample in shown] == sorted(refused)[:3]


def write(path: Path, rows: list[dict[str, str]]) -> None:
    """A file of prices."""
    lines = [",".join(f'"{row.get(column, "")}"' for column in COLUMNS) for row in rows]
    path.write_text("\n".join([",".join(COLUMNS), *lines, ""]))
