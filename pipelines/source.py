"""What a vendor is: a Source with its endpoints, the Slices it is asked in, and how they may end.

Not here: any vendor (a folder each beside this file), and how slices land (load.py).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from pipelines.endpoint import Endpoint
from pipelines.limits import Limits
from pipelines.windows import Window

if TYPE_CHECKING:  # what every command imports needs neither Arrow nor DuckDB
    import pyarrow as pa

    from pipelines.receipts import Landed, Receipt

Clock = Callable[[], datetime]

LONGEST_QUOTATION = 500
# of what has the same reason
SHOWN = 3
SAFE = "Nothing of this window was recorded as loaded; everything landed before is untouched."


class VendorError(RuntimeError):
    """A vendor could not be asked, refused, or answered something that is not documented.

    `status` is the HTTP status, or None where there was no HTTP answer to blame. `why`: what is
    said of whatever was asked `about`, where the message has both. `is_failure`: a run fails for
    it, else it is a note. `is_answer`: it is one all the same, of which a receipt tells.
    """

    is_failure, is_answer = True, False

    def __init__(
        self, message: str, status: int | None = None, about: str = "", why: str = ""
    ) -> None:
        super().__init__(message)
        self.status, self.about, self.why = status, about, why or message

    def of_account(self, account: Account[Any]) -> None:
        """Say whose credentials were used, where a vendor has several accounts; again is once."""
        self.args = (account.says(str(self)),)
        self.why = account.in_its_settings(self.why)
        whose = f" (account {account.name})" if self.about and account.name else ""
        self.about = self.about.removesuffix(whose) + whose


class OutOfReachError(VendorError):
    """The window starts before what the vendor still keeps at this grain."""


class PartialAnswerError(VendorError):
    """The answer leaves something out; what it does say is worth keeping.

    `refused`: what was asked for and not answered. That it is not there, or not for this key, is a
    note; any other trouble is a failure of the run.
    """

    is_answer = True

    def __init__(self, message: str, refused: Iterable[VendorError] = ()) -> None:
        super().__init__(message)
        self.is_failure = any(error.status not in (403, 404) for error in refused)


class UnknownBeforeError(VendorError):
    """The answer counts for `window` only (None: for nothing): what was before is not known."""

    is_failure, is_answer = False, True

    def __init__(self, message: str, window: Window | None) -> None:
        super().__init__(message)
        self.window = window


class RetiredError(VendorError):
    """The vendor has taken this endpoint away. That is known, so it is not asked at every tick."""

    is_failure, is_answer = False, True


def readable(text: str, keep: str = "") -> str:
    """What a terminal would obey is only shown, but for signs to keep."""
    return "".join(c if c.isprintable() or c in keep else "\N{REPLACEMENT CHARACTER}" for c in text)


def unexpected(endpoint: Endpoint, about: str, error: Exception) -> VendorError:
    """What nobody thought of, as the refusal of what it happened to."""
    what = readable(f"{type(error).__name__}: {error}")[:LONGEST_QUOTATION]
    about = readable(about)[:LONGEST_QUOTATION]
    why = f"what was answered cannot be used ({what}). If it stays, please report it with this text"
    text = f"{endpoint.source} {endpoint.request} of {about}: {why}. {SAFE}"
    return VendorError(text, None, about, f"{why}. {SAFE}")


class RefusedError(VendorError):
    """What the vendor lists it refuses to tell of: in a bad moment, or for good.

    Others are asked all the same. How long it has been so says whether a run fails for it.
    """

    is_answer = True

    def __init__(self, error: VendorError, scope: str) -> None:
        super().__init__(str(error), error.status, error.about, error.why)
        self.scope = scope


class BucketsRefusedError(VendorError):
    """What was told of these buckets cannot be, and why; of the others it counts.

    It is yielded and not raised: what is asked after it is to be asked.
    """

    def __init__(self, about: str, refused: Mapping[datetime, str], title: str) -> None:
        shown = [f"{at:%Y-%m-%dT%H:%MZ}: {why}" for at, why in [*refused.items()][:3]]
        shown += [f"and {len(refused) - 3} more"] if len(refused) > 3 else []
        super().__init__(
            f"{about}: {'; '.join(shown)}. Nothing of these buckets counts, the others are loaded; "
            "everything landed before is untouched. They are asked for again: report it to "
            f"{title}, should it stay."
        )
        self.buckets = refused.keys()


UsagePages: TypeAlias = "Iterator[pa.Table | BucketsRefusedError]"


class Note(str):
    """Something a person should know of an answer that counts all the same."""

    __slots__ = ()


# asks for one scope over a window (None: a snapshot), page by page; a Window says that rows of it
# come along, though nobody asked for all of it
Ask: TypeAlias = "Callable[[Any], Iterator[pa.Table | Note | Window | BucketsRefusedError]]"


@dataclass(frozen=True)
class Slice:
    """One scope over one window (None: a snapshot), as its receipt says; and how it is asked.

    `less`: buckets of the window that the receipt does not claim.
    """

    scope: str
    window: Window | None
    ask: Ask
    less: Collection[datetime] = ()


def snapshot(scope: str, ask: Callable[..., Iterator[pa.Table]], *arguments: Any) -> Slice:
    """A slice without a window."""
    return Slice(scope, None, lambda _: ask(*arguments))


@dataclass
class LoadResult:
    """What one load did: receipts of the scopes that landed, and what went wrong with others.

    `scopes`: all that the load was about, those included of which nothing was left to ask.
    """

    load_ids: list[str] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    failures: list[VendorError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    slice_count: int = 0
    requests: int = 0

    @property
    def rows(self) -> int:
        """Rows that count (those of a scope that failed do not)."""
        return sum(receipt.rows for receipt in self.receipts)

    @property
    def landed_scopes(self) -> list[str]:
        """The scopes that have a receipt of this load."""
        return sorted({receipt.scope for receipt in self.receipts})

    def add(self, other: LoadResult) -> None:
        """Take in what another load of the same endpoint did."""
        self.load_ids += other.load_ids
        self.receipts += other.receipts
        self.failures += other.failures
        self.notes += [note for note in other.notes if note not in self.notes]
        self.scopes += [scope for scope in other.scopes if scope not in self.scopes]
        self.slice_count += other.slice_count
        self.requests += other.requests


S = TypeVar("S")


@dataclass(frozen=True)
class Account(Generic[S]):
    """One set of credentials of a source, with what a client needs besides.

    `name` is "" for the settings without `__NAME`. `budgets`: where those of requests are kept, as
    Budget takes it. `meters`: what seeds.meters lists of the source.
    `limits`: how much is borne of the vendor. `clock` is held against the vendor's, too.
    `own`: the settings that it has of its own, by what they are called without its name.
    """

    name: str
    settings: S
    budgets: Path | str = field(repr=False)
    clock: Clock
    meters: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    own: Mapping[str, str] = field(default_factory=dict)

    def in_its_settings(self, text: str) -> str:
        """The same, where it names settings: those of this account are to be set."""
        return re.sub(r"\b[A-Z]+(?:_[A-Z]+)+\b", lambda it: self.own.get(it[0], it[0]), text)

    def says(self, text: str) -> str:
        """What is said of a vendor, with whose credentials it was asked, where it has several."""
        named = re.sub(r"^\w+\b(?! \(account )", rf"\g<0> (account {self.name})", text)
        return self.in_its_settings(named) if self.name else text

    @property
    def everything(self) -> str:
        """The scope of what is listed for a whole account."""
        return f"all of {self.name}" if self.name else "all"


class Client:
    """A vendor's client, made of one account for one run; it counts retries among requests."""

    requests_sent = rate_limited = 0

    def __init__(self, account: Account[Any]) -> None:
        self.account = account

    @property
    def requests_left(self) -> tuple[int, int] | None:
        """How many requests may be sent now without a wait, of how many; None: any number."""
        return None

    def scopes(self, endpoint: Endpoint) -> Sequence[str]:
        """The scopes of an endpoint that there are; the vendor may be asked."""
        return [self.account.everything]

    def probe(self) -> Iterable[object]:
        """As little as tells whether the account is answered."""
        return ()

    def recall(self, landed: Landed) -> None:
        """Look up what landed before, while the warehouse is open: where it is due at every run."""

    def fingerprint(self) -> str:
        """What changes when there is something new to load: where a sensor watches."""
        return ""

    def close(self) -> None:
        """Let go of connections and budget files."""


C = TypeVar("C", bound=Client)


@dataclass(frozen=True)
class Asked(Generic[S, C]):
    """What a load asks of one endpoint, for one account.

    `window` has the grain and the end of all that is asked (None: a snapshot), `due` the starts of
    the buckets by scope. `known_since`: the oldest bucket that the vendor is known to keep.
    """

    account: Account[S]
    client: C
    endpoint: Endpoint
    window: Window | None
    due: Mapping[str, Sequence[datetime]]
    landed: Landed
    known_since: datetime | None = None

    def windows(self) -> Iterator[tuple[str, Window | None]]:
        """A window per scope, from its first due bucket on: a walk costs the same however wide."""
        for scope, starts in self.due.items():
            if self.window is None:
                yield scope, None
            elif starts:
                yield scope, Window(self.window.grain, min(starts), self.window.until)


def reasons(failures: Iterable[VendorError], said: Iterable[VendorError] = ()) -> list[str]:
    """What went wrong, each reason once: the first time that it was said, and of what else.

    Of a reason that was `said` before just the latter.
    """
    before = {(failure.why, failure.about) for failure in said}
    known = {why for why, _ in before}
    told: dict[str, dict[str, VendorError]] = defaultdict(dict)
    for failure in failures:
        if (failure.why, failure.about) not in before:
            told[failure.why].setdefault(failure.about, failure)
    found = []
    for why, by_about in told.items():
        first = [] if why in known else [str(next(iter(by_about.values())))]
        others = [*by_about][len(first) :]
        left = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        same = [f"The same goes for {'; '.join(others[:SHOWN])}{left}."] if others else []
        found.append(" ".join([*first, *same]))
    return found


Pages: TypeAlias = "Callable[[Endpoint], Iterator[pa.Table]]"


@dataclass(frozen=True)
class Source(Generic[S]):
    """A vendor: its endpoints and settings, and how it is asked.

    Its folder is `pipelines/<name>`; there, client.py has the `client_class`, made of an account,
    and slices.py `slices`, which turns what is asked into slices, and the vendor as a dlt source,
    called like it. `named_scopes` are the scopes that are known without asking. `missing` says why
    the source is skipped although every required setting is there. `problems` is the report of
    what could not be loaded, for sources that a sensor watches.
    """

    name: str
    title: str
    endpoints: tuple[Endpoint, ...]
    settings: type[S]
    client_class: str
    named_scopes: Callable[[Account[S]], Sequence[str]] = lambda account: ()
    missing: Callable[[S], str | None] = lambda settings: None
    is_wanted: Callable[[S, Endpoint], bool] = lambda settings, endpoint: True
    requests_per_minute: Callable[[S], float | None] = lambda settings: None
    problems: str | None = None
    commands: Callable[[], Sequence[Any]] = lambda: ()

    def slices(self, asked: Asked[S, Any]) -> Iterable[Slice]:
        """The slices in which the vendor is asked."""
        found: Iterable[Slice] = self._module("slices").slices(asked)
        return found

    def resources(self, pages: Pages) -> Any:
        """The vendor as a dlt source: a resource per endpoint, whose pages are handed in."""
        return getattr(self._module("slices"), self.name)(pages)

    def client(self, account: Account[S]) -> Client:
        """A client by which an account asks."""
        made: Client = getattr(self._module("client"), self.client_class)(account)
        return made

    def _module(self, name: str) -> Any:
        # late: dlt costs a second, and where nothing is due nobody is asked
        return import_module(f"pipelines.{self.name}.{name}")
