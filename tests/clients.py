"""Clients that back off for milliseconds, and runs in one opening of the warehouse."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from assets.runs.loading import Loader
from assets.settings import Settings, utc_now
from assets.terminal import runs
from assets.terminal.console import Report
from pipelines.http import VendorClient
from pipelines.limits import Limits
from pipelines.source import Account, Clock

V = TypeVar("V", bound=VendorClient)


# a stand-in's clock may stand still
LONG = Limits(clock_seconds=10**9)


def client_of(
    kind: Callable[[Account[Any]], V],
    settings: type[Any],
    budgets: Path,
    limits: Limits = LONG,
    clock: Clock = utc_now,
    **values: Any,
) -> V:
    """A client of an account; the values of its settings by the names of their fields."""
    client = kind(Account("", settings(**values), budgets, clock, limits=limits))
    client.backoff_seconds = 0.001
    return client


def load_due(
    settings: Settings, families: Iterable[str], grains: Iterable[str], only_gaps: bool = False
) -> dict[str, Any]:
    """What is due, as the command loads it; in one opening of the warehouse, of which it takes
    several for each endpoint."""
    with Loader(settings) as loader, loader.at_once():
        shown = Report(as_json=True)
        return runs.load_due(settings, shown, families, grains, only_gaps, loader).as_json()


def impatient(settings: Settings) -> Loader:
    """A loader with such clients."""
    loader = Loader(settings)
    for asker in loader.accounts.askers:
        if isinstance(asker.client, VendorClient):
            asker.client.backoff_seconds = 0.001
    return loader
