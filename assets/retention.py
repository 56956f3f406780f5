"""seeds/retention.csv and seeds/meters.csv as Python needs them: the SQL reads the same rows."""

import csv
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

import dbt_like_sql

SEEDS = Path(dbt_like_sql.__file__).parent / "seeds"
_NUMBERS = {"kept_hours", "reread_count", "reread_month_until_day", "tick_hour"}
_NUMBERS |= {"settles_minutes", "stale_hours"}


@dataclass(frozen=True)
class Retention:
    """How long a vendor keeps one resource at one grain, and how much of it is read again.

    `beyond_reach`: what happens when it is asked for more: refused, answered, or unknown.
    `stale_after`: when its asset turns stale.
    """

    kept: timedelta
    beyond_reach: str
    reread_count: int
    reread_month_until_day: int
    tick_hour: int
    settles: timedelta
    stale_after: timedelta


@cache
def retention(table: str, grain: str) -> Retention:
    """The row of seeds/retention.csv."""
    for row in _seed("retention.csv"):
        if (row["resource"], row["granularity"]) == (table, grain):
            number = {name: int(row[name] or 0) for name in row if name in _NUMBERS}
            return Retention(
                timedelta(hours=number["kept_hours"]),
                row["beyond_reach"],
                number["reread_count"],
                number["reread_month_until_day"],
                number["tick_hour"],
                timedelta(minutes=number["settles_minutes"]),
                timedelta(hours=number["stale_hours"]),
            )
    raise KeyError(f"seeds/retention.csv has no row for {table}, {grain}")


@cache
def meters_of(source: str) -> tuple[str, ...]:
    """The meters that seeds/meters.csv lists of a source."""
    rows = [row["meter"] for row in _seed("meters.csv") if row["source"] == source]
    return tuple(dict.fromkeys(rows))


def _seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
