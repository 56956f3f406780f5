"""`meterhouse export` and `meterhouse sql`: what was built, for other tools and for people.

Both read the read copy, and write nothing into it.
"""

import io
import math
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from assets.settings import warehouse_at
from assets.terminal.reporting import Month, meant, reporting
from dbt_like_sql.engine.lakes.address import beside

FOCUS = {"1.2": "reports.focus_1_2", "1.4": "reports.focus_1_4"}
KINDS = ("parquet", "csv", "xlsx")
# the first of these that a table has says of which month a row is; one without any is whole
TIMES = ("ChargePeriodStart", "period_start", "period_date", "period_month")
ROWS_SHOWN = 40
# DuckDB draws no more of a result, whatever it is told
MOST_DRAWN = 9_999
EVERYTHING = 1_000_000_000

MONTH, PATH = Month(), click.Path(path_type=Path)
some_tables = click.argument("tables", metavar="[TABLE...]", nargs=-1)
a_month = click.option("--month", type=MONTH, help="A UTC month. Default: all of time.")


@click.group()
def export() -> None:
    """Write what was built, for other tools."""


@export.command()
@click.option("--version", type=click.Choice([*FOCUS]), default="1.2", show_default=True)
@click.option("--month", type=MONTH, required=True, help="A UTC month: 2026-10.")
@click.option("--format", "kind", type=click.Choice(KINDS[:2]), default="parquet")
@click.option("--to", type=PATH, help="A file. Default: in exports/, beside the warehouse.")
@reporting
def focus(show: Any, version: str, month: datetime, kind: str, to: Path | None) -> dict[str, Any]:
    """Write a month as FOCUS Cost and Usage: what has a price, by estimate."""
    from assets.terminal.targets import write_file
    from dbt_like_sql.engine.warehouse import reader

    file = to or _folder() / f"focus-{version}-{month:%Y-%m}.{kind}"
    if file.suffix != f".{kind}":
        raise click.UsageError(f"--to has to end in .{kind}, as --format says")
    with reader(warehouse_at()) as connection:
        (rows,) = _rows(connection, (FOCUS[version],), month)
        count = write_file(connection, rows, file, show.say)
        summed = "coalesce(sum(BilledCost), 0), count(*) filter (where x_is_open)"
        ((cost, still_open),) = connection.execute(f"select {summed} {rows.select}").fetchall()
        (gaps,) = _rows(connection, ("reports.focus_gaps",), month)
        ((left_out,),) = connection.execute(
            f"select cast(coalesce(sum(row_count), 0) as bigint) {gaps.select}"
        ).fetchall()
    show.say(f"{file}: {count:,} charges, ${cost:,.2f} by estimate")
    if still_open:
        show.say(f"  {still_open:,} of them will still change: export the month again later.")
    if left_out:
        show.say(f"  {left_out:,} more have no price and are left out: see reports.focus_gaps.")
    return {"file": file, "rows": count, "cost": cost, "open": still_open, "left_out": left_out}


def _write_files_as(kind: str) -> None:
    """The command that writes files of a kind."""
    about = f"Write marts and reports (those named, or all) as {kind}, a file for each."

    @export.command(kind, help=about)
    @some_tables
    @a_month
    @click.option("--to", type=PATH, help="A folder. Default: exports/, beside the warehouse.")
    @reporting
    def files(
        show: Any, tables: tuple[str, ...], month: datetime | None, to: Path | None
    ) -> dict[str, Any]:
        from assets.terminal.targets import write_file
        from dbt_like_sql.engine.warehouse import reader

        folder = (to or _folder()) / (f"{month:%Y-%m}" if month else "")
        with reader(warehouse_at()) as connection:
            found = {folder / f"{it.table}.{kind}": it for it in _rows(connection, tables, month)}
            written = {f"{f}": write_file(connection, it, f, show.say) for f, it in found.items()}
        return _counts(show, written)


for each in KINDS:
    _write_files_as(each)


@export.command()
@some_tables
@a_month
@click.option("--to", default="", metavar="URL", help="postgresql://USER@HOST/DATABASE.")
@reporting
def postgres(show: Any, tables: tuple[str, ...], month: datetime | None, to: str) -> dict[str, Any]:
    """Write marts and reports (those named, or all) into tables of the same names in Postgres.

    What URL leaves out is as PGHOST, PGPASSWORD and the like say.
    """
    from assets.terminal.targets import write_postgres
    from dbt_like_sql.engine.warehouse import reader

    with reader(warehouse_at()) as connection:
        return _counts(show, write_postgres(connection, _rows(connection, tables, month), to))


def _counts(show: Any, written: dict[str, int]) -> dict[str, Any]:
    for name, count in written.items():
        show.say(f"{name}: {count:,} rows")
    return {"rows": written}


@click.command()
@click.argument("query", required=False)
@reporting
def sql(show: Any, query: str | None) -> dict[str, Any]:
    """Run QUERY (or what stands on standard input) on the read copy, and print what it gives.

    Read-only, in UTC. On a terminal what is too long or too wide is left out, elsewhere nothing.
    """
    import duckdb

    from dbt_like_sql.engine.warehouse import reader

    with reader(warehouse_at()) as connection:
        try:
            asked = connection.sql(query or sys.stdin.read())
            if asked is None:
                return {"rows": []}
            # kept, for it may answer something else when it is asked for the next part; where two
            # columns have one name, the second has a number there
            asked.query("asked", "create temp table answered as from asked")
            found = connection.table("temp.answered")
            if show.console.quiet:
                rows = (map(_in_json, row) for row in found.fetchall())
                return {"rows": [dict(zip(found.columns, row, strict=True)) for row in rows]}
            for drawn in _drawn(found, show.console):
                show.say(drawn)
            return {}
        except duckdb.Error as error:
            show.end(str(error))
            return {"failures": [str(error)]}


def _in_json(value: Any) -> Any:
    """A value that JSON has a word for: it has none for infinity and what is no number."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _drawn(found: Any, console: Any) -> Iterator[str]:
    """A result as DuckDB draws it: as much of it as fits on a terminal; elsewhere all of it, in as
    many tables as that takes."""
    if console.is_terminal:
        yield _table(found, console.width, ROWS_SHOWN)
        return
    for first in range(0, max(len(found), 1), MOST_DRAWN):
        yield _table(found.limit(MOST_DRAWN, first), EVERYTHING, EVERYTHING)


def _table(found: Any, width: int, rows: int) -> str:
    with redirect_stdout(io.StringIO()) as drawn:
        found.show(max_width=width, max_rows=rows)
    return drawn.getvalue().rstrip("\n")


def _folder() -> Path:
    return beside(warehouse_at()).parent / "exports"


def _rows(connection: Any, named: tuple[str, ...], month: datetime | None) -> list[Any]:
    """The rows of a month (or all) of the tables that are named, or of all marts and reports."""
    from assets.terminal.targets import Rows
    from dbt_like_sql.engine.warehouse import describe

    found = describe(connection).items()
    there = {table: its for table, its in found if table.startswith(("marts.", "reports."))}
    tables = [_meant(name, [*there]) for name in named] or [*there]
    return [Rows(table, there[table], _where(there[table], month)) for table in tables]


def _meant(name: str, tables: list[str]) -> str:
    """The table that somebody means: its schema may be left out."""
    by_name = {table.partition(".")[2]: table for table in tables} | {it: it for it in tables}
    if name not in by_name:
        raise click.UsageError(f"No mart or report is called {name!r}.{meant(name, by_name)}")
    return by_name[name]


def _where(columns: dict[str, str], month: datetime | None) -> str:
    """The rows that begin in a UTC month; all of them where the table has no time."""
    column = next((name for name in TIMES if name in columns), None)
    if month is None or column is None:
        return "true"
    ends = (month, (month + timedelta(days=31)).replace(day=1))
    since, until = (f"timestamptz '{end:%Y-%m-%d} 00:00:00+00'" for end in ends)
    return f'"{column}" >= {since} and "{column}" < {until}'
