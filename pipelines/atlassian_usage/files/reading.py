"""Files of Atlassian platform usage: checked against contract 1, and read.

An admin puts what the Platform usage page shows into files (CSV, XLSX) under a contract of our
own (contract.py), or in a layout that columns.toml explains (layouts.py). Rows of text become
typed columns, which are then checked line by line, and as a file. A file loads whole or not at
all. Not here: which of two exports counts (SQL).
"""

from collections.abc import Iterator
from datetime import datetime
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.atlassian_usage.files import rules
from pipelines.atlassian_usage.files.content import content_of, printable
from pipelines.atlassian_usage.files.contract import COLUMNS, UNITS, Column, called, fold, unit_of
from pipelines.atlassian_usage.files.layouts import FILE_NAME, Layouts, contract_rows, proposal
from pipelines.atlassian_usage.files.problems import LISTED, Problem, RejectedFileError
from pipelines.atlassian_usage.files.rows import NO_LAYOUTS, identity, read_rows
from pipelines.atlassian_usage.files.values import tidy, value_of
from pipelines.atlassian_usage.files.xlsx import NoText, Row
from pipelines.decode import INSTANT, NUMBER, TEXT

_ARROW = {"instant": INSTANT, "number": NUMBER, "flag": pa.bool_()}
_OF_FILE = (
    ("file_name", TEXT, "where it was in the folder"),
    ("file_sha256", TEXT, "the file's content"),
    ("line", pa.int32(), "line or row; from 1"),
)
_OF_CONTRACT = ((c.name, _ARROW.get(c.kind, TEXT), c.help) for c in COLUMNS)
SCHEMA = pa.schema(
    pa.field(name, kind, metadata={"help": about})
    for name, kind, about in (*_OF_CONTRACT, *_OF_FILE)
)
TABLES = {
    "platform_usage": SCHEMA,
    "platform_usage_files": pa.schema(
        {"file_name": TEXT, "file_sha256": TEXT, "line": pa.int32(), "column": TEXT, "reason": TEXT}
    ),
}
MAX_ROWS = 2_000_000
_BATCH_ROWS = 50_000
_LOST = (
    "is a number or a date for the spreadsheet, and digits of the id may be gone: format the "
    "column as text, and write the id again"
)


def read(
    path: Path, now: datetime, file_name: str | None = None, layouts: Layouts = NO_LAYOUTS
) -> pa.Table:
    """A file as raw.platform_usage; RejectedFileError with all its problems where it has any.

    The columns are those of the contract, then `file_name` (the path as given, unless a name is),
    `file_sha256` and `line`. Instants are UTC: an offset is converted, none means UTC.
    """
    name = file_name or printable(path)
    problems: list[Problem] = []
    tables: list[pa.Table] = []
    try:
        content = content_of(path)
        rows = read_rows(content, path.suffix.casefold(), problems, layouts)
        for table in _typed_batches(contract_rows(rows, layouts, name), problems):
            tables.append(table)
        if tables:
            rules.check(pa.concat_tables(tables), now, problems)
    except Problem as found:
        problems.append(found)
    except Exception as error:  # of this file alone, whatever it is
        problems.append(Problem(f"cannot be read ({type(error).__name__}): please report it"))
    if problems:
        raise RejectedFileError(Path(name), problems)
    whole = pa.concat_tables(tables)
    sha256 = identity(content, path.suffix.casefold(), layouts)
    for column, value in (("file_name", name), ("file_sha256", sha256)):
        whole = whole.append_column(column, pa.repeat(value, len(whole)))
    return whole.select(SCHEMA.names).cast(SCHEMA)


def proposed(path: Path) -> str:
    """What a file of an unknown layout has, and an entry of columns.toml for it; else nothing."""
    try:
        rows = read_rows(content_of(path), path.suffix.casefold(), [], None)
        names, *lines = (cells for _, cells in rows)
    except (Problem, ValueError):
        return ""
    if any(called("column", name) == "contract_version" for name in names):
        return ""
    seen = "\n".join(f"  {' | '.join(cells)}" for cells in (names, *lines[:3]))
    entry = proposal(names, lines)
    return f"It has\n{seen}\n\nCorrect this, and put it into {FILE_NAME} in the folder:\n\n{entry}"


def _typed_batches(rows: Iterator[Row], problems: list[Problem]) -> Iterator[pa.Table]:
    """The lines by the batch; one that fills the list of problems is the last."""
    header = next(rows, None)
    places = _header(*header, problems) if header else {}
    count = 0
    while len(problems) < LISTED and (batch := list(islice(rows, _BATCH_ROWS))):
        count += len(batch)
        if count > MAX_ROWS:
            raise Problem(f"has more than {MAX_ROWS:,} lines: split it")
        yield _typed(places, batch, problems)
    if not count and not problems:
        raise Problem("has no usage lines: put them below the header, or take it away")


def _header(line: int, names: list[str], problems: list[Problem]) -> dict[str, int]:
    """Where each column of the contract is, and those without a name ("#1"); a Problem is raised
    where none of the contract's is there."""
    if not any(called("column", name) for name in names):
        raise Problem(
            "has no header with columns of the contract, or of a layout in columns.toml: start "
            "from what `meterhouse platform-usage template` writes, or let `meterhouse "
            "platform-usage check` propose a layout",
            line,
        )
    places: dict[str, int] = {}
    for at, given in enumerate(map(str.strip, names)):
        name = called("column", given) if given else f"#{at + 1}"
        if name is None:
            close = get_close_matches(fold(given), [column.name for column in COLUMNS], n=1)
            advice = f"did you mean {close[0]}?" if close else "take it away, or rename it"
            problems.append(Problem(f"is no column of the contract: {advice}", line, given))
        elif name in places:
            twice = f"{names[places[name]].strip()!r} and {given!r}"
            problems.append(Problem(f"is there twice, as {twice}: take one away", line, name))
        else:
            places[name] = at
    for column in COLUMNS:
        if column.required and column.name not in places:
            reason = f"is missing: add the column ({column.help})"
            problems.append(Problem(reason, line, column.name))
    return places


def _typed(places: dict[str, int], rows: list[Row], problems: list[Problem]) -> pa.Table:
    """The lines as the contract's types, with every value noted that is not what its column has to
    be; those, and a column that is not there, are null. Beside them is the `known` unit of a line's
    usage type."""
    lines, cells = zip(*rows, strict=True)
    texts = list(zip(*cells, strict=True))
    columns: dict[str, Any] = {"line": pa.array(lines, pa.int32())}
    for column in COLUMNS:
        if column.name in places:
            found = _column(column, texts[places[column.name]], lines, problems)
        else:
            blank, _ = value_of(column, "")
            found = pa.repeat(pa.scalar(blank, SCHEMA.field(column.name).type), len(rows))
        columns[column.name] = found
    types, units = (columns[name].to_pylist() for name in ("usage_type", "unit"))
    columns["known"] = pa.array(map(UNITS.get, types), TEXT)
    columns["unit"] = pa.array(map(unit_of, types, units), TEXT)
    for name in (name for name in places if name.startswith("#")):
        reason = f"field {name[1:]} has a value under no header: give it one, or clear it"
        below = zip(lines, texts[places[name]], strict=True)
        problems += [Problem(reason, line) for line, text in below if text.strip()]
    return pa.table(columns)


def _column(column: Column, texts: Any, lines: Any, problems: list[Problem]) -> pa.Array:
    """A column's values; most have few distinct texts, and each is read once."""
    if column.kind == "id":
        lost = (at for at, text in zip(lines, texts, strict=True) if isinstance(text, NoText))
        problems += [Problem(_LOST, line, column.name) for line in lost]
    coded = pa.array(texts, TEXT).dictionary_encode()
    read = [value_of(column, tidy(text)) for text in coded.dictionary.to_pylist()]
    wrong = {number: why for number, (_, why) in enumerate(read) if why}
    found = pc.is_in(coded.indices, value_set=pa.array(wrong, pa.int32()))
    for at in pc.indices_nonzero(found)[: LISTED + 1].to_pylist():
        problems.append(Problem(wrong[coded.indices[at].as_py()], lines[at], column.name))
    values = pa.array([value for value, _ in read], SCHEMA.field(column.name).type)
    return values.take(coded.indices)
