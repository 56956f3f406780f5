"""Forge's part of a world: what is due, what the facts say, and what they must say."""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from assets.runs.loading import Loader
from assets.sources import endpoint_of
from pipelines.source import LoadResult
from pipelines.windows import Window
from tests.clients import load_due
from tests.clock import TODAY
from tests.conftest import GRAINS, World
from tests.sandbox.forge_apps import FactKey

APP, SITE, ENVIRONMENT = "forge_app_usage", "forge_site_usage", "forge_environment_usage"
CUBE = "forge_site_environment_usage"
SMALL: dict[str, Any] = {"projects": 1, "apps": 1, "sites": 3}
# what a cold load of what is due holds
HELD = (TODAY - timedelta(days=59), TODAY + timedelta(days=1))
FACTS = """
    select project_id, site_id, environment_id, meter, period_start, quantity
    from (
        from marts.fct_compute union all from marts.fct_storage union all from marts.fct_transfer
        union all from marts.fct_operations union all from marts.fct_credits
    )
    where source = 'forge'
"""
Facts = dict[FactKey, Decimal]


def facts(here: World) -> Facts:
    """All Forge facts, keyed as the answer key is; no key comes twice."""
    rows = here.read(FACTS)
    found: Facts = {(*key,): quantity for *key, quantity in rows}
    assert len(found) == len(rows)
    return found


def last_days(count: int) -> Window:
    """The latest days, the open one included."""
    return Window("daily", TODAY - timedelta(days=count - 1), TODAY + timedelta(days=1))


def due(here: World) -> dict[str, Any]:
    """A run of all that is due at Forge."""
    return load_due(here.settings, ("forge",), GRAINS)


def land(here: World, window: Window, tables: Iterable[str] = (APP, SITE)) -> list[LoadResult]:
    """Ask for a window of these tables."""
    with Loader(here.settings) as loader, loader.at_once():
        return [loader.load_window(endpoint_of(table), window) for table in tables]


def age(here: World) -> None:
    """Make every receipt a day older, so that what it covers may be asked for again."""
    here.raw("update raw.loads set asked_at = asked_at - interval 1 day")


def load(here: World) -> None:
    """All that is due, built."""
    assert due(here)["failures"] == []
    here.build()
