"""`meterhouse upkeep` and `meterhouse migrate`: what a lake needs that a file does not."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import click

from assets.settings import Settings, address_of, read_settings
from assets.terminal.reporting import reporting
from dbt_like_sql.engine.lakes.address import Lake, Warehouse


@click.command()
@reporting
def upkeep(show: Any) -> dict[str, Any]:
    """Merge the small files of a lake, and delete those that nobody can read any more."""
    settings = read_settings()
    if not isinstance(settings.warehouse, Lake):
        raise click.UsageError(f"{settings.warehouse} is one file, which needs no upkeep")
    from dbt_like_sql.engine.lakes.upkeep import upkeep

    done = upkeep(settings.warehouse, settings.clock())
    show.say(
        f"{done.files_before:,} files of {done.bytes_before / 1e6:,.1f} MB are now {done.files:,} "
        f"of {done.bytes / 1e6:,.1f} MB; {done.deleted:,} that nobody can read any more are gone."
    )
    return asdict(done)


@click.command()
@click.option("--to", required=True, metavar="ADDRESS", help="As WAREHOUSE is set, to be empty.")
@reporting
def migrate(show: Any, to: str) -> dict[str, Any]:
    """Move the warehouse from a file into a lake or back, and verify every row of it.

    What is there stays as it is. Stop what loads into it first; then set WAREHOUSE to the new one.
    """
    from assets.runs.opening import open_warehouse
    from assets.terminal.targets import refuse_password
    from dbt_like_sql.engine.lakes.moving import move

    refuse_password(to)
    settings, at = read_settings(), address_of(to)
    with open_warehouse(settings):
        pass  # in the format of today
    rows = move(settings.warehouse, at, show.say)
    _compare_facts(settings, at, show.say)
    show.say(f"Moved to {at}: set WAREHOUSE to it. {settings.warehouse} is as it was.")
    return {"to": str(at), "rows": rows}


def _compare_facts(settings: Settings, to: Warehouse, say: Callable[[str], None]) -> None:
    """Build both; WarehouseError where a fact is not the same there."""
    from assets.runs.building import build
    from dbt_like_sql.engine.lakes.moving import facts_of
    from dbt_like_sql.engine.warehouse import WarehouseError

    say("What landed is there. Building both, to compare the facts.")
    now, held = settings.clock(), []
    for at in (settings.warehouse, to):
        build(replace(settings, warehouse=at, clock=lambda: now))
        held.append(facts_of(at))
    before, after = held
    if others := [name for name in before if before[name] != after.get(name)]:
        raise WarehouseError(
            f"{', '.join(others)}: other rows in {to} than in {settings.warehouse}. What landed is "
            "the same in both; go on with the old one, and tell us."
        )
    say(f"{len(before)} fact tables are the same in both.")
