"""The simulated company, whose true usage is known: the answer key of the tests.

Plain Python and independent of the product: it imports nothing from pipelines, assets or
dbt_like_sql, and knows of no SQL. Not here: how Neon shows it over HTTP (neon.py).
"""

from bisect import bisect_right
from collections import defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from operator import add, sub

from tests.sandbox.atlassian_org import AtlassianOrg
from tests.sandbox.estate import Branch, Project, found, found_free_org
from tests.sandbox.expected import FactKey, Held, expected_facts
from tests.sandbox.forge_apps import Apps
from tests.sandbox.times import (
    Granularity,
    Month,
    buckets,
    by_month,
    hour_after,
    hour_of,
    instant_of,
)
from tests.sandbox.usage import METRICS, Stream


class Company:
    """Orgs, projects and branches with fourteen months of usage; the same for the same `seed`.

    `projects` is the total over the orgs; a project has about `branches` branches. `now` is the
    clock, and may be set; None is the real one. `special` names the project that carries each
    case of estate.ROLES. `free_org` adds an org on the free plan, `oddities` a meter beyond
    2**53 a day and a metric that nobody has heard of: cases that a first look need not meet.
    `forge` is what its `apps` Forge apps on `sites` sites used, `atlassian` what ran in its
    Bitbucket `workspaces`, with so many `repositories` each, and what Platform usage shows.
    """

    def __init__(
        self,
        seed: int = 7,
        orgs: int = 2,
        projects: int = 40,
        branches: int = 3,
        now: datetime | None = None,
        *,
        free_org: bool = False,
        oddities: bool = True,
        apps: int = 2,
        sites: int = 5,
        workspaces: int = 2,
        repositories: int = 4,
    ) -> None:
        self.seed = seed
        self._clock = now
        estate = found(seed, orgs, projects, branches, self.now, oddities)
        self.history_start = estate.history_start
        self.orgs = {org.id: org for org in estate.orgs}
        self.free_org = found_free_org(seed, self.history_start) if free_org else None
        self.projects = {project.id: project for project in estate.projects}
        self.special = estate.special
        self.plan_changed_at = estate.orgs[0].plan_changed_at
        self.forge = Apps(seed, lambda: self.now, apps, sites, oddities=oddities)
        self.atlassian = AtlassianOrg(seed, lambda: self.now, workspaces, repositories)
        self._newest_first: dict[str, list[Project]] = defaultdict(list)
        for project in sorted(estate.projects, key=lambda p: (p.created_at, p.id), reverse=True):
            self._newest_first[project.org_id].append(project)
        self._restated: dict[tuple[str, str | None, str], dict[int, int]] = defaultdict(dict)

    @property
    def now(self) -> datetime:
        """The clock of the company and of the vendors that serve it."""
        return self._clock or datetime.now(UTC)

    @now.setter
    def now(self, instant: datetime | None) -> None:
        self._clock = instant

    def projects_of(self, org_id: str) -> list[Project]:
        """The projects of an org, newest first, deleted ones included, future ones not."""
        now = self.now
        return [p for p in self._newest_first[org_id] if p.created_at <= now]

    def project_ids(self, org_id: str) -> list[str]:
        """The ids of an org's projects, newest first, deleted ones included."""
        return [project.id for project in self.projects_of(org_id)]

    def branches_of(self, project_id: str) -> list[Branch]:
        """The branches of a project, deleted and hidden ones included, future ones not."""
        now = self.now
        return [b for b in self.projects[project_id].branches if b.created_at <= now]

    def branch_ids(self, project_id: str) -> list[str]:
        """The ids of a project's branches, deleted and hidden ones included."""
        return [branch.id for branch in self.branches_of(project_id)]

    def buckets(self, granularity: Granularity, since: datetime, until: datetime) -> list[datetime]:
        """The starts of the UTC buckets that touch `[since, until)`."""
        return buckets(granularity, since, until)

    def value(
        self,
        org_id: str,
        project_id: str,
        branch_id: str | None,
        metric: str,
        granularity: Granularity,
        bucket_start: datetime,
    ) -> int:
        """What was used in a bucket up to now; of the project as a whole where branch is None."""
        if self.projects[project_id].org_id != org_id:
            raise ValueError(f"{project_id} is not a project of {org_id}")
        return self.shown(project_id, branch_id, metric, granularity, [bucket_start])[0] or 0

    def shown(
        self,
        project_id: str,
        branch_id: str | None,
        metric: str,
        granularity: Granularity,
        starts: list[datetime],
        now: datetime | None = None,
    ) -> list[int | None]:
        """The values of adjoining buckets as an endpoint shows them; None where it omits one.

        Zeros are omitted, except for a part of those of instant restore, as seen live.
        """
        quarters = int((now or self.now).timestamp()) // 900
        project = self.projects[project_id]
        parts: list[str | None] = [branch_id] if branch_id else project.parts
        shown: list[int | None] = []
        for month, edges in by_month(tuple(starts), granularity):
            values = self._values(project, parts, metric, month, edges, quarters)
            if metric != "instant_restore_bytes_month":
                shown += [value or None for value in values]
            else:
                zeros = self._explicit_zeros(project, parts, edges, quarters)
                shown += [
                    value or (0 if zero else None)
                    for value, zero in zip(values, zeros, strict=True)
                ]
        return shown

    def _values(
        self,
        project: Project,
        parts: list[str | None],
        metric: str,
        month: Month,
        edges: list[int],
        quarters: int,
    ) -> list[int]:
        """What `parts` used between `edges`: whole hours, and of the open one its quarters."""
        now_hour, quarter = divmod(quarters, 4)
        has_open_hour = quarter > 0 and edges[0] <= now_hour < edges[-1]
        whole_hours = [edge if edge < now_hour else now_hour for edge in edges]
        running, corrections = [0] * len(edges), [0] * (len(edges) - 1)
        for part in parts:
            streams = project.streams.get((part, metric), [])
            for stream in streams:
                totals = stream.running_totals(whole_hours, month)
                running = list(map(add, running, totals)) if totals else running
            restated = self._restated.get((project.id, part, metric), {})
            for hour, delta in restated.items():
                if edges[0] <= hour < whole_hours[-1]:
                    corrections[bisect_right(edges, hour) - 1] += delta
            if has_open_hour and streams:
                used = _hour_value(streams, month, now_hour) + restated.get(now_hour, 0)
                corrections[bisect_right(edges, now_hour) - 1] += used * quarter // 4
        return list(map(add, map(sub, running[1:], running), corrections))

    def _explicit_zeros(
        self, project: Project, parts: list[str | None], edges: list[int], quarters: int
    ) -> list[bool]:
        """Which zeros are sent: some of those of the hours in which the meter ran."""
        metric = "instant_restore_bytes_month"
        streams = [s for part in parts for s in project.streams.get((part, metric), [])]
        if not streams:
            return [False] * (len(edges) - 1)
        first, last = min(s.first_hour for s in streams), max(s.last_hour for s in streams)
        key, end_hour = streams[0].key, min(last, -(-quarters // 4))
        corrected = [
            h for part in parts for h in self._restated.get((project.id, part, metric), ())
        ]
        return [
            first < end
            and start < end_hour
            and (key + start + start // 24) % 3 == 0
            and not any(start <= hour < end for hour in corrected)
            for start, end in pairwise(edges)
        ]

    def restate(
        self, project_id: str, branch_id: str | None, metric: str, hour: datetime, delta: int
    ) -> None:
        """Correct one past hour by `delta`, and with it its day and month, branch and project.

        Where branch is None, the part that no branch accounts for is corrected.
        """
        counted = hour_of(hour)
        held = self._past_hour(self.projects[project_id], branch_id, metric, counted)
        if held + delta < 0:
            raise ValueError(f"{metric} at {hour} is {held}: {delta} makes it negative")
        hours = self._restated[project_id, branch_id, metric]
        hours[counted] = hours.get(counted, 0) + delta

    def withdraw(
        self,
        project_id: str,
        branch_id: str | None,
        metric: str,
        since: datetime,
        until: datetime,
    ) -> None:
        """Take back the usage of the past hours `[since, until)`: not even a zero is shown.

        Where branch is None, that of the project and all its branches.
        """
        project = self.projects[project_id]
        parts: list[str | None] = [branch_id] if branch_id else project.parts
        for hour in buckets("hourly", since, until):
            for part in parts:
                if held := self._past_hour(project, part, metric, hour_of(hour)):
                    self.restate(project_id, part, metric, hour, -held)

    def _past_hour(self, project: Project, part: str | None, metric: str, hour: int) -> int:
        quarters = int(self.now.timestamp()) // 900
        if hour * 4 + 4 > quarters:
            raise ValueError(f"not a past hour: {instant_of(hour)}")
        month, edges = by_month((instant_of(hour),), "hourly")[0]
        return self._values(project, [part], metric, month, edges, quarters)[0]

    def total(
        self, metric: str, since: datetime, until: datetime, org_id: str | None = None
    ) -> int:
        """All that was used in the hours `[since, until)` up to now, of one org or of all."""
        quarters = int(self.now.timestamp()) // 900
        total = 0
        for month_start in buckets("monthly", since, until):
            month, edges = by_month((month_start,), "monthly")[0]
            edges = [max(edges[0], hour_of(since)), min(edges[1], hour_after(until))]
            for project in self.projects.values():
                if org_id in (None, project.org_id):
                    values = self._values(project, project.parts, metric, month, edges, quarters)
                    total += values[0]
        return total

    def expected_facts(self, held: Held, metrics: tuple[str, ...] = METRICS) -> dict[FactKey, int]:
        """The rows the fact tables must have where `held` says which windows were loaded now."""
        return expected_facts(self, held, metrics)


def _hour_value(streams: list[Stream], month: Month, hour: int) -> int:
    running = [stream.running_totals([hour, hour + 1], month) for stream in streams]
    return sum(pair[1] - pair[0] for pair in running if pair)
