"""Exported Atlassian platform usage: SOURCE, and how the folder of exports is read.

Atlassian documents no export of its Platform usage page, so the files keep a contract of our own
(files/contract.py).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from pipelines.atlassian_usage.client import Folder, fingerprint, still_rejected
from pipelines.atlassian_usage.endpoints import ENDPOINTS, Settings
from pipelines.source import Account, Asked, Pages, Slice, Source


def _missing(settings: Settings) -> str | None:
    """Why files are skipped, or None when there is a folder; ValueError where another is named."""
    if settings.folder.is_dir():
        return None
    why = f"there is no folder {settings.folder} (PLATFORM_USAGE_DIR)"
    if settings.folder != Settings.folder:
        raise ValueError(f"{why}: make it, or correct the setting")
    return why


def _client(account: Account[Settings]) -> Folder:
    """The folder, looked through once a run."""
    return Folder(account.settings.folder)


def _slices(asked: Asked[Settings, Folder]) -> Iterable[Slice]:
    """One slice per new file (slices.py)."""
    import pipelines.atlassian_usage.slices as room  # here, because dlt costs a second

    return room.slices(asked)


def _resources(pages: Pages) -> Any:
    """The folder as a dlt source (slices.py)."""
    import pipelines.atlassian_usage.slices as room

    return room.atlassian_usage(pages)


def _commands() -> Sequence[Any]:
    """`meterhouse platform-usage`."""
    from pipelines.atlassian_usage.commands import platform_usage

    return [platform_usage]


SOURCE = Source(
    name="atlassian_usage",
    title="Atlassian platform usage",
    endpoints=ENDPOINTS,
    settings=Settings,
    client=_client,
    scopes=lambda account, client, endpoint: ["all"],
    slices=_slices,
    resources=_resources,
    missing=_missing,
    fingerprint=lambda settings: fingerprint(settings.folder),
    problems=still_rejected,
    commands=_commands,
)
