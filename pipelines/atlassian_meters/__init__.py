"""Atlassian's meters API: its settings, what it is asked for, and of which organizations."""

from dataclasses import dataclass

from pipelines.atlassian_meters.declared import SHIPPED, Declaration, declaration
from pipelines.endpoint import Endpoint
from pipelines.settings import credential, ids, key, listed, positive, setting, url
from pipelines.source import Account, Source


@dataclass(frozen=True)
class Settings:
    """An organization API key, the organizations it is of, and how the API is asked."""

    org_ids: tuple[str, ...] = credential(
        "ATLASSIAN_ORG_ID", "as in admin.atlassian.com/o/ORG_ID; comma-separated", listed
    )
    api_key: str = credential(
        "ATLASSIAN_ORG_API_KEY", "an organization API key: no API token, which has an email", key
    )
    account_ids: tuple[str, ...] = ids(
        "ATLASSIAN_ACCOUNT_IDS",
        "comma-separated: whose usage is read, beside those that were read before",
    )
    api: Declaration = setting(
        "METERS_API_FILE",
        "",
        "how the meters API is asked: a filled-in copy of meters_api.toml; none: it is not",
        declaration,
    )
    base_url: str = setting(
        "ATLASSIAN_ADMIN_URL", "https://api.atlassian.com", "where Atlassian's API is", url
    )
    requests_per_minute: int = setting(
        "ATLASSIAN_ADMIN_REQUESTS_PER_MINUTE", "60", "requests; Atlassian names no number", positive
    )


READINGS = Endpoint(
    "atlassian_platform",
    "platform_readings",
    "the meters API",
    "What Atlassian's meters API says of an organization's current billing cycle, and of its "
    "accounts: a running total, kept as it is read day by day. It has no history: a day on which "
    "nobody asked is told by the next reading.",
    "pipelines.atlassian_meters.client",
    ("daily",),
    key=("usage_type", "account_id", "bucket_start"),
    # an account that fails later in the day was read all the same
    withdraws=False,
)
ENDPOINTS = (READINGS,)


def org_ids(account: Account[Settings]) -> list[str]:
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


SOURCE = Source(
    name="atlassian_meters",
    title="Atlassian meters",
    endpoints=ENDPOINTS,
    settings=Settings,
    client_class="Meters",
    named_scopes=org_ids,
    missing=_missing,
    requests_per_minute=lambda settings: settings.requests_per_minute,
)
