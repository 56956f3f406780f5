"""From a workbook to rows of text: its archive is checked before anything is unpacked.

pandas reads the cells (python-calamine); what it would leave blank or overwrite without a word
(formulas, error values, merged cells, rows out of order) is looked for in the sheet's XML first.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal
from typing import Any

from pipelines.atlassian_usage.files.contract import BY_NAME, column_called
from pipelines.atlassian_usage.files.csv_text import Row
from pipelines.atlassian_usage.files.folder import MAX_BYTES
from pipelines.atlassian_usage.files.problems import BrokenError, Problems

MAX_PARTS = 10_000
MAX_COLUMNS = 200
# deflate gives 1:1032 at most, which only bombs reach; lines that are much alike give 1:60
MAX_RATIO = 200
SHEET = "usage"
_WORKBOOK = "xl/workbook.xml"
# sheets that may stand beside the one with usage
_FREE = ("help", "notes")
# by row: (column, what is wrong with the cell)
Faults = dict[int, list[tuple[int, str]]]
# a cell that is not empty, and whether a formula makes it so
_CELL = re.compile(rb"<(?:\w+:)?c(?:\s([^>]*[^>/]))?>(\s*<(?:\w+:)?f[\s/>])?")
_ERROR = re.compile(rb"""\bt=["']e["']""")
_REFERENCE = re.compile(rb"""\br=["']([A-Z]{1,3})([0-9]{1,7})["']""")


def xlsx_rows(content: bytes, problems: Problems) -> Iterator[Row]:
    """The rows of the sheet called "usage", or of the only one that is filled, as text.

    Blank rows and the comment rows before the header are left out. Dates come as ISO text,
    numbers with the 15 digits that a spreadsheet shows.
    """
    if not content.startswith(b"PK"):
        raise BrokenError(None, "is no workbook, whatever its name says: is it a CSV? Name it .csv")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_archive(archive)
            cells, faults = _read(content, archive)
    except BrokenError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise BrokenError(
            None, f"is a damaged workbook ({error}): copy or export it once more"
        ) from None
    except Exception as error:  # a malformed part leads to whatever the reader raises
        what = f"{type(error).__name__}: {error}"[:200]
        raise BrokenError(
            None, f"cannot be read as a workbook ({what}): open it in Excel and save it as .xlsx"
        ) from None
    yield from _texts(cells, faults, problems)


def _check_archive(archive: zipfile.ZipFile) -> None:
    """Sizes by the archive's directory first, and only then the content.

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
        if part.file_size > 1_000_000 and ratio > MAX_RATIO:
            raise BrokenError(
                None,
                f"{part.filename} unpacks to {ratio:,.0f} times its size, like a zip bomb: save "
                "it as CSV",
            )
        if part.flag_bits & 1:
            raise BrokenError(None, "has a password: save it without one")
    if len({*archive.namelist()}) < len(parts):
        raise BrokenError(None, "has two parts of one name: save it anew in Excel")
    if _WORKBOOK not in archive.namelist():
        raise BrokenError(None, "is a zip archive, but no workbook: save it as .xlsx in Excel")
    for part in parts:
        if b"<!DOCTYPE" in archive.read(part):
            raise BrokenError(None, f"{part.filename} declares XML entities: save it anew")


def _read(content: bytes, archive: zipfile.ZipFile) -> tuple[list[list[Any]], Faults]:
    """The cells of the one sheet that has usage, and what is wrong with some of them."""
    import pandas as pd  # here, because it costs half a second
    from python_calamine import SheetVisibleEnum

    with pd.ExcelFile(io.BytesIO(content), engine="calamine") as book:
        shown = {
            sheet.name: _xml_of(archive, place)
            for place, sheet in enumerate(book.book.sheets_metadata)
            if sheet.visible == SheetVisibleEnum.Visible and sheet.name in book.sheet_names
        }
        name = _the_one([name for name, xml in shown.items() if _CELL.search(xml)])
        faults = _faults(shown[name])
        _refuse_merged(book.book.get_sheet_by_name(name).merged_cell_ranges or [])
        frame = pd.read_excel(book, sheet_name=name, header=None, dtype=object, na_filter=False)
    return frame.to_numpy().tolist(), faults


def _xml_of(archive: zipfile.ZipFile, place: int) -> bytes:
    """The part that holds the sheet at this place of the workbook."""
    ids = re.findall(rb"""<(?:\w+:)?sheet\s[^>]*?\w:id=["']([^"']+)""", archive.read(_WORKBOOK))
    relations = archive.read("xl/_rels/workbook.xml.rels")
    for relation in re.findall(rb"<Relationship\s[^>]*>", relations):
        if re.search(rb"""\bId=["']%s["']""" % re.escape(ids[place]), relation):
            found = re.search(rb"""\bTarget=["']([^"']+)""", relation)
            target = found.group(1).decode() if found else ""
            return archive.read(target.lstrip("/") if target[:1] == "/" else f"xl/{target}")
    raise BrokenError(None, f"lacks its sheet {place + 1}: save it anew in Excel")


def _the_one(filled: list[str]) -> str:
    """The sheet with usage; that there is another one is an error, for it would not be loaded."""
    if not filled:
        raise BrokenError(None, "has no usage lines on a sheet that is not hidden: put them there")
    usage = [name for name in filled if name.casefold() not in _FREE] or filled[:1]
    usage = sorted(usage, key=lambda name: name.casefold() != SHEET)
    if len(usage) > 1:
        raise BrokenError(
            None,
            f"has something on the sheets {', '.join(map(repr, usage))}, and one is loaded: put "
            "all usage on one sheet or into files of their own, and hide what is none",
        )
    return usage[0]


def _faults(xml: bytes) -> Faults:
    """Formulas and error values by row and column; BrokenError where cells would be lost."""
    faults: Faults = {}
    last, count = (0, 0), 0
    for match in _CELL.finditer(xml):
        attributes, formula = match.groups()
        found = _REFERENCE.search(attributes or b"")
        if not found:
            raise BrokenError(None, "has cells that do not say where they are: save it in Excel")
        row, column = int(found.group(2)), _number(found.group(1).decode())
        count += row > last[0]
        if (row, column) <= last:
            raise BrokenError(row, "rows or cells are not in order: save it anew in Excel")
        if column > MAX_COLUMNS or row > 10 * count + 1000:
            far = found.group(1).decode() + str(row)
            raise BrokenError(row, f"cell {far} is far off the others: delete its row or column")
        last = row, column
        if formula:
            reason = "is a formula: paste its value instead (Paste special, Values)"
            faults.setdefault(row, []).append((column, reason))
        elif _ERROR.search(attributes):
            value = re.search(rb">([^<]+)<", xml[match.end() - 1 : match.end() + 60])
            shown = value.group(1).decode() if value else "value"
            faults.setdefault(row, []).append((column, f"is the error {shown}: type the value"))
    return faults


def _refuse_merged(ranges: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    for (row, column), (last_row, last_column) in ranges:
        cells = f"{_letters(column + 1)}{row + 1}:{_letters(last_column + 1)}{last_row + 1}"
        reason = f"the cells {cells} are merged: unmerge them, each line has its own values"
        raise BrokenError(row + 1, reason)


def _texts(rows: list[list[Any]], faults: Faults, problems: Problems) -> Iterator[Row]:
    header: list[str] = []
    for number, cells in enumerate(rows, start=1):
        texts = [_text(cell) for cell in cells]
        is_filled = any(map(str.strip, texts)) or number in faults
        if is_filled and (header or not texts[0].lstrip().startswith("#")):
            if not header:
                header = texts
                while header and not header[-1].strip():
                    header = header[:-1]
            for column, reason in (*faults.get(number, ()), *_doubts(cells, texts, header)):
                name = f"{_letters(column)}{number}"
                under = header[column - 1] if column <= len(header) else ""
                known = column_called(under) or under or name
                problems.add(number, known, f"cell {name} {reason}")
            yield number, texts[: len(header)]


def _doubts(cells: list[Any], texts: list[str], header: list[str]) -> Iterator[tuple[int, str]]:
    """What stands right of the header, and ids of which a spreadsheet made something else."""
    for at, (cell, text) in enumerate(zip(cells, texts, strict=True)):
        known = column_called(header[at]) if at < len(header) else None
        if at >= len(header) and text.strip():
            yield at + 1, "has a value under no header: give it one, or clear the cell"
        elif known and BY_NAME[known].kind == "id" and not isinstance(cell, str):
            what = "number" if isinstance(cell, int | float) else "date"
            yield (
                at + 1,
                f"holds a {what}, and digits of the id may be gone: format the column as text, and "
                "write the id again",
            )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{Decimal(f'{value:.15g}'):f}"
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def _letters(column: int) -> str:
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
