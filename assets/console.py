"""What the terminal shows: tables for people, plain lines elsewhere, nothing for --json."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from assets.settings import Settings
from assets.vendors import Call
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.checks import evaluate
from dbt_like_sql.engine.models import load_models
from dbt_like_sql.engine.runner import BuildReport
from pipelines.load import Connection, Piece, Window

# given how many pieces there are, what to call after each
ShowPieces = Callable[[int], Callable[[Piece], None]]
LINE_EVERY_SECONDS = 60.0
ROWS_SHOWN = 12
FAMILIES = ("compute", "storage", "transfer", "credits", "operations")
# a source that bills by so few units has a column for each of them, any other a line per meter
MOST_UNIT_COLUMNS = 4
Row = dict[str, Any]
Unit = tuple[str, str]


@dataclass(frozen=True)
class Line:
    """What one project used, or one organization that has no projects, by family and unit."""

    org_id: str | None
    org: str
    project: str
    used: dict[Unit, float]


class Report:
    """A place to show progress and results; silent when a script asked for JSON."""

    def __init__(self, as_json: bool) -> None:
        self._silent = as_json
        # names are the vendors': [/b] or :tada: in one is no markup
        self.console = Console(
            quiet=as_json, highlight=False, soft_wrap=True, markup=False, emoji=False
        )

    def say(self, text: str) -> None:
        """A line."""
        self.console.print(text)

    @contextmanager
    def asking(self, call: Call, window: Window | None) -> Iterator[ShowPieces]:
        """Progress while a call is under way: a bar on a terminal, elsewhere a line a minute."""
        text = f"{call.table} since {window.since:%Y-%m-%d}" if window else call.table
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        on_terminal = self.console.is_terminal and not self._silent
        with Progress(
            *columns, console=self.console, transient=True, disable=not on_terminal
        ) as progress:
            task = progress.add_task(text, total=None)

            def shown(total: int) -> Callable[[Piece], None]:
                progress.update(task, total=total)
                said_at, count = time.monotonic(), 0

                def done(_: Piece) -> None:
                    nonlocal said_at, count
                    count += 1
                    progress.advance(task)
                    if not on_terminal and time.monotonic() - said_at > LINE_EVERY_SECONDS:
                        said_at = time.monotonic()
                        self.say(f"  {text}: {count} of {total} done")

                return done

            yield shown

    def asked(self, row: dict[str, Any]) -> None:
        """One call is done: what was asked, how many requests, what landed."""
        window = ""
        if "since" in row:
            window = f"{_short(row['since'], row['grain'])} to {_short(row['until'], row['grain'])}"
        # the table says which call it was; its vendor's words are in the JSON and in Dagster
        name = row["table"].removeprefix("raw.")
        self.say(f"  {name:<30}{window or 'now':<27}{row['requests']:>5} req{row['rows']:>8,} rows")
        for text in dict.fromkeys([*row["notes"], *row["failed"]]):
            self.say(f"    {text}")

    def built(self, report: BuildReport) -> None:
        """What a build did."""
        changed = [build for build in report.models if build.rows_written]
        rows = sum(build.rows_written for build in changed)
        seconds = sum(build.seconds for build in report.models)
        self.say(
            f"\nBuilt {len(report.models)} models in {seconds:.1f} s: {rows:,} rows written in "
            f"{len(changed)}; {len(report.checks)} checks, {len(report.failed_checks)} failed."
        )
        for check in report.failed_checks:
            self.say(f"  CHECK FAILED {check.sentence}")

    def facts(self, settings: Settings) -> None:
        """What was used over the last 30 days, source by source, and what allowances run short."""
        with warehouse.reader(settings.warehouse) as connection:
            used = _records(connection, "select * from reports.last_30_days")
            short = _records(
                connection,
                # what is still to come first, the next one on top; then what is over, the longest
                "select * from reports.short_allowances"
                " order by is_exhausted, exhausted_on, used_share desc",
            )
        for source in sorted({row["source"] for row in used}):
            of_source = [row for row in used if row["source"] == source]
            units = sorted({_unit(row) for row in of_source}, key=_family_first)
            title = f"\n{source.replace('_', ' ').capitalize()}, last 30 days"
            if len(units) <= MOST_UNIT_COLUMNS:
                self._by_unit(title, of_source, units)
            else:
                self._by_meter(title, of_source)
        if short:
            self._allowances(short)

    def _by_unit(self, title: str, rows: list[Row], units: list[Unit]) -> None:
        """In billed units, a column each: per org, and then per project."""
        table = Table(title=title, title_justify="left", box=None)
        table.add_column("org", overflow="ellipsis", no_wrap=True, max_width=14)
        table.add_column("project", overflow="ellipsis", no_wrap=True, max_width=20)
        for family, unit in units:
            table.add_column(f"{family}\n{unit}", justify="right", no_wrap=True)
        lines = _lines(rows)
        for org_id in dict.fromkeys(line.org_id for line in lines):
            of_org = [line for line in lines if line.org_id == org_id]
            if len(of_org) > 1:
                totals = [sum(line.used.get(unit, 0.0) for line in of_org) for unit in units]
                name = f"all {len(of_org)} projects"
                _add(table, of_org[0].org, name, *map(_number, totals), style="bold")
        lines.sort(key=lambda line: [-line.used.get(unit, 0.0) for unit in units])
        for line in lines[:ROWS_SHOWN]:
            _add(table, line.org, line.project, *(_number(line.used.get(unit)) for unit in units))
        if len(lines) > ROWS_SHOWN:
            _add(table, "", f"... and {len(lines) - ROWS_SHOWN} more")
        self.console.print(table)

    def _by_meter(self, title: str, rows: list[Row]) -> None:
        """A line per meter and project, in the vendor's unit: few requests are 0.00 millions."""
        table = Table(title=title, title_justify="left", box=None)
        table.add_column("meter", no_wrap=True)
        table.add_column("project or org", overflow="ellipsis", no_wrap=True, max_width=28)
        table.add_column("used", justify="right", no_wrap=True)
        table.add_column("unit", no_wrap=True)
        rows = sorted(rows, key=lambda row: (row["meter"], -row["quantity"]))
        for row in rows[:ROWS_SHOWN]:
            whose = _project(row) or _org(row)
            _add(table, row["meter"], whose, _number(row["quantity"]), row["unit"])
        if len(rows) > ROWS_SHOWN:
            _add(table, f"... and {len(rows) - ROWS_SHOWN} more")
        self.console.print(table)

    def _allowances(self, rows: list[Row]) -> None:
        """So many times what is included; at the renewal as so far, on a straight line."""
        title = "\nAllowances exhausted, or projected to be, before renewal"
        table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
        table.add_column(" meter", no_wrap=True, overflow="ellipsis", max_width=24)
        table.add_column("whose", no_wrap=True, overflow="ellipsis", max_width=14)
        for heading in ("included", "used", "ends at"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("renews", no_wrap=True)
        table.add_column("over on", no_wrap=True)
        for row in rows[:ROWS_SHOWN]:
            _add(
                table,
                f" {row['meter']}",
                row["holder_name"],
                _number(row["included_quantity"]).removesuffix(".00"),
                _times(row["used_share"]),
                _times(row["projected_share"]),
                f"{row['resets_at']:%m-%d}",
                f"{row['exhausted_on']:%m-%d}" if row["exhausted_on"] else "",
            )
        if len(rows) > ROWS_SHOWN:
            _add(table, f" ... and {len(rows) - ROWS_SHOWN} more")
        self.console.print(table)

    def next_commands(self, settings: Settings) -> None:
        """Three commands that a person would want now."""
        copy = warehouse.read_copy(settings.warehouse)
        where = f"WAREHOUSE={settings.warehouse} " if settings.is_sandbox else ""
        self.say(
            f"\nQuery marts.* with any DuckDB client:  duckdb {copy}\n"
            f"What is held, and at risk:  {where}.venv/bin/meterhouse status\n"
            "Schedules, backfills, lineage in Dagster:  make ui"
        )

    def status(self, settings: Settings) -> dict[str, Any]:
        """What is held and how fresh; spans that are about to be lost are failures."""
        with warehouse.reader(settings.warehouse) as connection:
            held = _records(
                connection,
                "select * from reports.held order by resource, held_until - held_since",
            )
            risks = _records(
                connection,
                "select * from reports.coverage where is_at_risk order by lost_at",
            )
            unexpected = _unexpected(connection)
        table = Table(title="Held", title_justify="left", box=None, padding=(0, 1, 0, 0))
        for heading in ("resource", "grain", "from", "until", "missing", "asked"):
            table.add_column(heading, no_wrap=True)
        for row in held:
            _add(
                table,
                row["resource"],
                row["granularity"],
                _short(row["held_since"], row["granularity"]),
                _short(row["held_until"], row["granularity"]),
                str(row["missing"]),
                f"{row['asked_at']:%m-%d %H:%M}",
            )
        self.console.print(table)
        failures = [
            f"{risk['resource']} {risk['granularity']} of {risk['scope']}: {risk['bucket_count']} "
            f"buckets from {risk['span_start']:%Y-%m-%dT%H:%MZ} are {risk['state']} and gone at "
            f"{risk['lost_at']:%Y-%m-%dT%H:%MZ}: run `meterhouse load --grain "
            f"{risk['granularity']}`"
            for risk in risks
        ]
        for failure in failures:
            self.say(f"AT RISK {failure}")
        for sentence in unexpected:
            self.say(f"LOOK AT {sentence}")
        return {"held": held, "at_risk": risks, "unexpected": unexpected, "failures": failures}


def _unexpected(connection: Connection) -> list[str]:
    """What the reports hold that should be empty."""
    reports = [model for model in load_models().values() if model.expects_no_rows]
    results = [result for model in reports for result in evaluate(connection, model)]
    return [r.sentence for r in results if r.kind == "expect" and not r.passed]


def _records(connection: Connection, sql: str) -> list[Row]:
    try:
        result = connection.execute(sql)
    except duckdb.CatalogException as error:  # a copy of before this report was thought of
        message = "the read copy is of another version: run `meterhouse build`"
        raise FileNotFoundError(message) from error
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _lines(rows: list[Row]) -> list[Line]:
    """One per project, by the names of their organizations; names may be shared, ids are not."""
    lines: dict[tuple[str | None, str | None], Line] = {}
    for row in sorted(rows, key=_org):
        new = Line(row["org_id"], _org(row), _project(row), {})
        line = lines.setdefault((row["org_id"], row["project_id"]), new)
        line.used[_unit(row)] = line.used.get(_unit(row), 0.0) + _billed(row)
    return list(lines.values())


def _unit(row: Row) -> Unit:
    """Family and billed unit; the vendor's own unit where no conversion is known."""
    return row["family"], row["billed_unit"] or row["unit"]


def _family_first(unit: Unit) -> tuple[int, str]:
    return FAMILIES.index(unit[0]), unit[1]


def _billed(row: Row) -> float:
    return float(row["quantity"] if row["billed_unit"] is None else row["billed_quantity"])


def _org(row: Row) -> str:
    return str(row["org_name"] or row["org_id"] or "")


def _project(row: Row) -> str:
    name = row["project_name"] or row["project_id"] or ""
    return f"{name} (deleted)" if row["is_deleted"] else str(name)


def _add(table: Table, *cells: str, style: str | None = None) -> None:
    """A line of names and numbers; what a terminal would obey in a name is only shown."""
    shown = ["".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cell)
             for cell in cells]  # fmt: skip
    table.add_row(*shown, style=style)


def _short(instant: datetime, grain: str) -> str:
    formats = {"hourly": "%m-%d %H:%M", "daily": "%Y-%m-%d", "monthly": "%Y-%m"}
    return instant.strftime(formats[grain])


def _times(share: float | None) -> str:
    return "" if share is None else f"{share:,.{2 if share < 100 else 0}f} x"


def _number(value: Any) -> str:
    return "" if value is None else f"{value:,.2f}"
