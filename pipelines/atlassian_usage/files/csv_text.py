"""From a CSV file to rows of text: in UTF-8, every row whole and with its physical line."""

import csv
import io
from collections.abc import Iterable, Iterator

from pipelines.atlassian_usage.files.content import AS_UTF_8
from pipelines.atlassian_usage.files.contract import column_called
from pipelines.atlassian_usage.files.problems import BrokenError, Problem

# (line, cells); the first row of a reader is the header
Row = tuple[int, list[str]]


def filled(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows without blank ones and without the comments before the header."""
    is_headed = False
    for line, cells in rows:
        if any(map(str.strip, cells)) and (is_headed or not cells[0].lstrip().startswith("#")):
            is_headed = True
            yield line, cells


def csv_rows(content: bytes, problems: list[Problem]) -> Iterator[Row]:
    """The rows of a CSV, up to where it cannot be read any further.

    Not pandas.read_csv: it fills up rows that are too short, lets an open quote run to the end
    of the file, and does not tell the physical line.
    """
    _refuse_other_encodings(content)
    width = 0
    for line, cells in filled(_lines(content, problems)):
        if not width:
            _refuse_other_separators(line, cells)
            width = len(cells)
        if len(cells) == width:
            yield line, cells
        else:
            problems.append(Problem(_ragged(len(cells), width), line))


def _lines(content: bytes, problems: list[Problem]) -> Iterator[Row]:
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
    reader = csv.reader(text, strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        problems.append(Problem(_csv_error(str(error)), line))


def _refuse_other_encodings(content: bytes) -> None:
    """BrokenError with the line and the advice for text that is not UTF-8."""
    nul = content.find(b"\0")
    if nul >= 0:
        if content[:4096].count(b"\0") * 3 > len(content[:4096]):
            raise BrokenError(f"looks like UTF-16 without its mark: {AS_UTF_8}")
        reason = "has a NUL byte: the file is damaged or binary, export it anew"
        raise BrokenError(reason, _line_at(content, nul))
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BrokenError(
            f"has the byte 0x{content[error.start]:02X}, which is not UTF-8 (Latin-1 or "
            f"Windows-1252, perhaps): {AS_UTF_8}",
            _line_at(content, error.start),
        ) from None


def _line_at(content: bytes, position: int) -> int:
    before = content[:position].replace(b"\r\n", b"\n")
    return before.count(b"\n") + before.count(b"\r") + 1


def _refuse_other_separators(line: int, header: list[str]) -> None:
    """BrokenError where the header's names are parted by something other than a comma."""
    text = ",".join(header)
    for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")):
        if sum(column_called(part) is not None for part in text.split(separator)) > 1:
            reason = f"the fields are parted by {name}: save it with commas between the fields"
            raise BrokenError(reason, line)


def _ragged(found: int, width: int) -> str:
    hint = (
        'put a value that has a comma in it into "quotes", and write numbers without commas'
        if found > width
        else "a comma for every empty field, too"
    )
    return f"has {found} fields where the header has {width}: {hint}"


def _csv_error(error: str) -> str:
    if "unexpected end of data" in error or "field larger" in error:
        return 'a quote (") is opened here and never closed: close it, or take it away'
    if "expected after" in error:
        return 'a quote (") stands inside a quoted field: double it ("")'
    return f"is no readable CSV ({error}): save it once more as CSV UTF-8"
