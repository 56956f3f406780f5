"""What a folder of exports gives, and the setting that names it."""

from dataclasses import dataclass
from pathlib import Path

from pipelines.endpoint import Endpoint
from pipelines.settings import path, setting


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
