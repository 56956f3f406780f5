"""Forge: its settings, its endpoints, and which scopes of an account are asked about.

One GraphQL field, grouped in four ways: https://developer.atlassian.com/platform/forge/export-app-resource-usage.
"""

from dataclasses import dataclass
from functools import partial

from pipelines.endpoint import Endpoint
from pipelines.settings import credential, header, key, listed, positive, setting, url, yes_or_no
from pipelines.source import Account, Source

APP_ARI = "ari:cloud:ecosystem::app/"


def app_uuid(app_id: str) -> str:
    """The bare id of an app given as UUID or ARI: the same app under both."""
    return app_id.strip().lower().removeprefix(APP_ARI)


@dataclass(frozen=True)
class Settings:
    """An Atlassian account, and the apps of it to ask about: nobody but the owner is answered."""

    email: str = credential(
        "ATLASSIAN_EMAIL", "Forge is asked only when this, the token and app ids are set"
    )
    api_token: str = credential("ATLASSIAN_API_TOKEN", "of the account that owns the apps", key)
    gateway_url: str = setting(
        "ATLASSIAN_GRAPHQL_URL",
        "https://api.atlassian.com/graphql",
        "where Atlassian's GraphQL gateway is",
        url,
    )
    app_ids: tuple[str, ...] = credential(
        "FORGE_APP_IDS", "comma-separated, each a UUID or an ARI", listed
    )
    experimental_api: str = setting(
        "FORGE_EXPERIMENTAL_API", "ForgeMetricsQuery", "the `X-ExperimentalAPI` header", header
    )
    requests_per_minute: int = setting(
        "FORGE_REQUESTS_PER_MINUTE", "5", "requests; Atlassian allows 5", positive
    )
    sites_by_environment: bool = setting(
        "FORGE_SITES_BY_ENVIRONMENT",
        "no",
        "yes: ask for sites within each environment too",
        yes_or_no,
    )


# hours of one day may be told apart
OF_A_DAY = ("bucket_start", "period", "token_unit")
# days are asked for; months are partitions to backfill them by
_endpoint = partial(
    Endpoint,
    "forge",
    records="pipelines.forge.records",
    grains=("daily", "monthly"),
    only_backfilled=("monthly",),
    once_a_tick=True,
)
APP_USAGE = _endpoint(
    "forge_app_usage",
    "appResourceUsage",
    "What each app used of each resource, day by day: the totals that Atlassian bills.",
    key=OF_A_DAY,
)
SITE_USAGE = _endpoint(
    "forge_site_usage",
    "appResourceUsage by CONTEXT_ARI",
    "The same by site: attribution, not the total. Usage that belongs to no site is not here.",
    key=(*OF_A_DAY, "site_id"),
)
ENVIRONMENT_USAGE = _endpoint(
    "forge_environment_usage",
    "appResourceUsage by ENVIRONMENT_ID",
    "The same by environment, for reports.forge_environments.",
    key=(*OF_A_DAY, "environment_id"),
)
SITE_ENVIRONMENT_USAGE = _endpoint(
    "forge_site_environment_usage",
    "appResourceUsage by CONTEXT_ARI within environment",
    "The same by site within each environment: a request per environment, so it is asked only "
    "where FORGE_SITES_BY_ENVIRONMENT is yes.",
    key=(*OF_A_DAY, "site_id", "environment_id"),
    needs=("forge_environment_usage",),
)
ENDPOINTS = (APP_USAGE, SITE_USAGE, ENVIRONMENT_USAGE, SITE_ENVIRONMENT_USAGE)


def scopes_of(account: Account[Settings]) -> list[str]:
    """`app uuid/resource`: an app given as UUID and as ARI is one app, a resource is a meter."""
    apps = dict.fromkeys(map(app_uuid, account.settings.app_ids))
    return [f"{app}/{resource}" for app in apps for resource in account.meters]


SOURCE = Source(
    name="forge",
    title="Forge",
    endpoints=ENDPOINTS,
    settings=Settings,
    client_class="Forge",
    named_scopes=scopes_of,
    # the cube costs a request per environment
    is_wanted=lambda its, endpoint: its.sites_by_environment or endpoint != SITE_ENVIRONMENT_USAGE,
    requests_per_minute=lambda settings: settings.requests_per_minute,
)
