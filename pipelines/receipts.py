"""raw.loads, a receipt per scope of every load: its schema, writing and reading it.

The only SQL on it in Python. A receipt is written last, so rows of raw.* without one (a walk that
broke, a process that was killed) count for nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.windows import Window, whole_buckets

Connection = duckdb.DuckDBPyConnection
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

    def values(self, endpoint: Endpoint, column: str, scope: str, window: Window) -> list[Any]:
        """What a column says of a scope and window, in all loads that have a receipt."""
        scope_of = f"concat_ws('/', {', '.join(endpoint.scope_columns)})"
        grain = "and granularity = $grain" if "granularity" in endpoint.schema.names else ""
        return [
            value
            for (value,) in self._rows(
                endpoint,
                f"""
                select distinct {column} from raw.{endpoint.table}
                where {scope_of} = $scope and bucket_start >= $since and bucket_start < $until
                    and load_id in (
                        select load_id from raw.loads where resource = $table and scope = $scope
                    ) {grain}
                order by 1
                """,  # noqa: S608  # names are our own
                {"table": endpoint.table, "scope": scope, "since": window.since}
                | {"until": window.until}
                | ({"grain": window.grain} if grain else {}),
            )
        ]

    def listed(
        self, endpoint: Endpoint, scope: str, columns: tuple[str, ...]
    ) -> list[tuple[Any, ...]] | None:
        """Columns of the latest snapshot of a scope; None where it was never listed."""
        (latest,) = self._rows(
            endpoint,
            "select max_by(load_id, landed_at) from raw.loads where resource = ? and scope = ?",
            [endpoint.table, scope],
        )
        if latest[0] is None:
            return None
        of_scope = f"and concat_ws('/', {', '.join(endpoint.scope_columns)}) = $scope"
        return list(
            self._rows(
                endpoint,
                f"select distinct {', '.join(columns)} from raw.{endpoint.table}"  # noqa: S608
                f" where load_id = $load {of_scope if endpoint.scope_columns else ''} order by all",
                {"load": latest[0]} | ({"scope": scope} if endpoint.scope_columns else {}),
            )
        )

    def scopes(self, endpoint: Endpoint) -> set[str]:
        """Every scope of an endpoint that has a complete receipt."""
        found = self._rows(
            endpoint,
            "select distinct scope from raw.loads where resource = ? and complete",
            [endpoint.table],
        )
        return {scope for (scope,) in found}

    def history(self, endpoint: Endpoint, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
        """What columns said in every load that has a receipt, oldest first; and when it landed."""
        names = ", ".join(f'answer."{column}"' for column in columns)
        return list(
            self._rows(
                endpoint,
                f"""
                select distinct {names}, receipt.landed_at
                from raw.{endpoint.table} as answer
                inner join raw.loads as receipt
                    on answer.load_id = receipt.load_id and receipt.resource = ?
                order by receipt.landed_at, {names}
                """,  # noqa: S608  # names are our own
                [endpoint.table],
            )
        )

    def last_words(
        self, endpoint: Endpoint, key: str, scope: str, since: datetime, columns: tuple[str, ...]
    ) -> list[tuple[Any, ...]]:
        """Columns of the latest row of every key of a scope, of buckets from `since` on."""
        return list(
            self._rows(
                endpoint,
                f"""
                select {", ".join(f"answer.{column}" for column in columns)}
                from raw.{endpoint.table} as answer
                inner join raw.loads as receipt
                    on answer.load_id = receipt.load_id and receipt.scope = $scope
                    and receipt.resource = $table
                    and answer.bucket_start >= receipt.window_start
                    and answer.bucket_start < receipt.window_end
                where concat_ws('/', {", ".join(f"answer.{c}" for c in endpoint.scope_columns)})
                    = $scope and answer.bucket_start >= $since
                qualify row_number() over (
                    partition by answer.{key} order by receipt.asked_at desc, answer.page desc
                ) = 1
                order by all
                """,  # noqa: S608  # names are our own
                {"table": endpoint.table, "scope": scope, "since": since},
            )
        )

    def _rows(self, endpoint: Endpoint, sql: str, parameters: Any) -> Iterator[tuple[Any, ...]]:
        with self._open() as connection:
            create_raw_tables(connection, {endpoint.table: endpoint.schema})
            return iter(connection.execute(sql, parameters).fetchall())
