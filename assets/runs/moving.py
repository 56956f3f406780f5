"""A warehouse moved to another place: built, copied, built there, and its facts compared."""

from collections.abc import Callable
from dataclasses import replace

from assets.runs.building import build
from assets.runs.opening import open_warehouse
from assets.settings import Settings
from dbt_like_sql.engine.lakes import moving
from dbt_like_sql.engine.lakes.address import Warehouse
from dbt_like_sql.engine.warehouse import WarehouseError


def move(settings: Settings, to: Warehouse, say: Callable[[str], None]) -> dict[str, int]:
    """Copy all that landed to another place and build it; how many rows each table has.

    Raises WarehouseError where something is not the same there.
    """
    with open_warehouse(settings):
        pass  # in the format of today
    rows = moving.move(settings.warehouse, to, say)
    say("What landed is there. Building both, to compare the facts.")
    now = settings.clock()
    for at in (settings.warehouse, to):
        build(replace(settings, warehouse=at, clock=lambda: now))
    held, arrived = moving.facts_of(settings.warehouse), moving.facts_of(to)
    if others := [name for name in held if held[name] != arrived.get(name)]:
        raise WarehouseError(
            f"{', '.join(others)}: other rows in {to} than in {settings.warehouse}. What landed is "
            "the same in both; go on with the old one, and tell us."
        )
    say(f"{len(held)} fact tables are the same in both.")
    return rows
