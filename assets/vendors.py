"""What a vendor call is, the vendors' clients of a run, and how answers land: shared by asking_*.

Not here: which calls there are and how each is asked (asking_neon.py and its neighbours).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from assets.settings import Settings
from dbt_like_sql.engine import warehouse
from pipelines import http, load
from pipelines.load import Ask, Connection, Landing, Piece

SNAPSHOT = "snapshot"


@dataclass(frozen=True)
class Call:
    """One vendor call: where its answers go (raw.<table>) and at which granularities.

    `only_backfilled`: granularities that are partitions to backfill by, of receipts of the first
    granularity; nothing is due at them. `part_of`: the call that this table is filled by.
    `retired_on`: since when the vendor has no answer any more (a host may still have one).
    """

    source: str
    table: str
    request: str
    description: str
    schema: pa.Schema
    granularities: tuple[str, ...] = (SNAPSHOT,)
    needs: tuple[str, ...] = ()
    only_backfilled: tuple[str, ...] = ()
    part_of: str | None = None
    retired_on: str | None = None

    def receipts_at(self, granularity: str) -> str:
        """The granularity of the receipts that a load at this one writes."""
        return self.granularities[0] if granularity in self.only_backfilled else granularity


class Asks(Protocol):
    """A vendor's client, made for one run."""

    @property
    def client(self) -> http.Client:
        """What sends and counts."""

    def close(self) -> None:
        """Let go of connections and budget files."""


ClientT = TypeVar("ClientT", bound=Asks)


class Vendors:
    """The vendors' clients for the length of a run, made when first needed; close when done."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._clients: dict[type[Asks], Asks] = {}

    def client(self, kind: type[ClientT], make: Callable[[Settings], ClientT]) -> ClientT:
        """The run's client of one vendor."""
        if kind not in self._clients:
            self._clients[kind] = make(self.settings)
        client = self._clients[kind]
        assert isinstance(client, kind)  # noqa: S101  # the key is its type
        return client

    def use(self, client: Asks) -> None:
        """Use this client for its vendor instead of making one."""
        self._clients[type(client)] = client

    @property
    def requests_sent(self) -> int:
        """Requests sent so far, retries included."""
        return sum(asks.client.requests_sent for asks in self._clients.values())

    @property
    def rate_limited(self) -> int:
        """How many of them were answered 429."""
        return sum(asks.client.rate_limited for asks in self._clients.values())

    def __enter__(self) -> "Vendors":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()


def open_warehouse(settings: Settings) -> AbstractContextManager[Connection]:
    """The warehouse, for writing, when it is this process's turn."""
    return warehouse.writer(settings.warehouse)


def snapshot(ask: Callable[..., Iterator[pa.Table]], *arguments: Any) -> Ask:
    """A call that has no window."""
    return lambda _: ask(*arguments)


def land_pieces(
    settings: Settings,
    call: Call,
    pieces: Iterable[Piece],
    done: Callable[[Piece], None] = lambda piece: None,
) -> Landing:
    """Ask for these pieces of a call, and land the answers with their receipts."""
    opener = partial(open_warehouse, settings)
    return load.load(opener, call.source, call.table, call.schema, pieces, done)
