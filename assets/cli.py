"""The `meterhouse` command: the same loads and builds as in Dagster, for people at a terminal.

Exit codes: 0 all that was asked for was done, 1 some source or check failed (the others landed),
2 wrong usage, or a setting that cannot be used (the other sources landed), 130 interrupted (by
Ctrl-C or SIGTERM). Heavy imports (dlt, duckdb, sqlglot) wait until a command needs them.
"""

import atexit
import gc
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

import assets.interrupt  # noqa: F401  # first, for what the others take
from assets.settings import SettingsError, read_own, read_settings
from assets.sources import FAMILIES, SOURCES
from assets.terminal import exports, lakes
from assets.terminal.reporting import Month, meant, reporting
from dbt_like_sql.engine.lakes.address import beside
from pipelines.windows import GRAINS, floor

ROOT = Path(__file__).parents[1]
PORT = click.IntRange(0, 65535)


class Instant(click.ParamType[datetime]):
    """A date or a UTC instant; or the start of a UTC day: today, yesterday, 7d (7 days ago)."""

    name = "instant"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The instant, by the clock that the command was given."""
        ago = {"today": "0d", "yesterday": "1d"}.get(value, value)
        if re.fullmatch("[0-9]{1,4}d", ago) and ctx:
            return floor(ctx.obj(), "daily") - timedelta(days=int(ago[:-1]))
        try:
            found = datetime.fromisoformat(value)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError):
            like = "2026-11-01T12:00Z, yesterday or 7d"
            self.fail(f"{value!r} is no date and no UTC instant like {like}", param, ctx)


class OneOf(click.Choice[str]):
    """One of these, and which of them was meant."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """What click says, and more."""
        return super().get_invalid_choice_message(value, ctx) + meant(value, self.choices)


def _models(context: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Those that a shell completes."""
    from dbt_like_sql.engine.models import load_models

    return [name for name in load_models() if name.startswith(incomplete)]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="meterhouse", prog_name="meterhouse")
@click.pass_context
def main(context: click.Context) -> None:
    """Your vendors' usage meters, in a warehouse you own."""
    from assets.settings import utc_now

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # a fifth of a command that has nothing to do went into looking for garbage
    gc.set_threshold(50_000)
    atexit.register(gc.freeze)
    context.obj, context.meta["settings_of"] = utc_now, read_own


@main.command()
@click.option(
    "--notify", "tells", is_flag=True, help="Then tell what needs somebody, as notify does."
)
@reporting
def run(show: Any, tells: bool) -> dict[str, Any]:
    """Load what is due now, build the facts, and show them."""
    from assets.terminal import runs

    return (runs.run_and_tell if tells else runs.run)(read_settings(), show)


@main.command()
@click.option("--digest", is_flag=True, help="The week instead: used, cost, what changed.")
@reporting
def notify(show: Any, digest: bool) -> dict[str, Any]:
    """Tell by webhook and mail what needs somebody: once when it appears, once when it is gone."""
    from assets.alerts.notify import notify, send_digest

    settings = read_settings()
    if not settings.channels:
        raise click.UsageError("no channel is set up: set ALERT_WEBHOOK_URL, or those of mail")
    failures = send_digest(settings) if digest else notify(settings, {})
    for text in failures:
        show.fail(text)
    return {"failures": failures}


@main.command()
@click.option("--source", type=OneOf(FAMILIES), multiple=True, help="Default: all.")
@click.option("--grain", type=OneOf(GRAINS), multiple=True, help="Default: all three.")
@click.option("--since", type=Instant(), help="Default: whatever is due.")
@click.option("--until", type=Instant(), help="Widened to whole buckets. Default: now.")
@click.option("--gaps", is_flag=True, help="Only what is missing, or was open when it was asked.")
@reporting
def load(
    show: Any,
    source: tuple[str, ...],
    grain: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    gaps: bool,
) -> dict[str, Any]:
    """Ask vendors for usage: what is due, a window of your own, or what closes gaps."""
    from assets.retention import first_day
    from assets.terminal import runs

    _check_span(since, until)
    if gaps and since:
        raise click.UsageError("--gaps finds its windows itself: leave out --since")
    settings, grains = read_settings(), grain or GRAINS
    if since and since > settings.clock():
        raise click.UsageError(f"--since {since:%Y-%m-%dT%H:%MZ} is yet to come: nobody can tell")
    if since and since < (first := first_day()):
        raise click.UsageError(f"--since is before {first:%Y-%m-%d}: no fact has an earlier day")
    # a vendor's name stands for all of its endpoints
    families = {
        endpoint.source
        for a_source in SOURCES
        for endpoint in a_source.endpoints
        if not source or {endpoint.source, a_source.name} & {*source}
    }
    if since:
        window = (since, until or settings.clock())
        return runs.load_window(settings, show, families, grains, *window).as_json()
    return runs.load_due(settings, show, families, grains, gaps).as_json()


@main.command()
@click.option("--since", type=Instant(), help="Rebuild from here too, due or not.")
@click.option("--until", type=Instant(), help="Rebuild until here. Default: now.")
@click.option(
    "--show-sql",
    metavar="MODEL",
    shell_complete=_models,
    help="Print the SQL that builds MODEL, and stop.",
)
@click.option("--spark", is_flag=True, help="Build on the cluster at SPARK_REMOTE instead.")
@reporting
def build(
    show: Any, since: datetime | None, until: datetime | None, show_sql: str | None, spark: bool
) -> dict[str, Any]:
    """Build the SQL models from what has landed."""
    from assets.terminal import runs
    from dbt_like_sql.engine.models import load_models
    from dbt_like_sql.engine.runner import show_sql as models_sql

    _check_span(since, until)
    if show_sql:
        if show_sql not in load_models():
            close = meant(show_sql, load_models())
            raise click.UsageError(f"no model is called {show_sql!r}: it is schema.table.{close}")
        sql = models_sql(load_models(), show_sql, since, until)
        show.say(sql)
        return {"model": show_sql, "sql": sql}
    settings = read_settings()
    until = until or (settings.clock() if since else None)
    return runs.build(settings, show, since, until, spark)


def _check_span(since: datetime | None, until: datetime | None) -> None:
    if until and not since:
        raise click.UsageError("--until needs --since")
    if since and until and since >= until:
        raise click.UsageError("--since has to be before --until")


@main.command()
@reporting
def status(show: Any) -> dict[str, Any]:
    """Whether all is well, and what needs somebody."""
    from assets.terminal.status import show_status

    return show_status(show, read_settings())


@main.command()
@reporting
def doctor(show: Any) -> dict[str, Any]:
    """What is set up and from where, and whether it works."""
    from assets.terminal.doctor import show_doctor

    return show_doctor(show, read_settings())


@main.command()
@click.option("--month", type=Month(), help="A UTC month. Default: this one.")
@click.option("--to", type=click.Path(path_type=Path), help="Default: beside the warehouse.")
@click.option("--csv", "as_csv", is_flag=True, help="Its tables as CSV files, into a folder.")
@click.option("--serve", is_flag=True, help="Show it on loopback, and renew it after each build.")
@click.option("--port", type=PORT, default=8600, show_default=True, help="With --serve.")
@reporting
def report(
    show: Any, month: datetime | None, to: Path | None, as_csv: bool, serve: bool, port: int
) -> dict[str, Any]:
    """What was used, what it costs and what is at risk: one HTML file to look at."""
    from assets.report import files

    settings, day = read_settings(), month.date() if month else None
    if day and day > settings.clock().date():
        raise click.UsageError(f"{day:%Y-%m} has not begun")
    if serve:
        with _listening_at(port):
            files.serve(settings, day, port, show.say)
        return {}
    write = files.write_csvs if as_csv else files.write_page
    ending = f".report{f'-{day:%Y-%m}' if day else ''}{'' if as_csv else '.html'}"
    written = write(settings, day, to or beside(settings.warehouse).with_suffix(ending))
    show.say(f"{written}")
    return {"written": written}


@main.command()
@click.option("--port", type=PORT, default=3000, show_default=True)
@click.option("--history", envvar="DAGSTER_HOME", hidden=True)
def ui(port: int, history: str | None) -> None:
    """Open Dagster, and say on what it stands: vendors or their stand-ins, and which warehouse."""
    from assets.terminal.ui import open_ui

    try:
        with _listening_at(port, " (make ui PORT=...)"):
            open_ui(read_settings(), port, history, click.echo)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None


@contextmanager
def _listening_at(port: int, or_how: str = "") -> Iterator[None]:
    """A port that is taken, or not for this user, is told as wrong usage."""
    try:
        yield
    except OSError as error:
        text = f"port {port}: {error.strerror}. Name another, with --port{or_how}"
        raise click.UsageError(text) from None


# what stands from the first unknown option on is not looked at
@main.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
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
    if unless_configured and _is_configured():
        if not arguments:
            raise click.UsageError("which COMMAND? It stands after --")
        try:
            os.execvp(arguments[0], arguments)  # noqa: S606  # the caller's own command
        except OSError as error:
            text = f"{arguments[0]} cannot be run: {error.strerror}"
            raise click.UsageError(text) from None
    environment = {"WAREHOUSE": str(Path("warehouse") / "sandbox.duckdb"), **os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.getenv("PYTHONPATH")]))
    # in place of this process, so that a Ctrl-C is the command's alone
    os.execve(sys.executable, [sys.executable, "-m", "tests.sandbox", *arguments], environment)  # noqa: S606


def _is_configured() -> bool:
    """Whether a source is; also where its settings are wrong, which COMMAND is to say."""
    try:
        settings = read_settings()
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    return bool(settings.wrong) or any(settings.accounts.values())


main.add_command(exports.export)
main.add_command(exports.sql)
main.add_command(lakes.upkeep)
main.add_command(lakes.migrate)
for a_source in SOURCES:
    for a_command in a_source.commands():
        main.add_command(a_command)

if __name__ == "__main__":
    main()
