"""From a CSV or JSON file to rows of text: bounded, in UTF-8, every row with its line.

Not here: workbooks (platform_usage_xlsx.py) and what the text means (platform_usage_rules.py).
"""

import csv
import io
import json
import stat
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipelines.atlassian_usage.files.contract import column_called
from pipelines.atlassian_usage.files.problems import BrokenError, Problems

MAX_BYTES = 200_000_000
MAX_ROWS = 2_000_000
MAX_NAMES = 200
# (line, cells); the first row of a reader is the header
Row = tuple[int | None, list[str]]
_KINDS = (
    (b"PK\x03\x04", "an Excel workbook or another zip archive: give it its own ending, .xlsx"),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old .xls workbook or one with a password: save it as .xlsx, without a password",
    ),
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (b"%PDF", "a PDF: type its numbers into the template instead"),
)
_BOMS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_SAVE_AS = "save it as UTF-8 (in Excel: Save as, CSV UTF-8)"


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


def refuse_other_encodings(content: bytes) -> None:
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
    refuse_other_encodings(content)
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
    reader = csv.reader(text, strict=True)
    width, line = 0, 1
    try:
        for cells in reader:
            if any(map(str.strip, cells)) and (width or not cells[0].lstrip().startswith("#")):
                if not width:
                    refuse_other_separators(line, cells)
                width = width or len(cells)
                if len(cells) == width:
                    yield line, cells
                else:
                    problems.add(line, None, _ragged(len(cells), width))
            line = reader.line_num + 1
    except csv.Error as error:
        raise BrokenError(line, _csv_error(str(error))) from None


def refuse_other_separators(line: int, header: list[str]) -> None:
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


class _Object(dict[str, Any]):
    """A JSON object that remembers the names that it has twice."""

    twice: tuple[str, ...] = ()


class _Constant(str):
    """NaN or an infinity, which JSON does not have."""


def plain_number(literal: str) -> str:
    """A number's literal without an exponent; one of absurd size stays as it is, to be refused."""
    try:
        number = Decimal(literal)
    except ArithmeticError:  # an exponent beyond what Decimal holds
        return literal
    if not number.is_finite() or not -60 < number.adjusted() < 60:
        return literal
    return f"{number:f}".removesuffix(".0")


def json_rows(content: bytes, problems: Problems) -> Iterator[Row]:
    """The records of a JSON list, or of `rows` in an object whose scalars apply to each."""
    refuse_other_encodings(content)
    records, common = _records(_parsed(content.decode("utf-8-sig")), problems)
    if not records:
        return
    header = _names(records, common)
    yield None, header
    for number, record in enumerate(records, start=1):
        if isinstance(record, _Object):
            _note_twice(record, number, problems)
            whole = common | record
            yield number, [_text(whole.get(name), number, name, problems) for name in header]
        else:
            problems.add(number, None, "is no object: each record is {column: value, ...}")


def _names(records: list[Any], common: dict[str, Any]) -> list[str]:
    """Every name that some record has, in the order of their first appearance."""
    names = dict.fromkeys(common)
    for record in records:
        if isinstance(record, _Object) and not record.keys() <= names.keys():
            names.update(dict.fromkeys(record))
            if len(names) > MAX_NAMES:
                raise BrokenError(None, f"has over {MAX_NAMES} names: is it platform usage?")
    return list(names)


def _parsed(text: str) -> Any:
    objects = 0

    def unique(pairs: list[tuple[str, Any]]) -> _Object:
        nonlocal objects
        objects += 1
        if objects > MAX_ROWS + 1:
            raise BrokenError(None, f"has more than {MAX_ROWS:,} records: split it")
        found = _Object(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            found.twice = tuple(sorted({name for name in names if names.count(name) > 1}))
        return found

    try:
        return json.loads(
            text,
            object_pairs_hook=unique,
            parse_float=plain_number,
            parse_int=str,
            parse_constant=_Constant,
        )
    except json.JSONDecodeError as error:
        reason = f"is no valid JSON at character {error.colno} ({error.msg}): correct it there"
        raise BrokenError(error.lineno, reason) from None
    except RecursionError:
        raise BrokenError(None, "is JSON nested too deeply: give a list of flat records") from None


def _records(parsed: Any, problems: Problems) -> tuple[list[Any], dict[str, Any]]:
    """The list of records, and what applies to each of them."""
    if isinstance(parsed, list):
        return parsed, {}
    if not isinstance(parsed, _Object) or not isinstance(parsed.get("rows"), list):
        raise BrokenError(
            None, 'is neither a list of records nor {"contract_version": 1, "rows": [...]}'
        )
    _note_twice(parsed, None, problems)
    return parsed["rows"], {name: value for name, value in parsed.items() if name != "rows"}


def _note_twice(record: _Object, number: int | None, problems: Problems) -> None:
    for name in record.twice:
        problems.add(number, column_called(name) or name, "is given twice: keep one of the two")


def _text(value: Any, number: int, name: str, problems: Problems) -> str:
    if isinstance(value, str) and not isinstance(value, _Constant):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    what = str(value) if isinstance(value, _Constant) else "a list or an object"
    advice = "give a number, a text or null"
    problems.add(number, column_called(name) or name, f"is {what}: {advice}")
    return ""
