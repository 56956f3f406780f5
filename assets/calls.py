"""What can be asked of vendors, and the asking of it: for Dagster and the terminal alike.

To add a vendor: its client in pipelines/, an asking_*.py beside this file, its SQL.
"""

from collections.abc import Callable
from datetime import datetime

import pyarrow as pa

from assets import (
    asking_bitbucket,
    asking_forge,
    asking_neon,
    asking_platform_usage,
)
from assets.due import held_since
from assets.settings import Settings
from assets.vendors import Call, Vendors, land_pieces
from pipelines.load import Connection, Landing, Piece
from pipelines.windows import Window

CALLS = (
    *asking_neon.CALLS,
    *asking_forge.CALLS,
    *asking_bitbucket.CALLS,
    *asking_platform_usage.CALLS,
)
RAW_TABLES: dict[str, pa.Schema] = {call.table: call.schema for call in CALLS}
_MISSING: dict[str, Callable[[Settings], str | None]] = {
    "neon": asking_neon.missing,
    "neon_legacy": asking_neon.missing,
    "forge": asking_forge.missing,
    "bitbucket": asking_bitbucket.missing,
    "atlassian_platform": asking_platform_usage.missing,
}


def call_of(table: str) -> Call:
    """The call whose answers go to raw.<table>."""
    return next(call for call in CALLS if call.table == table)


def missing_settings(settings: Settings, call: Call) -> str | None:
    """Why this call's source is skipped, or None when it can be asked."""
    return _MISSING[call.source](settings)


def configured(settings: Settings) -> bool:
    """Whether any source can be asked."""
    return any(missing(settings) is None for missing in _MISSING.values())


def is_wanted(settings: Settings, call: Call) -> bool:
    """Whether the settings ask for this call at all."""
    return call not in asking_forge.CALLS or asking_forge.is_wanted(settings, call)


def pieces(
    vendors: Vendors, call: Call, window: Window | None, only_due: bool = False
) -> list[Piece]:
    """What there is to ask for a window (None: a snapshot); only_due: less what is not due."""
    if call in asking_forge.CALLS and window is not None:
        return asking_forge.pieces(vendors, call, window, only_due)
    if call in asking_bitbucket.CALLS:
        return asking_bitbucket.pieces(vendors, call, window)
    return asking_neon.pieces(vendors, call, window)


def land(
    vendors: Vendors,
    call: Call,
    window: Window | None,
    only_due: bool = False,
    shown: Callable[[int], Callable[[Piece], None]] = lambda count: lambda piece: None,
) -> Landing:
    """Ask for one window (None: a snapshot) of every scope, and land the answers with receipts.

    `shown` is told how many pieces there are, and gives what is to be called after each.
    """
    if call == asking_platform_usage.FILES:
        return asking_platform_usage.land(vendors)
    if call in asking_bitbucket.CALLS:
        return asking_bitbucket.land(vendors, call, window, shown)
    todo = pieces(vendors, call, window, only_due)
    landing = land_pieces(vendors.settings, call, todo, shown(len(todo)))
    if not todo:
        landing.notes.append("nothing to ask: all of it was asked since the last tick")
    return landing


def known_scopes(settings: Settings, call: Call) -> set[str]:
    """The scopes that the settings name; none where the vendor is asked which there are."""
    if call in asking_forge.CALLS:
        return set(asking_forge.scopes(settings))
    return set(settings.neon_org_ids) if call in asking_neon.CALLS else set()


def landed_buckets(
    connection: Connection, settings: Settings, call: Call, window: Window, landing: Landing
) -> list[datetime]:
    """The buckets of a window that are held for every scope."""
    held = held_since(connection, call.table, window.grain, window.since)
    asked = {receipt.scope for receipt in landing.receipts if receipt.complete}
    scopes = asked | (known_scopes(settings, call) if call in asking_forge.CALLS else set())
    return [
        start
        for start in window.buckets()
        if scopes and all(start in held[scope] for scope in scopes)
    ]
