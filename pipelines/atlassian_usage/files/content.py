"""The bytes of a platform usage file, or why it is none that could load.

Not here: which files there are (client.py), and what is in them (reading.py).
"""

import os
import re
import stat
import unicodedata
from pathlib import Path

from pipelines.atlassian_usage.files.contract import rows_of
from pipelines.atlassian_usage.files.problems import Problem

MAX_BYTES = 200_000_000
ENDINGS = (".csv", ".xlsx")
_WORKBOOK = b"PK\x03\x04"
# how files begin that never load, and what they are
_KINDS = [(re.compile(begins.encode(), re.I), why) for begins, why in rows_of("kinds.csv")]


def printable(path: Path) -> str:
    """A path as text with forward slashes and composed accents (NFC); bytes that are not UTF-8
    as they are escaped."""
    return unicodedata.normalize("NFC", _escaped(path))


def _escaped(path: Path) -> str:
    return path.as_posix().encode("utf-8", "backslashreplace").decode()


def leads_out(path: Path, folder: Path) -> bool:
    """Whether it is a link to something outside of the folder."""
    # Path.resolve raises where links lead to each other, of which it cannot be read is said later
    to = Path(os.path.realpath(path))
    return path.is_symlink() and not to.is_relative_to(os.path.realpath(folder))


def content_of(path: Path, folder: Path | None = None) -> bytes:
    """All bytes of a regular .csv or .xlsx file of at most 200 MB; otherwise a Problem is raised.

    With `folder`, a link that leads out of it is refused.
    """
    if _escaped(path) != path.as_posix():
        raise Problem("has a name that is not UTF-8: rename it")
    if folder and leads_out(path, folder):
        raise Problem("is a link that leads out of the folder: put a copy here")
    ending = path.suffix.casefold()
    if ending not in ENDINGS:
        raise Problem(
            f"ends in {ending or 'nothing'}: save it as .csv (UTF-8, with commas) or .xlsx, or "
            "take it out of the folder"
        )
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Problem("is a folder, or no regular file: name a file, or put a copy of it here")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        advice = "put it back, or let the account that runs meterhouse read it"
        raise Problem(f"cannot be read ({error.strerror}): {advice}") from None
    if len(content) > MAX_BYTES:
        raise Problem(f"is larger than {MAX_BYTES // 10**6} MB: split it")
    if not content:
        raise Problem("is empty (0 bytes): export it once more")
    return content


def refuse_other_kinds(content: bytes, ending: str) -> None:
    """Raise a Problem that names what the content is, should it be something that never loads."""
    if ending == ".xlsx" and content.startswith(_WORKBOOK):
        return
    for begins, why in _KINDS:
        if begins.match(content):
            raise Problem(why)
    if ending == ".xlsx":
        raise Problem("is no workbook, whatever its name says: is it a CSV? Name it .csv")
