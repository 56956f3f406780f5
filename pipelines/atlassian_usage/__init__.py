"""Exported Atlassian platform usage: SOURCE, and how the folder of exports is read.

Atlassian names an export of its Platform usage page and documents no column of it, so the files
keep a contract of our own (files/contract.py).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipelines.atlassian_usage.endpoints import ENDPOINTS, Settings
from pipelines.source import Source

if TYPE_CHECKING:
    from pipelines.atlassian_usage.client import Folder


def _missing(settings: Settings) -> str | None:
    """Why files are skipped: the default folder is not there. One that was set is looked into."""
    if settings.folder == Settings.folder and not settings.folder.exists():
        return f"there is no folder {settings.folder} (PLATFORM_USAGE_DIR)"
    return None


def _commands() -> Sequence[Any]:
    """`meterhouse platform-usage`."""
    from pipelines.atlassian_usage.commands import platform_usage

    return [platform_usage]


SOURCE: "Source[Settings, Folder]" = Source(
    name="atlassian_usage",
    title="Atlassian platform usage",
    endpoints=ENDPOINTS,
    settings=Settings,
    client_class="Folder",
    scopes=lambda account, client, endpoint: ["all"],
    missing=_missing,
    probe=lambda account, folder: folder.fingerprint(),
    recall=lambda folder, landed: folder.recall(landed),
    fingerprint=lambda folder: folder.fingerprint(),
    problems="reports.rejected_files",
    commands=_commands,
)
