"""A Ctrl-C ends the command in one line, also while the rest of it is still being imported."""

import sys
from types import TracebackType

import click


def say(interrupt: BaseException) -> None:
    """How far it got, where a load was interrupted, and what to do."""
    what = f"{interrupt}; run" if interrupt.args else "Run"
    click.echo(f"Interrupted. {what} the same again.", err=True)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        say(error)
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _uncaught
