"""Dagster from a terminal: on what it stands is said first, and after that only what went wrong."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import urlsplit

from assets.settings import Settings, SettingsError
from assets.sources import SOURCES
from pipelines.settings import is_loopback, settings_of
from pipelines.settings import url as address
from pipelines.source import Account, Source

ROOT = Path(__file__).parents[2]
# a new one takes about as much
HISTORY_BYTES = 1_000_000
# `dagster dev` says of itself that there is a newer one, and of its defaults what it does
QUIET = ("-W", "ignore:Function `dev_command`", "-m", "dagster", "dev", "--log-level", "error")


def open_ui(
    settings: Settings, port: int, history: str | None, say: Callable[[str], object]
) -> None:
    """Say on what it stands, and become Dagster, whose history is in this folder, or ends with it.

    Raises OSError where the port is taken: Dagster would go on, with no page; and SettingsError
    where Dagster could keep no history, of which it tells in two pages of stack.
    """
    try:
        with TemporaryFile(dir=history) as tried:
            tried.write(bytes(HISTORY_BYTES))
    except OSError as error:
        raise SettingsError(
            f"DAGSTER_HOME is {history}, where Dagster can keep no history ({error.strerror}): let "
            "this user write there, free some space, or name another folder"
        ) from None
    socket.create_server(("127.0.0.1", port)).close()
    for line in stands_on(settings):
        say(line)
    say(f"Dagster: http://127.0.0.1:{port} in half a minute, until Ctrl-C.")
    sys.stdout.flush()
    where = ("-w", str(ROOT / "workspace.yaml"), "-p", f"{port}")
    os.execv(sys.executable, [sys.executable, *QUIET, *where])  # noqa: S606  # our own


def stands_on(settings: Settings) -> Iterator[str]:
    """Which vendors are asked, whether they are stand-ins, why others are not; which warehouse."""
    pretended = stand_ins(settings)
    if pretended:
        yield f"Sandbox: stand-ins on this machine, for {', '.join(pretended)}."
    others = [s.title for s in SOURCES if settings.accounts[s.name] and s.title not in pretended]
    if others or not pretended:
        yield f"Asked: {', '.join(others) or 'nobody'}."
    for source in SOURCES:
        if why := settings.missing.get(source.name):
            yield f"Not asked: {source.title}, for {why}."
        yield from settings.wrong.get(source.name, ())
    at = settings.warehouse
    yield f"Warehouse: {at.absolute() if isinstance(at, Path) else at}"


def stand_ins(settings: Settings) -> list[str]:
    """The vendors of which an account is one of a stand-in."""
    return [
        source.title
        for source in SOURCES
        if any(_is_stand_in(source, account) for account in settings.accounts[source.name])
    ]


def _is_stand_in(source: Source[Any], account: Account[Any]) -> bool:
    """Whether it is asked on this very machine."""
    hosts = [
        urlsplit(getattr(account.settings, field)).hostname
        for field, about in settings_of(source.settings).items()
        if about.read is address
    ]
    return any(is_loopback(host or "") for host in hosts)
