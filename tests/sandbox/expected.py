"""Which rows the fact tables must have: the rules of one resolution and of the remainder, again.

Written from the rules of facts alone, to be read rather than to be fast.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from tests.sandbox.times import Granularity, buckets, following
from tests.sandbox.usage import BRANCH_METRICS

if TYPE_CHECKING:
    from tests.sandbox.company import Company

Held = dict[str, tuple[datetime, datetime]]
FactKey = tuple[str, str, str | None, str, str, datetime]
Run = tuple[Granularity, list[datetime]]


def expected_facts(company: Company, held: Held, metrics: tuple[str, ...]) -> dict[FactKey, int]:
    """Facts by (org, project, branch or None, meter, granularity, period start).

    One row for each branch that the branch endpoint shows; one without a branch for what the
    project has beyond these, if anything. Where no branch is shown, the project's own row.
    """
    facts: dict[FactKey, int] = {}
    for granularity, starts in _runs(served(held, company.now)):
        for project in company.projects.values():
            for metric in metrics:
                whole = company.shown(project.id, None, metric, granularity, starts)
                branches = {
                    branch.id: company.shown(project.id, branch.id, metric, granularity, starts)
                    for branch in project.branches
                    if metric in BRANCH_METRICS and not branch.hidden
                }
                for place, start in enumerate(starts):
                    rows = _rows(whole[place], {id: v[place] for id, v in branches.items()})
                    for branch_id, value in rows.items():
                        key = (project.org_id, project.id, branch_id, metric, granularity, start)
                        facts[key] = value
    return facts


def _rows(whole: int | None, branches: dict[str, int | None]) -> dict[str | None, int]:
    rows: dict[str | None, int] = {id: v for id, v in branches.items() if v is not None}
    remainder = (whole or 0) - sum(rows.values())
    if remainder or (not rows and whole is not None):
        rows[None] = remainder
    return rows


def served(held: Held, now: datetime) -> list[tuple[Granularity, datetime]]:
    """The buckets that serve everything held up to now, in order, none overlapping another."""
    since = min(window[0] for window in held.values())
    until = min(now, max(window[1] for window in held.values()))
    chosen: list[tuple[Granularity, datetime]] = []
    for month in buckets("monthly", since, until):
        days = buckets("daily", month, min(now, following(month, "monthly")))
        if all(_hours_cover(held, day, now) or _has(held, "daily", day) for day in days):
            chosen += [bucket for day in days for bucket in _day(held, day, now)]
        elif _has(held, "monthly", month):
            chosen.append(("monthly", month))
        else:
            chosen += [bucket for day in days for bucket in _day(held, day, now)]
    return chosen


def _day(held: Held, day: datetime, now: datetime) -> list[tuple[Granularity, datetime]]:
    if not _hours_cover(held, day, now) and _has(held, "daily", day):
        return [("daily", day)]
    hours = buckets("hourly", day, min(now, following(day, "daily")))
    return [("hourly", hour) for hour in hours if _has(held, "hourly", hour)]


def _hours_cover(held: Held, day: datetime, now: datetime) -> bool:
    if "hourly" not in held:
        return False
    since, until = held["hourly"]
    return since <= day and until >= min(now, following(day, "daily"))


def _has(held: Held, granularity: Granularity, start: datetime) -> bool:
    since, until = held.get(granularity, (start, start))
    return since <= start < until


def _runs(served: list[tuple[Granularity, datetime]]) -> Iterator[Run]:
    """Adjoining buckets of one granularity together, which is faster to work out."""
    starts: list[datetime] = []
    for place, (granularity, start) in enumerate(served):
        starts.append(start)
        following_one = served[place + 1] if place + 1 < len(served) else None
        if following_one != (granularity, following(start, granularity)):
            yield granularity, starts
            starts = []
