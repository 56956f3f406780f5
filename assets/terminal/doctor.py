"""`meterhouse doctor`: what is set up and from where, and whether all of it can be used."""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

from assets.settings import Settings, origins
from assets.sources import SOURCES, called
from assets.terminal.console import Report
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.warehouse import WarehouseError
from pipelines.source import Account, Source, VendorError

PACKAGES = ("meterhouse", "duckdb", "dlt", "dagster")
# of a request with all of its tries: who asks a doctor does not wait for minutes
REQUEST_SECONDS = 15


def show_doctor(report: Report, settings: Settings) -> dict[str, Any]:
    """Show it, and give what `--json` prints. No value of a setting is told."""
    versions = {"python": python_version(), **{name: version(name) for name in PACKAGES}}
    report.say(", ".join(map(" ".join, versions.items())))
    for name, origin in (set_by := origins()).items():
        report.say(f"  {name:<36} from {origin}")
    told: dict[str, str] = {}
    failures = []
    for name, is_well, text in [*_warehouse(settings), *_vendors(settings)]:
        told[name] = text
        if is_well:
            report.say(f"{name}: {text}")
        else:
            report.fail(text)
            failures.append(text)
    report.say(f"{len(failures)} to be mended." if failures else "Nothing is wrong.")
    return {"versions": versions, "set_by": set_by, "found": told, "failures": failures}


def _warehouse(settings: Settings) -> Iterator[tuple[str, bool, str]]:
    at = settings.warehouse
    try:
        if writing := warehouse.holder(at):
            yield "warehouse", True, f"{writing} writes it"
        elif isinstance(at, Path) and not at.exists():
            folder = next(each for each in at.absolute().parents if each.exists())
            if folder.is_dir() and os.access(folder, os.W_OK):
                yield "warehouse", True, f"no {at} yet"
            else:
                yield "warehouse", False, f"no {at} can be made: {folder} may not be written"
        else:
            with warehouse.writer(at, timeout_seconds=0):
                size = f", {at.stat().st_size / 1e6:,.1f} MB" if isinstance(at, Path) else ""
                yield "warehouse", True, f"{at}{size}, free to write"
    except WarehouseError as error:
        yield "warehouse", False, str(error)


def _vendors(settings: Settings) -> Iterator[tuple[str, bool, str]]:
    for source in SOURCES:
        name = called(source)
        if source.name in settings.missing:
            yield name, True, f"not asked, {settings.missing[source.name]}"
        for text in settings.wrong.get(source.name, ()):
            yield name, False, text
        for account in settings.accounts[source.name]:
            yield f"{name} {account.name}".rstrip(), *_reached(source, account)


def _reached(source: Source[Any], account: Account[Any]) -> tuple[bool, str]:
    """Whether an account is answered, by one cheap question, which counts as any other does."""
    limits = replace(account.limits, request_seconds=REQUEST_SECONDS)
    try:
        with (
            warehouse.in_words(),
            closing(source.client(replace(account, limits=limits))) as client,
        ):
            for _ in client.probe():
                pass
    except WarehouseError as error:
        return False, str(error)
    except VendorError as error:
        error.of_account(account)
        return False, str(error)
    return True, "reached"
