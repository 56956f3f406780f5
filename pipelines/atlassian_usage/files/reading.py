"""Files of Atlassian platform usage: checked against contract 1, and read.

An admin puts what the Platform usage page shows into files (CSV, XLSX) under a contract of our
own: contract.py. A file loads whole or not at all. Not here: which files there are (folder.py), and
which of two exports counts (SQL).
"""

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path

import pyarrow as pa

from pipelines.atlassian_usage.files.contract import BY_NAME, COLUMNS, TABLES, column_called, fold
from pipelines.atlassian_usage.files.csv_text import Row, csv_rows
from pipelines.atlassian_usage.files.folder import (
    content_of,
    printable,
    refuse_other_endings,
    refuse_other_kinds,
)
from pipelines.atlassian_usage.files.problems import (
    BrokenError,
    Problem,
    Problems,
    RejectedFileError,
)
from pipelines.atlassian_usage.files.rules import check_file, check_lines, typed, without_problems
from pipelines.atlassian_usage.files.xlsx import xlsx_rows

MAX_ROWS = 2_000_000
_READERS: dict[str, Callable[[bytes, Problems], Iterator[Row]]] = {
    ".csv": csv_rows,
    ".xlsx": xlsx_rows,
}
_BATCH_ROWS = 50_000
_REQUIRED = {column.name for column in COLUMNS if column.required}


def read(path: Path, now: datetime, file_name: str | None = None) -> pa.Table:
    """A file as raw.platform_usage; RejectedFileError with all its problems where it has any.

    The columns are those of the contract, then `file_name` (the path as given, unless a name is),
    `file_sha256` and `line`. Instants are UTC: an offset is converted, none means UTC.
    """
    table, sha256, problems = _examine(path, now)
    if table is None:
        raise RejectedFileError(path, problems.listed(), sha256, problems.unlisted)
    table = table.append_column("file_name", pa.repeat(file_name or printable(path), len(table)))
    table = table.append_column("file_sha256", pa.repeat(sha256, len(table)))
    schema = TABLES["platform_usage"]
    return table.select(schema.names).cast(schema)


def check(path: Path, now: datetime) -> list[Problem]:
    """What is wrong with a file, at most a hundred problems; empty where it would load."""
    return _examine(path, now)[2].listed()


def _examine(path: Path, now: datetime) -> tuple[pa.Table | None, str | None, Problems]:
    """The typed lines (None if there is any problem), the content's SHA-256, the problems."""
    problems, sha256 = Problems(), None
    batches: list[pa.Table] = []
    try:
        refuse_other_endings(path)
        content = content_of(path)
        sha256 = hashlib.sha256(content).hexdigest()
        for batch in _typed_batches(path, content, now, problems):
            batches.append(batch)
    except BrokenError as error:
        problems.add(error.problem.line, error.problem.column, error.problem.reason)
    table = pa.concat_tables(batches) if batches else None
    if table is not None:
        check_file(table, problems)
    return (None if problems.lines else table), sha256, problems


def _typed_batches(
    path: Path, content: bytes, now: datetime, problems: Problems
) -> Iterator[pa.Table]:
    """What is good in each batch; a batch that fills the list of problems is the last one."""
    ending = path.suffix.casefold()
    refuse_other_kinds(content, ending)
    rows = _READERS[ending](content, problems)
    line, names = next(rows, (1, []))
    header = _header(line, names, problems) if names else {}
    nameless = [at for at, name in enumerate(names) if not name.strip()]
    complete = header.keys() >= _REQUIRED
    count = 0
    for batch in _batches(rows):
        count += len(batch)
        if count > MAX_ROWS:
            raise BrokenError(None, f"has more than {MAX_ROWS:,} lines: split it")
        _note_nameless(batch, nameless, problems)
        table = typed(header, batch, problems)
        if complete:
            check_lines(table, now, problems)
            yield without_problems(table, problems)
        if problems.full:
            return
    if not count and not problems.lines:
        raise BrokenError(None, "has no usage lines: put them below the header, or take it away")


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Rows by the batch; what came before a break comes before its error."""
    batch: list[Row] = []
    broken = None
    try:
        for row in rows:
            batch.append(row)
            if len(batch) == _BATCH_ROWS:
                yield batch
                batch = []
    except BrokenError as error:
        broken = error
    if batch:
        yield batch
    if broken:
        raise broken


def _header(line: int, names: list[str], problems: Problems) -> dict[str, int]:
    """Where each column of the contract is; BrokenError where none of them is there."""
    if not any(map(column_called, names)):
        raise BrokenError(
            line,
            "has no header with columns of the contract: start from the file that `meterhouse "
            "platform-usage template` writes",
        )
    header: dict[str, int] = {}
    for at, given in enumerate(names):
        name = column_called(given)
        if name is None and given.strip():
            problems.add(line, given.strip(), f"is no column of the contract{_similar(given)}")
        elif name in header:
            twice = f"{names[header[name]].strip()!r} and {given.strip()!r}"
            problems.add(line, name, f"is there twice, as {twice}: take one away")
        elif name:
            header[name] = at
    for name in (column.name for column in COLUMNS if column.name in _REQUIRED - header.keys()):
        problems.add(line, name, f"is missing: add the column ({BY_NAME[name].help})")
    return header


def _similar(given: str) -> str:
    close = get_close_matches(fold(given), BY_NAME, n=1)
    return f": did you mean {close[0]}?" if close else ": take it away, or rename it"


def _note_nameless(batch: list[Row], nameless: list[int], problems: Problems) -> None:
    for at in nameless:
        for line, cells in batch:
            if cells[at].strip():
                problems.add(line, None, f"field {at + 1} has a value under no header: name it")
