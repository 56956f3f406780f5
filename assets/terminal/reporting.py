"""How a command of `meterhouse` reports: for people or as JSON, and by its exit code."""

import difflib
import json
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import wraps
from typing import Any

import click

from assets import interrupt
from assets.settings import SettingsError


class Month(click.DateTime):
    """A UTC month, of years that somebody may have used something in."""

    def __init__(self) -> None:
        super().__init__(["%Y-%m"])

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Its first midnight, without a zone."""
        found: datetime = super().convert(value, param, ctx)
        if not 2000 <= found.year < 2200:
            self.fail(f"{value!r} is no month of these years", param, ctx)
        return found


def reporting(command: Callable[..., dict[str, Any]]) -> Callable[..., None]:
    """Print what the command returns (for people, or as JSON) and exit 1 if anything failed."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
    @click.option("-q", "--quiet", "is_quiet", is_flag=True, help="Print only what failed.")
    @wraps(command)
    def wrapped(as_json: bool, is_quiet: bool, **arguments: Any) -> None:
        try:
            from assets.terminal.console import Report
            from dbt_like_sql.engine.models import ModelError
            from dbt_like_sql.engine.warehouse import WarehouseError, in_words

            show = Report(as_json, is_quiet)
            with in_words():
                result = command(show, **arguments)
        except KeyboardInterrupt as interrupted:  # first: the others may not be imported yet
            interrupt.say(interrupted)
            sys.exit(130)
        except SettingsError as error:
            raise click.UsageError(str(error)) from None
        except (WarehouseError, ModelError) as error:
            show.end(str(error))
            result = {"failures": [str(error)]}
        if result.get("failed"):
            show.end(f"{', '.join(result['failed'])}; {', '.join(result['stands'])}.")
        if as_json:
            click.echo(json.dumps(result, default=str, indent=2))
        if result.get("unusable_settings"):
            sys.exit(2)
        if result.get("failures"):
            sys.exit(1)

    return wrapped


def meant(word: str, known: Iterable[str]) -> str:
    """Which of these was meant, should one be close."""
    found = difflib.get_close_matches(word, known, 1)
    return f" Did you mean {found[0]!r}?" if found else ""
