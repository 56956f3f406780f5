"""The one way out to a vendor: time-outs, retries, the request budget, errors without secrets.

Not here: what an answer means (the vendor's own module) and how it is read (decode.py).
"""

import hashlib
import re
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import httpx
import msgspec
from httpx_retries import Retry, RetryTransport
from pyrate_limiter import Rate, RateItem, SQLiteBucket

from pipelines.decode import decode

T = TypeVar("T")

RETRIED_STATUSES = (423, 429, 500, 502, 503, 504)
TRIES = 7
LONGEST_RETRY_AFTER_SECONDS = 900.0
LONGEST_BACKOFF_SECONDS = 30.0


class VendorError(RuntimeError):
    """A vendor could not be asked, refused, or answered something that is not documented.

    `status` is the HTTP status, or None where there was no HTTP answer to blame.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    def of_account(self, name: str) -> None:
        """Say whose credentials were used, where a vendor has several accounts."""
        whose = f" (Account {name}: its settings end in __{name}.)"
        self.args = (str(self).removesuffix(whose) + whose,)


class Budget:
    """So many requests per interval for one credential, shared by every process on this machine.

    Kept in a SQLite file under `folder`, so a restart does not forget what was just spent. The
    credential itself is never written: the file carries a digest of it.
    """

    def __init__(self, folder: Path, name: str, credential: str, rates: Sequence[Rate]) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        digest = hashlib.sha256(credential.encode()).hexdigest()[:16]
        self._bucket = SQLiteBucket.init_from_file(
            list(rates), db_path=str(folder / f"{name}-{digest}.sqlite"), use_file_lock=True
        )

    def take(self) -> None:
        """Spend one request, waiting for as long as the budget demands."""
        while (wait_seconds := self._try()) > 0:
            time.sleep(wait_seconds)

    def _try(self) -> float:
        with self._bucket.lock:
            now = self._bucket.now()  # type: ignore[no-untyped-call]
            self._bucket.leak(now)
            item = RateItem("request", now)
            if self._bucket.put(item):
                return 0.0
            wait: Any = self._bucket.waiting(item)
            return max(float(wait), 10.0) / 1000

    def close(self) -> None:
        """Let go of the file."""
        self._bucket.close()  # type: ignore[no-untyped-call]


class _Retry(Retry):
    """httpx-retries, with a ceiling on its own back-off only and ISO instants in Retry-After."""

    def backoff_strategy(self) -> float:
        return min(super().backoff_strategy(), LONGEST_BACKOFF_SECONDS)

    def parse_retry_after(self, retry_after: str) -> float:
        try:
            return super().parse_retry_after(retry_after)
        except ValueError:
            instant = datetime.fromisoformat(retry_after.strip())
            instant = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
            return super().parse_retry_after(format_datetime(instant, usegmt=True))


class _Metered(httpx.BaseTransport):
    """Innermost: every try, retries included, spends from the budget and is counted."""

    def __init__(self, client: "VendorClient") -> None:
        self._inner = httpx.HTTPTransport()
        self._client = client

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._client.budget_of(request).take()
        try:
            response = self._inner.handle_request(request)
            response.read()  # here, so that a connection that breaks mid-body is retried too
        except httpx.HTTPError:
            self._client.count(0)
            raise
        response.status_code = self._client.status_of(response)
        self._client.count(response.status_code)
        return response

    def close(self) -> None:
        self._inner.close()


class VendorClient:
    """Asks one vendor over HTTP: the base of the client of every vendor. Threads may share it.

    A vendor says who it is, which settings hold its address and its budget, where it tells of an
    outage, and its `advice` by status where an answer is no 200. `secrets` are struck from every
    error text, should a vendor echo them.
    """

    name: str
    title: str
    address_setting: str
    budget_setting: str
    status_page: str
    advice: ClassVar[Mapping[int, str]]

    def __init__(
        self,
        base_url: str,
        headers: dict[str, str],
        secrets: Sequence[str],
        *budgets: Budget,
        backoff_seconds: float = 1.0,
    ) -> None:
        self.requests_sent = 0
        self.rate_limited = 0
        self._budgets = budgets
        self._secrets = [secret for secret in secrets if secret]
        self._counter = threading.Lock()
        retry = _Retry(
            total=TRIES - 1,
            allowed_methods=("GET", "POST"),  # questions all: nothing here changes anything
            status_forcelist=RETRIED_STATUSES,
            backoff_factor=backoff_seconds,
            backoff_jitter=0.5,
            max_backoff_wait=LONGEST_RETRY_AFTER_SECONDS,
        )
        self._http = httpx.Client(
            base_url=base_url,
            headers={"Accept": "application/json", "User-Agent": "meterhouse", **headers},
            timeout=httpx.Timeout(60, connect=10),
            transport=RetryTransport(transport=_Metered(self), retry=retry),
        )

    def budget_of(self, request: httpx.Request) -> Budget:
        """What a request spends from, where a vendor has several budgets."""
        return self._budgets[0]

    def status_of(self, response: httpx.Response) -> int:
        """The status that an answer really has, of a vendor that tells some inside a 200."""
        return response.status_code

    def explain(self, status: int, message: str) -> str:
        """What a person can do about this refusal."""
        if status in self.advice:
            return self.advice[status]
        if status == 429:
            return f"Something else spends this account's budget too: lower {self.budget_setting}."
        if 400 <= status < 500 and status not in RETRIED_STATUSES:
            return (
                f"meterhouse asked what {self.title} no longer accepts: please report it with "
                "this text."
            )
        return f"{self.title} has trouble: see {self.status_page} and run the same again later."

    def count(self, status: int) -> None:
        """A request was sent, and answered so; 0: not at all."""
        with self._counter:
            self.requests_sent += 1
            self.rate_limited += status == 429

    def get(self, path: str, about: str, params: dict[str, Any] | None = None) -> bytes:
        """The body of a 200 answer to GET `path`; anything else is a VendorError about `about`."""
        return self._send("GET", path, about, params=params)

    def get_as(
        self, kind: type[T], path: str, about: str, params: dict[str, Any] | None = None
    ) -> T:
        """The same, decoded."""
        return self.decoded(self.get(path, about, params), kind, about)

    def post(self, url: str, body: dict[str, Any], about: str) -> bytes:
        """The same for a POST of JSON, which here is a question all the same (GraphQL)."""
        return self._send("POST", url, about, json=body)

    def _send(self, method: str, path: str, about: str, **content: Any) -> bytes:
        try:
            response = self._http.request(method, path, **content)
        except httpx.HTTPError as error:
            raise self.error(
                about,
                f"no answer after {TRIES} tries ({type(error).__name__}: {error})",
                "Check the network and the vendor's status page, then run the same again.",
            ) from None
        if response.status_code != 200:
            message = _vendor_message(response, self.strike(response.text))
            raise self.error(
                about,
                f"HTTP {response.status_code}: {message}",
                self.explain(response.status_code, message),
                response.status_code,
            )
        return response.content

    def error(self, about: str, what: str, advice: str, status: int | None = None) -> VendorError:
        """A VendorError that says: about what, what happened, what to do, what is safe."""
        text = (
            f"{self.name} {about}: {what}. {advice} Nothing of this window was recorded as "
            "loaded; everything landed before is untouched."
        )
        return VendorError(self.strike(text), status)

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
            f"If {self.address_setting} is right, the vendor changed this endpoint: please report "
            "it.",
        )

    def strike(self, text: str) -> str:
        """The text without secrets; before any cut, which would leave a part of one unknown."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def close(self) -> None:
        """Close the connections and let go of the budget files."""
        self._http.close()
        for budget in self._budgets:
            budget.close()


def _vendor_message(response: httpx.Response, text: str) -> str:
    """What the vendor says: `message`, also within `error` (REST) or `errors` (GraphQL)."""
    try:
        body = response.json()
        first = (body.get("errors") or [None])[0] or body.get("error") or body
        message = first["message"]
    except (AttributeError, ValueError, KeyError, TypeError):
        told = re.search(r'"message"\s*:\s*"([^"]+)"', text)  # wherever else it is
        message = told[1] if told else text[:120].strip() or "(empty answer)"
    return str(message).rstrip(".")
