"""A consumption question as Neon reads it: parameters checked, rounded, held against lookback."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.datastructures import QueryParams

from tests.sandbox.desk import RefusalError
from tests.sandbox.times import (
    Granularity,
    buckets,
    floor,
    following,
    hour_of,
    parse_granularity,
)

EARLIEST = datetime(2024, 3, 1, tzinfo=UTC)
OUT_OF_LOOKBACK = (
    "specified date-time range start is outside the boundaries of the specified granularity"
)
LOOKBACK: dict[str, Callable[[datetime], datetime]] = {
    "hourly": lambda now: now - timedelta(hours=168),
    "daily": lambda now: now - timedelta(days=60),
    "monthly": lambda now: now.replace(
        year=now.year - 1, day=28 if (now.month, now.day) == (2, 29) else now.day
    ),
}
MAXIMUM_IDS = 100


@dataclass(frozen=True)
class Question:
    """What is asked: buckets that touch `[since, until)` and have begun, oldest first."""

    granularity: Granularity
    since: datetime
    until: datetime
    starts: list[datetime]
    ends: list[datetime]

    @property
    def bucket_hours(self) -> list[int]:
        """How long each bucket is."""
        pairs = zip(self.starts, self.ends, strict=True)
        return [hour_of(end) - hour_of(start) for start, end in pairs]


def question(query: QueryParams, now: datetime) -> Question:
    """The window asked for, rounded down to whole buckets; `to` is exclusive."""
    since, until = instant(query, "from"), instant(query, "to")
    try:
        granularity = parse_granularity(required(query, "granularity"))
    except ValueError:
        raise RefusalError(400, 'query parameter "granularity" is invalid') from None
    if since >= until:
        raise RefusalError(400, 'query parameter "from" must be before "to"')
    if since < max(EARLIEST, LOOKBACK[granularity](now)):
        raise RefusalError(406, OUT_OF_LOOKBACK)
    since, until = floor(since, granularity), floor(until, granularity)
    starts = buckets(granularity, since, min(until, now))
    ends = [following(start, granularity) for start in starts]
    return Question(granularity, since, until, starts, ends)


def required(query: QueryParams, name: str) -> str:
    """The value of a parameter that must be there."""
    if not (value := query.get(name)):
        raise RefusalError(400, f'query parameter "{name}" not set')
    return value


def instant(query: QueryParams, name: str) -> datetime:
    """A required RFC 3339 instant."""
    try:
        value = datetime.fromisoformat(required(query, name))
    except ValueError:
        raise RefusalError(400, f'query parameter "{name}" is invalid') from None
    if value.tzinfo is None:
        raise RefusalError(400, f'query parameter "{name}" is invalid')
    return value.astimezone(UTC)


def listed(query: QueryParams, name: str) -> list[str]:
    """An array: repeated, comma-separated, or both."""
    return [item for value in query.getlist(name) for item in value.split(",") if item]


def ids(query: QueryParams, name: str) -> list[str]:
    """An array of at most 100 ids."""
    values = listed(query, name)
    if len(values) > MAXIMUM_IDS:
        raise RefusalError(400, f'query parameter "{name}" has more than {MAXIMUM_IDS} items')
    return values


def metrics(query: QueryParams, known: Sequence[str]) -> list[str]:
    """The metrics asked for; all of them must be known to the endpoint."""
    asked = listed(query, "metrics")
    if not asked:
        raise RefusalError(400, 'query parameter "metrics" not set')
    for metric in asked:
        if metric not in known:
            raise RefusalError(400, f'query parameter "metrics" has an unknown value: {metric}')
    return list(dict.fromkeys(asked))


def limit(query: QueryParams, default: int, maximum: int) -> int:
    """The page size asked for."""
    text = query.get("limit", str(default))
    if not text.isdecimal() or not 1 <= int(text) <= maximum:
        raise RefusalError(400, f'query parameter "limit" must be between 1 and {maximum}')
    return int(text)
