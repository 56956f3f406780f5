"""Starts and stops the stand-in vendors on loopback."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from tests.sandbox.company import Company
from tests.sandbox.desk import Fault, Request
from tests.sandbox.neon import API_KEY, BASE_PATH, Neon

STARTED_WITHIN_SECONDS = 10.0


@dataclass(frozen=True)
class Sandbox:
    """Stand-in vendors that are up: where, and what they were asked so far."""

    company: Company
    origin: str
    requests: list[Request]
    faults: list[Fault]

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
        return {
            "NEON_BASE_URL": self.base_url,
            "NEON_API_KEY": self.api_key,
            "NEON_REQUESTS_PER_MINUTE": "3000",
        }


@contextmanager
def serve(company: Company, **options: Any) -> Iterator[Sandbox]:
    """Serve `company` over HTTP while the block runs; `options` are those of neon.Neon."""
    neon = Neon(company, **options)
    # Silent: a dropped connection is meant, and uvicorn would report it as an error
    config = uvicorn.Config(
        neon.app(), loop="asyncio", lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],), name="sandbox", daemon=True)
    thread.start()
    try:
        _wait_until_started(server, thread)
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield Sandbox(company, origin, neon.desk.requests, neon.desk.faults)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + STARTED_WITHIN_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the sandbox did not start")
        time.sleep(0.005)
