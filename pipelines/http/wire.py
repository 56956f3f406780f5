"""One try over the network, within its limits: its whole time, and how much may come back.

Not here: whether and when it is tried again (client.py).
"""

import time
import urllib.request
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpcore
import httpx
import msgspec

from pipelines.limits import Limits
from pipelines.settings import is_loopback

# how long nothing at all may come
TIMEOUT = httpx.Timeout(60, connect=10)
_UNREACHABLE = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)
# looks at an answer without making anything of it: a twentieth of what it takes to decode it
_JSON = msgspec.json.Decoder(msgspec.Raw)
# when the try that this thread is at has to be over
_deadline: ContextVar[float] = ContextVar("deadline")


class TooMuchError(Exception):
    """More came back than is borne."""


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 where nothing did, `trouble` says why, and whether nobody heard."""

    status: int
    headers: httpx.Headers
    body: bytes
    trouble: str = ""
    is_unreachable: bool = False


class Wire:
    """The connections to one address."""

    def __init__(self, base_url: str, headers: dict[str, str]) -> None:
        transport = httpx.HTTPTransport(proxy=proxy_of(httpx.URL(base_url)))
        # httpx has no limit on the whole of a request: a byte now and then keeps it alive
        transport._pool._network_backend = _Network()
        self._http = httpx.Client(
            base_url=base_url, headers=headers, timeout=TIMEOUT, transport=transport
        )

    def request(self, method: str, path: str, **content: Any) -> httpx.Request:
        """A request to a path below the base, or to an address."""
        return self._http.build_request(method, path, **content)

    def send(self, request: httpx.Request, seconds: float, limits: Limits) -> Answer:
        """Ask once, for so long at the most; raises TooMuchError."""
        _deadline.set(time.monotonic() + seconds)
        try:
            response = self._http.send(request, stream=True)
            try:
                answer = Answer(response.status_code, response.headers, _body(response, limits))
            finally:
                response.close()
        except httpx.HTTPError as error:
            trouble = f"{type(error).__name__}: {error}"
            if time.monotonic() >= _deadline.get():
                trouble = f"not all of it came within {seconds:.0f} s"
            return Answer(0, httpx.Headers(), b"", trouble, isinstance(error, _UNREACHABLE))
        if answer.status == 200 and _is_cut_off(answer.body):
            trouble = f"the answer breaks off after {len(answer.body):,} bytes"
            return Answer(0, httpx.Headers(), b"", trouble)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _body(response: httpx.Response, limits: Limits) -> bytes:
    parts, size = [], 0
    for part in response.iter_bytes():
        parts.append(part)
        size += len(part)
        if response.num_bytes_downloaded > limits.answer_bytes:
            raise TooMuchError(f"is over {limits.answer_bytes:,} bytes (LIMIT_ANSWER_SIZE)")
        if size > limits.unpacked_bytes:
            raise TooMuchError(
                f"unpacks to over {limits.unpacked_bytes:,} bytes (LIMIT_UNPACKED_SIZE)"
            )
    return b"".join(parts)


def _is_cut_off(body: bytes) -> bool:
    """Whether it is the beginning of JSON, or nothing: no length was sent by which HTTP would have
    noticed, or that of what was compressed and cut off before."""
    try:
        _JSON.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        return "truncated" in str(error)
    return False


def proxy_of(url: httpx.URL) -> str | None:
    """The proxy that the machine has for an address (HTTPS_PROXY, NO_PROXY); none for itself."""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or is_loopback(url.host) or urllib.request.proxy_bypass(url.host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


class _Network(httpcore.SyncBackend):
    """Connections that know until when."""

    def connect_tcp(self, *where: Any, **how: Any) -> Any:
        return _waiting(super().connect_tcp, *where, **how)


def _bounded(stream: Any) -> Any:
    """Every wait on a connection ends when the try has to be over, whatever else it waits for."""
    for name in ("read", "write", "start_tls"):
        setattr(stream, name, partial(_waiting, getattr(stream, name)))
    return stream


def _waiting(method: Any, *what: Any, timeout: float | None = None, **how: Any) -> Any:
    found = method(*what, timeout=_left(timeout), **how)
    return _bounded(found) if isinstance(found, httpcore.NetworkStream) else found


def _left(timeout: float | None) -> float:
    """How long may still be waited, here at the most `timeout`."""
    left = _deadline.get() - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time of this request is over")
    return left if timeout is None else min(left, timeout)
