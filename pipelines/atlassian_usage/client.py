"""The folder that exports are dropped into: what of it is new, and what is wrong with the rest.

A file is known by its content: the same content twice is loaded once, whatever its name, unless
the file of that name said something else in between.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from pipelines.atlassian_usage.endpoints import FILES, LISTINGS, REJECTED
from pipelines.atlassian_usage.files import reading
from pipelines.atlassian_usage.files.problems import Problem, RejectedFileError
from pipelines.receipts import Landed


def fingerprint(folder: Path) -> str:
    """Changes when a file comes, goes or changes: cheap enough for every tick of a sensor."""
    digest = hashlib.sha256()
    for path in reading.find(folder):
        try:
            status = path.stat()
        except OSError:  # gone in this very moment: the next tick sees it gone
            continue
        digest.update(os.fsencode(path))
        digest.update(f"\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


@dataclass
class Scan:
    """What the folder holds that has not been dealt with; `listing` is all of it."""

    listing: list[tuple[str, str]] = field(default_factory=list)
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

    def scan(self, landed: Landed) -> Scan:
        """Read what is new in the folder, and again what was rejected: its date may have come."""
        if self._scan is None:
            self._scan = self._looked_through(landed)
        return self._scan

    def _looked_through(self, landed: Landed) -> Scan:
        scan, loaded, said = Scan(), landed.scopes(FILES), _last_said(landed)
        known_problems = _problems(landed)
        for path in reading.find(self._folder):
            name, sha256 = reading.printable(path.relative_to(self._folder)), ""
            try:
                sha256 = reading.fingerprint(path)
                # a file that is put back as it was replaces what it said in the meantime
                if sha256 not in loaded or said.get(name, sha256) != sha256:
                    scan.new.append(reading.read(path, name))
                    loaded.add(sha256)
            except RejectedFileError as error:
                if {*known_problems.get((name, sha256), ())} != {*error.problems}:
                    scan.rejected.append(
                        RejectedFileError(Path(name), error.problems, sha256, error.unlisted)
                    )
            scan.listing.append((name, sha256))
        scan.is_new_listing = sorted(scan.listing) != sorted(_listing(landed))
        return scan


def still_rejected(landed: Landed) -> list[str]:
    """What is wrong with the files of the latest listing, a line each."""
    loaded, problems = landed.scopes(FILES), _problems(landed)
    return [
        f"rejected: {name}{', ' if problem.line or problem.column else ': '}{problem}"
        for name, sha256 in _listing(landed)
        if sha256 not in loaded
        for problem in problems.get((name, sha256), [])
    ]


def _last_said(landed: Landed) -> dict[str, str]:
    """The content of each file that was loaded under its name last."""
    said = landed.history(FILES, ("file_name", "file_sha256"))
    return {name: sha256 for name, sha256, _ in said}


def _problems(landed: Landed) -> dict[tuple[str, str], list[Problem]]:
    """What was wrong with each file and content when it was last rejected."""
    columns = ("file_name", "file_sha256", "line", "column", "reason")
    latest: dict[tuple[str, str], tuple[object, list[Problem]]] = {}
    for name, sha256, line, column, reason, landed_at in landed.history(REJECTED, columns):
        said_at, problems = latest.get((name, sha256), (landed_at, []))
        kept = problems if said_at == landed_at else []
        latest[name, sha256] = (landed_at, [*kept, Problem(line, column, reason)])
    return {key: _in_order(problems) for key, (_, problems) in latest.items()}


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda p: (p.line is not None, p.line or 0, p.column or ""))


def _listing(landed: Landed) -> list[tuple[str, str]]:
    return [(n, s) for n, s in landed.listed(LISTINGS, "all", ("file_name", "file_sha256")) or []]
