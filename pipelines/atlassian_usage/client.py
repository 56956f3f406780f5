"""The folder that exports are dropped into: what of it is new, and what is wrong with the rest.

A file is known by its content: the same content twice is loaded once, whatever its name, unless
the file of that name said something else in between.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.atlassian_usage.endpoints import FILES, LISTINGS
from pipelines.atlassian_usage.files import folder as files
from pipelines.atlassian_usage.files.problems import Problem, RejectedFileError
from pipelines.atlassian_usage.files.reading import read
from pipelines.receipts import Landed

SAME_NAME = Problem(
    None, None, "has the name of another file, but for how accents are written: rename it"
)
# file name, content, and line, column and reason of a problem, if there is one
Listing = set[tuple[Any, ...]]


def fingerprint(folder: Path) -> str:
    """Changes when a file comes, goes or changes: cheap enough for every tick of a sensor."""
    digest = hashlib.sha256()
    for path in files.find(folder):
        try:
            status = path.stat() if path.exists() else path.lstat()
        except OSError:  # gone in this very moment: the next tick sees it gone
            continue
        digest.update(os.fsencode(path))
        digest.update(f"\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


@dataclass
class Scan:
    """What the folder holds (`listing`), and what of that has not been dealt with."""

    listing: Listing = field(default_factory=set)
    is_new_listing: bool = False
    new: list[pa.Table] = field(default_factory=list)
    rejected: list[RejectedFileError] = field(default_factory=list)


class Folder:
    """A folder of exports, looked through once a run."""

    requests_sent = rate_limited = 0

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._scan: Scan | None = None

    def close(self) -> None:
        """Nothing is held open."""

    def scan(self, landed: Landed, now: datetime) -> Scan:
        """Read what is new in the folder, and again what was rejected: its date may have come."""
        if self._scan is None:
            self._scan = self._looked_through(landed, now)
        return self._scan

    def _looked_through(self, landed: Landed, now: datetime) -> Scan:
        scan, before = Scan(), {*(landed.listed(LISTINGS, "all", LISTINGS.schema.names) or [])}
        loaded, said = landed.scopes(FILES), _last_said(landed)
        for path, name, doubled in self._named():
            sha256, problems = "", [SAME_NAME] if doubled else []
            try:
                if doubled:
                    raise RejectedFileError(Path(name), problems)
                sha256 = files.fingerprint(path, self._folder)
                # a file that is put back as it was replaces what it said in the meantime
                if sha256 not in loaded or said.get(name, sha256) != sha256:
                    scan.new.append(read(path, now, name))
                    loaded.add(sha256)
            except RejectedFileError as error:
                problems = error.problems
                if not before >= _listed(name, sha256, problems):
                    left = (sha256, error.unlisted)
                    scan.rejected.append(RejectedFileError(Path(name), problems, *left))
            scan.listing |= _listed(name, sha256, problems)
        scan.is_new_listing = scan.listing != before
        return scan

    def _named(self) -> Iterator[tuple[Path, str, bool]]:
        """Every file, its name, and whether an earlier one has that name in other characters."""
        names: set[str] = set()
        for path in files.find(self._folder):
            relative = path.relative_to(self._folder)
            name = files.printable(relative)
            if name in names:
                yield path, relative.as_posix().encode("ascii", "backslashreplace").decode(), True
            else:
                names.add(name)
                yield path, name, False


def _listed(name: str, sha256: str, problems: list[Problem]) -> Listing:
    """A file as the listing has it: a row, or one for each of its problems."""
    found = {(name, sha256, p.line, p.column, p.reason) for p in problems}
    return found or {(name, sha256, None, None, None)}


def _last_said(landed: Landed) -> dict[str, str]:
    """The content of each file that was loaded under its name last."""
    said = landed.history(FILES, ("file_name", "file_sha256"))
    return {name: sha256 for name, sha256, _ in said}
