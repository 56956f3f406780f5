# ruff: noqa: S608  (names come from our own model files; DuckDB takes no name as a parameter)
"""Which UTC days a build has to cover: windows of whole days, from receipts and from changed rows.

A window is half-open, `[since, until)`. Nothing here builds anything.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import duckdb

from dbt_like_sql.engine.warehouse import literal

DAY = timedelta(days=1)
# A window costs every model a delete and an insert: beyond this many, scattered days are bridged.
MOST_WINDOWS = 32
# A statement costs as much as the rows of many days: it covers windows that are no further apart,
NEAR = timedelta(days=31)
# and a first build's, months of so many rows of answers together: what these take fits anywhere.
ROWS_AT_ONCE = 250_000


class Window(NamedTuple):
    """Half-open `[since, until)`, in UTC; as a build uses it, whole days."""

    since: datetime
    until: datetime


BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
END = datetime(9999, 12, 31, tzinfo=UTC)
ALL_TIME = Window(BEGINNING, END)
EVERYTHING = (ALL_TIME,)

Windows: TypeAlias = tuple[Window, ...]


def asked_window(since: datetime | None, until: datetime | None) -> Windows:
    """Whole days that cover `[since, until)`; an end left out is open, both left out is nothing."""
    if since is None and until is None:
        return ()
    for instant in (since, until):
        if instant is not None and instant.tzinfo is None:
            raise ValueError(f"{instant} has no time zone: write it with one, e.g. {instant}+00:00")
    window = whole_days(since or BEGINNING, min(until or END, END))
    return (window,) if window.since < window.until else ()


def whole_days(since: datetime, until: datetime) -> Window:
    """The UTC days that `[since, until)` touches."""
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    last = _midnight(until)
    return Window(_midnight(since), last if last == until else last + DAY)


def coalesce(windows: Iterable[Window], at_most: int = MOST_WINDOWS) -> Windows:
    """The same days in as few windows as there are gaps; the smallest gaps are built too."""
    merged: list[Window] = []
    for window in sorted(windows):
        if merged and window.since <= merged[-1].until:
            merged[-1] = Window(merged[-1].since, max(merged[-1].until, window.until))
        else:
            merged.append(window)
    while len(merged) > at_most:
        gaps = [after.since - before.until for before, after in pairwise(merged)]
        at = gaps.index(min(gaps))
        merged[at : at + 2] = [Window(merged[at].since, merged[at + 1].until)]
    return tuple(merged)


def together(windows: Windows) -> list[Windows]:
    """Windows in order, those near each other in one: the days between are looked at and left out.

    What touches was cut, by `parts`, for the memory that it takes, and stays so.
    """
    groups: list[Windows] = []
    for window in windows:
        if groups and DAY <= window.since - groups[-1][-1].until <= NEAR:
            groups[-1] += (window,)
        else:
            groups.append((window,))
    return groups


def whole_months(windows: Iterable[Window]) -> Windows:
    """The UTC months that these windows touch."""
    return coalesce(
        window
        if window == ALL_TIME
        else Window(_first(window.since), _next_month(window.until - DAY))
        for window in windows
    )


def parts(since: datetime, until: datetime, rows: int) -> Windows:
    """All of time, cut at turns of months in [since, until): each part has one, or as many as come
    to `ROWS_AT_ONCE` where they share `rows` evenly."""
    turns = _turns(since, until)
    months = max(1, ROWS_AT_ONCE * (len(turns) + 1) // max(rows, 1))
    return tuple(Window(*ends) for ends in pairwise([BEGINNING, *turns[months - 1 :: months], END]))


def due_windows(connection: duckdb.DuckDBPyConnection, through: datetime | None) -> Windows:
    """Days whose receipts landed after `through` (None: all receipts).

    A day is due where a bucket of the receipt's granularity starts: every day of an hourly or
    daily window, the first of each month of a monthly one. Snapshots (no window_end) have no days,
    nor has what was refused without a row: what is refused for good is asked for at every tick, as
    far back as it would answer, and tells nothing.
    """
    receipts = connection.execute(
        "select distinct granularity, window_start, window_end from raw.loads"
        " where window_end is not null and granularity <> 'snapshot' and (complete or rows > 0)"
        f" and coalesce(landed_at > {literal(through)}, true)"
    ).fetchall()
    return coalesce(
        window
        for granularity, window_start, window_end in receipts
        for window in _bucket_days(granularity, whole_days(window_start, window_end))
    )


def days_of(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> Windows:
    """UTC days of `column` on which a table holds rows."""
    day = f"strftime(cast(\"{column}\" as timestamptz) at time zone 'UTC', '%Y-%m-%d')"
    rows = connection.execute(f"select distinct {day} from {table}").fetchall()
    if (None,) in rows:  # a row that belongs to no day may be read by any
        return EVERYTHING
    return coalesce(_day(date.fromisoformat(text)) for (text,) in rows)


def condition(column: str, windows: Windows) -> str:
    """SQL that is true for rows of these windows, in order; `true` for all of time.

    A row of no day, which no model may have, is of the beginning: there it is seen, and refused.
    """
    if ALL_TIME in windows:
        return "true"
    each = [_condition(column, window) for window in windows]
    if len(each) < 2:
        return "".join(each)
    # by an `or` alone, DuckDB skips no rows of other times
    around = _condition(column, Window(windows[0].since, windows[-1].until))
    return f"({around}) and ({' or '.join(each)})"


def _condition(column: str, window: Window) -> str:
    return (
        f"\"{column}\" >= timestamptz '{window.since.date()} 00:00:00+00'"
        f" and \"{column}\" < timestamptz '{window.until.date()} 00:00:00+00'"
        + (f' or "{column}" is null' if window.since == BEGINNING else "")
    )


def _bucket_days(granularity: str, window: Window) -> list[Window]:
    if granularity != "monthly":
        return [window]
    return [Window(first, first + DAY) for first in _turns(window.since - DAY, window.until)]


def _turns(since: datetime, until: datetime) -> list[datetime]:
    """Where a month begins, after `since` and before `until`."""
    turns, turn = [], _next_month(since)
    while turn < until:
        turns.append(turn)
        turn = _next_month(turn)
    return turns


def _day(day: date) -> Window:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Window(midnight, midnight + DAY)


def _first(instant: datetime) -> datetime:
    return _midnight(instant).replace(day=1)


def _next_month(instant: datetime) -> datetime:
    return END if instant.year == END.year else _first(_first(instant) + timedelta(days=31))


def _midnight(instant: datetime) -> datetime:
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)
