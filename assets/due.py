"""What is due to be asked now: from the receipts held and the hours that schedules keep."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from assets import partitions
from assets.calls import SNAPSHOT, Call
from pipelines.load import Connection, Window, create_raw_tables, next_bucket

# scope -> start of bucket -> when it was last asked
Held = dict[str, dict[datetime, datetime]]


def due_window(
    connection: Connection,
    call: Call,
    granularity: str,
    now: datetime,
    scopes: Iterable[str] = (),
) -> Window | None:
    """The window to ask for now, or None when nothing is due before the next tick.

    Due are, of the buckets within the vendor's reach: those never asked; those that were still
    open when asked; and the trailing ones that the vendor may revise, each once a tick.
    """
    tick = partitions.last_tick(granularity, now)
    reach = partitions.everything_in_reach(call.table, granularity, now)
    wanted = [start for start in partitions.buckets(reach) if start <= tick]
    held = _held(connection, call, granularity)
    trailing_since = partitions.trailing(call.table, granularity, tick).since
    settles = partitions.retention(call.table, granularity).settles
    starts = [
        start
        for scope in (set(scopes) or held.keys() or {"nothing asked yet"})
        for start in wanted
        if _is_due(held[scope].get(start), start, granularity, tick, trailing_since, settles)
    ]
    return Window(granularity, min(starts), reach.until) if starts else None


def _is_due(asked_at, start, granularity, tick, trailing_since, settles) -> bool:  # type: ignore[no-untyped-def]
    if asked_at is None:
        return True
    if asked_at >= tick:
        return False
    was_open = asked_at < next_bucket(start, granularity) + settles
    return bool(was_open or start >= trailing_since)


def snapshot_is_due(connection: Connection, call: Call, now: datetime) -> bool:
    """Whether the names of things were last asked before the last daily tick."""
    create_raw_tables(connection, {})
    (asked_at,) = connection.execute(
        "select max(asked_at) from raw.loads where resource = ? and granularity = ?",
        [call.table, SNAPSHOT],
    ).fetchone() or (None,)
    return asked_at is None or asked_at < partitions.last_tick("daily", now)


def _held(connection: Connection, call: Call, granularity: str) -> Held:
    create_raw_tables(connection, {})
    receipts = connection.execute(
        """
        select scope, window_start, window_end, asked_at from raw.loads
        where resource = ? and granularity = ? and complete
        order by asked_at
        """,
        [call.table, granularity],
    ).fetchall()
    held: Held = defaultdict(dict)
    for scope, since, until, asked_at in receipts:
        for start in partitions.buckets(Window(granularity, since, until)):
            held[scope][start] = asked_at
    return held
