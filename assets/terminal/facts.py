"""What `meterhouse run` shows in the end: usage of the last 30 days, and what to do next."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from assets.runs.opening import Row, rows_of
from assets.settings import House, Settings
from assets.terminal.console import Report, numbers
from assets.terminal.ui import stand_ins
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.lakes.address import Lake
from pipelines.receipts import Connection

FAMILIES = ("compute", "storage", "transfer", "credits", "operations")
A_QUERY = "select source, sum(cost) from marts.usage_monthly group by all"
# a source that bills by so few units has a column for each of them, any other a line per meter
MOST_UNIT_COLUMNS = 4
Unit = tuple[str, str]
COST: Unit = ("cost", "US dollars")
# ids, and then names
Whose = tuple[Any, ...]


class Facts:
    """What was used over the last 30 days, what a month costs, and what allowances run short."""

    def __init__(self, connection: Connection) -> None:
        self.used = rows_of(connection, "select * from reports.last_30_days")
        self.costs = rows_of(
            connection,
            "select period_month, source, sum(cost) as cost from marts.usage_monthly"
            " where period_month = (select max(period_month) from marts.usage_monthly)"
            " group by period_month, source having sum(cost) is not null order by cost desc",
        )
        self.running_short = rows_of(
            connection,
            # what is still to come first, the next one on top; then what is over, the longest
            "select * from reports.short_allowances"
            " order by is_exhausted, exhausted_on, used_share desc",
        )


def show_facts(report: Report, settings: Settings, facts: Facts | None = None) -> None:
    """What was used over the last 30 days, source by source, what the month costs so far, and what
    allowances run short."""
    if facts is None:
        with warehouse.reader(settings.warehouse) as connection:
            facts = Facts(connection)
    for source in sorted({row["source"] for row in facts.used}):
        rows = [row for row in facts.used if row["source"] == source]
        units = sorted({_unit(row) for row in rows}, key=_in_order)
        title = f"\n{source.replace('_', ' ').capitalize()}, last 30 days"
        if len(units) <= MOST_UNIT_COLUMNS:
            _by_unit(report, title, rows, units)
        else:
            _by_meter(report, title, rows)
    if facts.costs:
        month = f"{facts.costs[0]['period_month']:%Y-%m}"
        said = ", ".join(f"{row['source']} ${row['cost']:,.2f}" for row in facts.costs)
        so_far = " so far" if month == f"{settings.clock():%Y-%m}" else ""
        report.say(f"\nCost of {month}{so_far}, an estimate: {said}")
    if facts.running_short:
        _allowances(report, facts.running_short)


def next_commands(report: Report, settings: Settings) -> None:
    """What a person would want now."""
    at, clients = settings.warehouse, warehouse.for_clients(settings.warehouse)
    where = "" if at == House.warehouse or isinstance(at, Lake) else f"WAREHOUSE={at} "
    command = f"{where}.venv/bin/meterhouse"
    # what is set up for them is gone with the stand-ins
    theirs = f"{command} sandbox -- .venv/bin/meterhouse" if stand_ins(settings) else command
    report.say(
        f"\nA page of what it costs:  {command} report\n"
        f"Query it:  {command} sql '{A_QUERY}'\n"
        f"With any DuckDB client:  {clients}\n"
        f"Whether all is well:  {theirs} status\n"
        "Schedules, backfills, lineage in Dagster:  make ui"
    )


def _by_unit(report: Report, title: str, rows: list[Row], units: list[Unit]) -> None:
    """In billed units, a column each, and what they cost: per org, and then per project, what costs
    most first."""
    rows, shown = sorted(rows, key=_org), [*units, COST]
    # names may be shared, ids are not
    orgs = _sums(((row["org_id"], _org(row)), row) for row in rows)
    projects = _sums(
        ((row["org_id"], row["project_id"], _org(row), _project(row)), row) for row in rows
    )
    counts = Counter(org_id for org_id, *_ in projects)
    totals = [
        [org, f"all {counts[org_id]} projects", *(_number(used.get(unit)) for unit in shown)]
        for (org_id, org), used in orgs.items()
        if counts[org_id] > 1
    ]
    most_first = sorted(projects.items(), key=lambda it: [-it[1][unit] for unit in (COST, *units)])
    lines = [
        [org, project, *(_number(used.get(unit)) for unit in shown)]
        for (_, _, org, project), used in most_first
    ]
    columns = [report.words("org", 14, share=0.5), report.words("project", 20, share=0.5)]
    columns += [numbers(f"{family}\n{unit}") for family, unit in shown]
    report.table(title, columns, lines, totals)


def _by_meter(report: Report, title: str, rows: list[Row]) -> None:
    """A line per meter and project, what costs most first, in the vendor's unit: few requests are
    0.00 millions."""
    lines = [
        [
            row["meter"],
            _project(row) or _org(row),
            _number(row["quantity"]),
            row["unit"],
            _number(row["cost"]),
        ]
        for row in sorted(rows, key=lambda it: (-(it["cost"] or 0), it["meter"], -it["quantity"]))
    ]
    columns = [report.words("meter"), report.words("project or org", 22), numbers("used")]
    report.table(title, [*columns, report.words("unit"), numbers("US dollars")], lines)


def _allowances(report: Report, rows: list[Row]) -> None:
    """So many times what is included; at the renewal as so far, on a straight line."""
    columns = [report.words("meter", 24, share=0), report.words("whose", 14)]
    columns += [numbers(heading) for heading in ("included", "used", "at\nrenewal")]
    columns += [report.words("renews"), report.words("used\nup")]
    lines = [
        [
            row["meter"],
            row["owner_name"],
            _number(row["included_quantity"]).removesuffix(".00"),
            _times(row["used_share"]),
            _times(row["projected_share"]),
            f"{row['resets_at']:%m-%d}",
            f"{row['exhausted_on']:%m-%d}" if row["exhausted_on"] else "",
        ]
        for row in rows
    ]
    report.table("\nAllowances exhausted, or projected to be, before renewal", columns, lines)


def _sums(rows: Iterable[tuple[Whose, Row]]) -> dict[Whose, Counter[Unit]]:
    """By whose it is and unit, the sum of these rows; what has no price is in no cost."""
    sums: dict[Whose, Counter[Unit]] = defaultdict(Counter)
    for whose, row in rows:
        quantity = "quantity" if row["billed_unit"] is None else "billed_quantity"
        told: dict[Unit, Any] = {_unit(row): float(row[quantity])}
        if row["cost"] is not None:
            told[COST] = float(row["cost"])
        for unit, number in told.items():
            sums[whose][unit] += number
    return sums


def _unit(row: Row) -> Unit:
    """Family and billed unit; the vendor's own unit where no conversion is known."""
    return row["family"], row["billed_unit"] or row["unit"]


def _in_order(unit: Unit) -> tuple[int, str]:
    return FAMILIES.index(unit[0]), unit[1]


def _org(row: Row) -> str:
    return str(row["org_label"] or row["org_id"] or "")


def _project(row: Row) -> str:
    name = row["project_label"] or row["project_id"] or ""
    return f"{name} (deleted)" if row["is_deleted"] else str(name)


def _times(share: float | None) -> str:
    return "" if share is None else f"{share:,.{2 if share < 100 else 0}f} x"


def _number(value: Any) -> str:
    if value is None:
        return ""
    # little is not nothing
    return "< 0.01" if 0 < value < 0.005 else f"{value:,.2f}"
