"""Files of Atlassian platform usage: which of them are new, and how they land.

An admin drops files into PLATFORM_USAGE_DIR. A file is known by its content: the same content twice
is loaded once, whatever its name, unless the file of that name said something else in between.
What the folder held and which files were rejected is told by staging.stg_atlassian__*.sql alone.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from assets.settings import DEFAULT_FOLDER, Settings
from assets.vendors import Call, Vendors, land_pieces, open_warehouse
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.models import PACKAGE_FOLDER
from pipelines.atlassian_usage.files import reading as platform_usage
from pipelines.load import Ask, Connection, Landing, Piece, create_raw_tables

SAME_NAME = platform_usage.Problem(
    None, None, "has the name of another file, but for how accents are written: rename it"
)
STAGING = PACKAGE_FOLDER / "staging" / "atlassian_usage"
FILES = Call(
    "atlassian_platform",
    "platform_usage",
    "files in PLATFORM_USAGE_DIR",
    "What Atlassian's Platform usage page shows, from files that an admin drops (CSV, XLSX, "
    "contract 1: `meterhouse platform-usage template`): Rovo credits, Rovo Dev credits, indexed "
    "objects, Pipelines minutes, large file storage and whatever the page shows next. "
    "A file is known by its content.",
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
    """Why files are skipped: the default folder is not there. One that was set is looked into."""
    folder = settings.platform_usage_dir
    if folder == DEFAULT_FOLDER and not folder.exists():
        return f"there is no folder {folder} (PLATFORM_USAGE_DIR)"
    return None


def fingerprint_of_folder(settings: Settings) -> str:
    """Changes when a file comes, goes or changes: cheap enough for every tick of a sensor."""
    digest = hashlib.sha256()
    for path in platform_usage.find(settings.platform_usage_dir):
        try:
            status = path.stat() if path.exists() else path.lstat()
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
    paths = platform_usage.find(folder)
    with open_warehouse(settings) as connection:
        create_raw_tables(connection, {call.table: call.schema for call in CALLS})
        loaded, rejected = _loaded(connection), _rejected(connection)
        last_said = _last_said(connection)
        listed = _staged(connection, "stg_atlassian__files")
    names: set[str] = set()
    for path in paths:
        relative = path.relative_to(folder)
        name, sha256 = platform_usage.printable(relative), ""
        try:
            if name in names:
                name = relative.as_posix().encode("ascii", "backslashreplace").decode()
                raise platform_usage.RejectedFileError(Path(name), [SAME_NAME])
            names.add(name)
            sha256 = platform_usage.fingerprint(path, folder)
            # a file that is put back as it was replaces what it said in the meantime
            if sha256 not in loaded or last_said.get(name, sha256) != sha256:
                scan.pieces.append(_piece(platform_usage.read(path, name)))
                loaded.add(sha256)
        except platform_usage.RejectedFileError as error:
            if rejected.get((name, sha256)) != {*error.problems}:
                scan.rejected.append(
                    platform_usage.RejectedFileError(
                        Path(name), error.problems, sha256, error.unlisted
                    )
                )
        scan.listing.append((name, sha256))
    scan.is_new_listing = sorted(scan.listing) != sorted((name, sha) for name, sha, *_ in listed)
    return scan


def still_rejected(settings: Settings) -> list[str]:
    """What reports.rejected_files says, as of the last build, a line each."""
    try:
        with warehouse.reader(settings.warehouse) as connection:
            found = connection.execute(
                "select file_name, line, column_name, reason from reports.rejected_files"
                " order by 1, 2, 3, 4"
            ).fetchall()
    except FileNotFoundError:
        return []
    return [
        f"rejected: {name}{', ' if problem.line or problem.column else ': '}{problem}"
        for name, problem in ((name, platform_usage.Problem(*rest)) for name, *rest in found)
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


def _rejected(connection: Connection) -> dict[tuple[str, str], set[platform_usage.Problem]]:
    """What was wrong with each file and content when it was last rejected."""
    problems: dict[tuple[str, str], set[platform_usage.Problem]] = defaultdict(set)
    for name, sha256, *problem, _, _ in _staged(connection, "stg_atlassian__rejected_files"):
        problems[name, sha256 or ""].add(platform_usage.Problem(*problem))
    return problems


def _staged(connection: Connection, model: str) -> list[tuple[Any, ...]]:
    """The rows of a staging model, which is a plain SELECT on raw.*, as of this moment."""
    return connection.execute((STAGING / f"{model}.sql").read_text(encoding="utf-8")).fetchall()
