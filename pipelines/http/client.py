"""The base of every vendor's client: tries, waits, limits, and errors that say what to do.

Not here: one try over the network (wire.py), and what an answer means (the vendor's own folder).
"""

import logging
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any, ClassVar, TypeVar

import httpx
import msgspec

from pipelines.decode import decode
from pipelines.http.budget import SILENT_SECONDS, Budget
from pipelines.http.secrets import Secrets
from pipelines.http.wire import Answer, TooMuchError, Wire
from pipelines.source import LONGEST_QUOTATION, SAFE, Account, Client, VendorError, readable

T = TypeVar("T")

NO_ANSWER = 0
# passing by their meaning; 520 to 524 are Cloudflare's, of a vendor behind it
RETRIED_STATUSES = (408, 423, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524)
TRIES = 7
# of one that nobody hears: a network that is gone is gone for every request
TRIES_UNREACHABLE = 4
LONGEST_BACKOFF_SECONDS = 30.0
_OF_PAGES = re.compile("next|cursor|pag(e|ing|ination)|token|more", re.I)
_log = logging.getLogger(__name__)


def may_tell_of_pages(odd: Mapping[str, Any]) -> bool:
    """Whether something in a page that is not known here may be that there are more."""
    return any(said and _OF_PAGES.search(name) for name, said in odd.items())


class VendorClient(Client):
    """Asks one vendor over HTTP: the base of the client of every vendor. Threads may share it.

    A vendor says who it is, which settings hold its address and its budget, where it tells of an
    outage, and its `advice` by status where an answer is no 200. `secrets` are struck from every
    answer and error text, should a vendor echo them. What no later request can mend ends the run:
    nothing more is asked. `about` is what a walk is about, and the same for all of its pages.
    """

    name: str
    title: str
    address_setting: str
    # and where something else is set, too, for which an answer may have another shape
    shape_settings = ""
    budget_setting: str
    status_page: str
    advice: ClassVar[Mapping[int, str]]
    # in which a vendor says when to come back
    wait_headers: ClassVar[Sequence[str]] = ("Retry-After",)
    # before a second try; it doubles from there
    backoff_seconds = 1.0

    def __init__(
        self,
        account: Account[Any],
        base_url: str,
        headers: dict[str, str],
        secrets: Sequence[str],
        *budgets: Budget,
    ) -> None:
        super().__init__(account)
        self._budgets, self._secrets = budgets, Secrets(secrets)
        self._limits, self._clock = account.limits, account.clock
        self._counter = threading.Lock()
        self._ended: VendorError | None = None
        self._lost_seconds = 0.0
        # addresses whose last request had no answer: no second time as patient
        self._silent: set[str] = set()
        # how often what is asked about was asked
        self._asked_about: Counter[str] = Counter()
        about = {"Accept": "application/json", "User-Agent": "meterhouse"}
        try:
            self._wire = Wire(base_url, about | headers)
        except (ValueError, ImportError, httpx.InvalidURL):
            raise VendorError(
                f"{self.name}: {self.address_setting}, or the proxy that the environment has for "
                "it (HTTPS_PROXY), is no address that can be used. Nothing was asked; everything "
                "landed before is untouched."
            ) from None

    @property
    def requests_left(self) -> tuple[int, int]:
        """How many requests may be sent now without a wait, of how many."""
        return self._budgets[0].left()

    def budget_of(self, request: httpx.Request) -> Budget:
        """What a request spends from, where a vendor has several budgets."""
        return self._budgets[0]

    def status_of(self, answer: Answer) -> int:
        """The status that an answer really has, of a vendor that tells some inside a 200."""
        return answer.status

    def explain(self, status: int, message: str) -> str:
        """What a person can do about this refusal."""
        if status in self.advice:
            return self.advice[status]
        if status == 429:
            return f"Something else spends this account's budget too: lower {self.budget_setting}."
        if 300 <= status < 400:
            return (
                f"{self.title} has moved this address, and no credential is sent after it: set "
                f"{self.address_setting} to where it is now, or report it."
            )
        if 400 <= status < 500 and status not in RETRIED_STATUSES:
            return (
                f"meterhouse asked what {self.title} no longer accepts: please report it with "
                "this text."
            )
        return f"{self.title} has trouble: see {self.status_page} and run the same again later."

    # -- asking -------------------------------------------------------------------------------

    def get_as(
        self, kind: type[T], path: str, about: str, params: dict[str, Any] | None = None
    ) -> T:
        """What GET `path` answers, as records of a kind."""
        return self.decoded(self.ask("GET", path, about, params=params), kind, about)

    def ask(self, method: str, path: str, about: str, **content: Any) -> bytes:
        """The body of a 200 answer; anything else is a VendorError about `about`. `content` is what
        httpx sends along: a POST is a question all the same."""
        if self._ended:
            raise VendorError(str(self._ended), self._ended.status)
        self._count_page(about)
        try:
            answer = self._answer(self._wire.request(method, path, **content), about)
        except TooMuchError as error:
            advice = "If so much is right, raise that limit; else report it."
            raise self.error(about, f"the answer {error}", advice) from None
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            advice = "An id that it is asked by may be no id: check the settings, or report it."
            raise self.error(about, f"it cannot be asked ({error})", advice) from None
        if answer.status != 200:
            message = _vendor_message(answer, self.strike(answer.body.decode(errors="replace")))
            advice = self.explain(answer.status, message)
            raise self.error(about, f"HTTP {answer.status}: {message}", advice, answer.status)
        return self._secrets.strike_answer(answer.body)

    def _answer(self, request: httpx.Request, about: str) -> Answer:
        """An answer to a request, tried as often as that may help, and for as long as is borne."""
        place = request.url.path
        tries = 1 if place in self._silent else TRIES
        allowed = min(self._limits.request_seconds, self._limits.lost_seconds - self._lost_seconds)
        spent = asked_to_wait = 0.0
        budget = self.budget_of(request)
        for number in count(1):
            budget.take()
            started = time.monotonic()
            answer = self._try(request, allowed - spent, about)
            spent += time.monotonic() - started
            if answer.status not in (NO_ANSWER, *RETRIED_STATUSES):
                self._silent.discard(place)
                return answer
            wait, backoff = self._wait_of(answer), self._backoff(number)
            asked_to_wait += wait
            if asked_to_wait > self._limits.retry_after_seconds:
                raise self._come_back_later(answer, wait, about)
            tries = min(tries, TRIES_UNREACHABLE) if answer.is_unreachable else tries
            is_over = not wait and spent + backoff > allowed
            if number >= tries or is_over:
                if answer.is_unreachable:
                    raise self._unreachable(answer, about)
                self._give_up(place, answer, allowed if is_over else spent, about)
                return answer
            spent += 0 if wait else backoff
            self._say_wait(answer, number, tries, wait or backoff)
            budget.pause(wait or backoff)
        raise AssertionError  # count() has no end

    def _say_wait(self, answer: Answer, number: int, tries: int, seconds: float) -> None:
        if seconds >= SILENT_SECONDS:
            what = self.strike(answer.trouble) or f"HTTP {answer.status}"
            told = (self.title, readable(what), number, tries, seconds)
            _log.warning("%s: %s; try %d of %d, next in %.0f s", *told)

    def _try(self, request: httpx.Request, seconds: float, about: str) -> Answer:
        answer = self._wire.send(request, seconds, self._limits)
        answer = replace(answer, status=self.status_of(answer))
        with self._counter:
            self.requests_sent += 1
            self.rate_limited += answer.status == 429
        self._check_clock(answer, about)
        return answer

    def _backoff(self, number: int) -> float:
        longest = min(self.backoff_seconds * 2.0 ** (number - 1), LONGEST_BACKOFF_SECONDS)
        return longest * random.uniform(0.5, 1)  # noqa: S311  # no secret

    def _count_page(self, about: str) -> None:
        with self._counter:
            self._asked_about[about] += 1
        if self._asked_about[about] > self._limits.pages:
            raise self.error(
                about,
                f"there is still another page after {self._limits.pages:,} (LIMIT_PAGES)",
                "If so many are right, raise that limit; else report it.",
            )

    # -- giving up ----------------------------------------------------------------------------

    def _give_up(self, place: str, answer: Answer, seconds: float, about: str) -> None:
        """No answer worth the name; the time is lost, and only so much of it may be."""
        with self._counter:
            self._silent.add(place)
            self._lost_seconds += seconds
        lost = self._lost_seconds >= self._limits.lost_seconds
        # without a number of tries, which is another the next time: a reason is said once
        what = answer.trouble or f"HTTP {answer.status}"
        advice = f"Check the network and {self.status_page}, then run the same again."
        if lost:
            what += f", and {self._lost_seconds:.0f} s lost in this run (LIMIT_LOST_SECONDS)"
            raise self._end(about, f"no answer ({what})", advice)
        if answer.status == NO_ANSWER:
            raise self.error(about, f"no answer ({what})", advice)

    def _unreachable(self, answer: Answer, about: str) -> VendorError:
        what = f"nobody answers at {self.address_setting} ({answer.trouble})"
        advice = (
            f"Check the network, its proxy and {self.address_setting}, then run the same again."
        )
        return self._end(about, what, advice)

    def _come_back_later(self, answer: Answer, wait_seconds: float, about: str) -> VendorError:
        at = self._clock() + timedelta(seconds=wait_seconds)
        what = f"HTTP {answer.status}, and to come back at {at:%Y-%m-%dT%H:%M:%SZ}"
        advice = f"Run the same again then. {self.explain(answer.status, '')}"
        return self._end(about, what, advice, answer.status)

    def _end(self, about: str, what: str, advice: str, status: int | None = None) -> VendorError:
        """Nothing more is asked in this run: every other request would end the same way."""
        told = f"{self.error(about, what, advice)} {self.title} is asked nothing more in this run."
        self._ended = self._ended or VendorError(told, status)
        return self._ended

    # -- time ---------------------------------------------------------------------------------

    def _wait_of(self, answer: Answer) -> float:
        """The seconds that the vendor asks to wait: told as such, as HTTP date or ISO instant."""
        named = (answer.headers.get(name, "").strip() for name in self.wait_headers)
        told = next(filter(None, named), "")
        if told.isascii() and told.isdigit():
            return float(told[:9])
        instant = _instant(told)
        return max((instant - self._clock()).total_seconds(), 0.0) if instant else 0.0

    def _check_clock(self, answer: Answer, about: str) -> None:
        """What is asked by a clock that is wrong is asked of other hours than those it says."""
        told = _instant(answer.headers.get("Date", ""))
        if told is None:
            return
        age = answer.headers.get("Age", "")  # of an answer that was kept on the way
        kept = timedelta(seconds=int(age[:9]) if age.isascii() and age.isdigit() else 0)
        here = self._clock()
        # not told + kept, for which the years may not reach
        if abs(here - told - kept) > timedelta(seconds=self._limits.clock_seconds):
            raise self._end(
                about,
                f"the clock of this machine says {here:%Y-%m-%dT%H:%M:%SZ}, and "
                f"{self.title}'s {told:%Y-%m-%dT%H:%M:%SZ}",
                "Set the clock right (LIMIT_CLOCK_SECONDS is how far it may be off), then run the "
                "same again.",
            )

    # -- errors -------------------------------------------------------------------------------

    def error(self, about: str, what: str, advice: str, status: int | None = None) -> VendorError:
        """A VendorError that says: about what, what happened, what to do, what is safe."""
        about, what = (self.strike(text)[:LONGEST_QUOTATION] for text in (about, what))
        about, why = readable(about), readable(f"{what}. {self.strike(advice)} {SAFE}")
        return VendorError(f"{self.name} {about}: {why}", status, about, why)

    def decoded(self, body: bytes, kind: type[T], about: str) -> T:
        """An answer as records of a kind; a VendorError where it has another shape."""
        try:
            return decode(body, kind)
        except msgspec.DecodeError as error:
            raise self.undocumented(about, str(error), body) from None

    def undocumented(self, about: str, what: str, body: bytes = b"") -> VendorError:
        """An answer that is not what the vendor documents; the start of `body` shows what it is."""
        start = self.strike(body.decode(errors="replace"))[:80]
        return self.error(
            about,
            f"the answer is not the documented shape: {what}"
            + (f" (it starts {start!r})" if body else ""),
            f"If {self.shape_settings or self.address_setting} is right, the vendor changed this "
            "endpoint: please report it.",
        )

    def prove_last(
        self, about: str, count: int, is_doubtful: bool, names_next: Callable[[int], bool]
    ) -> None:
        """That a page of so many items which names no next one is the last, where that is doubtful.
        Asked for with one item fewer it is not, and has to name the next one: else that is told in
        another way now, and pages would be lost."""
        if is_doubtful and count > 1 and not names_next(count - 1):
            what = f"there are more than {count - 1} items, and a page of so many names no next one"
            raise self.undocumented(about, what)

    def endless(self, about: str, what: str) -> VendorError:
        """A walk that comes back to where it was, and would never end."""
        advice = f"The walk cannot be complete: try again; report it to {self.title} if it stays."
        return self.error(about, what, advice)

    def strike(self, text: str) -> str:
        """The text without secrets; before any cut, which would leave a part of one unknown."""
        return self._secrets.strike(text)

    def close(self) -> None:
        """Close the connections and let go of the budget files."""
        self._wire.close()
        for budget in self._budgets:
            budget.close()


def _instant(text: str) -> datetime | None:
    """An HTTP date or an ISO instant, UTC unless it says otherwise; None where it is neither."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            found = read(text)
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        except (ValueError, OverflowError, TypeError):
            continue
    return None


def _vendor_message(answer: Answer, text: str) -> str:
    """What the vendor says: `message`, also within `error` (REST) or `errors` (GraphQL)."""
    if 300 <= answer.status < 400:
        return f"it is said to be at {answer.headers.get('Location', 'another address')!r}"
    try:
        body = msgspec.json.decode(answer.body)
        first = (body.get("errors") or [None])[0] or body.get("error") or body
        message = first["message"]
    except (AttributeError, ValueError, LookupError, TypeError, RecursionError):
        told = re.search(r'"message"\s*:\s*"([^"]+)"', text)  # wherever else it is
        message = told[1] if told else text[:120].strip() or "(empty answer)"
    return str(message).rstrip(".")
