"""The `meterhouse` command: the same loads and builds as in Dagster, for people at a terminal.

Exit codes: 0 all that was asked for was done, 1 some source or check failed (the others landed),
2 wrong usage. Heavy imports (dlt, duckdb, sqlglot) wait until a command needs them.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from functools import wraps
from pathlib import Path
from typing import Any

import click

from assets.sources import ENDPOINTS, SOURCES
from pipelines.windows import GRAINS

ROOT = Path(__file__).parents[1]
# what --source takes: the families of the facts, and a vendor's name for all of its own
FAMILIES = tuple(dict.fromkeys(endpoint.source for endpoint in ENDPOINTS))


class Instant(click.ParamType[datetime]):
    """A date or a UTC instant."""

    name = "date or UTC instant"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """2026-11-01, 2026-11-01T12:00, 2026-11-01T12:00:00Z."""
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no date and no UTC instant like 2026-11-01T12:00Z", param, ctx)
        if isinstance(instant, date) and not isinstance(instant, datetime):
            instant = datetime.combine(instant, time())
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def reporting(command: Callable[..., dict[str, Any]]) -> Callable[..., None]:
    """Print what the command returns (for people, or as JSON) and exit 1 if anything failed."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
    @wraps(command)
    def wrapped(as_json: bool, **arguments: Any) -> None:
        from assets.settings import SettingsError
        from assets.terminal.console import Report
        from dbt_like_sql.engine.warehouse import WarehouseBusyError

        show = Report(as_json)
        try:
            result = command(show, **arguments)
        except SettingsError as error:
            raise click.UsageError(str(error)) from None
        except (WarehouseBusyError, FileNotFoundError) as error:
            raise click.ClickException(str(error)) from None
        if as_json:
            click.echo(json.dumps(result, default=str, indent=2))
        if result.get("failures"):
            sys.exit(1)

    return wrapped


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def main(context: click.Context) -> None:
    """Your vendors' usage meters, in a warehouse you own."""
    from assets.settings import utc_now

    context.obj = utc_now


@main.command()
@reporting
def run(show: Any) -> dict[str, Any]:
    """Load what is due now, build the facts, and show them."""
    from assets.settings import read_settings
    from assets.terminal.runs import build, load_due

    settings = read_settings()
    loaded = load_due(settings, show, FAMILIES, GRAINS).as_json()
    built = build(settings, show)
    show.facts(settings)
    show.next_commands(settings)
    return {**loaded, **built, "failures": [*loaded["failures"], *built["failures"]]}


@main.command()
@click.option("--source", type=click.Choice(FAMILIES), multiple=True, help="Default: all.")
@click.option("--grain", type=click.Choice(GRAINS), multiple=True, help="Default: all three.")
@click.option("--since", type=Instant(), help="Default: whatever is due.")
@click.option("--until", type=Instant(), help="Widened to whole buckets. Default: now.")
@reporting
def load(
    show: Any,
    source: tuple[str, ...],
    grain: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
) -> dict[str, Any]:
    """Ask vendors for usage: what is due, or a window of your own."""
    from assets.settings import read_settings
    from assets.terminal import runs

    if until and not since:
        raise click.UsageError("--until needs --since")
    if since and until and since >= until:
        raise click.UsageError("--since has to be before --until")
    settings, families = read_settings(), _families(source) if source else FAMILIES
    if since:
        window = (since, until or settings.clock())
        return runs.load_window(settings, show, families, grain or GRAINS, *window).as_json()
    return runs.load_due(settings, show, families, grain or GRAINS).as_json()


def _families(named: tuple[str, ...]) -> tuple[str, ...]:
    """A vendor's name stands for all of its endpoints."""
    return tuple(
        endpoint.source
        for source in SOURCES
        for endpoint in source.endpoints
        if endpoint.source in named or source.name in named
    )


@main.command()
@click.option("--since", type=Instant(), help="Rebuild from here too, due or not.")
@click.option("--until", type=Instant(), help="Rebuild until here. Default: now.")
@click.option("--show-sql", metavar="MODEL", help="Print the SQL that builds MODEL, and stop.")
@reporting
def build(
    show: Any, since: datetime | None, until: datetime | None, show_sql: str | None
) -> dict[str, Any]:
    """Build the SQL models from what has landed."""
    from assets.settings import read_settings
    from assets.terminal import runs
    from dbt_like_sql.engine.models import load_models
    from dbt_like_sql.engine.runner import show_sql as models_sql

    if until and not since:
        raise click.UsageError("--until needs --since")
    if show_sql:
        if show_sql not in load_models():
            raise click.UsageError(f"no model is called {show_sql!r}: it is schema.file_name")
        sql = models_sql(load_models(), show_sql, since, until)
        show.say(sql)
        return {"model": show_sql, "sql": sql}
    if since:
        settings = read_settings()
        return runs.build(settings, show, since, until or settings.clock())
    return runs.build(read_settings(), show)


@main.command()
@reporting
def status(show: Any) -> dict[str, Any]:
    """What is held, how fresh it is, and what is about to be lost."""
    from assets.settings import read_settings

    return dict(show.status(read_settings()))


@main.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--unless-configured", is_flag=True, help="Run COMMAND as it is where a source is configured."
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(unless_configured: bool, arguments: tuple[str, ...]) -> None:
    """Run a command against stand-in vendors: meterhouse sandbox [OPTIONS] -- COMMAND...

    They answer over HTTP on loopback, from one simulated company. Options are those of
    `python -m tests.sandbox` (--projects, --orgs, --seed, ...). What they answer goes to a
    warehouse of its own, warehouse/sandbox.duckdb, unless WAREHOUSE is set.
    """
    from assets.settings import read_settings

    if unless_configured and any(read_settings().accounts.values()):
        sys.exit(subprocess.call(list(arguments)))  # noqa: S603  # the caller's own command
    environment = {"WAREHOUSE": str(Path("warehouse") / "sandbox.duckdb"), **os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    options, command = _split(arguments)
    call = [sys.executable, "-m", "tests.sandbox", *options, "--", *command]
    sys.exit(subprocess.call(call, env=environment))  # noqa: S603


def _split(arguments: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """What stands before the command: options, each `--name value` or a flag."""
    rest = list(arguments)
    flags = {"--legacy-account"}
    options: list[str] = []
    while rest and rest[0].startswith("--"):
        options.append(rest.pop(0))
        if options[-1] not in flags and "=" not in options[-1] and rest:
            options.append(rest.pop(0))
    return options, rest


for a_source in SOURCES:
    for a_command in a_source.commands():
        main.add_command(a_command)

if __name__ == "__main__":
    main()
