"""What one meter of one branch or project amounts to in any hours of a month.

An amount between two hours is the difference of a running total at both, so hours, days and
months agree to the last unit, and a month costs no more to work out than an hour.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from typing import Literal

from tests.sandbox.times import Month, hour_of, instant_of, month_of

BRANCH_METRICS = (
    "compute_unit_seconds",
    "root_branch_bytes_month",
    "child_branch_bytes_month",
    "instant_restore_bytes_month",
    "public_network_transfer_bytes",
    "private_network_transfer_bytes",
)
METRICS = (*BRANCH_METRICS, "extra_branches_month", "snapshot_storage_bytes_month")
UNKNOWN_METRIC = "object_storage_bytes_month"
MONTH_HOURS = 744
# Neon's API gave byte-hours in February 2026 and byte-months in August; this company's, from here
BYTE_MONTHS_SINCE = hour_of(datetime(2026, 6, 1, tzinfo=UTC))

Pattern = Literal["flat", "steady", "office", "nightly", "bursts"]


def number(*key: object) -> int:
    """A large whole number that looks random and is the same for the same `key`, always."""
    return int.from_bytes(blake2b(repr(key).encode(), digest_size=7).digest(), "big")


@dataclass(frozen=True)
class Stream:
    """A meter that runs from `first_hour` until `last_hour`, at about `level`.

    `level` is the amount of a month for counters, bytes for storage, units an hour for the rest.
    """

    metric: str
    key: int
    first_hour: int
    last_hour: int
    level: int
    pattern: Pattern = "flat"
    growth_percent: int = 0

    def running_totals(self, hours: Sequence[int], month: Month) -> list[int] | None:
        """The running total at each of `hours` of `month`; None where the meter never ran."""
        first, last = max(self.first_hour, month.first_hour), min(self.last_hour, month.last_hour)
        if first >= last:
            return None
        amount, zero = self._amount(month), month.first_hour
        if hours[0] < first or last < hours[-1]:
            hours = [min(max(hour, first), last) for hour in hours]
        if self.pattern == "flat":
            return [amount * (hour - zero) for hour in hours]
        shape = _shape(self.pattern, self.key % 4, month)
        whole = shape[-1]
        return [amount * shape[hour - zero] // whole for hour in hours]

    def size_bytes(self, month: Month) -> int:
        """A storage meter's size in `month`; it steps up from month to month where it grows."""
        if not self.growth_percent:
            return self.level
        months = max(0, month.number - month_of(instant_of(self.first_hour)).number)
        return self.level * (100 + self.growth_percent * months) // 100

    def _amount(self, month: Month) -> int:
        """Of an hour for flat meters, of a full month for the others."""
        if self.metric == "extra_branches_month":
            return self.level
        if self.pattern == "flat" and self.metric.endswith("_bytes_month"):
            return _stored(self.size_bytes(month), month)
        amount = self.level * (50 + number(self.key, month.number) % 101) // 100
        if self.metric.endswith("_bytes_month"):
            return _stored(amount * MONTH_HOURS, month)
        return amount


def _stored(size_bytes: int, month: Month) -> int:
    if month.first_hour >= BYTE_MONTHS_SINCE:
        return (size_bytes + MONTH_HOURS // 2) // MONTH_HOURS
    return size_bytes


@cache
def _shape(pattern: Pattern, variant: int, month: Month) -> Sequence[int]:
    """How much of a month has run at each of its hours, in parts of the last entry."""
    hours = range(month.first_hour, month.last_hour)
    chance = random.Random(f"{pattern}/{variant}/{month.number}")
    shape = [0]
    for hour in hours:
        shape.append(shape[-1] + _weight(pattern, hour, chance))
    return shape


def _weight(pattern: Pattern, hour: int, chance: random.Random) -> int:
    weight, hour_of_day, weekday = chance.randint(20, 100), hour % 24, (hour // 24 + 3) % 7
    if pattern == "office" and not (8 <= hour_of_day < 18 and weekday < 5):
        return 0
    if pattern == "nightly" and hour_of_day not in (2, 3):
        return 0
    if pattern == "bursts" and chance.random() > 0.1:
        return 0
    return weight
