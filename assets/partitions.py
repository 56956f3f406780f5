"""Hours, days, months: where they start, how far back a vendor answers, how much is read again.

How far and how much are rows of dbt_like_sql/seeds/retention.csv, because the SQL reads them too.
"""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import dbt_like_sql
from pipelines.load import Window, next_bucket

GRANULARITIES = ("hourly", "daily", "monthly")
# requests under way while the vendor's clock passes a boundary must not fall out of reach
REACH_MARGIN = timedelta(minutes=1)
# when a granularity is due again: at :20 every hour; at 02:20 and 03:20 UTC every day
TICK_MINUTE, DAILY_HOUR, MONTHLY_HOUR = 20, 2, 3


@dataclass(frozen=True)
class Retention:
    """How long a vendor keeps one resource at one granularity, and how much is read again."""

    kept: timedelta
    reread_count: int
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
                    int(row["reread_count"]),
                    timedelta(minutes=int(row["settles_minutes"])),
                )
    raise KeyError(f"seeds/retention.csv has no row for {resource}, {granularity}")


def floor(instant: datetime, granularity: str) -> datetime:
    """The start of the bucket that holds this instant."""
    instant = instant.astimezone(UTC)
    if granularity == "hourly":
        return instant.replace(minute=0, second=0, microsecond=0)
    day = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    return day.replace(day=1) if granularity == "monthly" else day


def buckets(window: Window) -> list[datetime]:
    """The starts of the window's buckets."""
    starts, start = [], floor(window.since, window.granularity)
    while start < window.until:
        starts.append(start)
        start = next_bucket(start, window.granularity)
    return starts


def earliest(resource: str, granularity: str, now: datetime) -> datetime:
    """The start of the oldest bucket that the vendor still answers for."""
    reach = now + REACH_MARGIN - retention(resource, granularity).kept
    start = floor(reach, granularity)
    return start if start >= reach else next_bucket(start, granularity)


def everything_in_reach(resource: str, granularity: str, now: datetime) -> Window:
    """From the oldest bucket that the vendor answers for to the end of the open one."""
    return Window(granularity, earliest(resource, granularity, now), open_end(granularity, now))


def open_end(granularity: str, now: datetime) -> datetime:
    """Where the bucket that is still filling ends."""
    return next_bucket(floor(now, granularity), granularity)


def trailing(resource: str, granularity: str, now: datetime) -> Window:
    """The open bucket and those before it that a vendor may still revise.

    Once a day hours are read again as far back as days are: where hours serve a day, a correction
    seen in its daily row alone would not reach the facts. A walk costs the same however wide.
    """
    since = floor(now, granularity)
    for _ in range(retention(resource, granularity).reread_count):
        since = floor(since - timedelta(microseconds=1), granularity)
    if granularity == "hourly" and now.hour == DAILY_HOUR:
        since = trailing(resource, "daily", now).since
    return Window(granularity, since, open_end(granularity, now))


def clip_to_reach(resource: str, window: Window, now: datetime) -> Window | None:
    """The part of the window that the vendor still answers for, up to the open bucket."""
    since = max(
        floor(window.since, window.granularity), earliest(resource, window.granularity, now)
    )
    until = min(window.until, open_end(window.granularity, now))
    return Window(window.granularity, since, until) if since < until else None


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


def last_tick(granularity: str, now: datetime) -> datetime:
    """When this granularity last became due: the instants at which the schedules run."""
    hours = {"hourly": 0, "daily": DAILY_HOUR, "monthly": MONTHLY_HOUR}[granularity]
    offset = timedelta(hours=hours, minutes=TICK_MINUTE)
    return floor(now - offset, "hourly" if granularity == "hourly" else "daily") + offset
