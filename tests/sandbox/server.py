"""Starts and stops the stand-in vendors on loopback."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from tests.sandbox.atlassian_meters import AtlassianMeters
from tests.sandbox.bitbucket import Bitbucket
from tests.sandbox.company import Company
from tests.sandbox.desk import Desk, Fault, Request, control
from tests.sandbox.forge import Forge
from tests.sandbox.neon import API_KEY, BASE_PATH, Neon

STARTED_WITHIN_SECONDS = 10.0


class Vendor(Protocol):
    """A vendor that is served beside Neon."""

    @property
    def desk(self) -> Desk:
        """Where its requests are logged and its faults scripted."""
        ...

    def routes(self) -> list[Route]:
        """What it answers, at paths that no other vendor has."""
        ...

    def environment(self, origin: str) -> dict[str, str]:
        """The settings that point the product to it."""
        ...


# another vendor is one more line here; its options start with its name: forge_page_size
VENDORS: dict[str, Callable[..., Vendor]] = {
    "forge": partial(Forge, requests_per_minute=None),
    "bitbucket": lambda company, **options: Bitbucket(company.atlassian, **options),
    "meters": lambda company, **options: AtlassianMeters(lambda: company.now, **options),
}


@dataclass(frozen=True)
class Sandbox:
    """Stand-in vendors that are up: where, and what they were asked so far."""

    company: Company
    origin: str
    neon: Desk
    vendors: dict[str, Vendor]
    platform_usage_dir: Path | None = None

    @property
    def requests(self) -> list[Request]:
        """What Neon was asked."""
        return self.neon.requests

    @property
    def faults(self) -> list[Fault]:
        """What goes wrong at Neon."""
        return self.neon.faults

    @property
    def forge(self) -> Desk:
        """What Forge's gateway was asked, and what goes wrong there."""
        return self.vendors["forge"].desk

    @property
    def bitbucket(self) -> Desk:
        """What Bitbucket was asked, and what goes wrong there."""
        return self.vendors["bitbucket"].desk

    @property
    def base_url(self) -> str:
        """Neon's base address."""
        return self.origin + BASE_PATH

    @property
    def api_key(self) -> str:
        """The key that Neon takes."""
        return API_KEY

    @property
    def environment(self) -> dict[str, str]:
        """The settings that point the product here."""
        settings = {
            "NEON_BASE_URL": self.base_url,
            "NEON_API_KEY": self.api_key,
            "NEON_REQUESTS_PER_MINUTE": "3000",
        }
        for vendor in self.vendors.values():
            settings |= vendor.environment(self.origin)
        if self.platform_usage_dir:
            settings["PLATFORM_USAGE_DIR"] = str(self.platform_usage_dir)
        return settings


@contextmanager
def serve(company: Company, **options: Any) -> Iterator[Sandbox]:
    """Serve `company` over HTTP while the block runs.

    `options` are those of neon.Neon, and those of the VENDORS with `<vendor>_` before their names.
    No vendor limits the rate unless told to. `platform_usage_dir` is where exports are dropped,
    `front` gives what stands before the vendors.
    """
    exports: Path | None = options.pop("platform_usage_dir", None)
    front: Callable[[ASGIApp], ASGIApp] = options.pop("front", lambda app: app)
    vendors = {
        name: vendor(company, **_taken(options, f"{name}_")) for name, vendor in VENDORS.items()
    }
    neon = Neon(company, **options)
    routes = [*neon.app().routes]
    for name, vendor in vendors.items():
        routes += [*vendor.routes(), *_control_routes(f"/_sandbox/{name}", vendor.desk)]
    with _listening(front(Starlette(routes=routes))) as origin:
        yield Sandbox(company, origin, neon.desk, vendors, exports)


def _taken(options: dict[str, Any], prefix: str) -> dict[str, Any]:
    names = [name for name in options if name.startswith(prefix)]
    return {name.removeprefix(prefix): options.pop(name) for name in names}


def _control_routes(path: str, desk: Desk) -> list[Route]:
    def log(_: Any) -> dict[str, Any]:
        return {"requests": [request.as_json() for request in desk.requests]}

    def forget(_: Any) -> dict[str, Any]:
        desk.requests.clear()
        return {}

    def script(body: list[dict[str, Any]]) -> dict[str, Any]:
        desk.faults[:] = [Fault(**fault) for fault in body]
        return {}

    return [
        Route(f"{path}/requests", control(log)),
        Route(f"{path}/requests", control(forget), methods=["DELETE"]),
        Route(f"{path}/faults", control(script), methods=["POST"]),
    ]


class _Server(uvicorn.Server):
    """Ends when it is told to; uvicorn's own looks ten times a second, and then waits for two."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop = asyncio.new_event_loop()
        self._told = asyncio.Event()

    def work(self, listener: socket.socket) -> None:
        """Serve until end() is called."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self.serve([listener]))

    def end(self) -> None:
        """From another thread."""
        self.should_exit = True
        self._loop.call_soon_threadsafe(self._told.set)

    async def main_loop(self) -> None:
        """Keep the date that answers have."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Idle connections close at once, others when they have been answered."""
        for place in (*self.servers, *(sockets or ())):
            place.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=1)


@contextmanager
def _listening(app: ASGIApp) -> Iterator[str]:
    # Silent: a dropped connection is meant, and uvicorn would report it as an error
    config = uvicorn.Config(
        app, loop="asyncio", lifespan="off", ws="none", log_config=None, date_header=False
    )
    server = _Server(config)
    # named, or asyncio leaves Nagle's algorithm on: 40 ms for every answer
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread = threading.Thread(target=server.work, args=(listener,), name="sandbox", daemon=True)
    thread.start()
    try:
        _wait_until_started(server, thread)
        yield address
    finally:
        server.end()
        thread.join()
        listener.close()


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + STARTED_WITHIN_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the sandbox did not start")
        time.sleep(0.005)
