"""From the content of a file to its rows of text, each with its line, whatever the format."""

import codecs
import csv
import hashlib
import io
import re
from collections.abc import Collection, Iterator
from contextlib import suppress

from pipelines.atlassian_usage.files.content import refuse_other_kinds
from pipelines.atlassian_usage.files.contract import called
from pipelines.atlassian_usage.files.layouts import Layouts
from pipelines.atlassian_usage.files.problems import Problem
from pipelines.atlassian_usage.files.xlsx import Row, xlsx_rows

NO_LAYOUTS = Layouts()


def read_rows(
    content: bytes, ending: str, problems: list[Problem], layouts: Layouts | None
) -> Iterator[Row]:
    """The header and the rows below it, as wide as it is; without blank ones, and without the
    comments before the header. Without layouts its separator is guessed."""
    refuse_other_kinds(content, ending)
    width = 0
    for line, cells in (
        xlsx_rows(content) if ending == ".xlsx" else _csv_rows(content, problems, layouts)
    ):
        if not (any(map(str.strip, cells)) if width else _is_header(cells)):
            continue
        if not width:
            _refuse_other_separators(line, cells)
            width = len(cells)
        if len(cells) == width:
            yield line, cells
        else:
            reason = (
                f"has {len(cells)} fields where the header has {width}: write a comma for every "
                'empty field, too, and a value with a comma inside in "quotes"'
            )
            problems.append(Problem(reason, line))


def _is_header(cells: list[str]) -> bool:
    """Whether a row is neither blank nor a comment, the first of which is the header."""
    return any(map(str.strip, cells)) and not cells[0].lstrip().startswith("#")


def _csv_rows(content: bytes, problems: list[Problem], layouts: Layouts | None) -> Iterator[Row]:
    """The rows of a CSV with their physical lines, up to where it cannot be read any further.

    Not pandas.read_csv: it fills up rows that are too short, lets an open quote run to the end
    of the file, and does not tell the physical line.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = content.decode("utf-16", "replace").encode()
    _refuse_other_encodings(content)
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
    reader = csv.reader(text, strict=True, delimiter=_delimiter(text, layouts))
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        reason = (
            f'has a quote (") that is never closed, or one inside a quoted field ({error}): close '
            'it, double it (""), or take it away'
        )
        problems.append(Problem(reason, line))


def _delimiter(text: io.TextIOWrapper, layouts: Layouts | None) -> str:
    """A comma, but for a layout that is known once another sign parts its header; without layouts
    what parts it most."""
    headers: dict[str, list[str]] = {}
    for delimiter in ",;\t":
        headers[delimiter] = []
        with suppress(csv.Error):  # a field without an end, of which it is said where it is read
            headers[delimiter] = next(filter(_is_header, csv.reader(text, delimiter=delimiter)), [])
        text.seek(0)
    if layouts is None:
        return max(headers, key=lambda delimiter: len(headers[delimiter]))
    return next((sign for sign, header in headers.items() if layouts.of(1, header)), ",")


def _refuse_other_encodings(content: bytes) -> None:
    """Raise a Problem with the line and the advice for text that is not UTF-8."""
    at = content.find(b"\0")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        at = error.start if at < 0 else min(at, error.start)
    if at >= 0:
        line = len(re.findall(rb"\r\n?|\n", content[:at])) + 1
        raise Problem(
            f"has the byte 0x{content[at]:02X}, which is no text in UTF-8 (but in UTF-16, Latin-1 "
            "or Windows-1252, perhaps): save it as UTF-8 (in Excel: Save as, CSV UTF-8)",
            line,
        )


def _refuse_other_separators(line: int, header: list[str]) -> None:
    """Raise a Problem where the header's names are parted by something other than a comma."""
    text = ",".join(header)
    for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")):
        if sum(called("column", part) is not None for part in text.split(separator)) > 1:
            reason = (
                f"the fields are parted by {name}: save it with commas between the fields (in a "
                "workbook, each field in a cell of its own)"
            )
            raise Problem(reason, line)


def identity(
    content: bytes, ending: str, layouts: Layouts = NO_LAYOUTS, known: Collection[str] = ()
) -> str:
    """By what a file is known: the SHA-256 of its content, and after it that of the layouts where
    one of them is its own.

    `known` are those of files under the same layouts, whose headers are not read again.
    """
    plain = hashlib.sha256(content).hexdigest()
    if not layouts.layouts:
        return plain
    laid_out = f"{plain}-{hashlib.sha256(layouts.content).hexdigest()}"
    if {laid_out, plain}.isdisjoint(known):
        with suppress(Problem):  # what cannot be read has no layout
            header = next(read_rows(content, ending, [], layouts), (0, []))
            return laid_out if layouts.of(*header) else plain
    return laid_out if laid_out in known else plain
