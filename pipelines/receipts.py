# ruff: noqa: S608  (names are our own, of endpoints; DuckDB takes no name as a parameter)
"""raw.loads, a receipt per scope of every load: its schema, writing and reading it.

A receipt says what was asked, the log of raw.<table> (log.py) what changed; both are written at
once, or neither. What broke, or was killed, has left nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from pipelines import log
from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.log import Connection as Connection
from pipelines.windows import Window, whole_buckets

Rows = list[tuple[Any, ...]]
OpenWarehouse = Callable[[], AbstractContextManager[Connection]]
# scope -> start of bucket -> when it was last asked
Held = dict[str, dict[datetime, datetime]]
MICROSECOND = timedelta(microseconds=1)
# stands for the grain of a receipt that says that a scope is no longer asked about
ENDED = "ended"

SCHEMA = pa.schema(
    [
        ("load_id", pa.string()),
        ("source", pa.string()),
        ("resource", pa.string()),
        ("granularity", pa.string()),
        ("scope", pa.string()),
        ("window_start", log.INSTANT),
        ("window_end", log.INSTANT),
        ("asked_at", log.INSTANT),
        ("rows", pa.int64()),
        ("pages", pa.int64()),
        ("complete", pa.bool_()),
        ("landed_at", log.INSTANT),
        # of what was asked before warehouses handed it out: null
        ("ask_number", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Receipt:
    """What raw.loads says of one scope of one load; `slice` is its number within the load."""

    scope: str
    window: Window | None
    asked_at: datetime
    rows: int
    pages: int
    complete: bool = True
    slice: int = 0


def create_raw_tables(connection: Connection, endpoints: Iterable[Endpoint] = ()) -> None:
    """Make raw.loads and the tables of endpoints, with the columns that they have today."""
    log.create_table(connection, "loads", SCHEMA)
    for endpoint in endpoints:
        log.create_table(connection, endpoint.table, log.schema_of(endpoint))


def next_ask_number(connection: Connection) -> int:
    """The place, in the order of asking, of what is asked from now on: clocks may be wrong."""
    create_raw_tables(connection)
    connection.execute("create sequence if not exists raw.ask_numbers")
    ((ask_number,),) = connection.execute("select nextval('raw.ask_numbers')").fetchall()
    return int(ask_number)


def write(
    connection: Connection,
    endpoint: Endpoint,
    load_id: str,
    ask_number: int,
    receipts: Sequence[Receipt],
    answers: Sequence[str],
    now: datetime,
) -> None:
    """Write what changed, and the receipts that say so, in one transaction.

    `answers` are the Parquet files of all of their rows, `ask_number` is when they were asked for.
    """
    ((latest,),) = connection.execute("select max(landed_at) from raw.loads").fetchall()
    # strictly increasing whatever the clock does: logs and builds count on it
    landed_at = max(now, latest + MICROSECOND) if latest else now
    answered = pa.Table.from_pylist(
        [
            vars(receipt)
            | {
                "load_id": load_id,
                "source": endpoint.source,
                "resource": endpoint.table,
                "granularity": receipt.window.grain if receipt.window else SNAPSHOT,
                "window_start": receipt.window.since if receipt.window else None,
                "window_end": receipt.window.until if receipt.window else None,
                "landed_at": landed_at + number * MICROSECOND,
                "ask_number": ask_number,
            }
            for number, receipt in enumerate(receipts)
        ],
        pa.schema([*SCHEMA, ("slice", pa.int32())]),
    )
    connection.execute("begin")
    connection.register("receipts", answered)
    connection.execute("create or replace temp table answered as from receipts")
    connection.unregister("receipts")
    log.append_changes(connection, endpoint, answers)
    connection.execute("insert into raw.loads by name select * exclude (slice) from answered")
    _forget_repeats(connection, endpoint)
    connection.execute("drop table temp.answered")
    connection.execute("commit")


def _forget_repeats(connection: Connection, endpoint: Endpoint) -> None:
    """Drop receipts of which these say the same again: all that they asked, and nothing changed.

    One from before a change stays: it tells until when the vendor said what it said before.
    """
    connection.execute(
        f"""
        delete from raw.loads as earlier
        using answered
        where earlier.resource = '{endpoint.table}' and earlier.scope = answered.scope
            and earlier.granularity = answered.granularity and answered.complete
            and earlier.landed_at < answered.landed_at
            and coalesce(earlier.ask_number, 0) <= answered.ask_number
            and earlier.window_start is not distinct from
                greatest(earlier.window_start, answered.window_start)
            and earlier.window_end is not distinct from
                least(earlier.window_end, answered.window_end)
            and not exists (
                select 1 from raw.{endpoint.table} as row
                where row.scope = earlier.scope and {log.in_span(connection, endpoint)}
                    {log.within(endpoint, "earlier")} {log.of_grain(endpoint)}
                    and row.landed_at between earlier.landed_at and answered.landed_at
            )
        """
    )


def held_since(connection: Connection, table: str, grain: str, since: datetime) -> Held:
    """The buckets of raw.<table> that complete receipts cover, and when each was last asked."""
    create_raw_tables(connection)
    found = connection.execute(
        """
        select scope, window_start, window_end, asked_at from raw.loads
        where resource = ? and granularity = ? and complete and window_end > ?
        order by ask_number nulls first, asked_at
        """,
        [table, grain, since],
    ).fetchall()
    held: Held = defaultdict(dict)
    for scope, start, end, asked_at in found:
        held[scope] |= dict.fromkeys(whole_buckets(grain, start, end), asked_at)
    return held


@dataclass(frozen=True)
class Standing:
    """How one scope answers at one grain: when it last did, and since when it did not.

    `is_ended`: it was gone, or no longer named, and did not answer since, at any grain.
    """

    answered_at: datetime | None
    asked_at: datetime | None
    refused_for: timedelta | None
    is_ended: bool


def standings(connection: Connection, table: str, grain: str) -> dict[str, Standing]:
    """How every scope that was ever asked about stands."""
    create_raw_tables(connection)
    found = connection.execute(
        """
        select
            scope,
            max(asked_at) filter (where complete and granularity = $grain),
            max(asked_at) filter (where granularity = $grain),
            max(asked_at) filter (where is_refusal) - min(asked_at) filter (where is_refusal),
            coalesce(
                max(landed_at) filter (where granularity = $ended)
                > max(landed_at) filter (where complete and granularity <> $ended),
                bool_or(granularity = $ended)
            )
        from (
            select
                *,
                not complete and granularity = $grain and landed_at > coalesce(
                    max(landed_at) filter (where complete and granularity = $grain)
                        over (partition by scope), timestamptz '1970-01-01 00:00:00+00'
                ) as is_refusal
            from raw.loads
            where resource = $table
        )
        group by scope
        """,
        {"table": table, "grain": grain, "ended": ENDED},
    ).fetchall()
    return {scope: Standing(*rest) for scope, *rest in found}


def end(connection: Connection, endpoint: Endpoint, scopes: Iterable[str], now: datetime) -> None:
    """Write down that scopes are gone, or no longer named. What they told stays.

    One that answers later is there again.
    """
    for scope in scopes:
        connection.execute(
            """
            insert into raw.loads by name
            select
                'ended' as load_id, $source as source, $table as resource, $ended as granularity,
                $scope as scope, $now::timestamptz as asked_at, 0 as rows, 0 as pages,
                true as complete,
                greatest($now::timestamptz, max(landed_at) + interval 1 microsecond) as landed_at
            from raw.loads
            """,
            {
                **{"source": endpoint.source, "table": endpoint.table, "ended": ENDED},
                **{"scope": scope, "now": now},
            },
        )


def last_answer(connection: Connection, table: str) -> tuple[bool, datetime] | None:
    """Whether the last receipt of raw.<table> is complete, and when it was asked; None: no one."""
    create_raw_tables(connection)
    found: tuple[bool, datetime] | None = connection.execute(
        "select complete, asked_at from raw.loads where resource = ?"
        " order by ask_number desc nulls last, asked_at desc limit 1",
        [table],
    ).fetchone()
    return found


def row_counts(connection: Connection, endpoint: Endpoint, window: Window) -> dict[datetime, int]:
    """How many rows of raw.<table> stand in each bucket of a window, over all scopes."""
    within, parameters = _within(endpoint, window)
    found = connection.execute(
        f"select row.bucket_start, count(*) from {_standing(endpoint, within)} group by 1",
        parameters,
    )
    return dict(found.fetchall())


class Landed:
    """What landed before, for slices that follow from it; holds the warehouse shortly."""

    def __init__(self, open_warehouse: OpenWarehouse) -> None:
        self._open = open_warehouse

    def lacking(
        self, endpoint: Endpoint, windows: Mapping[str, Window]
    ) -> dict[str, set[datetime]]:
        """By scope, the buckets of its window that no complete receipt covers, if there are any;
        one grain for all."""
        if not windows:
            return {}
        first = min(windows.values(), key=lambda window: window.since)
        with self._open() as connection:
            held = held_since(connection, endpoint.table, first.grain, first.since)
        lacking = {scope: {*w.buckets()} - held[scope].keys() for scope, w in windows.items()}
        return {scope: buckets for scope, buckets in lacking.items() if buckets}

    def scopes(self, endpoint: Endpoint) -> set[str]:
        """Every scope of an endpoint that has a receipt."""
        sql = "select distinct scope from raw.loads where resource = $table"
        return {scope for (scope,) in self._rows(endpoint, sql, table=endpoint.table)}

    def last_rows(
        self,
        endpoint: Endpoint,
        scope: str | None,
        columns: Sequence[str],
        since: datetime | None = None,
    ) -> Rows:
        """Columns of the rows of a scope (None: of all) that stand, of buckets from `since` on."""
        of_scope = "row.scope = $scope" if scope else "true"
        of_buckets = " and row.bucket_start >= $since" if since else ""
        standing = _standing(endpoint, of_scope + of_buckets)
        return self._rows(
            endpoint,
            f"select {_names(columns)} from {standing} order by all",
            **({"scope": scope} if scope else {}),
            **({"since": since} if since else {}),
        )

    def values(self, endpoint: Endpoint, column: str, scope: str, window: Window) -> list[Any]:
        """What a column ever said of a scope and window."""
        within, parameters = _within(endpoint, window)
        found = self._rows(
            endpoint,
            f"select distinct {_names([column])} from raw.{endpoint.table} as row"
            f" where row.scope = $scope and {within} order by all",
            scope=scope,
            **parameters,
        )
        return [value for (value,) in found]

    def history(self, endpoint: Endpoint, columns: Sequence[str]) -> Rows:
        """What columns ever said, and when their scope was last told of; the oldest first."""
        return self._rows(
            endpoint,
            f"""
            select {_names(columns)}, max(receipt.landed_at) as told_at
            from raw.{endpoint.table} as row
            inner join raw.loads as receipt
                on row.scope = receipt.scope and receipt.resource = $table
            group by {_names(columns)}
            order by told_at, {_names(columns)}
            """,
            table=endpoint.table,
        )

    def _rows(self, endpoint: Endpoint, sql: str, **parameters: Any) -> Rows:
        with self._open() as connection:
            create_raw_tables(connection, [endpoint])
            return connection.execute(sql, parameters).fetchall()


def _standing(endpoint: Endpoint, where: str) -> str:
    """SQL, after `from`: of the rows of raw.<table> the last of each key, but for the withdrawn."""
    return f"""(
        from raw.{endpoint.table} as row
        where {where}
        qualify row_number() over (
            partition by row.scope, {_names(endpoint.key)} order by row.landed_at desc
        ) = 1
    ) as row where not row.is_withdrawn"""


def _within(endpoint: Endpoint, window: Window) -> tuple[str, dict[str, Any]]:
    """SQL that is true for rows of these buckets, and its parameters."""
    within = "row.bucket_start >= $since and row.bucket_start < $until"
    ends = {"since": window.since, "until": window.until}
    if endpoint.tells_grain:
        return f"{within} and row.granularity = $grain", ends | {"grain": window.grain}
    return within, ends


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f'row."{column}"' for column in columns)
