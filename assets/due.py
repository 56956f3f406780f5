"""What is due to be asked now: from the receipts held and the hours that schedules keep."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from assets import partitions
from assets.vendors import SNAPSHOT, Call
from pipelines.load import Connection, create_raw_tables
from pipelines.windows import Window, next_bucket, whole_buckets

# scope -> start of bucket -> when it was last asked
Held = dict[str, dict[datetime, datetime]]


def due_window(
    connection: Connection,
    call: Call,
    granularity: str,
    now: datetime,
    scopes: Iterable[str] = (),
) -> Window | None:
    """The window to ask for now, or None when nothing is due before the next tick."""
    if is_retired(connection, call, now):
        return None
    due = due_starts(connection, call, granularity, now, scopes)
    starts = [start for of_scope in due.values() for start in of_scope]
    until = partitions.open_end(granularity, now)
    return Window(granularity, min(starts), until) if starts else None


def due_starts(
    connection: Connection,
    call: Call,
    granularity: str,
    now: datetime,
    scopes: Iterable[str] = (),
) -> dict[str, list[datetime]]:
    """The buckets to ask for now, by scope (no scopes: those that were asked before).

    Due are, of the buckets within the vendor's reach: those never asked; those that were still
    open when asked; and the trailing ones that the vendor may revise, each once a tick.
    """
    tick = partitions.last_tick(call.table, granularity, now)
    reach = partitions.everything_in_reach(call.table, granularity, now)
    wanted = [start for start in reach.buckets() if start <= tick]
    # what was answered in part stays so until somebody gives the token more, and backfills; a call
    # that had no answer at all may have all of it tomorrow
    only_complete = call.retired_on is not None
    asked = held_since(connection, call.table, granularity, reach.since, only_complete)
    trailing_since = partitions.trailing(call.table, granularity, now).since
    # hours are read again once a day as far back as days are (partitions.trailing)
    daily_tick, daily_since = (
        partitions.last_tick(call.table, "daily", now),
        partitions.trailing(call.table, "daily", now).since,
    )

    def is_due(start: datetime, asked_at: datetime | None) -> bool:
        if asked_at is None or (asked_at < daily_tick and start >= daily_since):
            return True
        may_differ = start >= trailing_since or _was_open(asked_at, start, call, granularity)
        return may_differ and asked_at < tick

    return {
        scope: [start for start in wanted if is_due(start, asked[scope].get(start))]
        for scope in (set(scopes) or set(asked) or {"nothing asked yet"})
    }


def _was_open(asked_at: datetime, start: datetime, call: Call, granularity: str) -> bool:
    settles = partitions.retention(call.table, granularity).settles
    return asked_at < next_bucket(start, granularity) + settles


def is_retired(connection: Connection, call: Call, now: datetime) -> bool:
    """Whether the vendor's last word, since the last daily tick, was that there is no answer."""
    if call.retired_on is None:
        return False
    create_raw_tables(connection, {})
    latest = connection.execute(
        "select complete, asked_at from raw.loads where resource = ?"
        " order by asked_at desc limit 1",
        [call.table],
    ).fetchone()
    return bool(latest and not latest[0] and latest[1] >= partitions.last_daily_tick(now))


def snapshot_is_due(connection: Connection, call: Call, now: datetime) -> bool:
    """Whether the names of things were last asked before the last daily tick."""
    create_raw_tables(connection, {})
    (asked_at,) = connection.execute(
        "select max(asked_at) from raw.loads where resource = ? and granularity = ?",
        [call.table, SNAPSHOT],
    ).fetchone() or (None,)
    return asked_at is None or asked_at < partitions.last_daily_tick(now)


def held_since(
    connection: Connection,
    table: str,
    granularity: str,
    since: datetime,
    only_complete: bool = True,
) -> Held:
    """The buckets of raw.<table> that (complete) receipts cover, and when each was last asked."""
    create_raw_tables(connection, {})
    receipts = connection.execute(
        """
        select scope, window_start, window_end, asked_at from raw.loads
        where resource = ? and granularity = ? and (complete or not ?) and window_end > ?
        order by asked_at
        """,
        [table, granularity, only_complete, since],
    ).fetchall()
    held: Held = defaultdict(dict)
    for scope, since, until, asked_at in receipts:
        held[scope] |= dict.fromkeys(whole_buckets(granularity, since, until), asked_at)
    return held
