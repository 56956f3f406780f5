"""How far back a vendor answers for hours, days and months, and how much of it is read again.

How far and how much are rows of dbt_like_sql/seeds/retention.csv, because the SQL reads them too.
"""

import csv
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import dbt_like_sql
from pipelines.windows import Window, ceiling, floor, next_bucket

# requests under way while the vendor's clock passes a boundary must not fall out of reach
REACH_MARGIN = timedelta(minutes=1)
# when a granularity is due again: at :20 every hour; at :20 of its tick_hour, UTC, every day
TICK_MINUTE, DAILY_HOUR = 20, 2


@dataclass(frozen=True)
class Retention:
    """How long a vendor keeps one resource at one granularity, and how much is read again.

    `beyond_reach`: what happens when it is asked for more: refused, answered, or unknown.
    """

    kept: timedelta
    beyond_reach: str
    reread_count: int
    reread_month_until_day: int
    tick_hour: int
    settles: timedelta


@cache
def retention(resource: str, granularity: str) -> Retention:
    """The row of seeds/retention.csv."""
    path = Path(dbt_like_sql.__file__).parent / "seeds" / "retention.csv"
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if (row["resource"], row["granularity"]) == (resource, granularity):
                return Retention(
                    timedelta(hours=int(row["kept_hours"])),
                    row["beyond_reach"],
                    int(row["reread_count"]),
                    int(row["reread_month_until_day"] or 0),
                    int(row["tick_hour"] or 0),
                    timedelta(minutes=int(row["settles_minutes"])),
                )
    raise KeyError(f"seeds/retention.csv has no row for {resource}, {granularity}")


def earliest(resource: str, granularity: str, now: datetime) -> datetime:
    """The start of the oldest bucket that the vendor still answers for."""
    reach = now + REACH_MARGIN - retention(resource, granularity).kept
    return ceiling(reach, granularity)


def everything_in_reach(resource: str, granularity: str, now: datetime) -> Window:
    """From the oldest bucket that the vendor answers for to the end of the open one."""
    return Window(granularity, earliest(resource, granularity, now), open_end(granularity, now))


def open_end(granularity: str, now: datetime) -> datetime:
    """Where the bucket that is still filling ends."""
    return next_bucket(now, granularity)


def trailing(resource: str, granularity: str, now: datetime) -> Window:
    """The open bucket and those before it that a vendor may still revise.

    Where it revises by calendar month, the whole open month, and that before it for some days.
    Once a day hours are read again as far back as days are: where hours serve a day, a correction
    seen in its daily row alone would not reach the facts. A walk costs the same however wide.
    """
    rules = retention(resource, granularity)
    since = floor(now, granularity)
    for _ in range(rules.reread_count):
        since = floor(since - timedelta(microseconds=1), granularity)
    if rules.reread_month_until_day:
        month_start = floor(now, "monthly")
        if now.day <= rules.reread_month_until_day:
            month_start = floor(month_start - timedelta(microseconds=1), "monthly")
        since = min(since, month_start)
    if granularity == "hourly" and now.hour == DAILY_HOUR:
        since = trailing(resource, "daily", now).since
    return Window(granularity, since, open_end(granularity, now))


def widened(granularity: str, since: datetime, until: datetime, now: datetime) -> Window | None:
    """The buckets that [since, until) touches, up to the open one; None where none has begun."""
    until = min(until, open_end(granularity, now))
    return Window.covering(granularity, since, until) if since < until else None


def clip_to_reach(resource: str, window: Window, now: datetime) -> Window | None:
    """The part of the window that the vendor may still answer for, up to the open bucket."""
    since = window.since
    if retention(resource, window.grain).beyond_reach == "refused":
        since = max(since, earliest(resource, window.grain, now))
    until = min(window.until, open_end(window.grain, now))
    return Window(window.grain, since, until) if since < until else None


def out_of_reach(resource: str, granularity: str, asked_since: datetime) -> str:
    """What to say of a bucket older than what the vendor keeps."""
    kept = retention(resource, granularity).kept
    hours = kept // timedelta(hours=1)
    length = f"{hours} hours" if granularity == "hourly" else f"{kept.days} days"
    coarser = {"hourly": "daily", "daily": "monthly"}.get(granularity)
    still = f"; {coarser} reaches further back" if coarser else ""
    vendor = resource.split("_")[0].capitalize()
    return (
        f"{vendor} keeps {granularity} for {length}; asked for {asked_since:%Y-%m-%dT%H:%MZ}"
        f"{still}. Nothing was asked, and nothing that landed before is touched."
    )


def last_tick(resource: str, granularity: str, now: datetime) -> datetime:
    """When this granularity of a resource last became due: the instants of its schedule."""
    if granularity == "hourly":
        return _last(now, "hourly", 0)
    return _last(now, "daily", retention(resource, granularity).tick_hour)


def last_daily_tick(now: datetime) -> datetime:
    """When names, and what is asked once a day, last became due."""
    return _last(now, "daily", DAILY_HOUR)


def _last(now: datetime, every: str, hour: int) -> datetime:
    offset = timedelta(hours=hour, minutes=TICK_MINUTE)
    return floor(now - offset, every) + offset
