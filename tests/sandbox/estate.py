"""Who there is in the simulated company: its orgs, projects and branches, and their meters.

Not here: amounts per hour, day and month (company.py), and HTTP (neon.py).
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.sandbox.meters import Meters, Streams
from tests.sandbox.times import floor, hour_after, hour_of, months_before
from tests.sandbox.usage import number

HISTORY_MONTHS = 14
# The projects that carry a case each; every other project is ordinary
ROLES = (
    "deleted_branch",
    "huge",
    "idle",
    "deleted",
    "hidden_branch",
    "new",
    "surplus",
    "unknown_metric",
    "two_roots",
    "deleted_long_ago",
)
REGIONS = ("aws-us-east-2", "aws-eu-central-1", "azure-eastus2")
ADJECTIVES = ("delicate", "aged", "misty", "young", "quiet", "bold", "spring", "winter")
NOUNS = ("dawn", "wildflower", "forest", "river", "meadow", "cloud", "sun", "pine")


@dataclass(frozen=True)
class Org:
    """An organization; where its plan changed, `plan` is the one before."""

    id: str
    name: str
    plan: str
    created_at: datetime
    plan_changed_at: datetime | None = None
    plan_after: str | None = None

    def plan_at(self, instant: datetime) -> str:
        """The plan that holds at `instant`."""
        if self.plan_changed_at and self.plan_after and instant >= self.plan_changed_at:
            return self.plan_after
        return self.plan


@dataclass(frozen=True)
class Branch:
    """A branch; a root has no parent. A `hidden` one is left out of the branch usage endpoint."""

    id: str
    project_id: str
    name: str
    parent_id: str | None
    created_at: datetime
    deleted_at: datetime | None
    logical_size: int
    hidden: bool = False

    @property
    def hours(self) -> tuple[int, int]:
        """The hours `[first, last)` in which the branch lives."""
        return hour_of(self.created_at), hour_after(self.deleted_at)


@dataclass(frozen=True)
class Project:
    """A project, its branches, and its meters by branch (None = the project's own) and metric."""

    id: str
    org_id: str
    name: str
    number: int
    region_id: str
    created_at: datetime
    deleted_at: datetime | None
    branches: tuple[Branch, ...]
    streams: Streams

    @property
    def parts(self) -> list[str | None]:
        """What the project's usage is the sum of: its own meters (None) and those of branches."""
        return [None, *(branch.id for branch in self.branches)]


@dataclass(frozen=True)
class Estate:
    """Everything there is, and under `special` the project, by id, that carries each case."""

    history_start: datetime
    orgs: list[Org]
    projects: list[Project]
    special: dict[str, str]


def found(
    seed: int, orgs: int, projects: int, branches: int, origin: datetime, oddities: bool
) -> Estate:
    """The estate as it stands at `origin`; the same for the same arguments, always."""
    start, today = months_before(origin, HISTORY_MONTHS), floor(origin, "daily")
    owners = [_org(seed, index, start, today) for index in range(orgs)]
    founder = _Founder(seed, branches, start, origin, oddities)
    members = [founder.project(index, owners[index % orgs].id) for index in range(projects)]
    special = dict(zip(ROLES, (member.id for member in members), strict=False))
    return Estate(start, owners, members, special)


def found_free_org(seed: int, history_start: datetime) -> Org:
    """An org on the free plan, which has no consumption history."""
    return Org(f"org-{_words(seed, 'free', 0)}", "Weekend projects", "free_v3", history_start)


def _org(seed: int, index: int, start: datetime, today: datetime) -> Org:
    id = f"org-{_words(seed, 'org', index)}"
    if index == 0:
        changed_at = today - timedelta(days=3) + timedelta(hours=10, minutes=30)
        return Org(id, "Company 1", "launch", start, changed_at, "scale")
    return Org(id, f"Company {index + 1}", "scale" if index % 2 else "launch", start)


class _Founder:
    """Makes project after project; each depends on its number only, not on how many there are."""

    def __init__(
        self, seed: int, branches: int, start: datetime, origin: datetime, oddities: bool
    ) -> None:
        self._seed, self._branches, self._oddities = seed, branches, oddities
        self._start, self._origin, self._today = start, origin, floor(origin, "daily")

    def project(self, index: int, org_id: str) -> Project:
        chance = random.Random(f"{self._seed}/{index}")
        role = ROLES[index] if index < len(ROLES) else "ordinary"
        created_at, deleted_at = self._life(role, chance)
        id = _words(self._seed, "project", index)
        branches = self._branches_of(id, index, role, created_at, deleted_at, chance)
        own = (hour_of(created_at), hour_after(deleted_at))
        meters = Meters(f"{self._seed}/{index}", own)
        if role != "idle":
            meters.run(index, role, branches, self._oddities)
        return Project(
            id=id,
            org_id=org_id,
            name=f"project {index}",
            number=index,
            region_id=REGIONS[index % len(REGIONS)],
            created_at=created_at,
            deleted_at=deleted_at,
            branches=tuple(branches),
            streams=meters.streams,
        )

    def _life(self, role: str, chance: random.Random) -> tuple[datetime, datetime | None]:
        span_seconds = int((self._today - timedelta(days=6) - self._start).total_seconds())
        created_at = self._start + timedelta(seconds=chance.randrange(span_seconds))
        early = self._start + timedelta(days=60, hours=7, minutes=11)
        if role == "new":
            return self._today - timedelta(days=2) + timedelta(hours=9, minutes=41), None
        if role == "deleted":
            return early, self._today - timedelta(days=4) + timedelta(hours=13, minutes=20)
        if role == "deleted_long_ago":
            return early, self._today - timedelta(days=100) + timedelta(hours=3)
        return (early if role in ROLES else created_at), None

    def _branches_of(
        self,
        project_id: str,
        index: int,
        role: str,
        created_at: datetime,
        deleted_at: datetime | None,
        chance: random.Random,
    ) -> list[Branch]:
        count = chance.randint(1, 2 * self._branches - 1)
        branches: list[Branch] = []
        end = deleted_at or max(self._today - timedelta(days=5), created_at)
        if role in ("deleted_branch", "hidden_branch", "two_roots"):
            count = max(2, count)
        for place in range(count):
            branch_life = self._branch_life(place, role, created_at, end, deleted_at, chance)
            is_root = place == 0 or (place == 1 and (role == "two_roots" or index % 7 == 1))
            branches.append(
                Branch(
                    id=f"br-{_words(self._seed, 'branch', index * 100 + place)}",
                    project_id=project_id,
                    name="main" if place == 0 else f"branch-{place}",
                    parent_id=None if is_root else branches[0].id,
                    created_at=branch_life[0],
                    deleted_at=branch_life[1],
                    logical_size=int(3.1e7 * 10 ** (chance.random() * 3.2)),
                    hidden=place == 1 and role == "hidden_branch",
                )
            )
        return branches

    def _branch_life(
        self,
        place: int,
        role: str,
        since: datetime,
        until: datetime,
        deleted_at: datetime | None,
        chance: random.Random,
    ) -> tuple[datetime, datetime | None]:
        if place == 0:
            return since, deleted_at
        lived_seconds = max(1, int((until - since).total_seconds()))
        born_seconds = chance.randrange(lived_seconds)
        created_at = since + timedelta(seconds=born_seconds)
        if place == 1 and role == "deleted_branch":
            return created_at, self._today - timedelta(days=4) + timedelta(hours=7, minutes=12)
        if place == 1 and role == "hidden_branch":
            return created_at, self._today - timedelta(days=2) + timedelta(hours=5, minutes=30)
        if chance.random() < 0.15:
            return created_at, created_at + timedelta(seconds=(lived_seconds - born_seconds) // 2)
        return created_at, deleted_at


def _words(seed: int, kind: str, place: int) -> str:
    """An id in Neon's manner, unique by its last digits: delicate-dawn-54854667."""
    chance = number(seed, kind, place)
    adjective, noun = ADJECTIVES[chance % 8], NOUNS[chance // 8 % 8]
    return f"{adjective}-{noun}-{chance % 9000 + 1000}{place:04d}"
