"""Clients of vendors, of settings that no environment has."""

from pathlib import Path
from typing import Any, TypeVar

from assets.settings import utc_now
from pipelines.http import VendorClient
from pipelines.source import Account, Source

V = TypeVar("V", bound=VendorClient)


def client_of(source: Source[Any, V], state_dir: Path, **settings: Any) -> V:
    """One that backs off for milliseconds; `settings` by the names of their fields."""
    client = source.client(Account("", source.settings(**settings), state_dir, utc_now))
    client.backoff_seconds = 0.001
    return client
