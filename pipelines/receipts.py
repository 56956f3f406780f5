"""raw.loads, a receipt per scope of every load: its schema, writing and reading it.

The only SQL on it in Python. A receipt is written last, so rows of raw.* without one (a walk that
broke, a process that was killed) count for nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.windows import Window, whole_buckets

Connection = duckdb.DuckDBPyConnection
Rows = list[tuple[Any, ...]]
OpenWarehouse = Callable[[], AbstractContextManager[Connection]]
# scope -> start of bucket -> when it was last asked
Held = dict[str, dict[datetime, datetime]]

SCHEMA = pa.schema(
    [
        ("load_id", pa.string()),
        ("source", pa.string()),
        ("resource", pa.string()),
        ("granularity", pa.string()),
        ("scope", pa.string()),
        ("window_start", pa.timestamp("us", "UTC")),
        ("window_end", pa.timestamp("us", "UTC")),
        ("asked_at", pa.timestamp("us", "UTC")),
        ("rows", pa.int64()),
        ("pages", pa.int64()),
        ("complete", pa.bool_()),
        ("landed_at", pa.timestamp("us", "UTC")),
    ]
)
STAMP = [("load_id", pa.string()), ("page", pa.int32())]


@dataclass(frozen=True)
class Receipt:
    """What raw.loads says of one scope of one load."""

    scope: str
    window: Window | None
    asked_at: datetime
    rows: int
    pages: int
    complete: bool = True


def create_raw_tables(connection: Connection, tables: Mapping[str, pa.Schema]) -> None:
    """Make raw.<table> and raw.loads, or add the columns that an older version did not have."""
    connection.execute("create schema if not exists raw")
    held: dict[str, set[str]] = {}
    for table, column in connection.execute(
        "select table_name, column_name from duckdb_columns() where schema_name = 'raw'"
    ).fetchall():
        held.setdefault(table, set()).add(column)
    wanted = {name: pa.schema([*schema, *STAMP]) for name, schema in tables.items()}
    for name, schema in {**wanted, "loads": SCHEMA}.items():
        columns = {field.name: f'"{field.name}" {_duckdb_type(field.type)}' for field in schema}
        if name not in held:
            connection.execute(f"create table raw.{name} ({', '.join(columns.values())})")
        else:
            for column in columns.keys() - held[name]:
                connection.execute(f"alter table raw.{name} add column {columns[column]}")


def _duckdb_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    names = {
        pa.string(): "VARCHAR",
        pa.bool_(): "BOOLEAN",
        pa.int32(): "INTEGER",
        pa.int64(): "BIGINT",
        pa.timestamp("us", "UTC"): "TIMESTAMP WITH TIME ZONE",
    }
    return names[kind]


def write(
    connection: Connection,
    endpoint: Endpoint,
    load_id: str,
    receipts: Iterable[Receipt],
    landed_at: datetime,
) -> None:
    """Write the receipts of a load, in one transaction, after its rows."""
    connection.execute("begin")
    for receipt in receipts:
        connection.execute(
            """
            insert into raw.loads by name
            select ? as load_id, ? as source, ? as resource, ? as granularity, ? as scope,
                ?::timestamptz as window_start, ?::timestamptz as window_end,
                ?::timestamptz as asked_at, ? as rows, ? as pages, ? as complete,
                -- strictly increasing whatever the clock does: builds count on it
                greatest(
                    ?::timestamptz,
                    (select max(landed_at) + interval 1 microsecond from raw.loads)
                ) as landed_at
            """,
            [
                load_id,
                endpoint.source,
                endpoint.table,
                receipt.window.grain if receipt.window else SNAPSHOT,
                receipt.scope,
                receipt.window.since if receipt.window else None,
                receipt.window.until if receipt.window else None,
                receipt.asked_at,
                receipt.rows,
                receipt.pages,
                receipt.complete,
                landed_at,
            ],
        )
    connection.execute("commit")


def held_since(
    connection: Connection,
    table: str,
    grain: str,
    since: datetime,
    only_complete: bool = True,
) -> Held:
    """The buckets of raw.<table> that (complete) receipts cover, and when each was last asked."""
    create_raw_tables(connection, {})
    found = connection.execute(
        """
        select scope, window_start, window_end, asked_at from raw.loads
        where resource = ? and granularity = ? and (complete or not ?) and window_end > ?
        order by asked_at
        """,
        [table, grain, only_complete, since],
    ).fetchall()
    held: Held = defaultdict(dict)
    for scope, start, end, asked_at in found:
        held[scope] |= dict.fromkeys(whole_buckets(grain, start, end), asked_at)
    return held


def last_answer(connection: Connection, table: str) -> tuple[bool, datetime] | None:
    """Whether the last receipt of raw.<table> is complete, and when it was asked; None: no one."""
    create_raw_tables(connection, {})
    found: tuple[bool, datetime] | None = connection.execute(
        "select complete, asked_at from raw.loads where resource = ?"
        " order by asked_at desc limit 1",
        [table],
    ).fetchone()
    return found


class Landed:
    """What landed before, for slices that follow from it; holds the warehouse shortly."""

    def __init__(self, open_warehouse: OpenWarehouse) -> None:
        self._open = open_warehouse

    def covers(self, endpoint: Endpoint, scope: str, window: Window) -> bool:
        """Whether complete receipts of an endpoint cover every bucket of the window."""
        with self._open() as connection:
            held = held_since(connection, endpoint.table, window.grain, window.since)
        return held[scope].keys() >= set(window.buckets())

    def has_listed(self, endpoint: Endpoint, scope: str) -> bool:
        """Whether a scope of an endpoint without windows was ever listed."""
        return self.listed(endpoint, scope, ("load_id",)) is not None

    def scopes(self, endpoint: Endpoint) -> set[str]:
        """Every scope of an endpoint that has a complete receipt."""
        sql = "select distinct scope from raw.loads where resource = $table and complete"
        return {scope for (scope,) in self._rows(endpoint, sql)}

    def listed(self, endpoint: Endpoint, scope: str, columns: Sequence[str]) -> Rows | None:
        """Columns of the latest snapshot of a scope; None where it was never listed."""
        latest = "select max_by(load_id, landed_at) from raw.loads where resource = $table"
        ((load_id,),) = self._rows(endpoint, f"{latest} and scope = $scope", scope=scope)
        if load_id is None:
            return None
        return self._rows(
            endpoint,
            f"select distinct {_names(columns)} from {_of_scope(endpoint)}"  # noqa: S608
            " and answer.load_id = $load_id order by all",
            scope=scope,
            load_id=load_id,
        )

    def values(self, endpoint: Endpoint, column: str, scope: str, window: Window) -> list[Any]:
        """What a column says of a scope and window, in all loads that have a receipt."""
        grain = "and granularity = $grain" if "granularity" in endpoint.schema.names else ""
        found = self._rows(
            endpoint,
            f"""
            select distinct {_names([column])} from {_of_scope(endpoint)} {grain}
                and bucket_start >= $since and bucket_start < $until
                and answer.load_id in (
                    select load_id from raw.loads where resource = $table and scope = $scope
                )
            order by all
            """,  # noqa: S608  # names are our own
            scope=scope,
            since=window.since,
            until=window.until,
            **({"grain": window.grain} if grain else {}),
        )
        return [value for (value,) in found]

    def history(self, endpoint: Endpoint, columns: Sequence[str]) -> Rows:
        """What columns said in every load that has a receipt, and when it landed; oldest first."""
        return self._rows(
            endpoint,
            f"""
            select distinct {_names(columns)}, receipt.landed_at
            from raw.{endpoint.table} as answer
            inner join raw.loads as receipt
                on answer.load_id = receipt.load_id and receipt.resource = $table
            order by receipt.landed_at, {_names(columns)}
            """,  # noqa: S608  # names are our own
        )

    def last_words(
        self, endpoint: Endpoint, key: str, scope: str, since: datetime, columns: Sequence[str]
    ) -> Rows:
        """Columns of the latest row of every key of a scope, of buckets from `since` on."""
        return self._rows(
            endpoint,
            f"""
            select {_names(columns)} from (select * from {_of_scope(endpoint)}) as answer
            inner join raw.loads as receipt
                on answer.load_id = receipt.load_id
                and receipt.scope = $scope and receipt.resource = $table
                and answer.bucket_start >= receipt.window_start
                and answer.bucket_start < receipt.window_end
            where answer.bucket_start >= $since
            qualify row_number() over (
                partition by answer.{key} order by receipt.asked_at desc, answer.page desc
            ) = 1
            order by all
            """,  # noqa: S608  # names are our own
            scope=scope,
            since=since,
        )

    def _rows(self, endpoint: Endpoint, sql: str, **parameters: Any) -> Rows:
        if "$table" in sql:
            parameters["table"] = endpoint.table
        if "$scope" not in sql:
            parameters.pop("scope", None)
        with self._open() as connection:
            create_raw_tables(connection, {endpoint.table: endpoint.schema})
            return connection.execute(sql, parameters).fetchall()


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f'answer."{column}"' for column in columns)


def _of_scope(endpoint: Endpoint) -> str:
    """The endpoint's table, and the start of a condition: the rows of the scope."""
    of_scope = f"concat_ws('/', {_names(endpoint.scope_columns)}) = $scope"
    return f"raw.{endpoint.table} as answer where {of_scope if endpoint.scope_columns else 'true'}"
