"""Bitbucket as a dlt source, and the slices that it is asked in: per repository, newest runs first.

Runs are merged by their uuid, not replaced by window: a repository that is deleted vanishes from
the API, and what it used does not.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

import dlt
import pyarrow as pa
import pyarrow.compute as pc
from dlt.extract import DltResource

from pipelines.bitbucket import ENDPOINTS, RUNS, WORKSPACES, Settings
from pipelines.bitbucket.client import AT_ONCE, PER_PAGE, Bitbucket
from pipelines.source import Asked, Note, Pages, Slice, snapshot
from pipelines.windows import RUN, Window, floor

AskedBitbucket: TypeAlias = Asked[Settings, Bitbucket]
# a run may wait for a person for weeks, or be run again; beyond this it is taken for forgotten
LOOKED_AT_FOR = timedelta(days=30)
# when all of that is read again, whatever it costs: Sundays, when little else is asked
WEEKDAY = 6
# of a run, what changes
STATE = ("completed_at", "state", "build_seconds_used")


@dlt.source(name="bitbucket")
def bitbucket(pages: Pages) -> Iterable[DltResource]:
    """Every endpoint as a resource: its Arrow pages."""
    for endpoint in ENDPOINTS:
        yield dlt.resource(pages(endpoint), name=endpoint.table, write_disposition="append")


def slices(asked: AskedBitbucket) -> Iterator[Slice]:
    """One walk per workspace for names; per repository for runs, also of those of older days that
    had not ended."""
    if asked.endpoint == RUNS:
        yield from _runs(asked)
    elif asked.endpoint == WORKSPACES:
        yield from (snapshot(scope, asked.client.workspaces) for scope in asked.due)
    else:
        yield from (snapshot(scope, asked.client.repositories, scope) for scope in asked.due)


@dataclass(frozen=True)
class SeenRun:
    """A run as it was last seen."""

    day: datetime
    uuid: str
    ended_at: datetime | None
    state: str | None
    seconds: int | None

    @property
    def is_unfinished(self) -> bool:
        """It had not ended."""
        return self.ended_at is None and self.state != "COMPLETED"


def _runs(asked: AskedBitbucket) -> Iterator[Slice]:
    """A slice per repository."""
    windows = [(scope, window) for scope, window in asked.windows() if window]
    seen = _seen(asked, min((window.since for _, window in windows), default=None))
    now, asks = asked.account.clock(), []
    for repository, window in windows:
        since, alone = plan(seen[repository], window, now)
        said = {run.uuid for run in seen[repository] if run.seconds} if seen[repository] else None
        runs = partial(asked.client.runs, repository, since, now, window, said)
        again = partial(asked.client.runs_again, repository, alone, said or ())
        asks.append(partial(_ask, runs, again))
    ahead = _Ahead(asks)
    for number, (repository, window) in enumerate(windows):
        yield Slice(repository, window, partial(_pages, ahead, number, seen[repository]))


def plan(seen: Sequence[SeenRun], window: Window, now: datetime) -> tuple[datetime, list[str]]:
    """How far back the runs of a repository are read, and which older ones are asked for alone.

    A failed step may be run again when its run has long ended, and nothing tells of it: so all that
    is on the pages that are read anyway is looked at, and once a week LOOKED_AT_FOR. Runs that had
    not ended are asked for alone where that costs less than the pages back to them.
    """
    if not seen:
        return window.since, []
    days = sorted((run.day for run in seen), reverse=True)
    since = min(window.since, max(days[-1], window.since - LOOKED_AT_FOR))
    if floor(now, "daily").weekday() != WEEKDAY:
        # as many new runs as such a window had before, and one that is older, fit on these pages
        count = sum(day >= window.since for day in days)
        room = (count // PER_PAGE + 1) * PER_PAGE - count - 1
        if len(days) > room:
            since = min(window.since, max(since, days[room] + timedelta(days=1)))
    alone = {run.uuid: run.day for run in seen if run.is_unfinished and run.day < since}
    oldest = min(alone.values(), default=since)
    pages = [sum(day >= first for day in days) // PER_PAGE for first in (oldest, since)]
    return (oldest, []) if len(alone) > pages[0] - pages[1] else (since, sorted(alone))


def _ask(*asks: Callable[[], Iterable[pa.Table | Note]]) -> list[pa.Table | Note]:
    return [page for ask in asks for page in ask()]


class _Ahead:
    """Asks for a few slices more than the one that is wanted, several at once."""

    def __init__(self, asks: Sequence[Callable[[], list[pa.Table | Note]]]) -> None:
        self._asks, self._pool = asks, ThreadPoolExecutor(max_workers=AT_ONCE)
        self._under_way: dict[int, Future[list[pa.Table | Note]]] = {}

    def answer(self, number: int) -> list[pa.Table | Note]:
        """What this one was answered."""
        for ahead in range(number, min(number + AT_ONCE, len(self._asks))):
            if ahead not in self._under_way:
                self._under_way[ahead] = self._pool.submit(self._asks[ahead])
        return self._under_way.pop(number).result()


def _pages(
    ahead: _Ahead, number: int, seen: Iterable[SeenRun], window: Window
) -> Iterator[pa.Table | Note | Window]:
    """The runs of a window; and of those before it the ones that are not as they were seen.

    A receipt of the latter covers no bucket: it says where rows may lie.
    """
    known = {run.uuid: (run.ended_at, run.state, run.seconds) for run in seen}
    created, changed = pc.field("created_at"), []
    for page in ahead.answer(number):
        if isinstance(page, Note):
            yield page
            continue
        yield page.filter((created >= window.since) & (created < window.until))
        changed += [
            run
            for run in page.filter(created < window.since).to_pylist()
            if run["run_uuid"] in known
            and known[run["run_uuid"]] != tuple(run[column] for column in STATE)
        ]
    if changed:
        first = min(run["bucket_start"] for run in changed)
        yield Window(RUN, first, window.since)
        yield pa.Table.from_pylist(changed, RUNS.schema)


def _seen(asked: AskedBitbucket, since: datetime | None) -> Mapping[str, list[SeenRun]]:
    """The runs that landed, by the repository that they are in now."""
    columns = ("landed_at", "repository_uuid", "bucket_start", "run_uuid", *STATE)
    told = asked.landed.last_rows(RUNS, None, columns, since - LOOKED_AT_FOR) if since else []
    latest = {uuid: (repository, (day, uuid, *rest)) for _, repository, day, uuid, *rest in told}
    seen: dict[str, list[SeenRun]] = defaultdict(list)
    for repository, (day, *rest) in latest.values():
        seen[repository].append(SeenRun(floor(day, "daily"), *rest))
    return seen
