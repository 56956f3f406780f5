"""Loads endpoints: which scopes are asked, by whom, what each needs first, and what came of it.

Not here: what is due (planning.py), how a vendor is asked and how its answers land (pipelines/),
and the build after it (building.py).
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path

from assets.runs import endings, opening, planning
from assets.runs.accounts import Accounts, Asker
from assets.runs.planning import Choose, Due, Standings, Wanted, names
from assets.settings import Settings
from assets.sources import ENDPOINTS, endpoint_of, source_of
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.warehouse import WarehouseError
from pipelines import receipts
from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.log import OF_THE_MACHINE
from pipelines.receipts import Answers, Connection, Landed
from pipelines.settings import LONGEST_ID
from pipelines.source import Asked, LoadResult, Slice, VendorError, unexpected
from pipelines.windows import Window, next_bucket

# a backfill takes hours where a vendor answers five requests a minute
LONGEST_TURN_SECONDS = 86400.0
# of no vendor's making
OF_THE_HOUSE = (WarehouseError, *OF_THE_MACHINE)
# by scope buckets that are not held
Lacking = dict[str, set[datetime]]
# told how many slices there are and how many minutes they take at the least; gives what is to be
# called after each
Progress = Callable[[int, float], Callable[[Slice], None]]


def silent(slice_count: int, minutes: float) -> Callable[[Slice], None]:
    """Progress that nobody watches."""
    return lambda asked: None


def forecast(endpoint: Endpoint, slice_count: int, minutes: float) -> str:
    """How long the request budget will make this many slices take, where that is long."""
    what = f"{slice_count} slice{'s' * (slice_count > 1)} of {endpoint.table}"
    text = f"{source_of(endpoint).title}: {what} to ask"
    if minutes < 1:
        return f"{text}."
    return (
        f"{text}; its budget of requests makes that take at least {minutes:.0f} min. What is "
        "interrupted goes on where it stopped."
    )


def _just(due: Due, scopes: list[str]) -> Due:
    """What is due of a need is known, whichever scopes there are."""
    return due


class Loader(AbstractContextManager["Loader"]):
    """Loads endpoints for the length of a run, by the accounts of its settings.

    `wanted_at`: when the run was asked for (None: now). Where it waited for its turn since, what
    another asked meanwhile is not asked again.
    """

    def __init__(self, settings: Settings, wanted_at: datetime | None = None) -> None:
        self.settings, self.wanted_at = settings, wanted_at or settings.clock()
        self.accounts = Accounts(settings)
        self.landed = Landed(self.open_warehouse)
        # of all that vendors still answer for; of these tables they are others by now
        self._answers: Answers | None = None
        self._changed: set[str] = set()
        # something did, be it but the list of what there is
        self.has_landed = False
        self._open: Connection | None = None

    def __exit__(self, *error: object) -> None:
        self.accounts.close()
        # of a load that was killed: the next load removes it, but nothing may have been due
        if any(Path(tempfile.gettempdir()).glob("meterhouse-*.lock")):
            from pipelines.load import remove_abandoned  # here: it takes Arrow

            remove_abandoned()

    def open_warehouse(self) -> AbstractContextManager[Connection]:
        """The warehouse, for writing, when it is this process's turn."""
        return nullcontext(self._open) if self._open else opening.open_warehouse(self.settings)

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
        return warehouse.writer_lock(self.settings.warehouse, LONGEST_TURN_SECONDS, source)

    # -- what to load -------------------------------------------------------------------------

    def due(self, endpoint: Endpoint, grain: str, only_gaps: bool = False) -> Wanted | None:
        """What is due of an endpoint, as far as can be told without asking; None: nothing.

        `only_gaps`: what is to be read again for corrections alone is not part of it.
        """
        now = self.settings.clock()
        if endpoint.any_time:
            return None if only_gaps else names(endpoint)
        answers = self._answers
        if answers is None or endpoint.table in self._changed:
            answers = self.look()
        if planning.is_retired(endpoint, answers.last.get(endpoint.table), now):
            return None
        standings = answers.standings(endpoint.table, grain)
        known = self._known_scopes(endpoint, standings)
        if grain == SNAPSHOT:
            choose: Choose = partial(planning.due_names, endpoint, standings, now=now)
            return Wanted(endpoint, None, choose, standings) if choose(known) else None
        held = answers.held(endpoint.table, grain)
        choose = partial(
            planning.due_buckets, endpoint, grain, held, standings, now=now, only_gaps=only_gaps
        )
        if not (starts := [*chain.from_iterable(choose(known).values())]):
            return None
        until = next_bucket(max(starts) if only_gaps else now, grain)
        return Wanted(endpoint, Window(grain, min(starts), until), choose, standings)

    def within(self, endpoint: Endpoint, window: Window) -> Wanted | None:
        """A window of an endpoint, due or not, less what was asked since it was wanted; None: its
        vendor said today that it is no more."""
        at, now = (endpoint.table, window.grain), self.settings.clock()
        with self.open_warehouse() as connection:
            answers = Answers(connection, {at: window.since})
        if planning.is_retired(endpoint, answers.last.get(endpoint.table), now):
            return None
        choose = partial(
            planning.buckets_to_ask,
            endpoint,
            window,
            answers.held(*at),
            now=now,
            wanted_at=self.wanted_at,
        )
        return Wanted(endpoint, window, choose, answers.standings(*at))

    def load(self, wanted: Wanted, progress: Progress = silent) -> LoadResult:
        """Ask every account that is there for an endpoint, and load what is part of it."""
        endpoint, source = wanted.endpoint, source_of(wanted.endpoint)
        before, result = self.accounts.requests_sent, LoadResult()
        askers = self.accounts.wanting(endpoint)
        wrong = self.settings.wrong.get(source.name, ())
        result.failures += map(VendorError, wrong)
        for asker in askers:
            result.add(self._do(wanted, asker, progress))
        is_all = askers and len(askers) == len(self.settings.accounts[source.name])
        if is_all and not (endpoint.any_time or endpoint.part_of or result.failures):
            there, now = self.accounts.claimed(endpoint.table), self.settings.clock()
            if endings.end_unlisted(self.open_warehouse, wanted, there, now):
                self._changed.add(endpoint.table)
        self._see_new(wanted, result)
        for part in source.endpoints:
            if part.part_of == endpoint.table:
                found = self.load_names(part)
                result.failures += found.failures
                result.notes += found.notes
        result.requests = self.accounts.requests_sent - before
        return result

    def _see_new(self, wanted: Wanted, result: LoadResult) -> None:
        """What failed before anything of it landed is due at the next run, and not only when it is
        looked again which scopes there are."""
        endpoint, answered = wanted.endpoint, {receipt.scope for receipt in result.receipts}
        failed = {*result.scopes} - answered - {*self._known_scopes(endpoint, {})}
        if failed and result.failures and not endpoint.any_time:
            self._changed.add(endpoint.table)
            with self.open_warehouse() as connection:
                receipts.see(connection, endpoint, sorted(failed), self.settings.clock())

    def load_window(
        self, endpoint: Endpoint, window: Window, progress: Progress = silent
    ) -> LoadResult:
        """Load a window of an endpoint, due or not."""
        if (wanted := self.within(endpoint, window)) is None:
            note = f"{endpoint.request} was answered as retired today; it is not asked again"
            return LoadResult(notes=[note])
        result = self.load(wanted, progress)
        if result.scopes and not (result.slice_count or result.failures):
            since = f"{self.wanted_at:%H:%M:%SZ}, when this run was asked for"
            since = "the last tick" if endpoint.once_a_tick else since
            result.notes.append(f"nothing to ask: all of it was asked since {since}")
        return result

    def load_names(self, endpoint: Endpoint, progress: Progress = silent) -> LoadResult:
        """Load what an endpoint lists, as it is now, of whom it was not listed since."""
        wanted = names(endpoint)
        if not (endpoint.any_time or endpoint.part_of):
            with self.open_warehouse() as connection:
                standings = receipts.standings(connection, endpoint.table, SNAPSHOT)
            now, at = self.settings.clock(), self.wanted_at
            choose = partial(planning.names_to_ask, standings, now=now, wanted_at=at)
            wanted = Wanted(endpoint, None, choose, standings)
        return self.load(wanted, progress)

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
                for asker in self.accounts.wanting(endpoint) if endpoint.any_time else ():
                    asker.client.recall(self.landed)
            self._answers = Answers(connection, since)
            endings.end_unasked(self.open_warehouse, self.settings, self._answers)
        self._changed.clear()
        return self._answers

    # -- how it is loaded ---------------------------------------------------------------------

    def _do(self, wanted: Wanted, asker: Asker, progress: Progress) -> LoadResult:
        endpoint, source, account = wanted.endpoint, asker.source, asker.account
        result = LoadResult()
        try:
            slices = self._slices(wanted, asker, result)
            # names may be asked of another budget than usage
            rate = source.requests_per_minute(account.settings) if wanted.window else None
            done = progress(len(slices), (len(slices) - 1) // rate if rate and slices else 0)
            if slices:
                from pipelines.load import load  # here: it takes Arrow

                self._changed.add(endpoint.table)
                clock, opened = self.settings.clock, self.open_warehouse
                resources = source.resources
                result.add(load(opened, endpoint, resources, slices, clock, done, OF_THE_HOUSE))
                self.has_landed |= bool(result.receipts)
        except VendorError as error:  # which scopes there are could not be asked
            result.failures.append(error)
        except OF_THE_HOUSE:
            raise
        except Exception as error:
            result.failures.append(unexpected(endpoint, "all that it is asked for", error))
        grain, now = wanted.window.grain if wanted.window else SNAPSHOT, self.settings.clock()
        if endings.end_refused(self.open_warehouse, endpoint, grain, result, now):
            self._changed.add(endpoint.table)
        for failure in result.failures:
            failure.of_account(account)
        result.notes = [account.says(note) for note in result.notes]
        if any(failure.status == 401 for failure in result.failures):
            self.accounts.refuse(asker)
        return result

    def _slices(self, wanted: Wanted, asker: Asker, result: LoadResult) -> list[Slice]:
        """What is left to ask, once what it follows from is there."""
        endpoint, source, account = wanted.endpoint, asker.source, asker.account
        found = self.accounts.claim(asker, endpoint.table, asker.client.scopes(endpoint))
        result.scopes = [s for s in found if s and s.isprintable() and len(s) <= LONGEST_ID]
        for scope in {*found} - {*result.scopes}:
            no_id = ValueError(f"an id of {len(scope):,} characters that is none")
            result.failures.append(unexpected(endpoint, scope, no_id))
        due = wanted.choose(result.scopes)
        less = self._load_needs(wanted, asker, due, result)
        grain, known_since = endpoint.grains[0], None
        if grain != SNAPSHOT:
            known_since = planning.earliest(endpoint.table, grain, self.settings.clock())
        asked = Asked(account, asker.client, endpoint, wanted.window, due, self.landed, known_since)
        slices = source.slices(asked) if due else []
        return [replace(a_slice, less=less.get(a_slice.scope, ())) for a_slice in slices]

    def _load_needs(self, wanted: Wanted, asker: Asker, due: Due, result: LoadResult) -> Lacking:
        """Load what the slices of an endpoint are worked out from, where that is not held.

        A scope of which it cannot be loaded is taken out of `due`; why is a failure of `result`.
        Where some buckets of it cannot be, these are what nothing is claimed of.
        """
        less: Lacking = {}
        for table in wanted.endpoint.needs:
            needed, window = endpoint_of(table), wanted.window
            at = window if window and window.grain in needed.grains else None
            asked = {scope: due[scope] for scope in self._lacking(needed, at, due)}
            if not asked:
                continue
            found = self._do(Wanted(needed, at, partial(_just, asked)), asker, silent)
            result.notes += found.notes
            for scope, buckets in self._lacking(needed, at, asked).items():
                less[scope] = buckets
                if at and not buckets >= {*due[scope]}:
                    continue
                del due[scope]
                if not (found.failures or scope in found.scopes):  # refused, which is said
                    result.scopes.remove(scope)
                    continue
                why = f"{table} of {scope} was not loaded, so {wanted.endpoint.table} was not asked"
                result.failures += found.failures or [VendorError(why)]
        return less

    def _lacking(self, needed: Endpoint, window: Window | None, due: Due) -> Lacking:
        """The scopes of `due` that a needed endpoint has no whole answer for, and the buckets."""
        if window is None:
            there = self.landed.scopes(needed)
            return {scope: set() for scope in due if scope not in there}
        windows = {s: Window(window.grain, min(starts), window.until) for s, starts in due.items()}
        return self.landed.lacking(needed, windows)
