"""Neon: SOURCE, and how an account of it is asked."""

from collections.abc import Iterable
from typing import Any

from pipelines.endpoint import Endpoint
from pipelines.neon.client import Neon
from pipelines.neon.endpoints import ENDPOINTS, ORGANIZATIONS, Settings
from pipelines.source import Account, Asked, Pages, Slice, Source


def _client(account: Account[Settings]) -> Neon:
    """A client of one key."""
    return Neon(
        account.settings.api_key,
        account.settings.org_ids,
        account.settings.base_url,
        account.settings.requests_per_minute,
        account.state_dir,
    )


def _scopes(account: Account[Settings], neon: Neon, endpoint: Endpoint) -> list[str]:
    """The organizations of NEON_ORG_IDS, or else all that the key sees: one request a run."""
    return [account.everything] if endpoint == ORGANIZATIONS else neon.org_ids()


def _slices(asked: Asked[Settings, Neon]) -> Iterable[Slice]:
    """One slice per organization (slices.py)."""
    import pipelines.neon.slices as room  # here, because dlt costs a second

    return room.slices(asked)


def _resources(pages: Pages) -> Any:
    """Neon as a dlt source (slices.py)."""
    import pipelines.neon.slices as room

    return room.neon(pages)


SOURCE = Source(
    name="neon",
    title="Neon",
    endpoints=ENDPOINTS,
    settings=Settings,
    client=_client,
    scopes=_scopes,
    slices=_slices,
    resources=_resources,
    named_scopes=lambda account: account.settings.org_ids,
    requests_per_minute=lambda settings: settings.requests_per_minute,
)
