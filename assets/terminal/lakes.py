"""`meterhouse upkeep` and `meterhouse migrate`: what a lake needs that a file does not."""

from dataclasses import asdict
from typing import Any

import click

from assets.settings import address_of, read_settings
from assets.terminal.reporting import reporting
from dbt_like_sql.engine.lakes.address import Lake


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
    from assets.runs.moving import move
    from assets.terminal.targets import refuse_password

    refuse_password(to)
    settings, at = read_settings(), address_of(to)
    rows = move(settings, at, show.say)
    show.say(f"Moved to {at}: set WAREHOUSE to it. {settings.warehouse} is as it was.")
    return {"to": str(at), "rows": rows}
