"""Files of Atlassian platform usage: which of them are new, and how they land.

Atlassian has no API for its Platform usage page; an admin drops files into PLATFORM_USAGE_DIR. A
file is known by its content: the same content twice is loaded once, whatever its name, unless the
file of that name said something else in between.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from assets.settings import Settings
from assets.vendors import Call, Vendors, land_pieces, open_warehouse
from dbt_like_sql.engine import warehouse
from pipelines.atlassian_usage.files import reading as platform_usage
from pipelines.load import Ask, Connection, Landing, Piece, create_raw_tables

FILES = Call(
    "atlassian_platform",
    "platform_usage",
    "files in PLATFORM_USAGE_DIR",
    "What Atlassian's Platform usage page shows, from files that an admin drops (CSV, XLSX, JSON, "
    "contract 1: `meterhouse platform-usage template`): Rovo credits, Rovo Dev credits, indexed "
    "objects, Pipelines minutes, large file storage and whatever the page shows next. Atlassian "
    "has no API for it. A file is known by its content.",
    platform_usage.TABLES["platform_usage"],
)
REJECTED = Call(
    "atlassian_platform",
    "rejected_files",
    "files in PLATFORM_USAGE_DIR that do not keep the contract",
    "What is wrong with files that were not loaded: file, line, column, reason. Nothing of such a "
    "file counts; it loads once it is mended.",
    platform_usage.REJECTED,
    part_of="platform_usage",
)
LISTINGS = Call(
    "atlassian_platform",
    "platform_usage_files",
    "the list of files in PLATFORM_USAGE_DIR",
    "What was in the folder, each time that it was another than before.",
    pa.schema([("file_name", pa.string()), ("file_sha256", pa.string())]),
    part_of="platform_usage",
)
CALLS = (FILES, REJECTED, LISTINGS)


@dataclass
class Scan:
    """What the folder holds that has not been dealt with."""

    listing: list[tuple[str, str]] = field(default_factory=list)
    is_new_listing: bool = False
    pieces: list[Piece] = field(default_factory=list)
    rejected: list[platform_usage.RejectedFileError] = field(default_factory=list)


def missing(settings: Settings) -> str | None:
    """Why files are skipped, or None when there is a folder to look into."""
    folder = settings.platform_usage_dir
    return None if folder.is_dir() else f"there is no folder {folder} (PLATFORM_USAGE_DIR)"


def fingerprint_of_folder(settings: Settings) -> str:
    """Changes when a file comes, goes or changes: cheap enough for every tick of a sensor."""
    digest = hashlib.sha256()
    for path in platform_usage.find(settings.platform_usage_dir):
        try:
            status = path.stat()
        except OSError:  # gone in this very moment: the next tick sees it gone
            continue
        digest.update(os.fsencode(path))
        digest.update(f"\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def land(vendors: Vendors) -> Landing:
    """Load every file whose content is new; say what is wrong with those that are rejected."""
    settings = vendors.settings
    scan = scan_folder(settings)
    landing = land_pieces(settings, FILES, scan.pieces)
    if scan.rejected:
        tables = [platform_usage.rejected_table(error) for error in scan.rejected]
        land_pieces(settings, REJECTED, [Piece("all", None, _saying(*tables))])
        landing.failures += scan.rejected
    if scan.is_new_listing:
        names, digests = [name for name, _ in scan.listing], [sha for _, sha in scan.listing]
        listing = pa.table({"file_name": names, "file_sha256": digests}, schema=LISTINGS.schema)
        land_pieces(settings, LISTINGS, [Piece("all", None, _saying(listing))])
    return landing


def scan_folder(settings: Settings) -> Scan:
    """Read what is new in the folder, and again what was rejected: its date may have come."""
    folder, scan = settings.platform_usage_dir, Scan()
    with open_warehouse(settings) as connection:
        create_raw_tables(connection, {call.table: call.schema for call in CALLS})
        loaded, rejected = _loaded(connection), _rejected(connection)
        last_said = _last_said(connection)
        before = _latest_listing(connection)
    for path in platform_usage.find(folder):
        name, sha256 = platform_usage.printable(path.relative_to(folder)), ""
        try:
            sha256 = platform_usage.fingerprint(path)
            # a file that is put back as it was replaces what it said in the meantime
            if sha256 not in loaded or last_said.get(name, sha256) != sha256:
                scan.pieces.append(_piece(platform_usage.read(path, name)))
                loaded.add(sha256)
        except platform_usage.RejectedFileError as error:
            if {*rejected.get((name, sha256), ())} != {*error.problems}:
                scan.rejected.append(
                    platform_usage.RejectedFileError(
                        Path(name), error.problems, sha256, error.unlisted
                    )
                )
        scan.listing.append((name, sha256))
    scan.is_new_listing = sorted(scan.listing) != before
    return scan


def still_rejected(settings: Settings, wait_seconds: float) -> list[str]:
    """What is wrong with the files of the latest listing, a line each."""
    if not settings.warehouse.exists():
        return []
    with warehouse.writer(settings.warehouse, wait_seconds) as connection:
        create_raw_tables(connection, {call.table: call.schema for call in CALLS})
        listing, loaded = _latest_listing(connection), _loaded(connection)
        rejected = _rejected(connection)
    return [
        f"rejected: {name}{', ' if problem.line or problem.column else ': '}{problem}"
        for name, sha256 in listing
        if sha256 not in loaded
        for problem in rejected.get((name, sha256), [])
    ]


def _piece(table: pa.Table) -> Piece:
    """A file as one piece: its content is the scope.

    Without a window: facts follow the rows that differ, and a file of a year would have every
    table of every vendor built again for that year.
    """
    return Piece(table["file_sha256"][0].as_py(), None, _saying(table))


def _saying(*tables: pa.Table) -> Ask:
    def ask(_: object) -> Iterator[pa.Table]:
        yield from tables

    return ask


def _loaded(connection: Connection) -> set[str]:
    found = connection.execute(
        "select scope from raw.loads where resource = ? and complete", [FILES.table]
    ).fetchall()
    return {scope for (scope,) in found}


def _last_said(connection: Connection) -> dict[str, str]:
    """The content of each file that was loaded under its name last."""
    found = connection.execute(
        """
        select distinct usage.file_name, usage.file_sha256, receipt.landed_at
        from raw.platform_usage as usage
        inner join raw.loads as receipt
            on usage.load_id = receipt.load_id and usage.file_sha256 = receipt.scope
        where receipt.resource = ? order by receipt.landed_at
        """,
        [FILES.table],
    ).fetchall()
    return {name: sha256 for name, sha256, _ in found}


def _rejected(connection: Connection) -> dict[tuple[str, str], list[platform_usage.Problem]]:
    """What was wrong with each file and content when it was last rejected."""
    found = connection.execute(
        """
        select file.file_name, file.file_sha256, file.line, file."column", file.reason
        from raw.rejected_files as file
        inner join raw.loads as receipt
            on file.load_id = receipt.load_id and receipt.resource = ?
        qualify receipt.landed_at = max(receipt.landed_at) over (
            partition by file.file_name, file.file_sha256
        )
        order by file.line nulls first, file."column"
        """,
        [REJECTED.table],
    ).fetchall()
    problems: dict[tuple[str, str], list[platform_usage.Problem]] = {}
    for name, sha256, *problem in found:
        problems.setdefault((name, sha256), []).append(platform_usage.Problem(*problem))
    return problems


def _latest_listing(connection: Connection) -> list[tuple[str, str]]:
    found = connection.execute(
        """
        select file.file_name, file.file_sha256
        from raw.platform_usage_files as file
        where file.load_id = (
            select receipt.load_id from raw.loads as receipt
            where receipt.resource = ? order by receipt.landed_at desc limit 1
        )
        """,
        [LISTINGS.table],
    ).fetchall()
    return sorted((name, sha256) for name, sha256 in found)
