"""Neon: what an account of it is, and which scopes it asks about."""

from pipelines.endpoint import Endpoint
from pipelines.neon.client import Neon
from pipelines.neon.endpoints import ENDPOINTS, ORGANIZATIONS, Settings
from pipelines.source import Account, Source


def _scopes(account: Account[Settings], neon: Neon, endpoint: Endpoint) -> list[str]:
    """The organizations of NEON_ORG_IDS, or else all that the key sees: one request a run."""
    return [account.everything] if endpoint == ORGANIZATIONS else neon.org_ids()


SOURCE = Source(
    name="neon",
    title="Neon",
    endpoints=ENDPOINTS,
    settings=Settings,
    client=lambda account: Neon(**vars(account.settings), state_dir=account.state_dir),
    scopes=_scopes,
    named_scopes=lambda account: account.settings.org_ids,
    requests_per_minute=lambda settings: settings.requests_per_minute,
)
