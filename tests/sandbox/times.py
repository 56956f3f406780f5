"""UTC buckets of the simulated company: hours are counted from 1970, windows are half-open."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple, cast, get_args

Granularity = Literal["hourly", "daily", "monthly"]
GRANULARITIES: tuple[str, ...] = get_args(Granularity)


class Month(NamedTuple):
    """A calendar month as the hours `[first_hour, last_hour)`, and its running number."""

    first_hour: int
    last_hour: int
    number: int


def hour_of(instant: datetime) -> int:
    """The hour that contains `instant`, counted from 1970."""
    return int(instant.timestamp()) // 3600


def instant_of(hour: int) -> datetime:
    """When the counted `hour` starts."""
    return datetime.fromtimestamp(hour * 3600, UTC)


def hour_after(instant: datetime | None) -> int:
    """The first hour that `instant` leaves untouched; for None, one that never comes."""
    return -(-int(instant.timestamp()) // 3600) if instant else 10**9


def floor(instant: datetime, granularity: Granularity) -> datetime:
    """When the bucket that contains `instant` starts."""
    hour = instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if granularity == "hourly":
        return hour
    return hour.replace(hour=0) if granularity == "daily" else hour.replace(day=1, hour=0)


def following(start: datetime, granularity: Granularity) -> datetime:
    """When the bucket after the one at `start` starts."""
    if granularity == "hourly":
        return start + timedelta(hours=1)
    if granularity == "daily":
        return start + timedelta(days=1)
    return floor(start.replace(day=1) + timedelta(days=31), "monthly")


def months_before(instant: datetime, months: int) -> datetime:
    """The first instant of the month `months` before the one of `instant`."""
    number = instant.year * 12 + instant.month - 1 - months
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


def buckets(granularity: Granularity, since: datetime, until: datetime) -> list[datetime]:
    """The starts of the buckets that touch `[since, until)`."""
    starts, start = [], floor(since, granularity)
    while start < until:
        starts.append(start)
        start = following(start, granularity)
    return starts


def month_of(start: datetime) -> Month:
    """The calendar month of `start`."""
    first = floor(start, "monthly")
    return Month(
        hour_of(first), hour_of(following(first, "monthly")), first.year * 12 + first.month
    )


@lru_cache(maxsize=64)
def by_month(
    starts: tuple[datetime, ...], granularity: Granularity
) -> list[tuple[Month, list[int]]]:
    """Adjoining buckets as months, each with the hours at which its buckets start, and the end."""
    months: list[tuple[Month, list[int]]] = []
    for start in starts:
        month, end = month_of(start), hour_of(following(start, granularity))
        if not months or months[-1][0] != month:
            months.append((month, [hour_of(start)]))
        months[-1][1].append(end)
    return months


def parse_granularity(text: str) -> Granularity:
    """`text` as a granularity; raises ValueError."""
    if text not in GRANULARITIES:
        raise ValueError(f"no granularity: {text}")
    return cast(Granularity, text)
