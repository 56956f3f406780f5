"""From a workbook to rows of text: its archive is checked before anything is unpacked.

pandas reads the cells (python-calamine); what it would leave blank or overwrite without a word
(formulas, error values, merged cells, rows out of order) is looked for in the sheet's XML first.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal
from string import ascii_uppercase
from typing import Any

from pipelines.atlassian_usage.files.content import MAX_BYTES
from pipelines.atlassian_usage.files.problems import Problem
from pipelines.atlassian_usage.files.values import refusal

MAX_PARTS = 10_000
# deflate gives 1:1032 at most, which only bombs reach; lines that are much alike give 1:60
MAX_RATIO = 200
_WORKBOOK = "xl/workbook.xml"
# sheets that may stand beside the one with usage
_FREE = ("help", "notes")
# the columns that a sheet may have, from 0
_LETTERS = [first + last for first in ("", *ascii_uppercase) for last in ascii_uppercase]
_PLACES = {letters: place for place, letters in enumerate(_LETTERS[:200])}
# a cell that is not empty, and the formula that makes it so
_CELL = re.compile(rb"<(?:\w+:)?c(?:\s([^>]*[^>/]))?>(?:\s*<(?:\w+:)?f(?:[\s/][^>]*)?>([^<]*))?")
_REFERENCE = re.compile(rb"""\br=["']([A-Z]{1,3})([0-9]{1,7})["']""")
_ERROR = re.compile(rb"""\bt=["']e["']""")
_MERGED = re.compile(rb"""<(?:\w+:)?mergeCell\s[^>]*?\bref=["']([A-Z]+([0-9]+)[^"']*)""")
# by row and place, from 0: the formula, or the error value, that a cell has in place of a value
_Faults = dict[tuple[int, int], str]
# line, or row, and its cells
Row = tuple[int, list[str]]


class NoText(str):
    """What a spreadsheet shows of a number or a date: of an id, it may be too little."""


def xlsx_rows(content: bytes) -> Iterator[Row]:
    """The rows of the one sheet that is filled, as text.

    Dates come as ISO text, numbers with the 15 digits that a spreadsheet shows, formulas and error
    values as they are, for values.py to refuse them.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_archive(archive, len(content))
            cells = _read(content, archive)
    except Problem:
        raise
    except Exception as error:  # a malformed part leads to whatever the reader raises
        what = f"{type(error).__name__}: {error}"[:200]
        advice = "open it in Excel and save it as .xlsx, or export it once more"
        raise Problem(f"cannot be read as a workbook ({what}): {advice}") from None
    for row, found in enumerate(cells, start=1):
        yield row, list(map(_text, found))


def _check_archive(archive: zipfile.ZipFile, size: int) -> None:
    """Sizes by the archive's directory first, and only then the content.

    zipfile never gives more of a part than the directory says: a part that is larger than that
    fails its checksum here.
    """
    parts, names = archive.infolist(), archive.namelist()
    unpacked = sum(part.file_size for part in parts)
    if unpacked > min(MAX_BYTES, 1_000_000 + MAX_RATIO * size) or len(parts) > MAX_PARTS:
        raise Problem(
            f"unpacks to {unpacked / 1e6:,.0f} MB in {len(parts)} parts, over {MAX_PARTS} parts, "
            f"{MAX_BYTES // 10**6} MB or {MAX_RATIO} times its size: split it, or save it as CSV"
        )
    if any(part.flag_bits & 1 for part in parts):
        raise Problem("has a password: save it without one")
    if len({*names}) < len(parts):
        raise Problem("has two parts of one name: save it anew in Excel")
    if _WORKBOOK not in names:
        raise Problem("is a zip archive, but no workbook: save it as .xlsx in Excel")
    for name in names:
        if b"<!DOCTYPE" in archive.read(name):
            raise Problem(f"{name} declares XML entities: save it anew")


def _read(content: bytes, archive: zipfile.ZipFile) -> list[list[Any]]:
    """The cells of the one sheet that has usage, with what is no value as its text."""
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
        frame = pd.read_excel(book, sheet_name=name, header=None, dtype=object, na_filter=False)
    # blank formulas may stand beyond what is filled
    height = max([len(frame), *(row + 1 for row, _ in faults)])
    width = max([len(frame.columns), *(place + 1 for _, place in faults)])
    frame = frame.reindex(index=range(height), columns=range(width), fill_value="")
    cells: list[list[Any]] = frame.to_numpy().tolist()
    for (row, place), text in faults.items():
        cells[row][place] = text
    return cells


def _xml_of(archive: zipfile.ZipFile, place: int) -> bytes:
    """The part that holds the sheet at this place of the workbook."""
    sheet = re.findall(rb"<(?:\w+:)?sheet\s[^>]*", archive.read(_WORKBOOK))[place]
    relations = re.findall(rb"<Relationship\s[^>]*", archive.read("xl/_rels/workbook.xml.rels"))
    targets = {_attribute("Id", tag): _attribute("Target", tag) for tag in relations}
    target = targets[_attribute(r"\w+:id", sheet)]
    return archive.read(target.lstrip("/") if target[:1] == "/" else f"xl/{target}")


def _attribute(name: str, tag: bytes) -> str:
    found = re.search(rf"""\s{name}=["']([^"']*)""", tag.decode())
    return found.group(1) if found else ""


def _the_one(filled: list[str]) -> str:
    """The sheet with usage; that there is another one is an error, for it would not be loaded."""
    if not filled:
        raise Problem("has no usage lines on a sheet that is not hidden: put them there")
    usage = [name for name in filled if name.casefold() not in _FREE] or filled[:1]
    if len(usage) > 1:
        raise Problem(
            f"has something on the sheets {', '.join(map(repr, usage))}, and one is loaded: put "
            "all usage on one sheet or into files of their own, and hide what is none"
        )
    return usage[0]


def _faults(xml: bytes) -> _Faults:
    """Formulas and error values; a Problem where cells would be lost."""
    faults: _Faults = {}
    last, count = (0, -1), 0
    for match in _CELL.finditer(xml):
        attributes, formula = match.groups()
        found = _REFERENCE.search(attributes or b"")
        if not found:
            raise Problem("has cells that do not say where they are: save it in Excel")
        letters, row = found.group(1).decode(), int(found.group(2))
        place = _PLACES.get(letters)
        count += row > last[0]
        if place is None or row > 10 * count + 1000:
            reason = f"cell {letters}{row} is far off the others: delete its row or column"
            raise Problem(reason, row)
        if (row, place) <= last:
            raise Problem("rows or cells are not in order: save it anew in Excel", row)
        last = row, place
        if formula is not None:
            faults[row - 1, place] = f"={formula.decode()}"
        elif _ERROR.search(attributes):
            value = re.search(rb">([^<]+)<", xml[match.end() - 1 : match.end() + 60])
            shown = value.group(1).decode() if value else ""
            faults[row - 1, place] = shown if refusal("text", shown) else "#N/A"
    merged = _MERGED.search(xml)
    if merged:
        cells = merged.group(1).decode()
        reason = f"the cells {cells} are merged: unmerge them, each line has its own values"
        raise Problem(reason, int(merged.group(2)))
    return faults


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return NoText("true" if value else "false")
    if isinstance(value, int | float):
        return NoText(f"{Decimal(f'{value:.15g}'):f}")
    return NoText(value.isoformat() if isinstance(value, date | time) else value)
