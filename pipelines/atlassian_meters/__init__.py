"""Atlassian's meters API: what an account of it is, and which organizations it asks about."""

from typing import TYPE_CHECKING

from pipelines.atlassian_meters.declared import SHIPPED
from pipelines.atlassian_meters.endpoints import ENDPOINTS, Settings
from pipelines.source import Account, Source

if TYPE_CHECKING:
    from pipelines.atlassian_meters.client import Meters


def _org_ids(account: Account[Settings]) -> list[str]:
    """In small letters, as exports have them."""
    return [*dict.fromkeys(org_id.lower() for org_id in account.settings.org_ids)]


def _missing(settings: Settings) -> str | None:
    """Why it is not asked although there is a key."""
    if settings.api.is_off:
        return (
            f"it is off: no path is known. Write the three of Atlassian's reference into a copy of "
            f"{SHIPPED.name} and set METERS_API_FILE (docs/vendors/atlassian_meters.md)"
        )
    return None


SOURCE: "Source[Settings, Meters]" = Source(
    name="atlassian_meters",
    title="Atlassian meters",
    endpoints=ENDPOINTS,
    settings=Settings,
    client_class="Meters",
    scopes=lambda account, client, endpoint: _org_ids(account),
    named_scopes=_org_ids,
    probe=lambda account, meters: meters.listed(_org_ids(account)[0]),
    missing=_missing,
    requests_per_minute=lambda settings: settings.requests_per_minute,
)
