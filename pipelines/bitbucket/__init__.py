"""Bitbucket: what an account of it is, and which scopes it asks about."""

from typing import TYPE_CHECKING

from pipelines.bitbucket.endpoints import ENDPOINTS, RUNS, WORKSPACES, Settings
from pipelines.endpoint import Endpoint
from pipelines.source import Account, Source

if TYPE_CHECKING:
    from pipelines.bitbucket.client import Bitbucket


def _scopes(account: Account[Settings], bitbucket: "Bitbucket", endpoint: Endpoint) -> list[str]:
    """The uuids of the workspaces of BITBUCKET_WORKSPACES, or else all that the token sees; of runs
    those of their repositories."""
    if endpoint == WORKSPACES:
        return [account.everything]
    return bitbucket.repository_uuids() if endpoint == RUNS else bitbucket.workspace_uuids()


SOURCE: "Source[Settings, Bitbucket]" = Source(
    name="bitbucket",
    title="Bitbucket",
    endpoints=ENDPOINTS,
    settings=Settings,
    client_class="Bitbucket",
    scopes=_scopes,
    probe=lambda account, bitbucket: bitbucket.workspaces(),
    requests_per_minute=lambda settings: settings.requests_per_hour / 60,
)
