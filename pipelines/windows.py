"""Windows of whole hours, days or months, UTC: the only bucket arithmetic of the product.

A receipt says which buckets a vendor was asked for, so a window that ends inside one cannot exist:
other instants are widened to whole buckets first. Not here: how far back a vendor answers
(assets/runs/planning.py) and the days that a build covers (dbt_like_sql/engine/windows.py).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

GRAINS = ("hourly", "daily", "monthly")
# a day of which only some runs were asked for again: no calendar has this grain, so a receipt of it
# says where rows may lie and covers no bucket
RUN = "run"
_UNITS = {"hourly": "hour", "daily": "day", "monthly": "month", RUN: "day"}


class WindowError(ValueError):
    """These ends make no window of whole buckets."""


@dataclass(frozen=True)
class Window:
    """A half-open UTC window [since, until) of whole buckets of one grain; refused otherwise."""

    grain: str
    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            instant = getattr(self, name)
            if floor(instant, self.grain) != instant:
                raise WindowError(
                    f"{name} {instant.isoformat()} lies inside a UTC {bucket_unit(self.grain)}: "
                    f"a {self.grain} window is whole buckets"
                )
            object.__setattr__(self, name, instant.astimezone(UTC))
        if self.since >= self.until:
            raise WindowError(f"a window from {self.since} to {self.until} holds no bucket")

    @classmethod
    def covering(cls, grain: str, since: datetime, until: datetime) -> "Window":
        """[since, until) widened outwards to whole buckets."""
        if since >= until:
            raise WindowError(f"a window from {since} to {until} holds no bucket")
        return cls(grain, floor(since, grain), ceiling(until, grain))

    def buckets(self) -> list[datetime]:
        """The starts of the window's buckets."""
        return whole_buckets(self.grain, self.since, self.until)

    def without(self, buckets: Collection[datetime]) -> "list[Window]":
        """The window less these buckets, in as few windows as that leaves."""
        left: list[Window] = []
        for start in self.buckets():
            if start not in buckets:
                since = left.pop().since if left and left[-1].until == start else start
                left.append(Window(self.grain, since, next_bucket(start, self.grain)))
        return left

    def __str__(self) -> str:
        return f"{self.grain} {self.since:%Y-%m-%dT%H:%MZ} to {self.until:%Y-%m-%dT%H:%MZ}"


def bucket_unit(grain: str) -> str:
    """How long a bucket is: hour, day or month."""
    if grain not in _UNITS:
        raise WindowError(f"{grain!r} is no grain: it is one of {', '.join(_UNITS)}")
    return _UNITS[grain]


def floor(instant: datetime, grain: str) -> datetime:
    """The start of the bucket that holds this instant."""
    unit = bucket_unit(grain)
    if instant.utcoffset() is None:
        raise WindowError(f"{instant} has no time zone: it may be any instant of two days")
    hour = instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    return {"hour": hour, "day": day, "month": day.replace(day=1)}[unit]


def next_bucket(instant: datetime, grain: str) -> datetime:
    """Where the bucket after the one that holds this instant starts."""
    start = floor(instant, grain)
    if bucket_unit(grain) == "month":
        return (start + timedelta(days=32)).replace(day=1)
    return start + (timedelta(hours=1) if bucket_unit(grain) == "hour" else timedelta(days=1))


def ceiling(instant: datetime, grain: str) -> datetime:
    """The first start of a bucket that is not before this instant."""
    start = floor(instant, grain)
    return start if start == instant else next_bucket(start, grain)


def whole_buckets(grain: str, since: datetime, until: datetime) -> list[datetime]:
    """The starts of the buckets that lie within [since, until) from their start to their end.

    What receipts cover: before 0.2 a receipt could start or end inside a bucket.
    """
    starts, start = [], ceiling(since, grain)
    while (following := next_bucket(start, grain)) <= until:
        starts.append(start)
        start = following
    return starts
