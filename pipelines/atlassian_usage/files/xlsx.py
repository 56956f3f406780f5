"""From a workbook to rows of text: its archive is checked before anything is unpacked."""

import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, time
from typing import Any

from pipelines.atlassian_usage.files.contract import column_called
from pipelines.atlassian_usage.files.csv_rows import MAX_BYTES, Row, plain_number
from pipelines.atlassian_usage.files.problems import BrokenError, Problems

MAX_PARTS = 10_000
# deflate gives 1:1032 at most, which only bombs reach; lines that are much alike give 1:60
MAX_RATIO = 200
SHEET = "usage"
_PIECE_BYTES = 1 << 20
_OVERLAP_BYTES = 256
_MERGED = re.compile(rb"""<(?:\w+:)?mergeCell\s[^>]{0,80}?ref=["']([A-Z0-9:$]+)["']""")


def xlsx_rows(content: bytes, problems: Problems) -> Iterator[Row]:
    """The rows of the sheet called "usage", or of the first that is not hidden, as text.

    Blank rows and the comment rows before the header are left out. Dates come as ISO text,
    numbers as the shortest text that gives the stored double.
    """
    if not content.startswith(b"PK"):
        raise BrokenError(None, "is no workbook, whatever its name says: is it a CSV? Name it .csv")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_archive(archive)
        with _quiet():
            yield from _sheet_rows(content, problems)
    except BrokenError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise BrokenError(
            None, f"is a damaged workbook ({error}): copy or export it once more"
        ) from None
    except Exception as error:  # openpyxl raises whatever a malformed part leads to
        what = f"{type(error).__name__}: {error}"[:200]
        raise BrokenError(
            None, f"cannot be read as a workbook ({what}): open it in Excel and save it as .xlsx"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without openpyxl's warnings about parts of a workbook that hold no usage."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")
        yield


def _check_archive(archive: zipfile.ZipFile) -> None:
    """Sizes by the archive's directory first, and only then the content, piece by piece.

    zipfile never gives more of a part than the directory says: a part that is larger than that
    fails its checksum here.
    """
    parts = archive.infolist()
    unpacked = sum(part.file_size for part in parts)
    if unpacked > MAX_BYTES or len(parts) > MAX_PARTS:
        raise BrokenError(
            None,
            f"unpacks to {unpacked / 1e6:,.0f} MB in {len(parts)} parts, over "
            f"{MAX_BYTES // 10**6} MB or {MAX_PARTS} parts: split it, or save it as CSV",
        )
    for part in parts:
        ratio = part.file_size / max(part.compress_size, 1)
        if part.file_size > _PIECE_BYTES and ratio > MAX_RATIO:
            raise BrokenError(
                None,
                f"{part.filename} unpacks to {ratio:,.0f} times its size, like a zip bomb: save "
                "it as CSV",
            )
        if part.flag_bits & 1:
            raise BrokenError(None, "has a password: save it without one")
    if "xl/workbook.xml" not in archive.namelist():
        raise BrokenError(None, "is a zip archive, but no workbook: save it as .xlsx in Excel")
    for part in parts:
        for piece in _pieces(archive, part.filename):
            if b"<!DOCTYPE" in piece:
                raise BrokenError(None, f"{part.filename} declares XML entities: save it anew")


def _pieces(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """A part's content in overlapping pieces."""
    tail = b""
    with archive.open(name) as part:
        while piece := part.read(_PIECE_BYTES):
            yield tail + piece
            tail = piece[-_OVERLAP_BYTES:]


def _sheet_rows(content: bytes, problems: Problems) -> Iterator[Row]:
    import openpyxl  # type: ignore[import-untyped]  # here, because it costs half a second

    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, keep_links=False)
    sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    if not sheets:
        raise BrokenError(None, "has no worksheet that is not hidden: put the usage into one")
    sheet = next((sheet for sheet in sheets if sheet.title.casefold() == SHEET), sheets[0])
    _refuse_merged(book, sheet)
    header: list[str] = []
    for number, cells in _parsed_rows(book, sheet):
        texts = _texts(cells)
        if any(map(str.strip, texts)) and (header or not texts[0].lstrip().startswith("#")):
            if not header:
                header = texts
            _note_faults(number, cells, header, problems)
            yield number, texts[: len(header)] + [""] * (len(header) - len(texts))
    book.close()


def _refuse_merged(book: Any, sheet: Any) -> None:
    for piece in _pieces(book._archive, sheet._worksheet_path):
        if found := _MERGED.search(piece):
            cells = found.group(1).decode()
            line = re.search(r"\d+", cells)
            reason = f"the cells {cells} are merged: unmerge them, each line has its own values"
            raise BrokenError(int(line.group()) if line else None, reason)


def _parsed_rows(book: Any, sheet: Any) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Every row that the sheet has, as openpyxl's own parser gives it.

    Not sheet.iter_rows(): it pads up to the row and column numbers that a file claims, and leaves
    out rows that are not in order without a word.
    """
    from openpyxl.worksheet._reader import WorkSheetParser  # type: ignore[import-untyped]

    with sheet._get_source() as source:
        parser = WorkSheetParser(
            source,
            sheet._shared_strings,
            epoch=book.epoch,
            date_formats=book._date_formats,
            timedelta_formats=book._timedelta_formats,
        )
        last = 0
        for number, cells in parser.parse():
            columns = [cell["column"] for cell in cells]
            if number <= last or columns != sorted(set(columns)):
                raise BrokenError(number, "rows or cells are not in order: save it anew in Excel")
            last = number
            yield number, cells


def _texts(cells: list[dict[str, Any]]) -> list[str]:
    """The texts of a row from column A on."""
    texts = [""] * (cells[-1]["column"] if cells else 0)
    for cell in cells:
        texts[cell["column"] - 1] = _text(cell["value"])
    return texts


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return plain_number(repr(value))
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def _note_faults(
    number: int, cells: list[dict[str, Any]], header: list[str], problems: Problems
) -> None:
    """Formulas, error values, and what stands right of the header."""
    for cell in cells:
        if cell["data_type"] not in "fe" and cell["column"] <= len(header):
            continue
        name = _letters(cell["column"]) + str(number)
        if cell["data_type"] == "f":
            reason = f"cell {name} is a formula: paste its value instead (Paste special, Values)"
        elif cell["data_type"] == "e":
            reason = f"cell {name} is the error {cell['value']}: type the value"
        elif _text(cell["value"]).strip():
            reason = f"cell {name} has a value under no header: give it one, or clear the cell"
        else:
            continue
        under = header[cell["column"] - 1] if cell["column"] <= len(header) else ""
        problems.add(number, column_called(under) or under or name, reason)


def _letters(column: int) -> str:
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
