"""`meterhouse platform-usage`: write a file to fill in, and check files before they are dropped."""

import sys
import textwrap
from pathlib import Path
from typing import Any

import click

from pipelines.source import Clock

_WIDTH = 80


@click.group("platform-usage")
def platform_usage() -> None:
    """Files of Atlassian platform usage: a template, and a check."""


@platform_usage.command()
@click.argument("path", type=click.Path(path_type=Path), default="platform-usage-template.csv")
def template(path: Path) -> None:
    """Write an empty file to fill in: a CSV, or a workbook where PATH ends in .xlsx."""
    from pipelines.atlassian_usage.files import template as files

    try:
        files.template(path)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except FileExistsError:
        raise click.ClickException(f"{path} is there already: name another file") from None
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
    click.echo(f"wrote {path}")


@platform_usage.command()
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=Path)
@click.pass_obj
def check(clock: Clock, paths: tuple[Path, ...]) -> None:
    """Say what is wrong in each FILE, line by line; nothing is loaded.

    Exit code 1 where anything is wrong.
    """
    from pipelines.atlassian_usage.files import reading as files
    from pipelines.atlassian_usage.files.problems import RejectedFileError

    wrong = 0
    for path in paths:
        try:
            table = files.read(path, clock())
        except RejectedFileError as error:
            wrong += 1
            _show_problems(error)
        else:
            _show(f"{path}: {_fine(table)}")
    sys.exit(1 if wrong else 0)


def _fine(table: Any) -> str:
    types = ", ".join(sorted(set(table["usage_type"].to_pylist())))
    return f"fine: {len(table):,} {'line' if len(table) == 1 else 'lines'}, {types}"


def _show_problems(error: Any) -> None:
    number = len(error.problems) + error.unlisted
    more = " or more" if error.unlisted else ""
    _show(f"{error.path}: {number}{more} {'problem' if number == 1 else 'problems'}")
    for problem in error.problems:
        _show(str(problem), indent="  ")
    if error.unlisted:
        _show(f"... the first {len(error.problems)} are listed", indent="  ")


def _show(text: str, indent: str = "") -> None:
    """Print within 80 columns, values and paths never cut or broken."""
    click.echo(
        textwrap.fill(
            text,
            _WIDTH,
            initial_indent=indent,
            subsequent_indent=indent + "  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
