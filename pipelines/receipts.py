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
from functools import cache, partial
from typing import Any

from pipelines import log
from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.log import Connection as Connection
from pipelines.log import literal, names
from pipelines.windows import Window, whole_buckets

Rows = list[tuple[Any, ...]]
OpenWarehouse = Callable[[], AbstractContextManager[Connection]]
# scope -> start of bucket -> when it was last asked
Held = dict[str, dict[datetime, datetime]]
MICROSECOND = timedelta(microseconds=1)
# stands for the grain of a receipt that says that a scope is no longer asked about
ENDED = "ended"
# and of one that says just that there is a scope, of which nothing was answered yet
SEEN = "seen"

COLUMNS = {
    "load_id": "VARCHAR",
    "source": "VARCHAR",
    "resource": "VARCHAR",
    "granularity": "VARCHAR",
    "scope": "VARCHAR",
    "window_start": log.INSTANT,
    "window_end": log.INSTANT,
    "asked_at": log.INSTANT,
    "rows": "BIGINT",
    "pages": "BIGINT",
    "complete": "BOOLEAN",
    "landed_at": log.INSTANT,
    # of what was asked before warehouses handed it out: null
    "ask_number": "BIGINT",
}


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
    log.create_table(connection, "loads", COLUMNS)
    for endpoint in endpoints:
        log.create_table(connection, endpoint.table, log.columns_of_log(endpoint))


def next_ask_number(connection: Connection) -> int:
    """The place, in the order of asking, of what is asked from now on: clocks may be wrong."""
    create_raw_tables(connection)
    # a table, for not every engine has sequences
    connection.execute(
        "create table if not exists raw.asked as"
        " select coalesce(max(ask_number), 0) as last_number from raw.loads"
    )
    connection.execute("update raw.asked set last_number = last_number + 1")
    ((ask_number,),) = connection.execute("from raw.asked").fetchall()
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
    answered = [
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
    ]
    connection.execute("begin")
    # every load changes this row: where a turn was lost, DuckLake fails the later of two, which it
    # does not do where both only append
    connection.execute("update raw.asked set last_number = last_number")
    _as_table(connection, "answered", {**COLUMNS, "slice": "INTEGER"}, answered)
    log.append_changes(connection, endpoint, answers)
    connection.execute("insert into raw.loads by name select * exclude (slice) from answered")
    _forget_repeats(connection, endpoint)
    connection.execute("drop table temp.answered")
    connection.execute("commit")


def _as_table(
    connection: Connection, name: str, columns: log.Columns, rows: Iterable[Mapping[str, Any]]
) -> None:
    """A table of this session alone."""
    typed = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
    connection.execute(f"create or replace temp table {name} ({typed})")
    written = [f"({', '.join(literal(row[column]) for column in columns)})" for row in rows]
    connection.execute(f"insert into {name} values {', '.join(written)}")


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


@dataclass(frozen=True)
class Standing:
    """How one scope answers at one grain: when it last did, and since when it did not.

    `is_ended`: it was gone, or no longer named, and did not answer since, at any grain.
    """

    answered_at: datetime | None
    asked_at: datetime | None
    refused_for: timedelta | None
    is_ended: bool


class Answers:
    """What was answered up to a moment, of these tables and grains.

    `since`: from where on it is told which buckets are held; None: of names, which have none.
    """

    def __init__(
        self, connection: Connection, since: Mapping[tuple[str, str], datetime | None]
    ) -> None:
        create_raw_tables(connection)
        last = connection.execute(
            "select distinct on (resource) resource, complete, asked_at from raw.loads"
            f" where granularity <> '{SEEN}'"
            " order by resource, ask_number desc nulls last, asked_at desc"
        )
        # whether the last receipt of a table is complete, and when it was asked
        self.last: dict[str, tuple[bool, datetime]] = {
            table: (complete, asked_at) for table, complete, asked_at in last.fetchall()
        }
        self._standings: dict[tuple[str, str], dict[str, Standing]] = defaultdict(dict)
        for table, grain, scope, *rest in connection.execute(_standings_of(since)).fetchall():
            self._standings[table, grain][scope] = Standing(*rest)
        wanted = [
            f"(resource = {literal(table)} and granularity = {literal(grain)}"
            f" and window_end > {literal(instant)})"
            for (table, grain), instant in since.items()
            if instant
        ]
        self._receipts: dict[tuple[str, str], Rows] = defaultdict(list)
        found = connection.execute(
            "select resource, granularity, scope, window_start, window_end, asked_at"
            f" from raw.loads where complete and ({' or '.join(wanted) or 'false'})"
            " order by ask_number nulls first, asked_at"
        )
        for table, grain, *receipt in found.fetchall():
            self._receipts[table, grain].append(tuple(receipt))

    def held(self, table: str, grain: str) -> Held:
        """The buckets that complete receipts cover, and when each was last asked."""
        held: Held = defaultdict(dict)
        buckets = cache(partial(whole_buckets, grain))  # many scopes are asked the same window
        for scope, since, until, asked_at in self._receipts[table, grain]:
            for start in buckets(since, until):
                held[scope][start] = asked_at
        return held

    def standings(self, table: str, grain: str) -> dict[str, Standing]:
        """How every scope that was ever asked about stands."""
        return self._standings[table, grain]


def _standings_of(wanted: Iterable[tuple[str, str]]) -> str:
    """SQL of how the scopes of these tables stand, each at these grains."""
    pairs = ", ".join(f"({literal(table)}, {literal(grain)})" for table, grain in wanted)
    return f"""
        select
            resource, grain, scope,
            max(asked_at) filter (where complete and granularity = grain),
            max(asked_at) filter (where granularity = grain),
            max(asked_at) filter (where is_refusal) - min(asked_at) filter (where is_refusal),
            coalesce(
                max(landed_at) filter (where granularity = '{ENDED}')
                > max(landed_at) filter (where complete and granularity <> '{ENDED}'),
                bool_or(granularity = '{ENDED}')
            )
        from (
            select
                loads.*, wanted.grain,
                not loads.complete and loads.granularity = wanted.grain
                and loads.landed_at > coalesce(
                    max(loads.landed_at)
                        filter (where loads.complete and loads.granularity = wanted.grain)
                        over (partition by loads.resource, wanted.grain, loads.scope),
                    timestamptz '1970-01-01 00:00:00+00'
                ) as is_refusal
            from raw.loads as loads
            inner join (values {pairs}) as wanted (resource, grain)
                on loads.resource = wanted.resource
        )
        group by resource, grain, scope
        """


def standings(connection: Connection, table: str, grain: str) -> dict[str, Standing]:
    """How every scope of raw.<table> that was ever asked about stands."""
    return Answers(connection, {(table, grain): None}).standings(table, grain)


def last_landed(connection: Connection, table: str | None = None) -> datetime | None:
    """When the newest receipt of raw.<table> (None: of any) landed."""
    where = f"resource = {literal(table)}" if table else "true"
    sql = f"select max(landed_at) from raw.loads where {where}"
    ((landed_at,),) = connection.execute(sql).fetchall()
    return landed_at  # type: ignore[no-any-return]


def landed_since(connection: Connection, since: datetime | None) -> Rows:
    """What landed whole after an instant (None: ever): table, grain, start and end of the window,
    and when it landed last."""
    later = f"coalesce(landed_at > {literal(since)}, true)"
    return connection.execute(
        "select resource, granularity, window_start, window_end, max(landed_at)"
        f" from raw.loads where complete and {later} group by all order by all"
    ).fetchall()


def told_until(connection: Connection) -> dict[tuple[str, str], datetime]:
    """By table and grain, the instant up to which some answer tells: of an open bucket, when it was
    asked."""
    found = connection.execute(
        "select resource, granularity, max(least(window_end, asked_at))"
        " from raw.loads where complete and window_end is not null group by all"
    )
    return {(table, grain): until for table, grain, until in found.fetchall()}


def held_since(connection: Connection, table: str, grain: str, since: datetime) -> Held:
    """The buckets of raw.<table> that complete receipts cover, and when each was last asked."""
    return Answers(connection, {(table, grain): since}).held(table, grain)


def end(connection: Connection, endpoint: Endpoint, scopes: Iterable[str], now: datetime) -> None:
    """Write down that scopes are gone, or no longer named. What they told stays.

    One that answers later is there again.
    """
    _mark(connection, endpoint, scopes, now, ENDED)


def see(connection: Connection, endpoint: Endpoint, scopes: Iterable[str], now: datetime) -> None:
    """Write down, of scopes that have no receipt, that there are such: or nobody would know, before
    it is looked again which there are, that something of them is due."""
    sql = f"select distinct scope from raw.loads where resource = {literal(endpoint.table)}"
    known = {scope for (scope,) in connection.execute(sql).fetchall()}
    _mark(connection, endpoint, (scope for scope in scopes if scope not in known), now, SEEN)


def _mark(
    connection: Connection, endpoint: Endpoint, scopes: Iterable[str], now: datetime, mark: str
) -> None:
    if not (written := ", ".join(f"({literal(scope)})" for scope in scopes)):
        return
    connection.execute(
        f"""
        insert into raw.loads by name
        select
            '{mark}' as load_id, {literal(endpoint.source)} as source,
            {literal(endpoint.table)} as resource, '{mark}' as granularity,
            scopes.scope, {literal(now)} as asked_at, 0 as rows, 0 as pages,
            {mark == ENDED} as complete,
            greatest({literal(now)}, (select max(landed_at) from raw.loads))
                + row_number() over () * interval '1' microsecond as landed_at
        from (values {written}) as scopes (scope)
        """
    )


def row_counts(connection: Connection, endpoint: Endpoint, window: Window) -> dict[datetime, int]:
    """How many rows of raw.<table> stand in each bucket of a window, over all scopes."""
    standing = _standing(endpoint, _within(endpoint, window))
    sql = f"select row.bucket_start, count(*) from {standing} group by 1"
    return dict(connection.execute(sql).fetchall())


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
        """Every scope of an endpoint that has a receipt of an answer."""
        of = f"resource = {literal(endpoint.table)} and granularity <> '{SEEN}'"
        sql = f"select distinct scope from raw.loads where {of}"
        return {scope for (scope,) in self._rows(endpoint, (), sql)}

    def last_rows(
        self,
        endpoint: Endpoint,
        scope: str | None,
        columns: Sequence[str],
        since: datetime | None = None,
    ) -> Rows:
        """Columns of the rows of a scope (None: of all) that stand, of buckets from `since` on."""
        of_scope = f"row.scope = {literal(scope)}" if scope else "true"
        of_buckets = f" and row.bucket_start >= {literal(since)}" if since else ""
        standing = _standing(endpoint, of_scope + of_buckets)
        sql = f"select {names(columns)} from {standing} order by all"
        return self._rows(endpoint, columns, sql)

    def values(self, endpoint: Endpoint, column: str, scope: str, window: Window) -> list[Any]:
        """What a column ever said of a scope and window."""
        found = self._rows(
            endpoint,
            [column],
            f"select distinct {names([column])} from raw.{endpoint.table} as row where"
            f" row.scope = {literal(scope)} and {_within(endpoint, window)} order by all",
        )
        return [value for (value,) in found]

    def history(self, endpoint: Endpoint, columns: Sequence[str]) -> Rows:
        """What columns ever said, and when their scope was last told of; the oldest first."""
        return self._rows(
            endpoint,
            columns,
            f"""
            select {names(columns)}, max(receipt.landed_at) as told_at
            from raw.{endpoint.table} as row
            inner join raw.loads as receipt
                on row.scope = receipt.scope and receipt.resource = {literal(endpoint.table)}
            group by {names(columns)}
            order by told_at, {names(columns)}
            """,
        )

    def _rows(self, endpoint: Endpoint, columns: Sequence[str], sql: str) -> Rows:
        with self._open() as connection:
            # to know all of its columns, Arrow would be imported
            if {*columns, "landed_at"} - {*log.columns_of(connection, endpoint.table)}:
                create_raw_tables(connection, [endpoint])
            return connection.execute(sql).fetchall()


def _standing(endpoint: Endpoint, where: str) -> str:
    """SQL, after `from`: of the rows of raw.<table> the last of each key, but for the withdrawn."""
    return f"""(
        from raw.{endpoint.table} as row
        where {where}
        qualify row_number() over (
            partition by row.scope, {names(endpoint.key)} order by row.landed_at desc
        ) = 1
    ) as row where not row.is_withdrawn"""


def _within(endpoint: Endpoint, window: Window) -> str:
    """SQL that is true for rows of these buckets."""
    since, until = literal(window.since), literal(window.until)
    within = f"row.bucket_start >= {since} and row.bucket_start < {until}"
    of_grain = f" and row.granularity = {literal(window.grain)}"
    return within + (of_grain if endpoint.tells_grain else "")
