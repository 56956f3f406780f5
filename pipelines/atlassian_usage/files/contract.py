"""What a platform usage file has to say: the columns of contract 1, and what people may call them.

The rows are in columns.csv, usage_types.csv and units.csv, what is said of a value that means
nothing in refusals.csv, and what a line has to keep to in rules.csv. Aliases are what an admin may
call things; none is Atlassian's own format, and there is no "end date": what people write there is
mostly the last day, not the one after it. The help has no comma, semicolon or quote: it stands in
the comments of the CSV template.
"""

import csv
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class Column:
    """One column of the contract; `kind` picks its reader in values.py."""

    name: str
    kind: str
    required: bool
    choices: tuple[str, ...]
    help: str


def fold(text: str) -> str:
    """A name without its case, and with one underscore for spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]+", "_", text.strip().casefold()).strip("_")


def rows_of(name: str) -> list[list[str]]:
    """The rows of a table beside this file, without its header."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return list(csv.reader(text.splitlines()))[1:]


def _names(rows: list[list[str]]) -> dict[str, str]:
    """{folded alias: name}, and every name under itself; the aliases stand last in a row."""
    return {
        fold(alias): row[0] for row in rows for alias in (row[0], *filter(None, row[-1].split(",")))
    }


_COLUMNS, _USAGE_TYPES, _UNITS = map(rows_of, ("columns.csv", "usage_types.csv", "units.csv"))
COLUMNS = tuple(
    Column(name, kind, required == "yes", tuple(choices.split()), about)
    for name, kind, required, choices, about, _ in _COLUMNS
)
# two lines with the same values of these say the same thing twice
KEY = ("org_id", "usage_type", "app", "scope_type", "scope_id", "granularity")
# the unit of each usage type that is known; the set of types is open, an unknown one lands as it is
UNITS = {name: unit for name, unit, _ in _USAGE_TYPES}
_CALLED = {"column": _names(_COLUMNS), "usage_type": _names(_USAGE_TYPES), "unit": _names(_UNITS)}
# kind of column ("" is any), what its text is, and why it means nothing; tried from the top
REFUSALS = tuple(
    (kind, re.compile(pattern, re.DOTALL), why) for kind, pattern, why in rows_of("refusals.csv")
)


def called(what: str, text: str) -> str | None:
    """The contract's name for a "column", a "usage_type" or a "unit" that an admin calls `text`."""
    return _CALLED[what].get(fold(text))


@lru_cache(1000)
def unit_of(usage_type: str | None, unit: str | None) -> str | None:
    """A unit by the contract's name, where a known usage type has it; any other as it is."""
    name = called("unit", unit or "")
    return name if name and name == UNITS.get(usage_type or "") else unit
