"""Neon: what an account of it is, and which scopes it asks about."""

from typing import TYPE_CHECKING

from pipelines.endpoint import Endpoint
from pipelines.neon.endpoints import ENDPOINTS, ORGANIZATIONS, Settings
from pipelines.source import Account, Source

if TYPE_CHECKING:
    from pipelines.neon.client import Neon


def _scopes(account: Account[Settings], neon: "Neon", endpoint: Endpoint) -> list[str]:
    """The organizations of NEON_ORG_IDS, or else all that the key sees: one request a run."""
    return [account.everything] if endpoint == ORGANIZATIONS else neon.org_ids()


SOURCE: "Source[Settings, Neon]" = Source(
    name="neon",
    title="Neon",
    endpoints=ENDPOINTS,
    settings=Settings,
    client_class="Neon",
    scopes=_scopes,
    named_scopes=lambda account: account.settings.org_ids,
    probe=lambda account, neon: neon.organizations(),
    requests_per_minute=lambda settings: settings.requests_per_minute,
)
