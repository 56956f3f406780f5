"""One way out: retried where it helps, refused with advice, within the budget, without secrets."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pyrate_limiter import Rate

from pipelines.http import TRIES, Budget, VendorError
from pipelines.neon import Settings
from pipelines.neon.client import Neon, pool
from pipelines.windows import Window
from tests.clients import client_of
from tests.conftest import Open, World
from tests.sandbox.desk import Fault, FaultKind

USAGE = "/consumption_history/v2/projects"
KEY = "napi_" + "s3cr3tk3y" * 5


def neon_at(base_url: str, state: Path, api_key: str = KEY, **how: Any) -> Neon:
    """A client that backs off for milliseconds."""
    how |= {"api_key": api_key, "base_url": base_url, "requests_per_minute": 3000}
    return client_of(Neon, Settings, state, **how)


def walk(here: World, *faults: Fault, api_key: str = "") -> int:
    """Walk v2/projects of the first org while `faults` happen; the requests that were sent."""
    here.sandbox.faults[:] = faults
    here.sandbox.requests.clear()
    client = neon_at(
        here.sandbox.base_url, here.settings.state_dir, api_key or here.sandbox.api_key
    )
    try:
        for _ in client.project_usage(next(iter(here.company.orgs)), here.reach("daily")):
            pass
    finally:
        client.close()
    return client.requests_sent


@contextmanager
def answering(status: int, content_type: str, body: bytes) -> Iterator[str]:
    """The address of a server that answers everything like this."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api/v2"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "kind", [408, 423, 425, 429, 500, 502, 503, 504, 520, 522, 524, "drop", "cut", "truncate"]
)
def test_what_may_pass_is_tried_again(world: Open, kind: FaultKind) -> None:
    """Twice nothing, then the answer: three requests, and no error."""
    here = world(orgs=1, projects=3)
    assert walk(here, Fault(USAGE, kind, count=2)) == 3
    assert len(here.sandbox.requests) == 3


@pytest.mark.parametrize("kind", [503, "drop"])
def test_trying_ends(world: Open, kind: FaultKind) -> None:
    """After seven tries it is an error; the vendor was asked no more than that."""
    here = world(orgs=1, projects=3)
    with pytest.raises(VendorError, match=r"neon v2/projects of org-.* daily 20\d\d-") as caught:
        walk(here, Fault(USAGE, kind, count=100))
    assert len(here.sandbox.requests) == TRIES == 7
    assert "Nothing of this window was recorded as loaded" in str(caught.value)
    assert ("neonstatus.com" if kind == 503 else "no answer (") in str(caught.value)


@pytest.mark.parametrize(
    "write",
    [
        lambda at: "20",
        lambda at: format_datetime(at, usegmt=True),
        lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        lambda at: at.isoformat(),
    ],
    ids=["seconds", "HTTP date", "ISO instant", "ISO instant with offset"],
)
def test_retry_after_is_honoured(
    world: Open, monkeypatch: pytest.MonkeyPatch, write: Callable[[datetime], str]
) -> None:
    """The next try is not before the instant that the vendor named, in each of its forms."""
    here, waits = world(orgs=1, projects=3), list[float]()
    monkeypatch.setattr("pipelines.http.Budget.pause", lambda _, seconds: waits.append(seconds))
    named = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=20)
    walk(here, Fault(USAGE, 429, headers={"Retry-After": write(named)}))
    first, at_once = (request.asked_at for request in here.sandbox.requests)
    second = at_once + timedelta(seconds=sum(waits))
    assert second >= named - timedelta(milliseconds=50)
    assert second - first < timedelta(seconds=30)


@pytest.mark.parametrize(
    ("status", "message", "advice"),
    [
        (400, 'query parameter "metrics" not set', "please report it with this text"),
        (401, "supplied credentials do not pass authentication", "set NEON_API_KEY"),
        (403, "included with Launch plans and above", "needs Launch, Scale, Agent, Business"),
        (404, "organization not found", "check NEON_ORG_IDS and whose key it is"),
        (404, "not allowed outside the project this key is scoped to", "use a personal or org"),
        (406, "range start is outside the boundaries", "a coarser grain reaches further back"),
    ],
)
def test_a_refusal_says_what_to_do(world: Open, status: int, message: str, advice: str) -> None:
    """Asked once, with Neon's own words, the window, and advice that fits."""
    here = world(orgs=1, projects=3)
    with pytest.raises(VendorError) as caught:
        walk(here, Fault(USAGE, status, message=message))
    text = str(caught.value)
    assert f"HTTP {status}: {message}" in text
    assert advice in text
    assert str(here.reach("daily")) in text
    assert caught.value.status == status
    assert len(here.sandbox.requests) == 1


def test_404_says_that_it_is_not_zero(world: Open) -> None:
    """Nobody is to read a missing org as an idle one."""
    here = world(orgs=1, projects=3)
    with pytest.raises(VendorError, match="no sign of zero usage"):
        walk(here, Fault(USAGE, 404))


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("html", "is not the documented shape.*<!doctype html>"),
        ("repeat_cursor", "repeats the cursor of an earlier page.*try again"),
    ],
)
def test_strange_answers_are_refused_by_name(world: Open, kind: FaultKind, named: str) -> None:
    """A page that is no page: the source, the window and what to do, and no endless walk."""
    here = world(orgs=1, projects=9, page_size_cap=2)
    with pytest.raises(VendorError, match=f"(?s){named}") as caught:
        walk(here, Fault(USAGE, kind, skip=0 if kind != "repeat_cursor" else 1))
    assert str(caught.value).startswith("neon v2/projects of org-")
    assert str(here.reach("daily")) in str(caught.value)
    assert len(here.sandbox.requests) <= 4


@pytest.mark.parametrize("place", [0, 60, 75, 100, 110, 119, 130])
@pytest.mark.parametrize(
    ("status", "kind"), [(400, "text/plain"), (500, "text/html"), (200, "application/json")]
)
def test_an_echoed_key_is_in_no_error(tmp_path: Path, status: int, kind: str, place: int) -> None:
    """Wherever the vendor echoes the key, also where the quotation is cut: no part of it shows."""
    body = ("x" * place + KEY + "y" * 200).encode()
    window = Window("daily", datetime(2026, 8, 2, tzinfo=UTC), datetime(2026, 8, 4, tzinfo=UTC))
    with answering(status, kind, body) as base_url:
        client = neon_at(base_url, tmp_path)
        with pytest.raises(VendorError) as caught:
            list(client.project_usage("org-1", window))
        client.close()
    assert KEY[:9] not in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_key_in_a_json_message_is_struck(tmp_path: Path) -> None:
    """The rest of the message stays readable."""
    body = f'{{"message":"key {KEY} is not valid"}}'.encode()
    with answering(401, "application/json", body) as base_url:
        client = neon_at(base_url, tmp_path)
        with pytest.raises(VendorError, match=r"HTTP 401: key \*\*\* is not valid") as caught:
            list(client.projects("org-1"))
        client.close()
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "meterhouse asked what Neon no longer accepts"),
        (405, "meterhouse asked what Neon no longer accepts"),
        (423, "Neon has trouble: see https://neonstatus.com"),
        (503, "Neon has trouble: see https://neonstatus.com"),
    ],
)
def test_who_can_mend_a_refusal_is_said(status: int, advice: str, tmp_path: Path) -> None:
    """A status that is tried again is no fault of the question; any other 4xx is."""
    with answering(status, "application/json", b'{"message":"no"}') as base_url:
        client = neon_at(base_url, tmp_path)
        with pytest.raises(VendorError, match=f"HTTP {status}: no. {advice}"):
            list(client.projects("org-1"))
        client.close()


def test_the_key_is_in_no_file(tmp_path: Path) -> None:
    """The budget's file carries a digest of the credential, in its name and nowhere else."""
    budget = Budget(tmp_path / "state", "neon", KEY, [Rate(5, 1000)])
    budget.take()
    budget.close()
    files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert KEY not in path.name
        assert KEY.encode() not in path.read_bytes()


SPEND = """
import sys, time
from pathlib import Path
from typing import Any
from pyrate_limiter import Rate
from pipelines.http import Budget
budget = Budget(Path(sys.argv[1]), "neon", "key", [Rate(3, 2000)])
for _ in range(int(sys.argv[2])):
    budget.take()
    print(time.time(), flush=True)
"""


@pytest.mark.slow
def test_a_budget_is_shared_and_survives_restarts(tmp_path: Path) -> None:
    """Three requests per two seconds over two processes at once and one after them: never four."""

    def spend(count: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SPEND, str(tmp_path), str(count)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    spent: list[float] = []
    for processes in ([spend(3), spend(3)], [spend(1)]):
        for process in processes:
            out, _ = process.communicate()
            assert process.returncode == 0
            spent += map(float, out.split())
    spent.sort()
    assert len(spent) == 7
    for first, fourth in zip(spent, spent[3:], strict=False):
        # told just after the spending, so a busy machine may tell a little late
        assert fourth - first > 1.7
    assert all(later > earlier for earlier, later in pairwise(spent))


DECODE_AT_ONCE = """
import gc, sys, threading
from pipelines.decode import Record, decode
gc.set_threshold(1)
sys.setswitchinterval(1e-6)
for number in range(100):
    Item = type(Record)("Item", (Record,), {"__annotations__": {"value": int}})
    Page = type(Record)("Page", (Record,), {"__annotations__": {"items": list[Item]}})
    threads = [
        threading.Thread(target=decode, args=(b'{"items": [{"value": 1}]}', Page))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_threads_decode_a_type_for_the_first_time() -> None:
    """A process of its own, for it crashed where garbage was collected meanwhile."""
    done = subprocess.run([sys.executable, "-c", DECODE_AT_ONCE], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_another_credential_has_another_budget(tmp_path: Path) -> None:
    """What one key spends does not hold up another."""
    for credential in ("one", "another"):
        budget = Budget(tmp_path, "neon", credential, [Rate(1, 3_600_000)])
        started = datetime.now(UTC)
        budget.take()
        budget.close()
        assert datetime.now(UTC) - started < timedelta(seconds=20)


def test_who_waits_for_a_budget_is_told_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And how many requests are left can be asked without spending one."""
    budget = Budget(tmp_path, "vendor", "key", [Rate(2, 60_000)])
    monkeypatch.setattr(budget, "pause", lambda _: budget._bucket.flush())
    assert budget.left() == (2, 2)
    budget.take()
    assert budget.left() == budget.left() == (1, 2)
    for _ in range(5):
        budget.take()
    assert caplog.messages == ["vendor: the budget of 2 requests is spent, next in 60 s"]
    budget.close()


@pytest.mark.parametrize("waits", [Budget.take, partial(Budget.pause, seconds=3600)])
def test_nobody_waits_for_a_budget_that_is_closed(
    tmp_path: Path, waits: Callable[[Budget], None]
) -> None:
    """A thread that does keeps its process from ending: a Ctrl-C would take an hour."""
    budget, ended = Budget(tmp_path, "vendor", "key", [Rate(1, 3_600_000)]), list[str]()

    def wait() -> None:
        with pytest.raises(OSError, match="was closed") as told:
            waits(budget)
        ended.append(str(told.value))

    budget.take()
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    budget.close()
    thread.join(10)
    assert len(ended) == 1


def test_nobody_waits_for_a_request_of_a_walk_that_was_given_up() -> None:
    """The garbage collector closes one that failed, and must not wait while it does."""
    ends = threading.Event()
    with pool(1) as threads:
        threads.submit(ends.wait)
    assert not ends.is_set()
    ends.set()
