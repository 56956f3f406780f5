"""The folder that exports are dropped into: what of it is new, and what is wrong with the rest.

Nothing in it is left out in silence: a file that cannot be loaded is found all the same, and
refused by name. A file is known by its content: the same content twice is loaded once, whatever its
name, unless the file of that name said something else in between.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pipelines.atlassian_usage import FILES, LISTINGS, Settings
from pipelines.atlassian_usage.files.content import ENDINGS, content_of, leads_out, printable
from pipelines.atlassian_usage.files.layouts import FILE_NAME, Layouts
from pipelines.atlassian_usage.files.problems import Problem, RejectedFileError
from pipelines.atlassian_usage.files.rows import identity
from pipelines.endpoint import Endpoint
from pipelines.receipts import Landed
from pipelines.source import Account, Client, VendorError

if TYPE_CHECKING:
    import pyarrow as pa

# what programs and systems leave behind, and what is said about the folder
_SKIPPED = (".", "~$", "readme", "thumbs.db", "desktop.ini", FILE_NAME)
_SAME_NAME = "has the name of another file, but for how accents are written: rename it"
# file name, content, and line, column and reason of a problem, if there is one
Listing = set[tuple[Any, ...]]
# of which endpoint and scope, and its rows, or why there are none
News: TypeAlias = "tuple[Endpoint, str, pa.Table | RejectedFileError]"


def find(folder: Path) -> list[Path]:
    """Everything below a folder that may be meant as an export, sorted: files, and links that lead
    to a file or out of the folder.

    Left out: hidden files and folders, lock files (`~$...`), README*, columns.toml, what systems
    leave behind, and files whose name ends in "template". A folder that is not there, or cannot be
    listed, is a VendorError.
    """
    found = []
    for parent, folders, names in os.walk(folder, onerror=_refuse_folder):
        links = [name for name in folders if leads_out(Path(parent) / name, folder)]
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent) / name for name in (*names, *links) if not _is_skipped(name)]
    return sorted(found)


def _refuse_folder(error: OSError) -> None:
    raise VendorError(
        f"Platform usage folder {error.filename} (PLATFORM_USAGE_DIR): cannot be listed "
        f"({error.strerror}). Correct the setting, make the folder, or let the account that runs "
        "meterhouse read it. Nothing was loaded from any of its files."
    ) from None


def _is_skipped(name: str) -> bool:
    path = Path(name.casefold())
    is_template = path.suffix in ENDINGS and path.stem.endswith("template")
    return is_template or path.name.startswith(_SKIPPED)


class Folder(Client):
    """A folder of exports, looked through once a run."""

    def __init__(self, account: Account[Settings]) -> None:
        super().__init__(account)
        self._folder = account.settings.folder
        self._before: Listing | None = None
        self._loaded: set[str] = set()
        self._said: dict[str, str] = {}
        self._news: list[News] | None = None

    def fingerprint(self) -> str:
        """Changes when a file comes, goes or changes; empty where there is none. Cheap enough for
        every tick of a sensor."""
        digest, exports = hashlib.sha256(), find(self._folder)
        for path in (*exports, self._folder / FILE_NAME):
            try:
                status = path.stat() if path.exists() else path.lstat()
            except OSError:  # not there, or gone in this very moment: the next tick sees it gone
                continue
            digest.update(os.fsencode(path))
            digest.update(f"\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:16] if exports else ""

    def probe(self) -> Iterable[object]:
        """What there is."""
        return find(self._folder)

    def recall(self, landed: Landed) -> None:
        """Look up what landed before: the last listing, what was loaded, and what each name said
        last."""
        if self._before is None:
            self._before = {*landed.last_rows(LISTINGS, "all", LISTINGS.key)}
            history = landed.history(FILES, ("file_name", "file_sha256"))
            self._said = {name: sha256 for name, sha256, _ in history}
            self._loaded = {sha256 for _, sha256, _ in history}

    def news(self, landed: Landed, now: datetime) -> list[News]:
        """What is new in the folder, what was rejected and is again, for its date may have come,
        and the list of what there is, where that is another."""
        self.recall(landed)
        if self._news is None:
            self._news = [*self._looked_through(self._before or set(), now)]
        return self._news

    def _looked_through(self, before: Listing, now: datetime) -> Iterator[News]:
        names: set[str] = set()
        layouts, wrong = self._layouts()
        about = hashlib.sha256(layouts.content).hexdigest() if layouts.content else ""
        listing = _listed(FILE_NAME, about, wrong) if wrong or about else set[Any]()
        known = {sha256 for _, sha256, *_ in before} if before >= listing else set[str]()
        if wrong and not before >= listing:
            yield FILES, FILE_NAME, wrong
        for path in find(self._folder):
            relative = path.relative_to(self._folder)
            name, sha256, error = printable(relative), "", None
            try:
                if name in names:
                    name = relative.as_posix().encode("ascii", "backslashreplace").decode()
                    raise Problem(_SAME_NAME)
                content = content_of(path, self._folder)
                sha256 = identity(content, path.suffix.casefold(), layouts, known)
                # a file that is put back as it was replaces what it said in the meantime
                if sha256 not in self._loaded or self._said.get(name, sha256) != sha256:
                    from pipelines.atlassian_usage.files.reading import read  # mostly none is new

                    yield FILES, sha256, read(path, now, name, layouts)
                    self._loaded.add(sha256)
            except Problem as found:
                error = RejectedFileError(Path(name), [found])
            except RejectedFileError as rejected:
                error = rejected.with_traceback(None)  # it holds all that was read
            names.add(name)
            listed = _listed(name, sha256, error)
            if error and not before >= listed:
                yield FILES, sha256 or name, error
            listing |= listed
        if listing != before:
            yield LISTINGS, "all", _table(listing)

    def _layouts(self) -> tuple[Layouts, RejectedFileError | None]:
        """Those of columns.toml; where it is wrong, files under the contract load all the same."""
        try:
            return Layouts.in_folder(self._folder), None
        except Problem as found:
            return Layouts(), RejectedFileError(Path(FILE_NAME), [found])


def _table(listing: Listing) -> "pa.Table":
    import pyarrow as pa

    rows = [dict(zip(LISTINGS.key, row, strict=True)) for row in listing]
    return pa.Table.from_pylist(rows, LISTINGS.schema)


def _listed(name: str, sha256: str, error: RejectedFileError | None) -> Listing:
    """A file as the listing has it: a row, or one for each of its problems."""
    problems = error.problems if error else [Problem("")]
    return {(name, sha256, p.line, p.column, p.reason or None) for p in problems}
