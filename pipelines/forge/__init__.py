"""Forge: SOURCE, and how the account that owns some apps is asked."""

from collections.abc import Iterable
from typing import Any

from pipelines.endpoint import Endpoint
from pipelines.forge.client import Forge, app_uuid
from pipelines.forge.endpoints import ENDPOINTS, SITE_ENVIRONMENT_USAGE, Settings
from pipelines.source import Account, Asked, Pages, Slice, Source


def _client(account: Account[Settings]) -> Forge:
    """A client of one Atlassian account."""
    return Forge(
        account.settings.email,
        account.settings.api_token,
        account.settings.gateway_url,
        account.settings.experimental_api,
        account.settings.requests_per_minute,
        account.state_dir,
    )


def _scopes(account: Account[Settings]) -> list[str]:
    """`app uuid/resource`: an app given as UUID and as ARI is one app, a resource is a meter."""
    apps = dict.fromkeys(map(app_uuid, account.settings.app_ids))
    return [f"{app}/{resource}" for app in apps for resource in account.meters]


def _is_wanted(settings: Settings, endpoint: Endpoint) -> bool:
    """The cube costs a request per environment."""
    return endpoint != SITE_ENVIRONMENT_USAGE or settings.sites_by_environment


def _slices(asked: Asked[Settings, Forge]) -> Iterable[Slice]:
    """One slice per app, resource and calendar month (slices.py)."""
    import pipelines.forge.slices as room  # here, because dlt costs a second

    return room.slices(asked)


def _resources(pages: Pages) -> Any:
    """Forge as a dlt source (slices.py)."""
    import pipelines.forge.slices as room

    return room.forge(pages)


SOURCE = Source(
    name="forge",
    title="Forge",
    endpoints=ENDPOINTS,
    settings=Settings,
    client=_client,
    scopes=lambda account, client, endpoint: _scopes(account),
    slices=_slices,
    resources=_resources,
    named_scopes=_scopes,
    is_wanted=_is_wanted,
    requests_per_minute=lambda settings: settings.requests_per_minute,
)
