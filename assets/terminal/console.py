"""What the terminal shows: tables for people, plain lines elsewhere, nothing for --json."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table

from assets.loading import Progress, forecast
from assets.planning import TICK_MINUTE
from assets.settings import Settings
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.checks import evaluate
from dbt_like_sql.engine.models import load_models
from dbt_like_sql.engine.runner import BuildReport
from pipelines.endpoint import Endpoint
from pipelines.receipts import Connection
from pipelines.source import LoadResult, Slice
from pipelines.windows import Window

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


@dataclass(frozen=True)
class EndpointLoad:
    """One endpoint at one grain in a run of the terminal, and what came of it."""

    endpoint: Endpoint
    grain: str
    window: Window | None
    result: LoadResult

    @property
    def failures(self) -> list[str]:
        """What went wrong, every sentence once."""
        return list(dict.fromkeys(map(str, self.result.failures)))

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        window = {"since": self.window.since, "until": self.window.until} if self.window else {}
        return {
            "call": self.endpoint.request,
            "table": f"raw.{self.endpoint.table}",
            "grain": self.grain,
            **window,
            "requests": self.result.requests,
            "rows": self.result.rows,
            "scopes": self.result.landed_scopes,
            "notes": self.result.notes,
            "failed": self.failures,
        }


@dataclass
class LoadReport:
    """What a run of the terminal loaded, what it skipped and why, and how much it asked."""

    loads: list[EndpointLoad] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    requests: int = 0
    rate_limited: int = 0

    @property
    def failures(self) -> list[str]:
        """What went wrong, every sentence once."""
        return list(dict.fromkeys(text for load in self.loads for text in load.failures))

    @property
    def rows(self) -> int:
        """Rows that count."""
        return sum(load.result.rows for load in self.loads)

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "asked": [load.as_json() for load in self.loads],
            "skipped": [{"source": name, "why": why} for name, why in self.skipped.items()],
            "failures": self.failures,
            "refused": list(self.refused),
            "requests": self.requests,
            "rate_limited": self.rate_limited,
        }


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
    def loading(self, endpoint: Endpoint, window: Window | None) -> Iterator[Progress]:
        """Progress while an endpoint is loaded: a bar on a terminal, elsewhere a line a minute."""
        table = endpoint.table
        text = f"{table} since {window.since:%Y-%m-%d}" if window else table
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        on_terminal = self.console.is_terminal and not self._silent
        with Bar(*columns, console=self.console, transient=True, disable=not on_terminal) as bar:
            task = bar.add_task(text, total=None)

            def started(total: int, minutes: float) -> Callable[[Slice], None]:
                if minutes >= 1:
                    self.say(f"  {forecast(endpoint, total, minutes)}")
                bar.update(task, total=total)
                said_at, count = time.monotonic(), 0

                def done(_: Slice) -> None:
                    nonlocal said_at, count
                    count += 1
                    bar.advance(task)
                    if not on_terminal and time.monotonic() - said_at > LINE_EVERY_SECONDS:
                        said_at = time.monotonic()
                        self.say(f"  {text}: {count} of {total} done")

                return done

            yield started

    def loaded(self, load: EndpointLoad) -> None:
        """One endpoint is done: what was asked, how many requests, what landed."""
        window, result, grain = "", load.result, load.grain
        if load.window:
            window = f"{_short(load.window.since, grain)} to {_short(load.window.until, grain)}"
        # the table says which endpoint it was; its vendor's words are in the JSON and in Dagster
        name = f"{load.endpoint.table:<30}{window or 'now':<27}"
        self.say(f"  {name}{result.requests:>5} req{result.rows:>8,} rows")
        for text in dict.fromkeys([*result.notes, *load.failures]):
            self.say(f"    {text}")

    def outcome(self, report: LoadReport) -> None:
        """What was skipped and why, and what was asked in all."""
        for why in dict.fromkeys(report.skipped.values()):
            sources = " and ".join(name for name, its in report.skipped.items() if its == why)
            self.say(f"{sources} skipped: {why}.")
        if report.skipped and not report.loads:
            self.say("To look around without an account: meterhouse sandbox -- meterhouse run")
        if report.loads:
            limited = f", {report.rate_limited} answered 429" if report.rate_limited else ""
            self.say(f"{report.requests} requests sent{limited}, {report.rows:,} rows landed.")
        elif not report.skipped:
            self.say(f"Nothing is due before the next :{TICK_MINUTE}; no request was sent.")

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
                row["owner_name"],
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
            f"\nQuery marts.* with any DuckDB client:  duckdb -readonly {copy}\n"
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
