"""Atlassian organizations of the simulated company: workspaces, repositories, runs, and the truth.

Plain Python and independent of the product. Not here: what one run is at an instant
(atlassian_runs.py), what Platform usage shows (atlassian_usage.py), and HTTP (bitbucket.py).
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_UP, Decimal

from tests.sandbox.atlassian_runs import (
    HISTORY_DAYS,
    Pace,
    Run,
    run_started_at,
    runs_of,
    uuid_of,
)
from tests.sandbox.times import floor, following

ORGANIZATIONS = 2
ROLES: tuple[tuple[Pace, float], ...] = (("busy", 0.9), ("quiet", 1.0), ("quiet", 0.5), ("idle", 1))
CENT = Decimal("0.01")
SecondsByDay = dict[tuple[str, str, date], int]


@dataclass(frozen=True)
class Organization:
    """An Atlassian organization, and the day of the month on which its allowances reset."""

    id: str
    name: str
    cycle_day: int
    users: tuple[str, ...]


@dataclass(frozen=True)
class Workspace:
    """A Bitbucket workspace; its slug can change, its uuid cannot."""

    uuid: str
    org_id: str
    slug: str
    name: str
    created_at: datetime


@dataclass(frozen=True)
class Repository:
    """A repository; `size_bytes` is that of git, without large files."""

    uuid: str
    workspace_uuid: str
    slug: str
    full_name: str
    name: str
    size_bytes: int
    created_at: datetime


class AtlassianOrg:
    """Two organizations with `workspaces` in turn, each with so many live `repositories`.

    The same for the same `seed` and the same time of `clock` at the start; later times show runs
    that go on, end, are run again and begin. The first workspace had one repository more, which
    was deleted twenty days ago.
    """

    def __init__(
        self, seed: int, clock: Callable[[], datetime], workspaces: int = 2, repositories: int = 4
    ) -> None:
        self.seed, self._clock = seed, clock
        self.origin = clock()
        self.history_start = floor(self.origin, "daily") - timedelta(days=HISTORY_DAYS)
        founded = self.history_start - timedelta(days=200)
        self.organizations = tuple(_organization(seed, n) for n in range(ORGANIZATIONS))
        self.workspaces = tuple(
            _workspace(seed, n, self.organizations[n % ORGANIZATIONS].id, founded)
            for n in range(workspaces)
        )
        self.deleted_at: dict[str, datetime] = {}
        self.repositories: dict[str, Repository] = {}
        self._paces: dict[str, tuple[Pace, float]] = {}
        self._runs: dict[str, list[Run]] = {}
        for workspace in self.workspaces:
            for place in range(repositories):
                self._found(workspace, place, f"repo-{place + 1}")
        if workspaces:
            gone = self._found(self.workspaces[0], len(ROLES) * 4, "retired")
            self.deleted_at[gone.uuid] = self.origin - timedelta(days=20)

    def _found(self, workspace: Workspace, place: int, slug: str) -> Repository:
        uuid = uuid_of(self.seed, workspace.uuid, slug)
        pace, hosted_share = ROLES[place % len(ROLES)]
        repository = Repository(
            uuid=uuid,
            workspace_uuid=workspace.uuid,
            slug=slug,
            full_name=f"{workspace.slug}/{slug}",
            name=slug.replace("-", " ").capitalize(),
            size_bytes=(place + 1) * 7_340_033,
            created_at=workspace.created_at + timedelta(days=1 + place, seconds=0.25),
        )
        self.repositories[uuid] = repository
        self._paces[uuid] = pace, hosted_share
        return repository

    def _runs_of(self, repository_uuid: str) -> list[Run]:
        """All runs, those to come included, oldest first; made when first needed."""
        if repository_uuid not in self._runs:
            made = runs_of(repository_uuid, *self._paces[repository_uuid], self.origin)
            self._runs[repository_uuid] = made
        return self._runs[repository_uuid]

    @property
    def now(self) -> datetime:
        """The clock."""
        return self._clock()

    def live_repositories(self, workspace_uuid: str) -> list[Repository]:
        """The repositories that Bitbucket still has, oldest first."""
        return [
            repository
            for repository in self.repositories.values()
            if repository.workspace_uuid == workspace_uuid and self.is_live(repository.uuid)
        ]

    def is_live(self, repository_uuid: str) -> bool:
        """Whether there is such a repository by now."""
        if repository_uuid not in self.repositories:
            return False
        gone_at = self.deleted_at.get(repository_uuid)
        return gone_at is None or gone_at > self.now

    def delete_repository(self, repository_uuid: str) -> None:
        """Delete it now: the runs that went on end, and what it used stays used."""
        self.deleted_at[repository_uuid] = self.now

    def runs(self, repository_uuid: str) -> list[Run]:
        """The runs created so far, newest first; those of a deleted repository up to its end."""
        end = self.seen_at(repository_uuid)
        return [run for run in reversed(self._runs_of(repository_uuid)) if run.created_at <= end]

    def start_run(self, repository_uuid: str) -> Run:
        """Somebody starts a run now; runs that were still to come get out of its way."""
        now, runs = self.now, self._runs_of(repository_uuid)
        runs[:] = [run for run in runs if run.created_at <= now]
        runs.append(run_started_at(now, repository_uuid, len(runs) + 1))
        return runs[-1]

    def seen_at(self, repository_uuid: str) -> datetime:
        """The last instant at which anything happened there: now, or its deletion."""
        return min(self.now, self.deleted_at.get(repository_uuid, self.now))

    def seconds(self, run: Run) -> int | None:
        """The build seconds that Bitbucket says a run used up to now."""
        return run.seconds(self.seen_at(run.repository_uuid))

    def seconds_by_repository_day(self, since: datetime, until: datetime) -> SecondsByDay:
        """Build seconds by workspace, repository and UTC day of creation in `[since, until)`.

        Deleted repositories included, up to their end; a day of which no run says any seconds is
        left out.
        """
        found: SecondsByDay = defaultdict(int)
        for repository in self.repositories.values():
            for run in self.runs(repository.uuid):
                seconds = self.seconds(run)
                if since <= run.created_at < until and seconds is not None:
                    day = run.created_at.date()
                    found[repository.workspace_uuid, repository.uuid, day] += seconds
        return dict(found)

    def exported_minutes(self, workspace_uuid: str, month: datetime) -> Decimal:
        """The build minutes of a calendar month that Platform usage shows for a workspace.

        Never less than what the API adds up to: deleted repositories count, and a large runner
        counts a minute more than once. Two places, rounded up.
        """
        start = floor(month, "monthly")
        end = following(start, "monthly")
        weighted_seconds = sum(
            (self.seconds(run) or 0) * run.size
            for repository in self.repositories.values()
            if repository.workspace_uuid == workspace_uuid
            for run in self.runs(repository.uuid)
            if start <= run.created_at < end
        )
        return (Decimal(weighted_seconds) / 60).quantize(CENT, ROUND_UP)


def _organization(seed: int, place: int) -> Organization:
    id = uuid_of(seed, "organization", place).strip("{}")
    users = tuple(f"712020:{uuid_of(id, 'user', n).strip('{}')}" for n in range(5))
    return Organization(id, f"Organization {place + 1}", (1, 15)[place % 2], users)


def _workspace(seed: int, place: int, org_id: str, created_at: datetime) -> Workspace:
    slug = f"team-{place + 1}"
    uuid = uuid_of(seed, "workspace", place)
    return Workspace(uuid, org_id, slug, slug.replace("-", " ").capitalize(), created_at)
