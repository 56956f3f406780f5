"""The folder of exported files: what is in it, by which name, with which content.

Nothing in it is left out in silence: a file that cannot be loaded is found all the same, and
refused by name. Not here: what has been loaded already (raw.loads).
"""

import hashlib
import os
import stat
import unicodedata
from pathlib import Path

from pipelines.atlassian_usage.files.problems import BrokenError, RejectedFileError
from pipelines.http import VendorError

MAX_BYTES = 200_000_000
ENDINGS = (".csv", ".xlsx")
# what programs and systems leave behind, and what is said about the folder
_SKIPPED = (".", "~$", "readme", "thumbs.db", "desktop.ini")
_KINDS = (
    (b"PK\x03\x04", "an Excel workbook or another zip archive: give it its own ending, .xlsx"),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old .xls workbook or one with a password: save it as .xlsx, without a password",
    ),
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (b"%PDF", "a PDF: type its numbers into the template instead"),
)


def find(folder: Path) -> list[Path]:
    """Everything below a folder that may be meant as an export, sorted: files, and links that lead
    to a file or out of the folder.

    Left out: hidden files and folders, lock files (`~$...`), README*, what systems leave behind,
    and files whose name ends in "template". A folder that is not there, or cannot be listed, is a
    VendorError.
    """
    found = []
    for parent, folders, names in os.walk(folder, onerror=_refuse_folder):
        links = [name for name in folders if _leads_out(Path(parent) / name, folder)]
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


def _leads_out(path: Path, folder: Path) -> bool:
    return path.is_symlink() and not path.resolve().is_relative_to(folder.resolve())


def printable(path: Path) -> str:
    """A path as text with forward slashes and composed accents (NFC); bytes that are not UTF-8
    as they are escaped."""
    return unicodedata.normalize("NFC", _escaped(path))


def _escaped(path: Path) -> str:
    return path.as_posix().encode("utf-8", "backslashreplace").decode()


def fingerprint(path: Path, folder: Path | None = None) -> str:
    """The SHA-256 of a file's content as hex; RejectedFileError where it is none that could load.

    With `folder`, a link that leads out of it is refused.
    """
    try:
        if _escaped(path) != path.as_posix():
            raise BrokenError(None, "has a name that is not UTF-8: rename it")
        if folder and _leads_out(path, folder):
            raise BrokenError(None, "is a link that leads out of the folder: put a copy here")
        refuse_other_endings(path)
        return hashlib.sha256(content_of(path)).hexdigest()
    except BrokenError as error:
        raise RejectedFileError(Path(printable(path)), [error.problem]) from None


def refuse_other_endings(path: Path) -> None:
    """BrokenError that says how to save a file that is neither a CSV nor a workbook."""
    ending = path.suffix.casefold()
    if ending not in ENDINGS:
        raise BrokenError(
            None,
            f"ends in {ending or 'nothing'}: save it as .csv (UTF-8, with commas) or .xlsx, or "
            "take it out of the folder",
        )


def content_of(path: Path) -> bytes:
    """All bytes of a regular file of at most 200 MB; BrokenError otherwise."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise BrokenError(None, "is a folder, not a file: rename it, or name a file in it")
        if not stat.S_ISREG(status.st_mode):
            raise BrokenError(None, "is no regular file: put a copy of its content here")
        if status.st_size > MAX_BYTES:
            raise BrokenError(None, f"is larger than {MAX_BYTES // 10**6} MB: split it")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise BrokenError(None, "is not there: check its name, or put it back") from None
    except OSError as error:
        advice = "let the account that runs meterhouse read it"
        raise BrokenError(None, f"cannot be read ({error.strerror}): {advice}") from None
    if len(content) > MAX_BYTES:
        raise BrokenError(None, f"grew beyond {MAX_BYTES // 10**6} MB while it was read: split it")
    if not content:
        raise BrokenError(None, "is empty (0 bytes): export it once more")
    return content


def refuse_other_kinds(content: bytes, expected: str) -> None:
    """BrokenError that names what the file is, should it be something that never loads."""
    head = content[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<!--")):
        raise BrokenError(
            None, "is a web page, perhaps a login page: sign in, then export it once more"
        )
    for magic, what in _KINDS:
        if content.startswith(magic) and not (expected == ".xlsx" and magic == b"PK\x03\x04"):
            raise BrokenError(None, f"is {what}")
