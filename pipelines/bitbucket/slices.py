"""Bitbucket as a dlt source, and the slices that it is asked in: per workspace, newest runs first.

Runs are merged by their uuid, not replaced by window: a repository that is deleted vanishes from
the API, and what it used does not.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from pipelines.bitbucket.client import PER_PAGE, Bitbucket
from pipelines.bitbucket.endpoints import ENDPOINTS, REPOSITORIES, RUNS, WORKSPACES, Settings
from pipelines.source import Asked, Note, Pages, Slice, snapshot
from pipelines.windows import RUN, Window, floor

AskedBitbucket: TypeAlias = Asked[Settings, Bitbucket]
# a run may wait for a person for weeks; beyond this it is taken for forgotten
UNFINISHED_FOR = timedelta(days=30)


@dlt.source(name="bitbucket")
def bitbucket(pages: Pages) -> Iterable[DltResource]:
    """Every endpoint as a resource: its Arrow pages."""
    for endpoint in ENDPOINTS:
        yield dlt.resource(pages(endpoint), name=endpoint.table, write_disposition="append")


def slices(asked: AskedBitbucket) -> Iterator[Slice]:
    """One walk per workspace; of runs, also those of older days that had not ended."""
    for scope, window in asked.windows():
        if window:
            yield from _runs(asked, scope, window)
        elif asked.endpoint == WORKSPACES:
            yield snapshot(scope, asked.client.workspaces)
        else:
            yield snapshot(scope, asked.client.repositories, scope)


@dataclass(frozen=True)
class _Run:
    """A run as it was last seen."""

    day: datetime
    repository: str
    uuid: str
    is_unfinished: bool


def _runs(asked: AskedBitbucket, workspace: str, window: Window) -> Iterator[Slice]:
    """A window, and a slice per older day that has unfinished runs.

    Where pages back to the oldest of these are fewer than the runs, the window is wider instead.
    """
    listed = asked.landed.last_rows(REPOSITORIES, workspace, ("repository_uuid", "full_name"))
    names: dict[str, str | None] = dict(listed)
    seen = _seen_since(asked, workspace, window.since - UNFINISHED_FOR)
    older = _unfinished_before(seen, window.since, names)
    wider = Window(window.grain, min(older, default=window.since), window.until)
    if sum(map(len, older.values())) > _more_pages(seen, wider.since, window.since):
        window, older = wider, {}
    yield Slice(workspace, window, partial(_usage, asked.client, workspace, names))
    for day, runs in older.items():
        # a day of which some runs are asked for: its receipt does not say that the day was asked
        some_of = Window(RUN, day, day + timedelta(days=1))
        yield Slice(workspace, some_of, partial(_again, asked.client, workspace, runs))


def _usage(
    client: Bitbucket, workspace: str, names: dict[str, str | None], window: Window
) -> Iterator[pa.Table | Note]:
    return client.runs(workspace, names, window.since, window.until)


def _again(client: Bitbucket, workspace: str, runs: list[_Run], _: Window) -> Iterator[pa.Table]:
    by_repository: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        by_repository[run.repository].append(run.uuid)
    return client.runs_again(workspace, by_repository)


def _seen_since(asked: AskedBitbucket, workspace: str, since: datetime) -> list[_Run]:
    columns = ("bucket_start", "repository_uuid", "run_uuid", "completed_at", "state")
    return [
        _Run(floor(day, "daily"), repository, run, ended_at is None and state != "COMPLETED")
        for day, repository, run, ended_at, state in asked.landed.last_rows(
            RUNS, workspace, columns, since
        )
    ]


def _unfinished_before(
    seen: list[_Run], since: datetime, repositories: Iterable[str]
) -> dict[datetime, list[_Run]]:
    """Runs from before the window that were unfinished when last seen, by day.

    Of live repositories: for those of a deleted one there is no answer, however often it is asked.
    """
    found: dict[datetime, list[_Run]] = defaultdict(list)
    for run in seen:
        if run.is_unfinished and run.day < since and run.repository in repositories:
            found[run.day].append(run)
    return found


def _more_pages(seen: list[_Run], since: datetime, rather_than: datetime) -> int:
    """How many pages more it takes to go back to `since`, by the runs that landed."""
    wider = Counter(run.repository for run in seen if run.day >= since)
    narrower = Counter(run.repository for run in seen if run.day >= rather_than)
    return sum(count // PER_PAGE - narrower[key] // PER_PAGE for key, count in wider.items())
