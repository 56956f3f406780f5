"""A stand-in for one endpoint of Neon that answers as fast as loopback goes, a page a request.

Its pages are bytes made beforehand, so what is measured is who reads them.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from subprocess import PIPE, Popen
from urllib.parse import parse_qs, urlsplit

from pipelines.neon.client import PROJECT_METRICS, PROJECTS_PER_PAGE

SINCE = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
_NUMBER = b"00000"


@dataclass(frozen=True)
class Answers:
    """So many projects with eight metrics in each of so many hours; a page may take its time."""

    pages: int = 10
    hours: int = 168
    seconds: float = 0.0

    @property
    def values(self) -> int:
        """How many there are on all pages."""
        return self.pages * PROJECTS_PER_PAGE * self.hours * len(PROJECT_METRICS)

    @property
    def until(self) -> datetime:
        """The end of the hours."""
        return SINCE + self.hours * HOUR


def template(hours: int) -> bytes:
    """A page as Neon writes it; the number of the page is in its ids and its cursor."""
    numbers = iter(range(10**9))
    projects = [
        {
            "project_id": f"steep-frost-{_NUMBER.decode()}{project:03}",
            "periods": [
                {
                    "period_id": "4ae3f1d4-60a0-4e2b-a1a1-9a43e2cf5a0c",
                    "period_plan": "scale",
                    "period_start": "2026-11-01T00:00:00Z",
                    "consumption": [_hour(SINCE + hour * HOUR, numbers) for hour in range(hours)],
                }
            ],
        }
        for project in range(PROJECTS_PER_PAGE)
    ]
    page = {"projects": projects, "pagination": {"cursor": _NUMBER.decode()}}
    return json.dumps(page, separators=(",", ":")).encode()


def _hour(start: datetime, numbers: Iterator[int]) -> dict[str, object]:
    # a multiplicative hash: as hard to compress as measurements are
    values = ((next(numbers) * 2654435761) % 2**32 % 100_000 for _ in PROJECT_METRICS)
    return {
        "timeframe_start": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "timeframe_end": f"{start + HOUR:%Y-%m-%dT%H:%M:%SZ}",
        "metrics": [
            {"metric_name": name, "value": value}
            for name, value in zip(PROJECT_METRICS, values, strict=True)
        ],
    }


class _Handler(BaseHTTPRequestHandler):
    """GET anything: the page that the cursor says."""

    protocol_version = "HTTP/1.1"
    answers: Answers
    body: bytes

    def do_GET(self) -> None:
        """One page; the last one has no cursor."""
        number = int(parse_qs(urlsplit(self.path).query).get("cursor", ["0"])[0])
        time.sleep(self.answers.seconds)
        body = self.body.replace(
            b'"project_id":"steep-frost-%s' % _NUMBER, b'"project_id":"steep-frost-%05d' % number
        )
        start, _, _ = body.rpartition(b',"pagination"')
        if number + 1 < self.answers.pages:
            start += b',"pagination":{"cursor":"%05d"}' % (number + 1)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(start) + 1))
        self.end_headers()
        self.wfile.write(start + b"}")

    def log_message(self, *args: object) -> None:
        """Nothing."""


@contextmanager
def serve(answers: Answers) -> Iterator[str]:
    """Answer in a process of its own, so that it is not measured; gives the base address."""
    arguments = [str(answers.pages), str(answers.hours), str(answers.seconds)]
    command = [sys.executable, "-m", "tests.benchmarks.pages", *arguments]
    with Popen(command, stdout=PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def main(pages: str, hours: str, seconds: str) -> None:
    """Answer until terminated; the first line printed is the address."""
    _Handler.answers = Answers(int(pages), int(hours), float(seconds))
    _Handler.body = template(int(hours))
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
