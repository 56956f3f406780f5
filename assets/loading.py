"""The one engine that loads and builds, for Dagster and the terminal alike.

It decides which accounts and scopes are asked, loads what an endpoint needs first, and says in a
LoadResult what happened. Not here: what is due (planning.py), how a vendor is asked (pipelines/).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any

from assets import planning
from assets.settings import Settings
from assets.sources import RAW_TABLES, source_of
from dbt_like_sql.engine import publishing, runner, warehouse
from pipelines import receipts
from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.http import VendorError
from pipelines.load import load
from pipelines.receipts import Connection, Held, Landed
from pipelines.source import Account, Asked, Client, LoadResult, Slice, Source
from pipelines.windows import Window, next_bucket

# by scope the starts of the buckets to ask for; of names, just the scopes
Due = dict[str, list[datetime]]
# given which scopes there are, what to ask for
Choose = Callable[[list[str]], Due]
# told how many slices there are and how many minutes they take at the least; gives what is to be
# called after each
Progress = Callable[[int, float], Callable[[Slice], None]]


def silent(slice_count: int, minutes: float) -> Callable[[Slice], None]:
    """Progress that nobody watches."""
    return lambda asked: None


def forecast(endpoint: Endpoint, slice_count: int, minutes: float) -> str:
    """How long the request budget will make this many slices take, at the least."""
    return (
        f"{source_of(endpoint).title}: {slice_count} slices of {endpoint.table} to ask; its budget "
        f"of requests makes that take at least {minutes:.0f} min. What is interrupted goes on "
        "where it stopped."
    )


@dataclass(frozen=True)
class _Job:
    """One account asked for one endpoint."""

    source: Source[Any, Any]
    account: Account[Any]
    endpoint: Endpoint
    window: Window | None
    choose: Choose


class Loader:
    """Loads endpoints for the length of a run: a client per account, every scope asked by one."""

    def __init__(self, settings: Settings, wait_seconds: float = 600) -> None:
        self.settings = settings
        self._wait_seconds = wait_seconds
        self.landed = Landed(self.open_warehouse)
        # accounts whose credentials are not valid: asked no further
        self.refused: set[tuple[str, str]] = set()
        self._clients: dict[tuple[str, str], Client] = {}
        self._asked_by: dict[tuple[str, str], tuple[str, str]] = {}

    def __enter__(self) -> "Loader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def open_warehouse(self) -> AbstractContextManager[Connection]:
        """The warehouse, for writing, when it is this process's turn."""
        return warehouse.writer(self.settings.warehouse, self._wait_seconds)

    def use(self, source: str, client: Client, account: str = "") -> None:
        """Use this client for an account instead of making one."""
        self._clients[source, account] = client

    @property
    def requests_sent(self) -> int:
        """Requests sent so far, retries included."""
        return sum(client.requests_sent for client in self._clients.values())

    @property
    def rate_limited(self) -> int:
        """How many of them were answered 429."""
        return sum(client.rate_limited for client in self._clients.values())

    # -- what to load -------------------------------------------------------------------------

    def due_window(self, endpoint: Endpoint, grain: str) -> Window | None:
        """What is due of an endpoint, as far as can be told without asking; None: nothing."""
        if self._is_retired(endpoint):
            return None
        held, now = self._asked(endpoint, grain), self.settings.clock()
        scopes = self._known_scopes(endpoint, held)
        due = planning.due_buckets(endpoint, grain, held, scopes, now)
        starts = [start for of_scope in due.values() for start in of_scope]
        return Window(grain, min(starts), next_bucket(now, grain)) if starts else None

    def names_are_due(self, endpoint: Endpoint) -> bool:
        """Whether what an endpoint lists is to be listed again."""
        return planning.snapshot_is_due(
            endpoint, self._last_answer(endpoint), self.settings.clock()
        )

    def load_due(
        self, endpoint: Endpoint, window: Window, progress: Progress = silent
    ) -> LoadResult:
        """Load what is due of an endpoint, until the end of the window that `due_window` gave."""
        held, now = self._asked(endpoint, window.grain), self.settings.clock()
        choose = partial(planning.due_buckets, endpoint, window.grain, held, now=now)
        return self._load(endpoint, window, choose, progress)

    def load_window(
        self, endpoint: Endpoint, window: Window, progress: Progress = silent
    ) -> LoadResult:
        """Load a window of an endpoint, due or not."""
        if self._is_retired(endpoint):
            note = f"{endpoint.request} was answered as retired today; it is not asked again"
            return LoadResult(notes=[note])
        held, now = self._held(endpoint, window), self.settings.clock()
        choose = partial(planning.buckets_to_ask, endpoint, window, held, now=now)
        result = self._load(endpoint, window, choose, progress)
        if result.scopes and not (result.slice_count or result.failures):
            result.notes.append("nothing to ask: all of it was asked since the last tick")
        return result

    def load_names(self, endpoint: Endpoint, progress: Progress = silent) -> LoadResult:
        """Load what an endpoint lists, as it is now."""
        return self._load(endpoint, None, _every, progress)

    def slices(self, endpoint: Endpoint, window: Window) -> list[Slice]:
        """What a load of this window would ask for, of every account; what it needs is loaded."""
        held, now = self._held(endpoint, window), self.settings.clock()
        choose = partial(planning.buckets_to_ask, endpoint, window, held, now=now)
        jobs = self._jobs(endpoint, window, choose)
        return [a_slice for job in jobs for a_slice in self._slices(job, LoadResult())]

    def held_buckets(
        self, endpoint: Endpoint, window: Window, scopes: Iterable[str]
    ) -> list[datetime]:
        """The buckets of a window that are held for every one of these scopes."""
        held = self._held(endpoint, window)
        asked = [held.get(scope, {}) for scope in scopes]
        return [s for s in window.buckets() if asked and all(s in of_scope for of_scope in asked)]

    def _known_scopes(self, endpoint: Endpoint, held: Held) -> list[str]:
        """The scopes that the settings name, or else those that were asked before."""
        source = source_of(endpoint)
        return [
            scope
            for account in self.settings.accounts[source.name]
            for scope in source.named_scopes(account) or held or [planning.NOBODY]
        ]

    def _asked(self, endpoint: Endpoint, grain: str) -> Held:
        """The buckets within reach that were asked for.

        What was answered in part stays so until somebody gives the token more, and backfills; an
        endpoint that had no answer at all may have all of it tomorrow.
        """
        since = planning.earliest(endpoint.table, grain, self.settings.clock())
        with self.open_warehouse() as connection:
            only_complete = endpoint.retired_on is not None
            return receipts.held_since(connection, endpoint.table, grain, since, only_complete)

    def _held(self, endpoint: Endpoint, window: Window) -> Held:
        """The buckets from the window on that are held."""
        with self.open_warehouse() as connection:
            return receipts.held_since(connection, endpoint.table, window.grain, window.since)

    def _last_answer(self, endpoint: Endpoint) -> tuple[bool, datetime] | None:
        with self.open_warehouse() as connection:
            return receipts.last_answer(connection, endpoint.table)

    def _is_retired(self, endpoint: Endpoint) -> bool:
        if endpoint.retired_on is None:
            return False
        return planning.is_retired(endpoint, self._last_answer(endpoint), self.settings.clock())

    # -- how it is loaded ---------------------------------------------------------------------

    def _load(
        self, endpoint: Endpoint, window: Window | None, choose: Choose, progress: Progress
    ) -> LoadResult:
        """Ask every account that is there for an endpoint, and load what is part of it."""
        before, result = self.requests_sent, LoadResult()
        for job in self._jobs(endpoint, window, choose):
            result.add(self._do(job, progress))
        for part in source_of(endpoint).endpoints:
            if part.part_of == endpoint.table:
                found = self.load_names(part)
                result.failures += found.failures
                result.notes += found.notes
        result.requests = self.requests_sent - before
        return result

    def _jobs(self, endpoint: Endpoint, window: Window | None, choose: Choose) -> Iterator[_Job]:
        """One per account that wants the endpoint and was not refused."""
        source = source_of(endpoint)
        for account in self.settings.accounts[source.name]:
            is_refused = (source.name, account.name) in self.refused
            if not is_refused and source.is_wanted(account.settings, endpoint):
                yield _Job(source, account, endpoint, window, choose)

    def _do(self, job: _Job, progress: Progress) -> LoadResult:
        source, account, result = job.source, job.account, LoadResult()
        try:
            slices = self._slices(job, result)
            # names may be asked of another budget than usage
            rate = source.requests_per_minute(account.settings) if job.window else None
            done = progress(len(slices), (len(slices) - 1) // rate if rate and slices else 0)
            if slices:
                clock, opener = self.settings.clock, self.open_warehouse
                found = load(opener, job.endpoint, source.resources, slices, clock, done)
                result.add(found)
        except VendorError as error:  # which scopes there are could not be asked
            result.failures.append(error)
        for failure in result.failures if account.name else []:
            failure.of_account(account.name)
        if any(failure.status == 401 for failure in result.failures):
            self.refused.add((source.name, account.name))
            # another account may see what this one was to be asked about
            refused, claims = (source.name, account.name), self._asked_by.items()
            self._asked_by = {key: whose for key, whose in claims if whose != refused}
        return result

    def _slices(self, job: _Job, result: LoadResult) -> list[Slice]:
        """What is left to ask, once what it follows from is there."""
        client = self._client(job.source, job.account)
        result.scopes = self._scopes_of(job, client)
        due = job.choose(result.scopes)
        self._load_needs(job, due, result)
        grain, known_since = job.endpoint.grains[0], None
        if grain != SNAPSHOT:
            known_since = planning.earliest(job.endpoint.table, grain, self.settings.clock())
        asked = Asked(job.account, client, job.endpoint, job.window, due, self.landed, known_since)
        return list(job.source.slices(asked)) if due else []

    def _load_needs(self, job: _Job, due: Due, result: LoadResult) -> None:
        """Load what the slices of an endpoint are worked out from, where that is not held.

        A scope of which it cannot be loaded is taken out of `due`; why is a failure of `result`.
        """
        for table in job.endpoint.needs:
            needed, window = job.source.endpoint(table), job.window
            at = window if window and window.grain in needed.grains else None
            if lacking := self._lacking(needed, at, due):
                need = replace(job, endpoint=needed, window=at, choose=lambda _: lacking)
                found = self._do(need, silent)
                result.notes += found.notes
                for scope in self._lacking(needed, at, lacking):
                    del due[scope]
                    why = (
                        f"{table} of {scope} was not loaded, so {job.endpoint.table} was not asked"
                    )
                    result.failures += found.failures or [VendorError(why)]

    def _lacking(self, needed: Endpoint, window: Window | None, due: Due) -> Due:
        """What of `due` a needed endpoint has no complete answer for."""
        if window is None:
            return {s: [] for s in due if not self.landed.has_listed(needed, s)}
        grain, until = window.grain, window.until
        return {
            scope: starts
            for scope, starts in due.items()
            if not self.landed.covers(needed, scope, Window(grain, min(starts), until))
        }

    def _client(self, source: Source[Any, Any], account: Account[Any]) -> Client:
        key = source.name, account.name
        if key not in self._clients:
            self._clients[key] = source.client(account)
        return self._clients[key]

    def _scopes_of(self, job: _Job, client: Client) -> list[str]:
        """The scopes that this account asks about: not those that an earlier one sees too."""
        table, whose = job.endpoint.table, (job.source.name, job.account.name)
        return [
            scope
            for scope in job.source.scopes(job.account, client, job.endpoint)
            if self._asked_by.setdefault((table, scope), whose) == whose
        ]


def _every(scopes: list[str]) -> Due:
    return {scope: [] for scope in scopes}


def build(
    settings: Settings, since: datetime | None = None, until: datetime | None = None
) -> runner.BuildReport:
    """Build what is due (and [since, until) besides), in one transaction, and publish it."""
    with warehouse.writer(settings.warehouse) as connection:
        receipts.create_raw_tables(connection, RAW_TABLES)
        report = runner.build(connection, since, until, now=settings.clock())
        publishing.publish(connection, settings.warehouse)
    return report
