"""The one engine that loads and builds, for Dagster and the terminal alike.

It decides which accounts and scopes are asked, loads what an endpoint needs first, and says in a
LoadResult what happened. Not here: what is due (planning.py), how a vendor is asked (pipelines/).
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb

from assets import planning
from assets.planning import Due, Standings
from assets.settings import Settings
from assets.sources import ENDPOINTS, source_of
from dbt_like_sql.engine import publishing, runner, warehouse
from dbt_like_sql.engine.warehouse import WarehouseError
from pipelines import receipts, upgrade
from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.log import OF_THE_MACHINE
from pipelines.receipts import Answers, Connection, Landed
from pipelines.settings import LONGEST_ID
from pipelines.source import (
    Account,
    Asked,
    Client,
    LoadResult,
    RefusedError,
    Slice,
    Source,
    VendorError,
    unexpected,
)
from pipelines.windows import Window, next_bucket

Row = dict[str, Any]
# a backfill takes hours where a vendor answers five requests a minute
LONGEST_TURN_SECONDS = 86400.0
# of no vendor's making
OF_THE_HOUSE = (WarehouseError, *OF_THE_MACHINE)
# given which scopes there are, what to ask for
Choose = Callable[[list[str]], Due]
# by scope buckets that are not held
Lacking = dict[str, set[datetime]]
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
class Wanted:
    """What is wanted of an endpoint: `choose` within `window` (None: what it lists, as it is).

    `standings`: how its scopes stood, where that was looked up to know it.
    """

    endpoint: Endpoint
    window: Window | None
    choose: Choose
    standings: Standings | None = None


@dataclass(frozen=True, kw_only=True)
class _Job(Wanted):
    """The same of one account."""

    source: Source[Any, Any]
    account: Account[Any]

    @property
    def whose(self) -> tuple[str, str]:
        """The account, by a name that no other source's has."""
        return self.source.name, self.account.name


@contextmanager
def open_warehouse(settings: Settings, timeout_seconds: float = 600) -> Iterator[Connection]:
    """The warehouse, for writing, in the format of today, when it is this process's turn."""
    with warehouse.writer(settings.warehouse, timeout_seconds) as connection:
        upgrade.upgrade(connection, ENDPOINTS)
        yield connection


class Loader(AbstractContextManager["Loader"]):
    """Loads endpoints for the length of a run: a client per account, every scope asked by one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.landed = Landed(self.open_warehouse)
        # accounts whose credentials are not valid: asked no further
        self.refused: set[tuple[str, str]] = set()
        self._clients: dict[tuple[str, str], Client] = {}
        self._asked_by: dict[tuple[str, str], tuple[str, str]] = {}
        # of all that vendors still answer for; of these tables they are others by now
        self._answers: Answers | None = None
        self._changed: set[str] = set()
        self._open: Connection | None = None

    def __exit__(self, *error: object) -> None:
        for client in self._clients.values():
            client.close()

    def open_warehouse(self) -> AbstractContextManager[Connection]:
        """The warehouse, for writing, when it is this process's turn."""
        return nullcontext(self._open) if self._open else open_warehouse(self.settings)

    @contextmanager
    def at_once(self) -> Iterator[Connection]:
        """One opening of the warehouse for all that is asked of it inside, about one moment."""
        with self.open_warehouse() as connection:
            before, self._open = self._open, connection
            try:
                yield connection
            finally:
                self._open = before

    def turn(self, source: str) -> AbstractContextManager[None]:
        """Nobody else loads this source into the warehouse meanwhile, so that what is due is asked
        for once: whoever comes second waits, and finds that it is held."""
        path, advice = self.settings.warehouse, "Let that load finish, and run the same again."
        file = path.with_name(f"{path.name}.{source}.lock")
        return warehouse.turn(file, f"{source} of {path}", advice, LONGEST_TURN_SECONDS)

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

    def due(self, endpoint: Endpoint, grain: str, only_gaps: bool = False) -> Wanted | None:
        """What is due of an endpoint, as far as can be told without asking; None: nothing.

        `only_gaps`: what is to be read again for corrections alone is not part of it.
        """
        now = self.settings.clock()
        if endpoint.any_time:
            return None if only_gaps else _names(endpoint)
        answers = self._answers
        if answers is None or endpoint.table in self._changed:
            answers = self.look()
        if planning.is_retired(endpoint, answers.last.get(endpoint.table), now):
            return None
        standings, reach = answers.standings(endpoint.table, grain), None
        choose: Choose = partial(planning.due_names, endpoint, standings, now=now)
        if grain != SNAPSHOT:
            reach = planning.everything_in_reach(endpoint.table, grain, now)
            held = answers.held(endpoint.table, grain)
            of_buckets = partial(planning.due_buckets, endpoint, grain, held, standings, now=now)
            choose = partial(of_buckets, only_gaps=only_gaps)
        due = choose(self._known_scopes(endpoint, standings))
        starts = [*chain.from_iterable(due.values())]
        if not (reach and starts):
            return Wanted(endpoint, None, choose, standings) if due and not reach else None
        until = next_bucket(max(starts), grain) if only_gaps else reach.until
        return Wanted(endpoint, Window(grain, min(starts), until), choose, standings)

    def load(self, wanted: Wanted, progress: Progress = silent) -> LoadResult:
        """Ask every account that is there for an endpoint, and load what is part of it."""
        before, result, jobs = self.requests_sent, LoadResult(), [*self._jobs(wanted)]
        wrong = self.settings.wrong.get(source_of(wanted.endpoint).name, ())
        result.failures += map(VendorError, wrong)
        for job in jobs:
            result.add(self._do(job, progress))
        if jobs and len(jobs) == len(self.settings.accounts[source_of(wanted.endpoint).name]):
            self._end_others(wanted, result)
        for part in source_of(wanted.endpoint).endpoints:
            if part.part_of == wanted.endpoint.table:
                found = self.load_names(part)
                result.failures += found.failures
                result.notes += found.notes
        result.requests = self.requests_sent - before
        return result

    def load_window(
        self, endpoint: Endpoint, window: Window, progress: Progress = silent
    ) -> LoadResult:
        """Load a window of an endpoint, due or not."""
        answers, now = self._answers_of(endpoint, window), self.settings.clock()
        if planning.is_retired(endpoint, answers.last.get(endpoint.table), now):
            note = f"{endpoint.request} was answered as retired today; it is not asked again"
            return LoadResult(notes=[note])
        result = self.load(self._window(endpoint, window, answers), progress)
        if result.scopes and not (result.slice_count or result.failures):
            result.notes.append("nothing to ask: all of it was asked since the last tick")
        return result

    def load_names(self, endpoint: Endpoint, progress: Progress = silent) -> LoadResult:
        """Load what an endpoint lists, as it is now."""
        return self.load(_names(endpoint), progress)

    def slices(self, endpoint: Endpoint, window: Window) -> list[Slice]:
        """What a load of this window would ask for, of every account; what it needs is loaded."""
        jobs = self._jobs(self._window(endpoint, window, self._answers_of(endpoint, window)))
        return [a_slice for job in jobs for a_slice in self._slices(job, LoadResult())]

    def _window(self, endpoint: Endpoint, window: Window, answers: Answers) -> Wanted:
        now, held = self.settings.clock(), answers.held(endpoint.table, window.grain)
        choose = partial(planning.buckets_to_ask, endpoint, window, held, now=now)
        return Wanted(endpoint, window, choose, answers.standings(endpoint.table, window.grain))

    def _known_scopes(self, endpoint: Endpoint, standings: Standings) -> list[str]:
        """The scopes that the settings name, or else those that were asked before and are there."""
        source = source_of(endpoint)
        named = source.named_scopes if endpoint.is_windowed else lambda account: ()
        there = [scope for scope, standing in standings.items() if not standing.is_ended]
        return [
            scope
            for account in self.settings.accounts[source.name]
            for scope in named(account) or there or [planning.NOBODY]
        ]

    def forget(self) -> None:
        """What was answered is looked up again when it is asked for next."""
        self._answers = None

    def look(self) -> Answers:
        """What was answered of all that vendors still answer for; clients recall what they need,
        and what nobody asks for any more is written down."""
        now = self.settings.clock()
        since = {
            (e.table, grain): None if grain == SNAPSHOT else planning.earliest(e.table, grain, now)
            for e in ENDPOINTS
            for grain in e.grains
            if not e.any_time and grain not in e.only_backfilled
        }
        with self.at_once() as connection:
            for endpoint in ENDPOINTS:
                for job in self._jobs(_names(endpoint)) if endpoint.any_time else ():
                    job.source.recall(self._client(job), self.landed)
            self._answers = Answers(connection, since)
            self._end_unasked(self._answers)
        self._changed.clear()
        return self._answers

    def _answers_of(self, endpoint: Endpoint, window: Window) -> Answers:
        with self.open_warehouse() as connection:
            return Answers(connection, {(endpoint.table, window.grain): window.since})

    # -- how it is loaded ---------------------------------------------------------------------

    def _jobs(self, wanted: Wanted) -> Iterator[_Job]:
        """One per account that wants the endpoint and was not refused."""
        source = source_of(wanted.endpoint)
        for account in self.settings.accounts[source.name]:
            job = _Job(**vars(wanted), source=source, account=account)
            if job.whose not in self.refused and source.is_wanted(account.settings, job.endpoint):
                yield job

    def _do(self, job: _Job, progress: Progress) -> LoadResult:
        source, account, result = job.source, job.account, LoadResult()
        try:
            slices = self._slices(job, result)
            # names may be asked of another budget than usage
            rate = source.requests_per_minute(account.settings) if job.window else None
            done = progress(len(slices), (len(slices) - 1) // rate if rate and slices else 0)
            if slices:
                from pipelines.load import load  # here: it takes Arrow

                self._changed.add(job.endpoint.table)
                clock, opener = self.settings.clock, self.open_warehouse
                resources = source.resources
                result.add(load(opener, job.endpoint, resources, slices, clock, done, OF_THE_HOUSE))
        except VendorError as error:  # which scopes there are could not be asked
            result.failures.append(error)
        except OF_THE_HOUSE:
            raise
        except Exception as error:
            result.failures.append(unexpected(job.endpoint, "all that it is asked for", error))
        self._judge_refusals(job, result)
        for failure in result.failures if account.name else []:
            failure.of_account(account.name)
        if any(failure.status == 401 for failure in result.failures):
            self.refused.add(job.whose)
            # another account may see what this one was to be asked about
            claims = self._asked_by.items()
            self._asked_by = {key: whose for key, whose in claims if whose != job.whose}
        return result

    def _slices(self, job: _Job, result: LoadResult) -> list[Slice]:
        """What is left to ask, once what it follows from is there."""
        source, endpoint = job.source, job.endpoint
        client = self._client(job)
        # those of an earlier account are asked by that one
        found = [
            scope
            for scope in source.scopes(job.account, client, endpoint)
            if self._asked_by.setdefault((endpoint.table, scope), job.whose) == job.whose
        ]
        result.scopes = [s for s in found if s.isprintable() and len(s) <= LONGEST_ID]
        for scope in {*found} - {*result.scopes}:
            no_id = ValueError(f"an id of {len(scope):,} characters that is none")
            result.failures.append(unexpected(endpoint, scope, no_id))
        due = job.choose(result.scopes)
        less = self._load_needs(job, due, result)
        grain, known_since = endpoint.grains[0], None
        if grain != SNAPSHOT:
            known_since = planning.earliest(endpoint.table, grain, self.settings.clock())
        asked = Asked(job.account, client, endpoint, job.window, due, self.landed, known_since)
        slices = source.slices(asked) if due else []
        return [replace(a_slice, less=less.get(a_slice.scope, ())) for a_slice in slices]

    def _client(self, job: _Job) -> Client:
        """The client of an account, made when it is first asked by."""
        if job.whose not in self._clients:
            client = job.source.client(job.account)
            client.within(self.settings.limits, self.settings.clock)
            self._clients[job.whose] = client
        return self._clients[job.whose]

    def _judge_refusals(self, job: _Job, result: LoadResult) -> None:
        """What is refused, and did not answer lately, fails no run where others answer.

        What answered before is taken to have ended, until it answers again.
        """
        refused = [failure for failure in result.failures if isinstance(failure, RefusedError)]
        if not refused:
            return
        grain, now = job.window.grain if job.window else SNAPSHOT, self.settings.clock()
        with self.open_warehouse() as connection:
            standings = receipts.standings(connection, job.endpoint.table, grain)
        lately = {s for s, about in standings.items() if planning.answers_lately(about, now)}
        lasting = [failure for failure in refused if lately and failure.scope not in lately]
        gone = {failure.scope for failure in lasting}
        result.failures = [failure for failure in result.failures if failure not in lasting]
        result.notes += map(str, lasting)
        result.scopes = [scope for scope in result.scopes if scope not in gone]
        answered = {scope for scope, about in standings.items() if about.answered_at}
        self._end(job.endpoint, standings, gone & answered)

    def _end_others(self, wanted: Wanted, result: LoadResult) -> None:
        """All that there is was told: what was asked before and is not among it has ended."""
        endpoint, standings = wanted.endpoint, wanted.standings
        if endpoint.any_time or endpoint.part_of or result.failures:
            return
        if standings is None:
            with self.open_warehouse() as connection:
                standings = receipts.standings(connection, endpoint.table, SNAPSHOT)
        there = {scope for table, scope in self._asked_by if table == endpoint.table}
        self._end(endpoint, standings, standings.keys() - there)

    def _end_unasked(self, answers: Answers) -> None:
        """What no setting asks for has ended once it did not answer lately, as what is refused has:
        a setting may be gone by mistake."""
        now = self.settings.clock()
        for endpoint in ENDPOINTS:
            if not self.settings.is_wanted(source_of(endpoint), endpoint):
                found = [answers.standings(endpoint.table, grain) for grain in endpoint.grains]
                every = [each for standings in found for each in standings.items()]
                lately = {scope for scope, its in every if planning.answers_lately(its, now)}
                self._end(endpoint, dict(every), dict(every).keys() - lately)

    def _end(self, endpoint: Endpoint, standings: Standings, gone: Iterable[str]) -> None:
        """Write down, once, what has ended."""
        if ended := [scope for scope in gone if not standings[scope].is_ended]:
            self._changed.add(endpoint.table)
            with self.open_warehouse() as connection:
                receipts.end(connection, endpoint, ended, self.settings.clock())

    def _load_needs(self, job: _Job, due: Due, result: LoadResult) -> Lacking:
        """Load what the slices of an endpoint are worked out from, where that is not held.

        A scope of which it cannot be loaded is taken out of `due`; why is a failure of `result`.
        Where some buckets of it cannot be, these are what nothing is claimed of.
        """
        less: Lacking = {}
        for table in job.endpoint.needs:
            needed, window = job.source.endpoint(table), job.window
            at = window if window and window.grain in needed.grains else None
            asked = {scope: due[scope] for scope in self._lacking(needed, at, due)}
            if not asked:
                continue
            found = self._load_need(replace(job, endpoint=needed, window=at), asked)
            result.notes += found.notes
            for scope, buckets in self._lacking(needed, at, asked).items():
                less[scope] = buckets
                if at and not buckets >= {*due[scope]}:
                    continue
                del due[scope]
                if not (found.failures or scope in found.scopes):  # refused, which is said
                    result.scopes.remove(scope)
                    continue
                why = f"{table} of {scope} was not loaded, so {job.endpoint.table} was not asked"
                result.failures += found.failures or [VendorError(why)]
        return less

    def _load_need(self, need: _Job, asked: Due) -> LoadResult:
        return self._do(replace(need, choose=lambda _: asked), silent)

    def _lacking(self, needed: Endpoint, window: Window | None, due: Due) -> Lacking:
        """The scopes of `due` that a needed endpoint has no whole answer for, and the buckets."""
        if window is None:
            there = self.landed.scopes(needed)
            return {scope: set() for scope in due if scope not in there}
        windows = {s: Window(window.grain, min(starts), window.until) for s, starts in due.items()}
        return self.landed.lacking(needed, windows)


def _names(endpoint: Endpoint) -> Wanted:
    """What an endpoint lists, of every scope."""
    return Wanted(endpoint, None, lambda scopes: {scope: [] for scope in scopes})


@contextmanager
def _noted(settings: Settings) -> Iterator[None]:
    """What becomes of a build stands beside the warehouse: one that fails leaves nothing inside."""
    file, note = _note_of(settings.warehouse), {"started_at": f"{settings.clock()}"}
    file.write_text(json.dumps(note), encoding="utf-8")
    try:
        yield
    except BaseException as error:
        note["failure"] = str(error) or "it was interrupted"
        raise
    finally:
        note["ended_at"] = f"{settings.clock()}"
        with suppress(OSError):  # of a full disk, which is said
            file.write_text(json.dumps(note), encoding="utf-8")


def last_build(path: Path) -> Row:
    """When the last build of a warehouse that had something to do started and ended, and why it
    failed, as far as it is so: what has not ended is under way, or was killed."""
    with suppress(OSError, ValueError):
        note: dict[str, str] = json.loads(_note_of(path).read_text(encoding="utf-8"))
        failure = note.pop("failure", "")
        return {"failure": failure, **{k: datetime.fromisoformat(v) for k, v in note.items()}}
    return {}


def _note_of(path: Path) -> Path:
    return path.with_suffix(".build.json")


def build(
    settings: Settings, since: datetime | None = None, until: datetime | None = None
) -> runner.BuildReport:
    """Build what is due (and [since, until) besides), in one transaction, and publish it."""
    with open_warehouse(settings) as connection:
        connection.execute(f"set memory_limit = '{settings.memory_limit}'")
        if not since and (report := idle(connection, settings)):
            return report
        with _noted(settings):
            receipts.create_raw_tables(connection, ENDPOINTS)
            report = runner.build(
                connection, since, until, now=settings.clock(), own_seeds=settings.own_seeds
            )
            publishing.publish(connection, settings.warehouse)
    return report


def idle(connection: Connection, settings: Settings) -> runner.BuildReport | None:
    """The report of a build that has nothing to make and nothing to publish, if that is so."""
    receipts.create_raw_tables(connection)
    report = runner.idle(connection, now=settings.clock(), own_seeds=settings.own_seeds)
    if not (report and publishing.is_current(connection, settings.warehouse)):
        return None
    with _noted(settings):  # what failed before was undone, and is no longer so
        return report


def rows_of(connection: Connection, sql: str) -> list[Row]:
    """What a report of the read copy holds, by the names of its columns."""
    try:
        result = connection.execute(sql)
    except duckdb.CatalogException as error:  # a copy of before this report was thought of
        message = "what was built is of another version: run `meterhouse build`"
        raise warehouse.WarehouseError(message) from error
    names = [column for column, *_ in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
