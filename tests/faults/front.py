"""What stands in front of the stand-in vendors and spoils what they answer about one scope."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass
class Asked:
    """A request: where to, and what it says."""

    path: str
    query: dict[str, list[str]]
    body: bytes
    origin: str

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body) if self.body else {}


@dataclass
class Reply:
    """What is answered: as it is, or broken off after so many bytes, or a byte now and then."""

    status: int
    headers: dict[str, str]
    body: bytes
    broken_after: int | None = None
    seconds_per_byte: float = 0.0

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)

    def say(self, page: Any) -> None:
        """Answer this instead."""
        self.body = page if isinstance(page, bytes) else json.dumps(page).encode()


Spoil = Callable[[Asked, Reply], None]


@dataclass
class Front:
    """Spoils the answers to requests that `is_meant`, while there is something to spoil them."""

    is_meant: Callable[[Asked], bool] = lambda asked: False
    spoil: Spoil | None = None
    app: ASGIApp = field(init=False)

    def before(self, app: ASGIApp) -> ASGIApp:
        """The application with this in front."""
        self.app = app
        return self

    def clear(self) -> None:
        """All is well again."""
        self.spoil = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        body = await _all_of(receive)
        host = dict(scope["headers"])[b"host"].decode()
        query = parse_qs(scope["query_string"].decode())
        asked = Asked(scope["path"], query, body, f"http://{host}")
        if self.spoil is None or not self.is_meant(asked):
            await self.app(scope, _said(body, receive), send)
            return
        _forget_made_up(scope, asked)
        reply = await self._reply(scope, asked.body, receive)
        self.spoil(asked, reply)
        await _answer(reply, receive, send)

    async def _reply(self, scope: Scope, body: bytes, receive: Receive) -> Reply:
        reply = Reply(200, {}, b"")

        async def keep(message: Any) -> None:
            if message["type"] == "http.response.start":
                reply.status = message["status"]
                reply.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            else:
                reply.body += message.get("body", b"")

        await self.app(scope, _said(body, receive), keep)
        return reply


def _forget_made_up(scope: Scope, asked: Asked) -> None:
    """A page that was made up is the first one again."""
    if any(value.startswith("made-") for values in asked.query.values() for value in values):
        kept = {k: v for k, v in asked.query.items() if k not in ("cursor", "page", "ctx", "after")}
        scope["query_string"] = urlencode(kept, doseq=True).encode()
    if (body := asked.json) and "variables" in body:
        body["variables"].pop("page", None)
        asked.body = json.dumps(body).encode()


async def _all_of(receive: Receive) -> bytes:
    body, is_more = b"", True
    while is_more:
        message = await receive()
        body, is_more = body + message.get("body", b""), message.get("more_body", False)
    return body


def _said(body: bytes, receive: Receive) -> Receive:
    said = False

    async def again() -> Any:
        nonlocal said
        if said:
            return await receive()
        said = True
        return {"type": "http.request", "body": body, "more_body": False}

    # uvicorn's cycle, by which a stand-in ends a connection
    again.__self__ = getattr(receive, "__self__", None)  # type: ignore[attr-defined]
    return again


async def _answer(reply: Reply, receive: Receive, send: Send) -> None:
    cycle: Any = getattr(receive, "__self__", None)
    if reply.broken_after == 0:
        cycle.transport.abort()
        return
    reply.headers["content-length"] = str(len(reply.body))
    headers = [(name.lower().encode(), value.encode()) for name, value in reply.headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.broken_after:
        part = reply.body[: reply.broken_after]
        await send({"type": "http.response.body", "body": part, "more_body": True})
        cycle.transport.abort()
        return
    for byte in reply.body if reply.seconds_per_byte else b"":
        await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
        await asyncio.sleep(reply.seconds_per_byte)
        if cycle.disconnected:
            return
    rest = b"" if reply.seconds_per_byte else reply.body
    await send({"type": "http.response.body", "body": rest})
