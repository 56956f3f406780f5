# ruff: noqa: S608  (names are our own, of endpoints; DuckDB takes no name as a parameter)
"""raw.<table>, a log of what changed: what an answer says otherwise than before, and what it lacks.

A row stands until a later one of its key; one that is withdrawn says that the key was missing from
a whole answer. So what a vendor said at any receipt is the last row of each key up to that, and an
hour that is asked eight times is stored once. Not here: the receipts themselves (receipts.py).
"""

import csv
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from pipelines.endpoint import Endpoint

if TYPE_CHECKING:
    import pyarrow as pa

Connection = duckdb.DuckDBPyConnection
# what the warehouse, a budget's file or the disk says, which no slice has for itself
OF_THE_MACHINE = (duckdb.Error, sqlite3.Error, OSError)
# how many rows are compared at once, for the memory that it takes
PART_ROWS = 250_000
# the columns of a table, and their types in DuckDB
Columns = Mapping[str, str]

INSTANT = "TIMESTAMP WITH TIME ZONE"
# of the receipt that told the row: what was asked about, by which load, and its place in the order
STAMP = {"scope": "VARCHAR", "load_id": "VARCHAR", "landed_at": INSTANT, "is_withdrawn": "BOOLEAN"}
_TYPES = {
    "string": "VARCHAR",
    "bool": "BOOLEAN",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "timestamp[us, tz=UTC]": INSTANT,
}


def columns_for(schema: "pa.Schema") -> Columns:
    """Columns as DuckDB has them."""
    types = {field.name: str(field.type) for field in schema}
    return {name: _TYPES.get(t) or t.replace("decimal128", "DECIMAL") for name, t in types.items()}


def columns_of_log(endpoint: Endpoint) -> Columns:
    """The columns of raw.<table>: those of the endpoint's rows, then the stamp."""
    return {**columns_for(endpoint.schema), **STAMP}


def about_columns(endpoint: Endpoint) -> dict[str, str]:
    """What the columns of raw.<table> are: as their schema says it, or about.csv, of the vendor or
    of all of them."""
    folder = Path(__file__).parent
    said = _about(folder / "about.csv", endpoint.table)
    said |= _about(folder / endpoint.records.split(".")[1] / "about.csv", endpoint.table)
    told = {field.name: field.metadata or {} for field in endpoint.schema}
    return said | {name: it[b"help"].decode() for name, it in told.items() if b"help" in it}


def about_receipts() -> dict[str, str]:
    """What the columns of raw.loads are."""
    return _about(Path(__file__).with_name("about.csv"), "loads")


@cache
def _about(file: Path, table: str) -> dict[str, str]:
    """What a file says of a table; where it names no table, of every one."""
    if not file.exists():
        return {}
    with file.open(encoding="utf-8", newline="") as lines:
        rows = sorted(csv.DictReader(lines), key=lambda row: row["table"])
    return {row["column_name"]: row["about"] for row in rows if row["table"] in ("", table)}


def create_table(connection: Connection, table: str, columns: Columns) -> None:
    """Make raw.<table>, or add the columns that an older version did not have."""
    written = {name: f'"{name}" {kind}' for name, kind in columns.items()}
    missing = written.keys() - {*columns_of(connection, table)}
    if missing == written.keys():
        connection.execute("create schema if not exists raw")
        connection.execute(f"create table raw.{table} ({', '.join(written.values())})")
        return
    for name in missing:
        connection.execute(f"alter table raw.{table} add column {written[name]}")


def columns_of(connection: Connection, table: str) -> list[str]:
    """The columns that raw.<table> has; none where it is not there."""
    try:
        found = connection.execute(f"from raw.{table} limit 0").description
    except duckdb.CatalogException:
        return []
    return [name for name, *_ in found or []]


def literal(value: str | datetime | int | None) -> str:
    """A value as SQL writes it: with any parameter DuckDB's client imports pandas, for a second."""
    if isinstance(value, datetime):
        return f"timestamptz '{value.isoformat(sep=' ')}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "null" if value is None else f"{value}"


def append_changes(connection: Connection, endpoint: Endpoint, answers: Sequence[str]) -> None:
    """Append what the answers say otherwise than what stands, and withdraw what they lack.

    `answered` is a table in sight: the receipts of these answers, with the numbers of their slices;
    `answers` are Parquet files of their rows, with slice and page. An answer that leaves something
    out withdraws nothing, and one that was overtaken by a later one says nothing.
    """
    table = endpoint.table
    nothing = f"(select *, 0 as slice, 0 as page, 0 as file_row_number from raw.{table} limit 0)"
    files = ", ".join(map(literal, answers))
    told = f"read_parquet([{files}], file_row_number = true)" if answers else nothing
    connection.execute(
        f"""
        -- asked later than these answers, and landed before
        create or replace temp table overtaking as
        select receipt.scope, receipt.window_start, receipt.window_end
        from raw.loads as receipt
        inner join answered on receipt.scope = answered.scope
            and receipt.granularity = answered.granularity
        where receipt.resource = '{table}' and receipt.complete
            and receipt.ask_number > answered.ask_number
        """
    )
    for part in _parts(connection, endpoint, told):
        _append_part(connection, endpoint, told, part)


def _parts(connection: Connection, endpoint: Endpoint, told: str) -> Iterable[str]:
    """SQL of spans of buckets, about so many rows in each, that together are all of the rows.

    A row is compared with others of its bucket alone, where that is part of the key.
    """
    if "bucket_start" not in endpoint.key:
        return ["true"]
    cuts, rows = ["-infinity"], 0
    for bucket, count in connection.execute(
        f"select bucket_start, count(*) from {told} group by all order by all"
    ).fetchall():
        if rows and rows + count > PART_ROWS:
            cuts, rows = [*cuts, f"{bucket}"], 0
        rows += count
    return [
        f"row.bucket_start >= timestamptz '{since}' and row.bucket_start < timestamptz '{until}'"
        for since, until in pairwise([*cuts, "infinity"])
    ]


def _append_part(connection: Connection, endpoint: Endpoint, told: str, part: str) -> None:
    said = _last_rows(
        connection,
        endpoint,
        f"{told} as row inner join answered on row.slice = answered.slice",
        # of what is told twice, by two pages or by one, the last word counts
        "answered.landed_at desc, row.page desc, row.file_row_number desc",
        part,
    )
    stands = _last_rows(
        connection,
        endpoint,
        f"raw.{endpoint.table} as row inner join answered on row.scope = answered.scope"
        + of_grain(endpoint),
        "row.landed_at desc, answered.landed_at desc",
        f"{part} and {in_span(connection, endpoint)}",
    )
    either = ", ".join(
        f'if(said.landed_at is null, stands."{name}", said."{name}") as "{name}"'
        for name in (*endpoint.schema.names, "scope", "load_id", "landed_at")
    )
    connection.execute(
        f"""
        insert into raw.{endpoint.table} by name
        with said as (
            select {names(endpoint.schema.names)},
                answered.scope, answered.load_id, answered.landed_at
            {said}
        ),

        stands as (
            select {names(endpoint.schema.names)}, row.scope, row.is_withdrawn,
                answered.complete, answered.load_id, answered.landed_at
            {stands}
        )

        select {either}, said.landed_at is null as is_withdrawn
        from said
        full join stands
            on said.scope = stands.scope and {same(endpoint.key, "said", "stands")}
        where if(
            said.landed_at is null,
            {endpoint.withdraws} and stands.complete and not stands.is_withdrawn,
            stands.is_withdrawn is not false or not ({same(endpoint.values, "said", "stands")})
        )
        -- rows of one time stand together then, in less room, and are found without reading others
        {"order by bucket_start" if endpoint.is_windowed else ""}
        """
    )


def _last_rows(
    connection: Connection, endpoint: Endpoint, rows: str, order: str, where: str
) -> str:
    """SQL from its `from` on: of rows that these receipts are about, the last of each key."""
    source = f"""
        from {rows} {within(endpoint, "answered")}
        anti join overtaking on answered.scope = overtaking.scope {within(endpoint, "overtaking")}
        where {where}"""
    key = f"answered.scope, {names(endpoint.key)}"
    # mostly each key has one row, and to sort them all costs as much as everything else; of two
    # keys with one hash none is lost, but sorted in vain
    ((is_repeated,),) = connection.execute(
        f"select count(*) > count(distinct hash({key})) {source}"
    ).fetchall()
    last = f"qualify row_number() over (partition by {key} order by {order}) = 1"
    return f"{source} {last}" if is_repeated else source


def same(columns: Iterable[str], one: str, other: str) -> str:
    """SQL that is true where two tables say the same in these columns; null is as null."""
    pairs = [f'{one}."{column}" is not distinct from {other}."{column}"' for column in columns]
    return " and ".join(pairs) or "true"


def names(columns: Iterable[str]) -> str:
    """SQL of these columns of a row."""
    return ", ".join(f'row."{column}"' for column in columns)


def within(endpoint: Endpoint, receipts: str) -> str:
    """SQL, after other conditions: a row is of a bucket that the receipt asked for."""
    within = (
        f"and row.bucket_start >= {receipts}.window_start"
        f" and row.bucket_start < {receipts}.window_end"
    )
    return within if endpoint.is_windowed else ""


def of_grain(endpoint: Endpoint) -> str:
    """SQL, after other conditions: a row is of the grain that the receipt is of."""
    return " and row.granularity = answered.granularity" if endpoint.tells_grain else ""


def in_span(connection: Connection, endpoint: Endpoint) -> str:
    """SQL by which rows of other times than these answers are about are not even read."""
    if not endpoint.is_windowed:
        return "true"
    ((since, until),) = connection.execute(
        "select min(window_start), max(window_end) from answered"
    ).fetchall()
    return f"row.bucket_start between timestamptz '{since}' and timestamptz '{until}'"
