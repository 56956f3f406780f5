# ruff: noqa: S608  (names come from the catalogue of our own read copy)
"""Where rows of the read copy are exported to: a file, or tables of a Postgres database.

What stands there is replaced in one step, so that to export again doubles nothing.
"""

import gc
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from traceback import clear_frames
from typing import Any

import duckdb

from assets.report.files import whole
from dbt_like_sql.engine.warehouse import WarehouseError, literal
from pipelines.source import readable

COPY = {
    ".parquet": "(format parquet, compression zstd)",
    # as FOCUS writes times, and everybody reads them
    ".csv": "(format csv, header, timestampformat '%Y-%m-%dT%H:%M:%SZ')",
}
_WORKBOOK = {
    "constant_memory": True,
    "remove_timezone": True,
    "default_date_format": "yyyy-mm-dd hh:mm:ss",
    # names are the vendors': '=1+1' in one is text
    "strings_to_formulas": False,
    "strings_to_urls": False,
}
_MOST_SHEET_ROWS, _LONGEST_CELL = 1_048_575, 32_767
_POSTGRES_TYPES = {"DOUBLE": "double precision", "HUGEINT": "numeric", "VARCHAR": "text"}


@dataclass(frozen=True)
class Rows:
    """Some rows of a table, and all columns that it has, with their types."""

    table: str
    columns: dict[str, str]
    where: str = "true"

    @property
    def select(self) -> str:
        """The SQL that gives them."""
        return f"from {self.table} where {self.where}"


def write_file(
    connection: duckdb.DuckDBPyConnection, rows: Rows, path: Path, say: Callable[[str], object]
) -> int:
    """Write rows into a file of the kind that its ending says, and how many they are; `say` is
    told what it does not hold."""
    with whole(path) as draft:
        if path.suffix == ".xlsx":
            return _write_sheet(connection, rows, draft, say)
        return _copy(connection, rows, draft, COPY[path.suffix])


def _copy(connection: duckdb.DuckDBPyConnection, rows: Rows, file: Path, options: str) -> int:
    sql = f"copy ({rows.select}) to {literal(str(file))} {options}"
    ((count,),) = connection.execute(sql).fetchall()
    return int(count)


def _write_sheet(
    connection: duckdb.DuckDBPyConnection, rows: Rows, file: Path, say: Callable[[str], object]
) -> int:
    from xlsxwriter import Workbook  # not above: other kinds do without
    from xlsxwriter.exceptions import FileCreateError

    ((count,),) = connection.execute(f"select count(*) {rows.select}").fetchall()
    if count > _MOST_SHEET_ROWS:
        raise WarehouseError(
            f"{rows.table} has {count:,} rows, and a sheet holds {_MOST_SHEET_ROWS:,}: name a "
            "--month, or write parquet or csv"
        )
    cut = Counter[str]()
    packed, parts = BytesIO(), file.with_suffix(".parts")
    shutil.rmtree(parts, ignore_errors=True)  # of one that was killed
    parts.mkdir()
    try:
        with Workbook(packed, {**_WORKBOOK, "tmpdir": str(parts)}) as book:
            sheet = book.add_worksheet()
            sheet.write_row(0, 0, rows.columns)
            result = connection.execute(rows.select)
            for at in range(1, count + 1):
                row = result.fetchone() or ()
                if sheet.write_row(at, 0, row):  # it ends at a text that is too long
                    fitting = [it[:_LONGEST_CELL] if isinstance(it, str) else it for it in row]
                    named = zip(rows.columns, row, fitting, strict=True)
                    cut.update(name for name, told, kept in named if told != kept)
                    sheet.write_row(at, 0, fitting)
        file.write_bytes(packed.getbuffer())
    except (OSError, FileCreateError) as error:
        # an archive that was begun ends here, and not when it is collected, in ten lines; in Python
        # 3.13 it is part of a circle
        clear_frames(error.__traceback__)
        gc.collect()
        raise OSError(*error.args) from None
    finally:
        shutil.rmtree(parts, ignore_errors=True)
    for name, times in cut.items():
        say(
            f"{rows.table}: {name} of {times:,} rows is cut to the {_LONGEST_CELL:,} characters "
            "that a cell holds: write parquet or csv for all of it"
        )
    return int(count)


def refuse_password(address: str) -> None:
    """An error could repeat it, and every process of the machine sees it."""
    if ":" in address.partition("://")[2].rpartition("@")[0] or "password" in address:
        raise WarehouseError("leave the password out of --to: PGPASSWORD or ~/.pgpass may have it")


def write_postgres(
    connection: duckdb.DuckDBPyConnection, tables: Iterable[Rows], address: str
) -> dict[str, int]:
    """Write rows into tables of the same names, in place of those that the same condition finds
    there, all in one transaction; how many, by table. What `address` leaves out libpq knows."""
    try:
        import psycopg
    except ImportError:
        raise WarehouseError(
            "Postgres needs a driver that is not installed: pip install 'meterhouse[postgres]'"
        ) from None
    refuse_password(address)
    try:
        with psycopg.connect(address) as target:
            target.execute("set time zone 'UTC'")
            return {rows.table: _replace(connection, target, rows) for rows in tables}
    except psycopg.Error as error:
        reason = readable(str(error).partition("\n")[0])
        raise WarehouseError(f"Postgres: {reason}. What stood there is as it was.") from None


def _replace(connection: duckdb.DuckDBPyConnection, target: Any, rows: Rows) -> int:
    kinds = {f'"{name}"': _POSTGRES_TYPES.get(kind, kind) for name, kind in rows.columns.items()}
    added = ", ".join(f"add column if not exists {name} {kind}" for name, kind in kinds.items())
    target.execute(f"create schema if not exists {rows.table.partition('.')[0]}")
    target.execute(f"create table if not exists {rows.table} ()")
    target.execute(f"alter table {rows.table} {added}")
    # of two exports at once the second waits; readers do not
    target.execute(f"lock table {rows.table} in share row exclusive mode")
    target.execute(f"delete from {rows.table} where {rows.where}")
    into = f"copy {rows.table} ({', '.join(kinds)}) from stdin (format csv)"
    with tempfile.TemporaryFile() as file:  # of no name: whoever is killed leaves nothing
        at = Path(f"/dev/fd/{file.fileno()}")
        count = _copy(connection, rows, at, "(format csv, header false, use_tmp_file false)")
        with target.cursor().copy(into) as sink:
            while some := file.read(1 << 20):
                sink.write(some)
    return count
