"""A gateway of Forge's to ask: the stand-in with its truth beside it, or one that says anything."""

import base64
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.forge import Settings
from pipelines.forge.client import Forge
from pipelines.source import UsagePages
from pipelines.windows import Window
from tests.clients import client_of
from tests.sandbox.company import Company
from tests.sandbox.forge_apps import Apps
from tests.sandbox.forge_desk import API_TOKEN, EMAIL
from tests.sandbox.server import Sandbox, serve

NOW = datetime(2026, 11, 21, 8, 20, tzinfo=UTC)
MONTH = Window("daily", datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
APP, SITE, ENVIRONMENT = "forge_app_usage", "forge_site_usage", "forge_environment_usage"
BASIC = base64.b64encode(f"{EMAIL}:{API_TOKEN}".encode()).decode()
Json = dict[str, Any]
Rows = list[Json]


def rows_of(pages: UsagePages) -> Rows:
    """The rows of pages of which every number can be."""
    return [row for page in pages if isinstance(page, pa.Table) for row in page.to_pylist()]


@dataclass
class Gateway:
    """A gateway that is up, the apps whose usage it shows, and a client of it."""

    apps: Apps
    sandbox: Sandbox
    forge: Forge

    def rows(self, table: str = APP, resource: str = "FUNCTION_COMPUTE", app: int = 0) -> Rows:
        """What the client makes of November."""
        app_id = self.apps.app_ids[app]
        return rows_of(self.forge.usage(table, app_id, resource, MONTH))

    def truth(
        self, table: str = APP, resource: str = "FUNCTION_COMPUTE", app: int = 0
    ) -> dict[tuple[date, str | None], Decimal]:
        """What was really used, by day and group."""
        steps: Counter[tuple[date, str | None]] = Counter()
        for n in range(30):
            day = date(2026, 11, 1) + timedelta(days=n)
            cells = self.apps.cells(self.apps.app_ids[app], resource, day)
            for (site, environment), held in cells.items():
                group = {APP: None, SITE: site, ENVIRONMENT: environment}[table]
                if table != SITE or site:
                    steps[day, group] += held
        return {key: self.apps.decimal(resource, held) for key, held in steps.items()}


def forge_at(url: str, folder: Path, experimental_api: str = "Here") -> Forge:
    """A client of the gateway at an address."""
    return client_of(
        Forge,
        Settings,
        folder,
        email=EMAIL,
        api_token=API_TOKEN,
        gateway_url=url,
        experimental_api=experimental_api,
        requests_per_minute=3000,
    )


@contextmanager
def open_gateway(folder: Path, **options: Any) -> Iterator[Gateway]:
    """A gateway with these options of the stand-in."""
    company = Company(projects=1, apps=2, sites=3, now=NOW)
    with serve(company, **{f"forge_{name}": option for name, option in options.items()}) as up:
        url = up.environment["ATLASSIAN_GRAPHQL_URL"]
        forge = forge_at(url, folder)
        try:
            yield Gateway(company.forge, up, forge)
        finally:
            forge.close()


class Teller:
    """A gateway that answers these bodies one after the other, the last for ever, and a client."""

    def __init__(self, url: str, folder: Path, bodies: list[bytes]) -> None:
        self.bodies, self.asked = bodies, 0
        self.forge = forge_at(url, folder)

    def rows(self, *bodies: bytes, table: str = APP) -> Rows:
        """What the client makes of these answers about FUNCTION_COMPUTE in November."""
        self.bodies[:], before = bodies, self.forge.requests_sent
        try:
            return rows_of(self.forge.usage(table, "an-app", "FUNCTION_COMPUTE", MONTH))
        finally:
            self.asked = self.forge.requests_sent - before


@contextmanager
def open_teller(folder: Path) -> Iterator[Teller]:
    """A server that says what a test has it say."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = bodies.pop(0) if len(bodies) > 1 else bodies[0]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        opened = Teller(f"http://127.0.0.1:{server.server_port}/graphql", folder, bodies)
        try:
            yield opened
        finally:
            opened.forge.close()
            server.shutdown()
            thread.join()


def answer(
    *periods: str, shape: str = "Flat", more: str = ',"pagination":{"page":1,"pageSize":100}'
) -> bytes:
    """An answer with these periods."""
    return (
        f'{{"data":{{"ecosystem":{{"devConsole":{{"appResourceUsage":{{"__typename":'
        f'"DevConsoleAppResourceUsage{shape}Response","resourceUsage":[{",".join(periods)}]{more}'
        "}}}}}"
    ).encode()


def period(
    name: str = "2026-11-02", amount: str = '"1.5"', resolution: str = "ONE_DAY", more: str = ""
) -> str:
    """A period of a flat answer."""
    return (
        f'{{"period":"{name}","resolution":"{resolution}","tokensConsumed":{amount},'
        f'"tokenUnit":"GB-seconds"{more}}}'
    )


def groups(grouped_by: str, name: str = "2026-11-02", more: str = "") -> str:
    """A period of a grouped answer."""
    return (
        f'{{"period":"{name}","resolution":"ONE_DAY","groups":[{{"groupBy":"{grouped_by}",'
        f'"groupValue":"a","tokensConsumed":"1.5","tokenUnit":"GB-seconds"{more}}}]}}'
    )


def by_key(rows: Rows) -> dict[tuple[date, str | None], Decimal]:
    """Amounts by day and group; none comes twice."""
    found = {}
    for row in rows:
        key = (row["bucket_start"].date(), row.get("site_id") or row.get("environment_id"))
        assert key not in found
        found[key] = row["tokens_consumed"]
    return found
