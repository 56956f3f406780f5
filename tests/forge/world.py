"""Forge's part of a world: what is due, what the facts say, and what they must say."""

import shutil
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from assets import calls, jobs, partitions
from assets.console import Report
from assets.vendors import Vendors
from pipelines.load import Landing, Window
from tests.conftest import GRAINS, World, open_world
from tests.sandbox.forge_apps import FactKey

APP, SITE, ENVIRONMENT = "forge_app_usage", "forge_site_usage", "forge_environment_usage"
CUBE = "forge_site_environment_usage"
SMALL: dict[str, Any] = {"projects": 1, "apps": 1, "sites": 3}
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


def today() -> datetime:
    """The start of the UTC day."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def last_days(count: int) -> Window:
    """The latest days, the open one included."""
    return Window("daily", today() - timedelta(days=count - 1), today() + timedelta(days=1))


def held_when_due() -> tuple[datetime, datetime]:
    """What a cold due load holds: 60 days, of which the open one counts after 12:20 UTC."""
    is_asked = datetime.now(UTC) >= today() + timedelta(hours=12, minutes=20)
    return today() - timedelta(days=59), today() + timedelta(days=is_asked)


def due(here: World) -> dict[str, Any]:
    """A run of all that is due at Forge."""
    return jobs.load_due(here.settings, Report(True), ("forge",), GRAINS)


def land(here: World, window: Window, tables: Iterable[str] = (APP, SITE)) -> list[Landing]:
    """Ask for a window of these tables."""
    with Vendors(here.settings) as vendors:
        return [calls.land(vendors, calls.call_of(table), window) for table in tables]


def age(here: World) -> None:
    """Make every receipt a day older, so that what it covers may be asked for again."""
    here.raw("update raw.loads set asked_at = asked_at - interval 1 day")


def within_one_tick(seconds: int = 60) -> None:
    """Return when nothing falls due within `seconds`, at once unless it is about to."""
    left = today() + timedelta(hours=12, minutes=20) - datetime.now(UTC)
    if timedelta(0) < left < timedelta(seconds=seconds):
        threading.Event().wait(left.total_seconds() + 0.1)


class ForgeLanded:
    """Warehouses into which all that was due was loaded and built once, one for each tick."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[tuple[datetime, datetime], tuple[datetime, Path]] = {}

    def copy_to(self, folder: Path) -> datetime:
        """Copy the warehouse and its read copy; the company's clock in it."""
        within_one_tick()
        key = (partitions.last_tick(APP, "daily", datetime.now(UTC)), today())
        if key not in self._made:
            made = self._folder / f"{len(self._made)}"
            with open_world(made, **SMALL | {"apps": 2}) as here:
                assert due(here)["failures"] == []
                here.build()
                self._made[key] = (here.company.now, made)
        now, made = self._made[key]
        for file in made.glob("*.duckdb"):
            shutil.copy(file, folder)
        return now
