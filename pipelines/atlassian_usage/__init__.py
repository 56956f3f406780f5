"""Exported Atlassian platform usage: the folder of exports, and what it gives.

Atlassian names an export of its Platform usage page and documents no column of it, so the files
keep a contract of our own (files/contract.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.endpoint import Endpoint
from pipelines.settings import path, setting
from pipelines.source import Source


@dataclass(frozen=True)
class Settings:
    """Where files are dropped."""

    folder: Path = setting(
        "PLATFORM_USAGE_DIR", "platform_usage/", "the folder where exported files are dropped", path
    )


RECORDS = "pipelines.atlassian_usage.files.reading"
FILES = Endpoint(
    "atlassian_platform",
    "platform_usage",
    "files in PLATFORM_USAGE_DIR",
    "What Atlassian's Platform usage page shows, from files that an admin drops (CSV, XLSX, "
    "contract 1: `meterhouse platform-usage template`): Rovo credits, Rovo Dev credits, indexed "
    "objects, Pipelines minutes, large file storage and whatever the page shows next. A file is "
    "known by its content.",
    RECORDS,
    key=("line",),
    any_time=True,
)
LISTINGS = Endpoint(
    "atlassian_platform",
    "platform_usage_files",
    "the list of files in PLATFORM_USAGE_DIR",
    "What was in the folder, each time that it was another than before, and what is wrong with "
    "files that do not keep the contract. Nothing of such a file counts; it loads once mended.",
    RECORDS,
    key=("file_name", "file_sha256", "line", "column", "reason"),
    part_of="platform_usage",
)
ENDPOINTS = (FILES, LISTINGS)


def _missing(settings: Settings) -> str | None:
    """Why files are skipped: the default folder is not there. One that was set is looked into."""
    if settings.folder == Settings.folder and not settings.folder.exists():
        return f"there is no folder {settings.folder} (PLATFORM_USAGE_DIR)"
    return None


def _commands() -> Sequence[Any]:
    """`meterhouse platform-usage`."""
    from pipelines.atlassian_usage.commands import platform_usage

    return [platform_usage]


SOURCE = Source(
    name="atlassian_usage",
    title="Atlassian platform usage",
    endpoints=ENDPOINTS,
    settings=Settings,
    client_class="Folder",
    missing=_missing,
    problems="reports.rejected_files",
    commands=_commands,
)
