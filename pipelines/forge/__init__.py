"""Forge: what an account of it is, and which scopes it asks about."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from pipelines.endpoint import Endpoint
from pipelines.forge.endpoints import ENDPOINTS, SITE_ENVIRONMENT_USAGE, Settings, app_uuid
from pipelines.source import Account, Source
from pipelines.windows import Window, floor

if TYPE_CHECKING:
    from pipelines.forge.client import Forge


def _scopes(account: Account[Settings]) -> list[str]:
    """`app uuid/resource`: an app given as UUID and as ARI is one app, a resource is a meter."""
    apps = dict.fromkeys(map(app_uuid, account.settings.app_ids))
    return [f"{app}/{resource}" for app in apps for resource in account.meters]


def _is_wanted(settings: Settings, endpoint: Endpoint) -> bool:
    """The cube costs a request per environment."""
    return endpoint != SITE_ENVIRONMENT_USAGE or settings.sites_by_environment


def _probe(account: Account[Settings], forge: "Forge") -> Iterator[object]:
    """What the first app used of the first resource today: one page."""
    now, (app_id, *_) = account.clock(), account.settings.app_ids
    today = Window.covering("daily", floor(now, "daily"), now)
    return islice(forge.usage(ENDPOINTS[0].table, app_id, account.meters[0], today), 1)


SOURCE: "Source[Settings, Forge]" = Source(
    name="forge",
    title="Forge",
    endpoints=ENDPOINTS,
    settings=Settings,
    client_class="Forge",
    scopes=lambda account, client, endpoint: _scopes(account),
    named_scopes=_scopes,
    probe=_probe,
    is_wanted=_is_wanted,
    requests_per_minute=lambda settings: settings.requests_per_minute,
)
