"""What the terminal shows: tables for people, plain lines elsewhere, nothing for --json."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from assets.loading import Progress, Row, forecast, rows_of
from assets.settings import WAREHOUSE, Settings
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.checks import evaluate
from dbt_like_sql.engine.models import load_models
from dbt_like_sql.engine.runner import BuildReport
from pipelines.endpoint import Endpoint
from pipelines.receipts import Connection
from pipelines.source import Slice, readable
from pipelines.windows import Window

LINE_EVERY_SECONDS = 60.0
ROWS_SHOWN = 12
FAMILIES = ("compute", "storage", "transfer", "credits", "operations")
# a source that bills by so few units has a column for each of them, any other a line per meter
MOST_UNIT_COLUMNS = 4
Unit = tuple[str, str]
# told how many slices are done, of how many
Show = Callable[[int, int], None]
# ids, and then names
Whose = tuple[Any, ...]

_words = partial(Column, no_wrap=True)
_numbers = partial(Column, no_wrap=True, justify="right")


class Facts:
    """What was used over the last 30 days, and what allowances run short."""

    def __init__(self, connection: Connection) -> None:
        self.used = rows_of(connection, "select * from reports.last_30_days")
        self.running_short = rows_of(
            connection,
            # what is still to come first, the next one on top; then what is over, the longest
            "select * from reports.short_allowances"
            " order by is_exhausted, exhausted_on, used_share desc",
        )


class Report:
    """A place to show progress and results; silent when a script asked for JSON."""

    def __init__(self, as_json: bool) -> None:
        # names are the vendors': [/b] or :tada: in one is no markup
        self.console = Console(
            quiet=as_json, highlight=False, soft_wrap=True, markup=False, emoji=False
        )

    def say(self, text: str) -> None:
        """A line, or some."""
        self.console.print("\n".join(map(readable, text.split("\n"))))

    @contextmanager
    def loading(self, endpoint: Endpoint, window: Window | None) -> Iterator[Progress]:
        """Progress while an endpoint is loaded: a bar on a terminal, elsewhere a line a minute."""
        text = f"{endpoint.table} since {window.since:%Y-%m-%d}" if window else endpoint.table
        has_bar = self.console.is_terminal and not self.console.quiet
        with self._bar(text) if has_bar else self._lines(text) as show:

            def started(total: int, minutes: float) -> Callable[[Slice], None]:
                if minutes >= 1:
                    self.say(f"  {forecast(endpoint, total, minutes)}")
                done = count(1)
                show(0, total)
                return lambda _: show(next(done), total)

            yield started

    @contextmanager
    def _bar(self, text: str) -> Iterator[Show]:
        from rich import progress  # here: mostly nothing is due, or nobody looks on

        columns = (
            progress.SpinnerColumn(),
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(bar_width=10),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(),
        )
        with progress.Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(text, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    @contextmanager
    def _lines(self, text: str) -> Iterator[Show]:
        said_at = time.monotonic()

        def show(done: int, total: int) -> None:
            nonlocal said_at
            if time.monotonic() - said_at > LINE_EVERY_SECONDS:
                said_at = time.monotonic()
                self.say(f"  {text}: {done} of {total} done")

        yield show

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

    def facts(self, settings: Settings, facts: Facts | None = None) -> None:
        """What was used over the last 30 days, source by source, and what allowances run short."""
        if facts is None:
            with warehouse.reader(settings.warehouse) as connection:
                facts = Facts(connection)
        used, running_short = facts.used, facts.running_short
        for source in sorted({row["source"] for row in used}):
            rows = [row for row in used if row["source"] == source]
            units = sorted({_unit(row) for row in rows}, key=_in_order)
            title = f"\n{source.replace('_', ' ').capitalize()}, last 30 days"
            if len(units) <= MOST_UNIT_COLUMNS:
                self._by_unit(title, rows, units)
            else:
                self._by_meter(title, rows)
        if running_short:
            self._allowances(running_short)

    def _by_unit(self, title: str, rows: list[Row], units: list[Unit]) -> None:
        """In billed units, a column each: per org, and then per project."""
        rows = sorted(rows, key=_org)
        # names may be shared, ids are not
        orgs = _sums(((row["org_id"], _org(row)), row) for row in rows)
        projects = _sums(
            ((row["org_id"], row["project_id"], _org(row), _project(row)), row) for row in rows
        )
        counts = Counter(org_id for org_id, *_ in projects)
        totals = [
            [org, f"all {counts[org_id]} projects", *(_number(used[unit]) for unit in units)]
            for (org_id, org), used in orgs.items()
            if counts[org_id] > 1
        ]
        most_first = sorted(projects.items(), key=lambda line: [-line[1][unit] for unit in units])
        lines = [
            [org, project, *(_number(used.get(unit)) for unit in units)]
            for (_, _, org, project), used in most_first
        ]
        columns = [_words("org", max_width=14), _words("project", max_width=20)]
        columns += [_numbers(f"{family}\n{unit}") for family, unit in units]
        self._table(title, columns, lines, totals)

    def _by_meter(self, title: str, rows: list[Row]) -> None:
        """A line per meter and project, in the vendor's unit: few requests are 0.00 millions."""
        lines = [
            [row["meter"], _project(row) or _org(row), _number(row["quantity"]), row["unit"]]
            for row in sorted(rows, key=lambda row: (row["meter"], -row["quantity"]))
        ]
        whose = _words("project or org", max_width=28)
        self._table(title, [_words("meter"), whose, _numbers("used"), _words("unit")], lines)

    def _allowances(self, rows: list[Row]) -> None:
        """So many times what is included; at the renewal as so far, on a straight line."""
        columns = [_words("meter", max_width=24), _words("whose", max_width=14)]
        columns += [_numbers(heading) for heading in ("included", "used", "ends at")]
        columns += [_words("renews"), _words("over on")]
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
        title = "\nAllowances exhausted, or projected to be, before renewal"
        self._table(title, columns, lines)

    def _table(
        self,
        title: str,
        columns: Sequence[Column],
        lines: Sequence[Sequence[str]],
        totals: Sequence[Sequence[str]] = (),
        most: int = ROWS_SHOWN,
    ) -> None:
        """The totals and the first lines of a table."""
        table = Table(*columns, title=title, title_justify="left", box=None, padding=(0, 0, 0, 1))
        for cells in totals:
            table.add_row(*map(readable, cells), style="bold")
        for cells in lines[:most]:
            table.add_row(*map(readable, cells))
        self.console.print(table)
        if len(lines) > most:
            self.say(f" ... and {len(lines) - most} more")

    def next_commands(self, settings: Settings) -> None:
        """Three commands that a person would want now."""
        path, copy = str(settings.warehouse), warehouse.read_copy(settings.warehouse)
        where = "" if path == WAREHOUSE.default else f"WAREHOUSE={path} "
        self.say(
            f"\nQuery marts.* with any DuckDB client:  duckdb -readonly {copy}\n"
            f"What is held, and at risk:  {where}.venv/bin/meterhouse status\n"
            "Schedules, backfills, lineage in Dagster:  make ui"
        )

    def status(self, settings: Settings) -> dict[str, Any]:
        """What is held and how fresh; spans that are about to be lost are failures."""
        models = load_models(keep_in=warehouse.models_beside(settings.warehouse))
        with warehouse.reader(settings.warehouse) as connection:
            held = rows_of(
                connection, "select * from reports.held order by resource, held_until - held_since"
            )
            risks = rows_of(
                connection, "select * from reports.coverage where is_at_risk order by lost_at"
            )
            unexpected = [
                result.sentence
                for model in models.values()
                if model.expects_no_rows
                for result in evaluate(connection, model)
                if result.kind == "expect" and not result.passed
            ]
        headings = ("resource", "grain", "from", "until", "missing", "asked")
        lines = [
            [
                row["resource"],
                row["granularity"],
                short(row["held_since"], row["granularity"]),
                short(row["held_until"], row["granularity"]),
                str(row["missing"]),
                f"{row['asked_at']:%m-%d %H:%M}",
            ]
            for row in held
        ]
        columns = [_words(heading) for heading in headings]
        self._table("Held", columns, lines, most=len(lines))
        failures = [
            f"{risk['resource']} {risk['granularity']} of {risk['scope']}: {risk['bucket_count']} "
            f"buckets from {risk['span_start']:%Y-%m-%dT%H:%MZ} are {risk['state']} and gone at "
            f"{risk['lost_at']:%Y-%m-%dT%H:%MZ}: run `meterhouse load --gaps`"
            for risk in risks
        ]
        for failure in failures:
            self.say(f"AT RISK {failure}")
        for sentence in unexpected:
            self.say(f"LOOK AT {sentence}")
        return {"held": held, "at_risk": risks, "unexpected": unexpected, "failures": failures}


def _sums(rows: Iterable[tuple[Whose, Row]]) -> dict[Whose, Counter[Unit]]:
    """By whose it is and unit, the sum of these rows."""
    sums: dict[Whose, Counter[Unit]] = defaultdict(Counter)
    for whose, row in rows:
        sums[whose][_unit(row)] += _billed(row)
    return sums


def _unit(row: Row) -> Unit:
    """Family and billed unit; the vendor's own unit where no conversion is known."""
    return row["family"], row["billed_unit"] or row["unit"]


def _in_order(unit: Unit) -> tuple[int, str]:
    return FAMILIES.index(unit[0]), unit[1]


def _billed(row: Row) -> Any:
    return float(row["quantity"] if row["billed_unit"] is None else row["billed_quantity"])


def _org(row: Row) -> str:
    return str(row["org_name"] or row["org_id"] or "")


def _project(row: Row) -> str:
    name = row["project_name"] or row["project_id"] or ""
    return f"{name} (deleted)" if row["is_deleted"] else str(name)


def short(instant: datetime, grain: str) -> str:
    """An instant, as precise as a grain."""
    formats = {"hourly": "%m-%d %H:%M", "daily": "%Y-%m-%d", "monthly": "%Y-%m"}
    return instant.strftime(formats[grain])


def _times(share: float | None) -> str:
    return "" if share is None else f"{share:,.{2 if share < 100 else 0}f} x"


def _number(value: Any) -> str:
    return "" if value is None else f"{value:,.2f}"
