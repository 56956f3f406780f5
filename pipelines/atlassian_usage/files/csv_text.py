"""From a CSV file to rows of text: in UTF-8, every row whole and with its physical line."""

import csv
import io
from collections.abc import Iterator

from pipelines.atlassian_usage.files.contract import column_called
from pipelines.atlassian_usage.files.problems import BrokenError, Problems

# (line, cells); the first row of a reader is the header
Row = tuple[int, list[str]]
_BOMS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_SAVE_AS = "save it as UTF-8 (in Excel: Save as, CSV UTF-8)"


def _refuse_other_encodings(content: bytes) -> None:
    """BrokenError with the line and the advice for text that is not UTF-8."""
    for mark, name in _BOMS:
        if content.startswith(mark):
            raise BrokenError(None, f"is {name}: {_SAVE_AS}")
    nul = content.find(b"\0")
    if nul >= 0:
        if content[:4096].count(b"\0") * 3 > len(content[:4096]):
            raise BrokenError(None, f"looks like UTF-16 without its mark: {_SAVE_AS}")
        raise BrokenError(
            _line_at(content, nul), "has a NUL byte: the file is damaged or binary, export it anew"
        )
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BrokenError(
            _line_at(content, error.start),
            f"has the byte 0x{content[error.start]:02X}, which is not UTF-8 (Latin-1 or "
            f"Windows-1252, perhaps): {_SAVE_AS}",
        ) from None


def _line_at(content: bytes, position: int) -> int:
    before = content[:position].replace(b"\r\n", b"\n")
    return before.count(b"\n") + before.count(b"\r") + 1


def csv_rows(content: bytes, problems: Problems) -> Iterator[Row]:
    """The rows of a CSV, blank ones and the comment lines before the header left out.

    Not pandas.read_csv: it fills up rows that are too short, lets an open quote run to the end
    of the file, and does not tell the physical line.
    """
    _refuse_other_encodings(content)
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
    reader = csv.reader(text, strict=True)
    width, line = 0, 1
    try:
        for cells in reader:
            if any(map(str.strip, cells)) and (width or not cells[0].lstrip().startswith("#")):
                if not width:
                    _refuse_other_separators(line, cells)
                width = width or len(cells)
                if len(cells) == width:
                    yield line, cells
                else:
                    problems.add(line, None, _ragged(len(cells), width))
            line = reader.line_num + 1
    except csv.Error as error:
        raise BrokenError(line, _csv_error(str(error))) from None


def _refuse_other_separators(line: int, header: list[str]) -> None:
    """BrokenError where the header's names are parted by something other than a comma."""
    text = ",".join(header)
    for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")):
        if sum(column_called(part) is not None for part in text.split(separator)) > 1:
            raise BrokenError(
                line, f"the fields are parted by {name}: save it with commas between the fields"
            )


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
