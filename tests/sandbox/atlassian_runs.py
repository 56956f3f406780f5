"""Pipeline runs of the simulated company: each from its creation to its end, and beyond a re-run.

Not here: who sees them (atlassian_org.py), and their records over HTTP (bitbucket.py).
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from tests.sandbox.usage import number

HISTORY_DAYS, FUTURE_DAYS = 100, 40
RESULTS = ("SUCCESSFUL", "SUCCESSFUL", "SUCCESSFUL", "FAILED", "STOPPED", "ERROR", "EXPIRED")
TRIGGERS = ("push", "push", "manual", "schedule")
BRANCHES = ("main", "main", "develop", "feature/meter", "release/2026.11")
PAUSED_DAYS = 6

State = Literal["PENDING", "RUNNING", "PAUSED", "COMPLETED"]
Pace = Literal["busy", "quiet", "idle"]


@dataclass(frozen=True)
class Run:
    """A run: pending, in progress, maybe paused for days, completed; some are run again later.

    `build_seconds` is what it ends up with before a re-run; None on a self-hosted runner. `size`
    is what a minute of it counts for. A `silent` one says nothing of its seconds until it ends.
    """

    uuid: str
    repository_uuid: str
    build_number: int
    created_at: datetime
    started_at: datetime
    completed_at: datetime
    build_seconds: int | None
    size: int
    result: str
    trigger: str
    branch: str
    creator: str
    silent: bool
    paused_at: datetime | None = None
    rerun_at: datetime | None = None
    rerun_seconds: int = 0

    def state(self, now: datetime) -> State:
        """What the run is at `now`."""
        if now < self.started_at:
            return "PENDING"
        if self.ended_at(now):
            return "COMPLETED"
        paused = self.paused_at and self.paused_at <= now < self.completed_at
        return "PAUSED" if paused else "RUNNING"

    def ended_at(self, now: datetime) -> datetime | None:
        """When it completed, as known at `now`: None before, and while it runs again."""
        if now < self.completed_at:
            return None
        if self.rerun_at is None or now < self.rerun_at:
            return self.completed_at
        again = self.rerun_at + timedelta(seconds=self.rerun_seconds)
        return again if again <= now else None

    def seconds(self, now: datetime) -> int | None:
        """Build seconds used up to `now`; None where none are said."""
        if self.build_seconds is None or now < self.started_at:
            return None
        if now < self.completed_at:
            return None if self.silent else self._seconds_so_far(self.build_seconds, now)
        again = self.rerun_seconds if self.rerun_at and self.ended_at(now) else 0
        return self.build_seconds + (again if self.rerun_at and now >= self.rerun_at else 0)

    def _seconds_so_far(self, whole: int, now: datetime) -> int:
        worked_until = self.paused_at or self.completed_at
        elapsed, length = min(now, worked_until) - self.started_at, worked_until - self.started_at
        return whole * int(elapsed.total_seconds()) // max(1, int(length.total_seconds()))


def uuid_of(*key: object) -> str:
    """A uuid in Bitbucket's manner, braces and all; the same for the same `key`, always."""
    return f"{{{UUID(int=number('high', *key) << 72 | number(*key), version=4)}}}"


def runs_of(repository_uuid: str, pace: Pace, hosted_share: float, origin: datetime) -> list[Run]:
    """The runs of a repository, oldest first, from 100 days before `origin` to 40 days after.

    A busy one has, at `origin`, runs that are pending, running, paused for days and run again
    later.
    """
    midnight = origin.replace(hour=0, minute=0, second=0, microsecond=0)
    runs: list[Run] = []
    for offset in range(-HISTORY_DAYS, FUTURE_DAYS):
        day = midnight + timedelta(days=offset)
        chance = random.Random(f"{repository_uuid}/{day.date()}")
        runs += [
            _run(created_at, hosted_share, chance) for created_at in _starts(day, pace, chance)
        ]
    if pace == "busy":
        runs = sorted([*runs, *_open_runs(origin)], key=lambda run: run.created_at)
    return [numbered(run, repository_uuid, place) for place, run in enumerate(runs, start=1)]


def run_started_at(now: datetime, repository_uuid: str, build_number: int) -> Run:
    """A run that somebody starts at `now`."""
    chance = random.Random(f"{repository_uuid}/{build_number}/{now}")
    return numbered(_run(now, 1.0, chance), repository_uuid, build_number)


def numbered(run: Run, repository_uuid: str, build_number: int) -> Run:
    """`run` as the one with this number of this repository."""
    uuid = uuid_of(repository_uuid, build_number, "run")
    return replace(run, uuid=uuid, repository_uuid=repository_uuid, build_number=build_number)


def _starts(day: datetime, pace: Pace, chance: random.Random) -> Iterator[datetime]:
    """When runs are created on a day; on some days the first is at midnight itself."""
    many = {"busy": chance.randint(2, 8), "quiet": chance.randint(0, 4), "idle": 0}[pace]
    for place, second in enumerate(sorted(chance.sample(range(86_400), many))):
        microsecond = chance.randrange(1_000_000)
        at_midnight = place == 0 and chance.random() < 0.2
        yield day if at_midnight else day + timedelta(seconds=second, microseconds=microsecond)


def _run(created_at: datetime, hosted_share: float, chance: random.Random) -> Run:
    """An ordinary run; steps that ran in parallel add up to more seconds than it was long."""
    started_at = created_at + timedelta(seconds=chance.randint(2, 90))
    length_seconds = chance.randint(20, 2400)
    pause = timedelta(days=PAUSED_DAYS if chance.random() < 0.03 else 0)
    worked_until = started_at + timedelta(seconds=length_seconds)
    is_rerun = chance.random() < 0.05
    rerun_at = worked_until + pause + timedelta(hours=chance.randint(1, 60))
    return Run(
        uuid="",
        repository_uuid="",
        build_number=0,
        created_at=created_at,
        started_at=started_at,
        completed_at=worked_until + pause,
        build_seconds=length_seconds * chance.choice((1, 1, 3))
        if chance.random() < hosted_share
        else None,
        size=chance.choice((1, 1, 1, 2, 4, 8)),
        result=chance.choice(RESULTS),
        trigger=chance.choice(TRIGGERS),
        branch=chance.choice(BRANCHES),
        creator=f"Person {chance.randint(1, 5)}",
        silent=chance.random() < 0.5,
        paused_at=worked_until if pause else None,
        rerun_at=rerun_at if is_rerun else None,
        rerun_seconds=chance.randint(30, 900) if is_rerun else 0,
    )


def _open_runs(origin: datetime) -> list[Run]:
    """Runs whose story goes on after `origin`; instants are hours from there."""

    def run(created: float, started: float, completed: float, **more: Any) -> Run:
        times = [origin + timedelta(hours=hours) for hours in (created, started, completed)]
        named = {"created_at": times[0], "started_at": times[1], "completed_at": times[2]}
        return replace(plain, **{**named, **more})

    sample = _run(origin, 1.0, random.Random(f"open at {origin}"))
    plain = replace(sample, build_seconds=1800, paused_at=None, rerun_at=None, rerun_seconds=0)
    paused_at, rerun_at = origin - timedelta(hours=118), origin + timedelta(hours=2)
    return [
        run(-0.02, 0.02, 0.5),
        run(-0.21, -0.2, 0.3, silent=True),
        run(-0.31, -0.3, 0.6, silent=False),
        run(-120, -119, 24, paused_at=paused_at, silent=False),
        run(-48, -47, -46, rerun_at=rerun_at, rerun_seconds=600),
    ]
