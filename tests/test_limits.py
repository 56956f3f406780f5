"""What hangs, floods, never ends or is gone stops at a limit, says so, and is asked no further."""

import gzip
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from random import Random

import httpx
import pytest
from pyrate_limiter import Rate
from pyrate_limiter.buckets import sqlite_bucket

from pipelines.http import TRIES, Budget, Limits, VendorError
from pipelines.http.client import TRIES_UNREACHABLE
from pipelines.http.wire import proxy_of
from pipelines.neon.client import Neon
from tests.clock import NOW
from tests.proxy import listening
from tests.test_http import KEY, neon_at

FINE = b'{"organizations": []}'
# of 2,000 digits that do not compress
LONG = b'{"a": "' + Random(1).randbytes(1000).hex().encode() + b'"}'
Answer = Callable[[socket.socket], None]


@dataclass
class Served:
    """An address, and how often it was asked."""

    base_url: str
    times: list[float] = field(default_factory=list)


@contextmanager
def serving(answer: Answer) -> Iterator[Served]:
    """A server that answers each connection once, byte for byte as it is told."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        served = Served(f"http://127.0.0.1:{listener.getsockname()[1]}/api/v2")

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:  # closed
                    return
                with connection:
                    connection.recv(65536)
                    served.times.append(time.monotonic())
                    with suppress(OSError):  # the client did not wait
                        answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield served
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def saying(body: bytes = FINE, status: int = 200, **headers: str) -> Answer:
    """One whole answer."""
    head = {"Content-Length": str(len(body)), "Connection": "close"}
    head |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return lambda connection: connection.sendall(
        f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode() + body
    )


def dripping(before: int) -> Answer:
    """So many bytes at once, and then one after the other, without end."""

    def answer(connection: socket.socket) -> None:
        text = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + b" " * 9999
        connection.sendall(text[:before])
        for byte in text[before:]:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    return answer


def client_of(served: Served, folder: Path, clock: datetime = NOW, **limits: int) -> Neon:
    """A client that backs off for milliseconds, within these limits."""
    borne = Limits(**limits)
    return neon_at(served.base_url, folder, limits=borne, clock=lambda: clock)


def refused(client: Neon, path: str = "a") -> str:
    """What an error says."""
    with pytest.raises(VendorError) as caught:
        client.ask("GET", path, "things")
    assert KEY not in str(caught.value)
    assert "everything landed before is untouched" in str(caught.value)
    return str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("before", [5, 60])
def test_a_byte_now_and_then_is_not_waited_for(tmp_path: Path, before: int) -> None:
    """In the head of an answer or in its body: the whole of a request has its time."""
    with serving(dripping(before)) as served:
        started = time.monotonic()
        text = refused(client_of(served, tmp_path, request_seconds=1))
    assert "not all of it came within 1 s" in text
    assert time.monotonic() - started < 5
    assert len(served.times) == 1


def test_a_connection_that_is_refused_ends_the_run(tmp_path: Path) -> None:
    """A few tries, and nothing more is asked, whatever it is about."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        served = Served(f"http://127.0.0.1:{closed.getsockname()[1]}/api/v2")
    client = client_of(served, tmp_path)
    text = refused(client)
    assert "nobody answers at NEON_BASE_URL (ConnectError" in text
    assert "Neon is asked nothing more in this run" in text
    assert refused(client, "b") == text
    assert client.requests_sent == TRIES_UNREACHABLE


def test_a_connection_that_is_refused_for_too_long_ends_the_run_too(tmp_path: Path) -> None:
    """In the same words, or one cause would be told as two."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        served = Served(f"http://127.0.0.1:{closed.getsockname()[1]}/api/v2")
    client = client_of(served, tmp_path, request_seconds=1)
    client.backoff_seconds = 9.0
    text = refused(client)
    assert "nobody answers at NEON_BASE_URL (ConnectError" in text
    assert refused(client, "b") == text
    assert client.requests_sent == 1


@pytest.mark.parametrize(
    "told",
    ["86400", format_datetime(NOW + timedelta(days=1), usegmt=True), "2026-11-22T15:30Z"],
)
def test_a_wait_beyond_the_limit_ends_the_run(tmp_path: Path, told: str) -> None:
    """It is not slept through: the error says when to come back."""
    with serving(saying(b"{}", 429, Retry_After=told)) as served:
        client = client_of(served, tmp_path)
        text = refused(client)
        assert refused(client, "b") == text
    assert "to come back at 2026-11-22T15:30:00Z" in text
    assert len(served.times) == 1


@pytest.mark.slow
def test_waits_of_one_request_are_counted_together(tmp_path: Path) -> None:
    """One second each, three in all: the fourth is too much."""
    with serving(saying(b"{}", 429, Retry_After="1")) as served:
        text = refused(client_of(served, tmp_path, retry_after_seconds=1))
    assert "to come back at" in text
    assert len(served.times) == 2


@pytest.mark.slow
def test_an_address_that_was_silent_is_tried_once(tmp_path: Path) -> None:
    """Until it answers: a vendor that is down costs its patience once, and not for every scope."""
    with serving(saying(b"{}", 503)) as served:
        client = client_of(served, tmp_path)
        for tries in (TRIES, TRIES + 1, TRIES + 2):
            assert "HTTP 503" in refused(client)
            assert len(served.times) == tries
        refused(client, "another")
    assert len(served.times) == 2 * TRIES + 2


@pytest.mark.parametrize(
    "answer",
    [
        saying(b""),
        saying(FINE[:-1]),
        saying(gzip.compress(LONG)[:500], Content_Encoding="gzip"),
    ],
    ids=["nothing", "no end", "half of what was compressed"],
)
def test_what_breaks_off_is_no_answer(tmp_path: Path, answer: Answer) -> None:
    """A proxy that gave up may still send a length that is right: that passes, and is tried again;
    it is no new shape of the vendor's."""
    with serving(answer) as served:
        text = refused(client_of(served, tmp_path))
    assert re.search(r"no answer \(the answer breaks off after \d+ bytes\)\. Check the net", text)
    assert len(served.times) == TRIES


def test_so_much_time_is_lost_with_a_vendor_and_no_more(tmp_path: Path) -> None:
    """Then nothing more is asked in this run."""
    with serving(saying(b"{}", 503)) as served:
        client = client_of(served, tmp_path, lost_seconds=1)
        client.backoff_seconds = 0.4
        text = refused(client)
        assert refused(client, "b") == text
    assert "1 s lost in this run (LIMIT_LOST_SECONDS)" in text
    assert 1 < len(served.times) < TRIES


@pytest.mark.parametrize(
    ("answer", "limit"),
    [
        (saying(b" " * 2_000_000 + FINE), "is over 1,000,000 bytes (LIMIT_ANSWER_SIZE)"),
        (
            saying(gzip.compress(b" " * 9_000_000 + FINE), Content_Encoding="gzip"),
            "unpacks to over 2,000,000 bytes (LIMIT_UNPACKED_SIZE)",
        ),
    ],
    ids=["as sent", "unpacked"],
)
def test_an_answer_has_a_size(tmp_path: Path, answer: Answer, limit: str) -> None:
    """Of what comes, and of what it unpacks to; asked once."""
    with serving(answer) as served:
        text = refused(
            client_of(served, tmp_path, answer_bytes=1_000_000, unpacked_bytes=2_000_000)
        )
    assert limit in text
    assert len(served.times) == 1


def test_a_walk_has_an_end(tmp_path: Path) -> None:
    """A cursor that is always new leads nowhere."""
    number = iter(range(99))

    def answer(connection: socket.socket) -> None:
        page = f'{{"projects": [], "pagination": {{"cursor": "{next(number)}"}}}}'
        saying(page.encode())(connection)

    with serving(answer) as served:
        client = client_of(served, tmp_path, pages=5)
        with pytest.raises(VendorError, match=r"projects of org-1: .* after 5 \(LIMIT_PAGES\)"):
            list(client.projects("org-1"))
    assert len(served.times) == 5


@pytest.mark.parametrize(
    "off", [timedelta(minutes=10), timedelta(days=-30), NOW - datetime(9999, 12, 31, tzinfo=UTC)]
)
def test_a_clock_that_is_wrong_is_said(tmp_path: Path, off: timedelta) -> None:
    """Before anything is read of the answer; every other request would be as wrong."""
    there = format_datetime(NOW - off, usegmt=True)
    with serving(saying(Date=there, Age="99999" if off.days < -99 else "0")) as served:
        client = client_of(served, tmp_path)
        text = refused(client)
        assert refused(client, "b") == text
    assert f"the clock of this machine says {NOW:%Y-%m-%dT%H:%M:%SZ}" in text
    assert f"Neon's {NOW - off:%Y-%m-%dT%H:%M:%SZ}. Set the clock right" in text
    assert len(served.times) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Date": format_datetime(NOW - timedelta(minutes=4), usegmt=True)},
        {"Date": format_datetime(NOW - timedelta(hours=1), usegmt=True), "Age": "3600"},
        {"Date": "some day"},
        {},
    ],
    ids=["a little", "kept on the way", "no date", "none"],
)
def test_a_clock_that_may_be_right_is_not(tmp_path: Path, headers: dict[str, str]) -> None:
    """A few minutes, an answer that a cache kept, or a vendor that does not say."""
    with serving(saying(FINE, 200, **headers)) as served:
        assert client_of(served, tmp_path).ask("GET", "a", "things") == FINE


def test_what_was_spent_in_the_future_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock was three hours ahead, and is right now: the budget is as if nothing was spent."""
    budget = Budget(tmp_path, "neon", KEY, [Rate(2, 1000)])
    with monkeypatch.context() as patch:
        ahead = timedelta(hours=3) // timedelta(microseconds=1) * 1000
        patch.setattr(sqlite_bucket, "time_ns", lambda: time.time_ns() + ahead)
        budget.take()
        budget.take()
    started = time.monotonic()
    budget.take()
    budget.close()
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("status", [301, 308])
def test_a_vendor_that_moved_is_said_to_have(tmp_path: Path, status: int) -> None:
    """Where to, and which setting; nobody is asked there."""
    moved = saying(b"", status, Location=f"https://elsewhere.example/?key={KEY}")
    with serving(moved) as served:
        text = refused(client_of(served, tmp_path))
    assert f"HTTP {status}: it is said to be at 'https://elsewhere.example/?key=***'" in text
    assert "set NEON_BASE_URL to where it is now" in text
    assert len(served.times) == 1


def test_the_proxy_of_the_environment_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a vendor; what it lets not through is a network that is gone, and no key is told."""
    with listening() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        client = neon_at("https://neon.example/api/v2", tmp_path)
        assert "nobody answers" in refused(client)
        client.close()
    assert set(proxy.requests) == {"CONNECT neon.example:443 HTTP/1.1"}


@pytest.mark.parametrize(
    ("address", "environment", "proxy"),
    [
        (
            "https://neon.example",
            {"HTTPS_PROXY": "proxy.example:3128"},
            "http://proxy.example:3128",
        ),
        ("https://neon.example", {"ALL_PROXY": "http://all.example"}, "http://all.example"),
        ("https://neon.example", {"HTTPS_PROXY": "http://p", "NO_PROXY": ".example"}, None),
        ("https://neon.example", {"HTTP_PROXY": "http://p"}, None),
        ("http://127.0.0.1:99", {"HTTP_PROXY": "http://p", "ALL_PROXY": "http://p"}, None),
        ("http://[::1]:99", {"ALL_PROXY": "http://p"}, None),
    ],
)
def test_which_proxy_an_address_has(
    address: str, environment: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As every other program understands these variables; none for the machine itself."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        for spelt in (name, name.lower()):
            monkeypatch.delenv(spelt, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_of(httpx.URL(address)) == proxy


def test_a_proxy_that_cannot_be_used_is_named_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have a password."""
    monkeypatch.setenv("HTTPS_PROXY", "ftp://user:planted@proxy.example")
    with pytest.raises(VendorError, match="HTTPS_PROXY") as caught:
        neon_at("https://neon.example/api/v2", tmp_path)
    assert "planted" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("path", ["a\nb", "a" * 300_000, "a\ud800"], ids=["line", "long", "half"])
def test_what_cannot_be_asked_is_a_refusal(tmp_path: Path, path: str) -> None:
    """An id that makes no address."""
    client = neon_at("http://127.0.0.1:9/api", tmp_path)
    assert "it cannot be asked" in refused(client, path)
    assert client.requests_sent == 0
