"""Clients that back off for milliseconds."""

from pathlib import Path
from typing import Any, TypeVar

from assets.runs.loading import Loader
from assets.settings import Settings, utc_now
from pipelines.http import VendorClient
from pipelines.limits import Limits
from pipelines.source import Account, Clock, Source

V = TypeVar("V", bound=VendorClient)


# a stand-in's clock may stand still
LONG = Limits(clock_seconds=10**9)


def client_of(
    source: Source[Any, V],
    state_dir: Path,
    limits: Limits = LONG,
    clock: Clock = utc_now,
    **settings: Any,
) -> V:
    """A client of an account; `settings` by the names of their fields."""
    account = Account("", source.settings(**settings), state_dir, clock, limits=limits)
    client = source.client(account)
    client.backoff_seconds = 0.001
    return client


def impatient(settings: Settings) -> Loader:
    """A loader with such clients."""
    loader = Loader(settings)
    for asker in loader.accounts.askers:
        if isinstance(asker.client, VendorClient):
            asker.client.backoff_seconds = 0.001
    return loader
