"""Bitbucket: SOURCE, and how a token of it is asked."""

from collections.abc import Iterable
from typing import Any

from pipelines.bitbucket.client import Bitbucket
from pipelines.bitbucket.endpoints import ENDPOINTS, WORKSPACES, Settings
from pipelines.endpoint import Endpoint
from pipelines.source import Account, Asked, Pages, Slice, Source


def _client(account: Account[Settings]) -> Bitbucket:
    """A client of one token."""
    return Bitbucket(
        account.settings.token,
        account.settings.workspaces,
        account.settings.base_url,
        account.settings.requests_per_hour,
        account.state_dir,
    )


def _scopes(account: Account[Settings], bitbucket: Bitbucket, endpoint: Endpoint) -> list[str]:
    """The uuids of the workspaces of BITBUCKET_WORKSPACES, or else all that the token sees."""
    return [account.everything] if endpoint == WORKSPACES else bitbucket.workspace_uuids()


def _slices(asked: Asked[Settings, Bitbucket]) -> Iterable[Slice]:
    """One slice per workspace, and per older day with runs that had not ended (slices.py)."""
    import pipelines.bitbucket.slices as room  # here, because dlt costs a second

    return room.slices(asked)


def _resources(pages: Pages) -> Any:
    """Bitbucket as a dlt source (slices.py)."""
    import pipelines.bitbucket.slices as room

    return room.bitbucket(pages)


SOURCE = Source(
    name="bitbucket",
    title="Bitbucket",
    endpoints=ENDPOINTS,
    settings=Settings,
    client=_client,
    scopes=_scopes,
    slices=_slices,
    resources=_resources,
    requests_per_minute=lambda settings: settings.requests_per_hour / 60,
)
