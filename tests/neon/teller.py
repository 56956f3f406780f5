"""A Neon that says what a test has it say, over HTTP, and settings that point to it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from assets.settings import Settings, read_settings
from tests.clients import load_due
from tests.clock import NOW

Json = dict[str, Any]
HOURS, DAY = timedelta(hours=1), timedelta(days=1)
GRAINS = {"hourly": HOURS, "daily": DAY}


def periods(values: dict[datetime, str], length: timedelta) -> list[Json]:
    """A billing period with a metric of each bucket; a value is JSON as it is written."""
    buckets = [
        {
            "timeframe_start": start.isoformat(),
            "timeframe_end": (start + length).isoformat(),
            "metrics": [{"metric_name": "compute_unit_seconds", "value": f"#{value}#"}],
        }
        for start, value in values.items()
    ]
    return [{"period_id": "p", "period_plan": "scale", "consumption": buckets}]


@dataclass
class Teller:
    """Organizations, each with a project that used 100 in every hour and 2,400 in every day.

    `refused`: a status by path and organization or project, with what it `says`. `instead`: values
    of other buckets. `without_periods`: organizations with a second project whose periods are null.
    `length`: of a timeframe, whatever was asked for.
    """

    settings: Settings
    orgs: list[str] = field(default_factory=lambda: ["org"])
    refused: dict[tuple[str, str], int] = field(default_factory=dict)
    says: str = "no"
    instead: dict[datetime, str] = field(default_factory=dict)
    without_periods: set[str] = field(default_factory=set)
    length: timedelta | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    now: datetime = NOW

    def load(self, *grains: str, only_gaps: bool = False, source: str = "neon") -> Json:
        """What is due, as the command loads it."""
        self.asked.clear()
        of = grains or ("hourly", "daily")
        return load_due(self.settings, (source,), of, only_gaps)

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, str]:
        """Status and body."""
        path = path.removeprefix("/api/v2")
        whose = query.get("org_id", path.split("/")[2:3] or [""])[0]
        self.asked.append((path, whose))
        if status := self.refused.get((path, whose)):
            return status, json.dumps({"message": self.says})
        if path.startswith("/consumption_history/v2/"):
            found = self._usage(path.rpartition("/")[2], whose, query)
        elif path == "/users/me/organizations":
            found = {"organizations": [{"id": org, "name": org} for org in self.orgs]}
        elif path == "/projects":
            listed = [] if "cursor" in query else [{"id": f"of-{whose}", "org_id": whose}]
            found = {"projects": listed, "pagination": {"cursor": "next"}}
        elif path.endswith("/branches"):
            found = {"branches": [{"id": f"br-{whose}", "project_id": whose, "name": "main"}]}
        else:
            return 404, '{"message":"this route does not exist"}'
        return 200, json.dumps(found).replace('"#', "").replace('#"', "")

    def _usage(self, kind: str, org: str, query: dict[str, list[str]]) -> Json:
        length = GRAINS[query["granularity"][0]]
        start, until = (datetime.fromisoformat(query[end][0]) for end in ("from", "to"))
        values = {}
        while start < min(until, self.now):
            values[start] = self.instead.get(start, f"{100 * (length // HOURS)}")
            start += length
        values |= {at: value for at, value in self.instead.items() if at.year in (1, 2099)}
        subject = {"project_id": f"of-{org}", "periods": periods(values, self.length or length)}
        if kind == "branches":
            return {"branches": [subject | {"branch_id": f"br-of-{org}"}]}
        idle = [{"project_id": "idle", "periods": None}] if org in self.without_periods else []
        return {"projects": [subject, *idle]}


@contextmanager
def telling(folder: Path, **about: Any) -> Iterator[Teller]:
    """A teller that is up, and nothing loaded from it into a warehouse in this folder."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            status, body = told.answer(asked.path, parse_qs(asked.query))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def date_time_string(self, timestamp: float | None = None) -> str:
            return format_datetime(told.now, usegmt=True)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        environment = {
            "NEON_API_KEY": "key",
            "NEON_BASE_URL": f"http://127.0.0.1:{server.server_port}/api/v2",
            "NEON_REQUESTS_PER_MINUTE": "3000",
            "WAREHOUSE": str(folder / "meterhouse.duckdb"),
            "XDG_STATE_HOME": str(folder / "state"),
        }
        told = Teller(read_settings(environment, lambda: told.now), **about)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()


def at(text: str) -> datetime:
    """A UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
