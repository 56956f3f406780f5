# ruff: noqa: S608  (names are our own, of endpoints; DuckDB takes no name as a parameter)
"""raw.<table>, a log of what changed: what an answer says otherwise than before, and what it lacks.

A row stands until a later one of its key; one that is withdrawn says that the key was missing from
a whole answer. So what a vendor said at any receipt is the last row of each key up to that, and an
hour that is asked eight times is stored once. Not here: the receipts themselves (receipts.py).
"""

from collections.abc import Iterable
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.endpoint import Endpoint

Connection = duckdb.DuckDBPyConnection

INSTANT = pa.timestamp("us", "UTC")
# of the receipt that told the row: what was asked about, by which load, and its place in the order
STAMP = pa.schema(
    [
        ("scope", pa.string()),
        ("load_id", pa.string()),
        ("landed_at", INSTANT),
        ("is_withdrawn", pa.bool_()),
    ]
)
_TYPES = {
    pa.string(): "VARCHAR",
    pa.bool_(): "BOOLEAN",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    INSTANT: "TIMESTAMP WITH TIME ZONE",
}


def schema_of(endpoint: Endpoint) -> pa.Schema:
    """The columns of raw.<table>: those of the endpoint's rows, then the stamp."""
    return pa.schema([*endpoint.schema, *STAMP])


def create_table(connection: Connection, table: str, schema: pa.Schema) -> None:
    """Make raw.<table>, or add the columns that an older version did not have."""
    columns = {field.name: f'"{field.name}" {_duckdb_type(field.type)}' for field in schema}
    connection.execute("create schema if not exists raw")
    connection.execute(f"create table if not exists raw.{table} ({', '.join(columns.values())})")
    for column in columns.keys() - set(columns_of(connection, table)):
        connection.execute(f"alter table raw.{table} add column {columns[column]}")


def columns_of(connection: Connection, table: str) -> list[str]:
    """The columns that raw.<table> has; none where it is not there."""
    found = connection.execute(
        "select column_name from duckdb_columns() where database_name = current_database()"
        " and schema_name = 'raw' and table_name = ?",
        [table],
    )
    return [column for (column,) in found.fetchall()]


def _duckdb_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    return _TYPES[kind]


def append_changes(connection: Connection, endpoint: Endpoint, landing: str | None) -> None:
    """Append what the answers say otherwise than what stands, and withdraw what they lack.

    `answered` is a table in sight: the receipts of these answers, with the numbers of their slices;
    `landing` is one of their rows (None: they have none), with slice and page. An answer that
    leaves something out withdraws nothing, and one that was overtaken by a later one says nothing.
    """
    table = endpoint.table
    nothing = f"(select *, 0 as slice, 0 as page from raw.{table} limit 0)"
    same_key = same(endpoint.key, "said", "stands")
    connection.execute(
        f"""
        insert into raw.{table} by name
        -- asked later than these, and landed before
        with overtaking as materialized (
            select receipt.scope, receipt.window_start, receipt.window_end
            from raw.loads as receipt
            inner join answered on receipt.scope = answered.scope
                and receipt.granularity = answered.granularity
            where receipt.resource = '{table}' and receipt.complete
                and receipt.asked_at > answered.asked_at
        ),

        said as (
            -- of what a page repeats the last word counts
            select
                {_names("said", endpoint.schema.names)},
                answered.scope, answered.load_id, answered.landed_at
            from {landing or nothing} as said
            inner join answered on said.slice = answered.slice
                {_within(endpoint, "said", "answered")}
            anti join overtaking on answered.scope = overtaking.scope
                {_within(endpoint, "said", "overtaking")}
            qualify row_number() over (
                partition by answered.scope, {_names("said", endpoint.key)}
                order by answered.landed_at desc, said.page desc
            ) = 1
        ),

        stands as (
            select
                stands.*, answered.complete and {endpoint.withdraws} as may_be_withdrawn,
                answered.load_id as told_by, answered.landed_at as told_at
            from raw.{table} as stands
            inner join answered on stands.scope = answered.scope
                {_within(endpoint, "stands", "answered")}
                {_of_grain(endpoint, "stands", "answered")}
            anti join overtaking on stands.scope = overtaking.scope
                {_within(endpoint, "stands", "overtaking")}
            {"where stands.bucket_start between $since and $until" if endpoint.is_windowed else ""}
            qualify row_number() over (
                partition by stands.scope, {_names("stands", endpoint.key)}
                order by stands.landed_at desc, answered.landed_at desc
            ) = 1
        )

        select said.*, false as is_withdrawn
        from said
        left join stands on said.scope = stands.scope and {same_key}
        where stands.landed_at is null or stands.is_withdrawn
            or not ({same(endpoint.values, "said", "stands")})
        union all by name
        select
            stands.* exclude (may_be_withdrawn, told_by, told_at)
            replace (told_by as load_id, told_at as landed_at, true as is_withdrawn)
        from stands
        anti join said on said.scope = stands.scope and {same_key}
        where stands.may_be_withdrawn and not stands.is_withdrawn
        """,
        _span(connection) if endpoint.is_windowed else {},
    )


def same(columns: Iterable[str], one: str, other: str) -> str:
    """SQL that is true where two tables say the same in these columns; null is as null."""
    pairs = [f'{one}."{column}" is not distinct from {other}."{column}"' for column in columns]
    return " and ".join(pairs) or "true"


def _span(connection: Connection) -> dict[str, Any]:
    """From when to when the answers are: what the log has outside of that need not be read."""
    span = connection.execute("select min(window_start), max(window_end) from answered").fetchone()
    return dict(zip(("since", "until"), span or (), strict=True))


def _names(table: str, columns: Iterable[str]) -> str:
    return ", ".join(f'{table}."{column}"' for column in columns)


def _within(endpoint: Endpoint, rows: str, receipts: str) -> str:
    """SQL, after other conditions: a row is of a bucket that the receipt asked for."""
    start = f"{rows}.bucket_start"
    within = f"and {start} >= {receipts}.window_start and {start} < {receipts}.window_end"
    return within if endpoint.is_windowed else ""


def _of_grain(endpoint: Endpoint, rows: str, receipts: str) -> str:
    has_grain = "granularity" in endpoint.schema.names and endpoint.is_windowed
    return f"and {rows}.granularity = {receipts}.granularity" if has_grain else ""
