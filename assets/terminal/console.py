"""What the terminal shows: tables for people, plain lines elsewhere, nothing for --json."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

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
from dbt_like_sql.engine.runner import BuildReport
from pipelines.endpoint import Endpoint
from pipelines.receipts import Connection
from pipelines.source import LoadResult, Slice
from pipelines.windows import Window

LINE_EVERY_SECONDS = 60.0
ROWS_SHOWN = 12
FAMILIES = ("compute", "storage", "transfer", "credits", "operations")
_FACTS = " union all ".join(f"from marts.fct_{family}" for family in FAMILIES)
_NEON = f"""
    with billed as (
        select facts.org_id, facts.project_id, meter.family,
            sum(cast(facts.quantity as double) / cast(meter.quantity_per_billed_unit as double))
                as quantity
        from ({_FACTS}) as facts
        inner join seeds.meters as meter
            on facts.source = meter.source and facts.meter = meter.meter
            and facts.unit = meter.unit
        where facts.source = 'neon'
            and facts.period_start >= date_trunc('day', current_timestamp) - interval 30 day
        group by all
    ),
    used as (
        pivot billed on family in ('compute', 'storage', 'transfer', 'operations')
        using sum(quantity) group by org_id, project_id
    )
    select coalesce(org.org_name, used.org_id),
        coalesce(project.project_name, used.project_id || ' (deleted)'),
        compute, storage, transfer, operations
    from used
    left join marts.dim_org as org on org.source = 'neon' and used.org_id = org.org_id
    left join marts.dim_project as project
        on project.source = 'neon' and used.org_id = project.org_id
        and used.project_id = project.project_id
    order by compute desc nulls last
"""  # noqa: S608
_OTHERS = f"""
    select facts.source, coalesce(project.project_name, facts.project_id, facts.org_id) as whose,
        facts.meter, sum(facts.quantity), facts.unit
    from ({_FACTS}) as facts
    left join marts.dim_project as project
        on facts.source = project.source and facts.project_id = project.project_id
        and facts.org_id is not distinct from project.org_id
    where facts.source <> 'neon'
        and facts.period_start >= date_trunc('day', current_timestamp) - interval 30 day
    group by all
    order by facts.source, facts.meter, sum(facts.quantity) desc
"""  # noqa: S608
# what will be used up if it goes on so, the next one first; then what is, the longest first
_SHORT_ALLOWANCES = """
    select allowance.meter,
        coalesce(project.project_name, site.workspace_slug, site.host_name, allowance.owner_id),
        cast(included_quantity as double), used_share, straight_line_quantity / included_quantity,
        strftime(resets_at at time zone 'UTC', '%m-%d'), strftime(exhausted_on, '%m-%d')
    from reports.allowance as allowance
    left join marts.dim_project as project
        on allowance.source = project.source and allowance.owner_id = project.project_id
        and allowance.org_id is not distinct from project.org_id
    left join marts.dim_site as site
        on allowance.source = site.source and allowance.owner_id = site.site_id
    where current_timestamp >= period_start and current_timestamp < resets_at
        and included_quantity > 0
        and (used_quantity > included_quantity or straight_line_quantity > included_quantity)
    order by used_quantity > included_quantity, exhausted_on, used_share desc
"""


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
        self.console = Console(quiet=as_json, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """A line."""
        self.console.print(text, markup=False)

    @contextmanager
    def loading(self, endpoint: Endpoint, window: Window | None) -> Iterator[Progress]:
        """Progress while an endpoint is loaded: a bar on a terminal, elsewhere a line a minute."""
        table = endpoint.table
        text = f"{table} since {window.since:%Y-%m-%d}" if window else table
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
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
            self.say(f"  CHECK FAILED {check.model}: {check.failing_rows} rows, {check.expression}")

    def facts(self, settings: Settings) -> None:
        """What was used over the last 30 days: Neon per project, the others by meter."""
        with warehouse.reader(settings.warehouse) as connection:
            neon = connection.execute(_NEON).fetchall()
            others = connection.execute(_OTHERS).fetchall()
            allowances = connection.execute(_SHORT_ALLOWANCES).fetchall()
        if neon:
            self._neon(neon)
        for source in dict.fromkeys(row[0] for row in others):
            self._source(source, [row[1:] for row in others if row[0] == source])
        if allowances:
            self._allowances(allowances)

    def _neon(self, rows: list[tuple[Any, ...]]) -> None:
        """In billed units, per org and then per project."""
        table = Table(title="\nNeon, last 30 days", title_justify="left", box=None)
        table.add_column("org", overflow="ellipsis", no_wrap=True, max_width=14)
        table.add_column("project", overflow="ellipsis", no_wrap=True, max_width=20)
        for heading in ("CU-hours", "GB-months", "GB out", "branch-mon"):
            table.add_column(heading, justify="right", no_wrap=True)
        for org in sorted({row[0] for row in rows}):
            of_org = [row for row in rows if row[0] == org]
            totals = [sum(row[i] or 0.0 for row in of_org) for i in range(2, 6)]
            table.add_row(org, f"all {len(of_org)} projects", *map(_number, totals), style="bold")
        for row in rows[:ROWS_SHOWN]:
            table.add_row(row[0], row[1], *map(_number, row[2:]))
        if len(rows) > ROWS_SHOWN:
            table.add_row("", f"... and {len(rows) - ROWS_SHOWN} more")
        self.console.print(table)

    def _source(self, source: str, rows: list[tuple[Any, ...]]) -> None:
        """In the vendor's units, per meter and project or organization."""
        table = Table(title=f"\n{source}, last 30 days", title_justify="left", box=None)
        table.add_column("meter", no_wrap=True)
        table.add_column("app, repository, org", overflow="ellipsis", no_wrap=True, max_width=28)
        table.add_column("used", justify="right", no_wrap=True)
        table.add_column("unit", no_wrap=True)
        for whose, meter, quantity, unit in rows[:ROWS_SHOWN]:
            table.add_row(meter, whose, _number(quantity), unit)
        if len(rows) > ROWS_SHOWN:
            table.add_row(f"... and {len(rows) - ROWS_SHOWN} more")
        self.console.print(table)

    def _allowances(self, rows: list[tuple[Any, ...]]) -> None:
        """So many times what is included; at the reset as so far, on a straight line."""
        title = "\nAllowances that are used up before they start anew, or will be"
        table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
        table.add_column(" meter", no_wrap=True, overflow="ellipsis", max_width=24)
        table.add_column("whose", no_wrap=True, overflow="ellipsis", max_width=14)
        for heading in ("included", "used", "at reset"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("reset", no_wrap=True)
        table.add_column("used up", no_wrap=True)
        for meter, whose, included, used, at_reset, reset, used_up in rows[:ROWS_SHOWN]:
            times = [_times(used), _times(at_reset)]
            quantity = _number(included).removesuffix(".00")
            table.add_row(f" {meter}", whose, quantity, *times, reset, used_up)
        if len(rows) > ROWS_SHOWN:
            table.add_row(f" ... and {len(rows) - ROWS_SHOWN} more")
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
            held = _held(connection)
            risks = _records(
                connection,
                "select * from reports.coverage where is_at_risk order by lost_at",
            )
        table = Table(title="Held", title_justify="left", box=None, padding=(0, 1, 0, 0))
        for heading in ("resource", "grain", "from", "until", "missing", "asked"):
            table.add_column(heading, no_wrap=True)
        for row in held:
            table.add_row(
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
        return {"held": held, "at_risk": risks, "failures": failures}


def _held(connection: Connection) -> list[dict[str, Any]]:
    return _records(
        connection,
        """
        select source, resource, granularity, count(distinct scope) as scopes,
            min(span_start) as held_since,
            max(span_end) filter (where state in ('held', 'open', 'provisional')) as held_until,
            coalesce(
                sum(bucket_count) filter (where state in ('missing', 'lost')), 0
            )::bigint as missing,
            max(last_asked_at) as asked_at
        from reports.coverage
        group by source, resource, granularity
        order by resource, held_until - held_since
        """,
    )


def _records(connection: Connection, sql: str) -> list[dict[str, Any]]:
    result = connection.execute(sql)
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _short(instant: datetime, grain: str) -> str:
    formats = {"hourly": "%m-%d %H:%M", "daily": "%Y-%m-%d", "monthly": "%Y-%m"}
    return instant.strftime(formats[grain])


def _times(share: float | None) -> str:
    return "" if share is None else f"{share:,.{2 if share < 100 else 0}f} x"


def _number(value: Any) -> str:
    return "" if value is None else f"{value:,.2f}"
