"""What Python needs of the seeds: rows that the SQL reads too, and which of them are one's own."""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import dbt_like_sql

SEEDS = Path(dbt_like_sql.__file__).parent / "seeds"


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
            return Retention(
                timedelta(hours=int(row["kept_hours"] or 0)),
                row["beyond_reach"],
                int(row["reread_count"] or 0),
                int(row["reread_month_until_day"] or 0),
                int(row["tick_hour"] or 0),
                timedelta(minutes=int(row["settles_minutes"] or 0)),
                timedelta(hours=int(row["stale_hours"] or 0)),
            )
    raise KeyError(f"seeds/retention.csv has no row for {table}, {grain}")


@cache
def meters_of(source: str) -> tuple[str, ...]:
    """The meters that seeds/meters.csv lists of a source."""
    rows = [row["meter"] for row in _seed("meters.csv") if row["source"] == source]
    return tuple(dict.fromkeys(rows))


def first_day() -> datetime:
    """The first UTC day that facts can have: seeds/calendar_days.csv."""
    return datetime.fromisoformat(_seed("calendar_days.csv")[0]["date"]).replace(tzinfo=UTC)


def meter_families() -> set[str]:
    """The families that seeds/meters.csv sorts meters into."""
    return {row["family"] for row in _seed("meters.csv")}


def own_seeds(folder: Path) -> dict[str, Path]:
    """The files of a person's own folder, by the seed whose place each takes.

    Raises ValueError where there is no such folder, or for a file that is no seed to be filled.
    """
    if not folder.is_dir():
        raise ValueError("the path of a folder that is there")
    # those that ship with their first line alone
    empty = {path.name for path in SEEDS.glob("*.csv") if len(_seed(path.name)) == 0}
    files = sorted(folder.glob("*.csv"))
    if others := [file.name for file in files if file.name not in empty]:
        raise ValueError(f"a folder of {', '.join(sorted(empty))}, without {', '.join(others)}")
    return {f"seeds.{file.stem}": file for file in files}


def _seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
