"""Rows that ship with the code: every seeds/<name>.csv becomes the table seeds.<name>.

A column's type follows from its name, so a seed needs no second file: see `column_type`.
"""

import csv
import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType
from typing import TextIO

import duckdb

from dbt_like_sql.engine.warehouse import WarehouseError, comment_on, literal

# by the name of a seed, a file of one's own that takes the place of the shipped one
Own = Mapping[str, Path]
NONE: Own = MappingProxyType({})
# of what is called so; tried from the top
_TYPES = {
    "_at$": "TIMESTAMPTZ",
    "(^|_)date$": "DATE",
    "_per_billed_unit$": "BIGINT",
    "^usd_": "DECIMAL(18,9)",  # a price: with every row of cost, so that 64 bits are worth it
    "^quantity_": "DECIMAL(20,9)",  # of a price, too: what is multiplied by it has 38 digits
    "_usd$|^quantity$": "DECIMAL(27,9)",
    "_(hours|minutes|count)$": "INTEGER",
    "": "VARCHAR",
}
_ABOUT = Path(__file__).parents[1] / "seeds" / "about_seeds.csv"


class SeedError(WarehouseError):
    """A file of one's own that cannot be used as a seed."""


def seed_files(folder: Path, own: Own = NONE) -> dict[str, Path]:
    """`seeds.<name>` and its file, for every CSV below `folder`/seeds, by name.

    Raises SeedError where an own file has other columns than the shipped one.
    """
    files = {f"seeds.{path.stem}": path for path in sorted((folder / "seeds").glob("*.csv"))}
    for name, path in own.items():
        wanted = list(seed_columns(files[name]))
        if list(seed_columns(path)) != wanted:
            raise SeedError(f"the first line of {path} has to be {','.join(wanted)}")
    return {**files, **own}


def column_type(name: str) -> str:
    """`_at`: instant; `date`, `_date`: day; numbers by their unit; anything else is text."""
    return next(kind for pattern, kind in _TYPES.items() if re.search(pattern, name))


def seed_columns(path: Path) -> dict[str, str]:
    """The columns of a seed and their types, from its first line."""
    with _opened(path) as file:
        return {name: column_type(name) for name in next(csv.reader(file), [])}


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """The text of a seed, without the mark that spreadsheets put before UTF-8; raises SeedError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError:
        raise SeedError(f"{path} has to be text in UTF-8: save it as CSV in UTF-8") from None


def seed_hash(path: Path) -> str:
    """What a seed holds, as a hash: its text, and the types that its columns have by now. It is
    loaded again, and a model that reads it rebuilt, when this changes."""
    return hashlib.sha256(path.read_bytes() + f"{seed_columns(path)}".encode()).hexdigest()


def load_seed(connection: duckdb.DuckDBPyConnection, name: str, path: Path) -> None:
    """Replace table `name` by the file's rows (empty = NULL). A line of commas alone, which
    spreadsheets leave behind, is none.

    Raises duckdb.Error naming the file where a row has other columns or a value is not of its type,
    and SeedError where a number has more digits than are kept.
    """
    columns = seed_columns(path)
    _refuse_what_cannot_be_kept(path, columns)
    ddl = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
    typed = ", ".join(f"{literal(column)}: {literal(kind)}" for column, kind in columns.items())
    says_something = " or ".join(f'"{column}" is not null' for column in columns)
    connection.execute(f"create or replace table {name} ({ddl})")
    try:
        connection.execute(
            f"insert into {name} from read_csv({literal(str(path))}, auto_detect=false,"
            f" header=true, delim=',', quote='\"', escape='\"', columns={{{typed}}})"
            f" where {says_something}"
        )
    except duckdb.Error as error:
        error.add_note(f"while loading the seed {path}")
        raise
    docs = seed_docs(name)
    told = {column: docs[column] for column in columns if column in docs}
    comment_on(connection, "table", name, docs.get(""), told)


def _refuse_what_cannot_be_kept(path: Path, columns: Mapping[str, str]) -> None:
    """DuckDB rounds to the decimals of a column without a word, and a price would be another; and
    of a number that is too large it says no line."""
    kept = {name: room for name, kind in columns.items() if (room := _room(kind))}
    if not kept:
        return
    with _opened(path) as file:
        for row in (reader := csv.DictReader(file)):
            for column, (digits, decimals) in kept.items():
                if why := _cannot_be_kept(row[column] or "0", digits, decimals):
                    raise SeedError(
                        f"{path}, line {reader.line_num}: {column} {row[column]} has {why}; readers"
                        " see the build before it"
                    )


def _room(kind: str) -> tuple[int, int] | None:
    """How many digits a number of a type has before the point, and after it."""
    if found := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind):
        return int(found[1]) - int(found[2]), int(found[2])
    return {"INTEGER": (9, 0), "BIGINT": (18, 0)}.get(kind)


def _cannot_be_kept(number: str, digits: int, decimals: int) -> str | None:
    try:
        value = Decimal(number)
    except InvalidOperation:  # no number: DuckDB says so
        return None
    if not value.is_finite():
        return None
    if abs(value) >= 10**digits:
        return f"more than {digits} digits before the point"
    if value % Decimal(10) ** -decimals != 0:
        return f"more than {decimals} decimals, and would be rounded" if decimals else "decimals"
    return None


def seed_docs(name: str) -> dict[str, str]:
    """What the columns of a seed are, and under '' what it is itself: seeds/about_seeds.csv."""
    with _ABOUT.open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["seed"])  # its own come last
    own = ("", name.removeprefix("seeds."))
    return {row["column_name"]: row["about"] for row in rows if row["seed"] in own}
