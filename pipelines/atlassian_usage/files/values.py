"""One value of a platform usage file: what its text means, or why it means nothing and what to
write instead. Not here: what one line, or one file, has to keep to (rules.py)."""

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pipelines.atlassian_usage.files.contract import Column, fold, usage_type_called
from pipelines.atlassian_usage.files.problems import BrokenError

_TEXT = re.compile(r"[^=+\-@\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,499}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
# so many of them add up to what 38 digits hold
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,9})?")
_INSTANT = re.compile(
    r"2[01]\d\d-\d\d-\d\d"
    r"(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?: ?(?:[Zz]|UTC|[+-]\d\d:?\d\d))?)?",
    re.ASCII,
)
# a spreadsheet keeps 15 digits of a number; the rest of an id is gone
_LOST_DIGITS = re.compile(r"[0-9](\.[0-9]+)?[eE]\+?[0-9]+|[0-9]{15}0{5,}")
ERROR_VALUE = re.compile(r"#(N/A|GETTING_DATA|[A-Z]+(/0)?[!?])")
_FLAGS = {"true": True, "yes": True, "false": False, "no": False, "": False}


def _number(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _instant(text: str) -> datetime | None:
    """A date is its midnight, an instant without a zone is UTC."""
    try:
        found = datetime.fromisoformat(text.replace(" UTC", "Z").replace(" Z", "Z"))
    except ValueError:
        return None
    if not _INSTANT.fullmatch(text):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _name(text: str) -> str | None:
    name = usage_type_called(text)
    return name if _NAME.fullmatch(name) else None


def _text(text: str) -> str | None:
    return text if _TEXT.fullmatch(text) and not ERROR_VALUE.fullmatch(text) else None


def _id(text: str) -> str | None:
    return None if _LOST_DIGITS.fullmatch(text) else _text(text)


# by kind of column; None where the text means nothing
_READERS: dict[str, Callable[[str], Any]] = {
    "choice": fold,
    "flag": lambda text: _FLAGS.get(fold(text)),
    "id": _id,
    "instant": _instant,
    "name": _name,
    "number": _number,
    "text": _text,
}
# why that is, and what to write: the first one of that kind that fits
_WHY = (
    ("", r"=.*", "is a formula: paste its value instead"),
    ("", ERROR_VALUE.pattern, "is an error of a spreadsheet: type the value itself"),
    ("choice", r".*", "is not what this column may have: write {}"),
    ("flag", r".*", "is neither true nor false: write one of these, or leave it blank"),
    ("instant", r"[0-9]{5}(\.[0-9]+)?", "is a spreadsheet's day number: format the cells as dates"),
    (
        "instant",
        r".*",
        "is no date of the years 2000 to 2199 that can be read in one way only: write 2026-12-31 "
        "or 2026-12-31T13:00:00Z",
    ),
    (
        "number",
        r"-.*",
        "is negative: usage is never below zero, and a correction is a new export",
    ),
    ("number", r"\+?[0-9.]+[eE][+-]?[0-9]+", "has an exponent: write all its digits"),
    (
        "number",
        r"(?i)nan|[+]?inf(inity)?|n/?a|null|none",
        "is no number: leave the line out, or give it",
    ),
    ("number", r"[0-9]+\.[0-9]{10,}", "has more than 9 decimals: round it to 9"),
    ("number", r"[0-9]{21,}(\.[0-9]*)?", "has more than 20 digits before the point"),
    ("number", r"[0-9][0-9.,_ '’]*|,[0-9]+", "has a comma or groups of digits: write 1234.56"),
    ("number", r".*[$€£¥₹%].*", "has a currency or percent sign: quantities are plain numbers"),
    ("number", r"[0-9][0-9.,]*\s*[A-Za-z]+", "has letters: the unit has a column of its own"),
    ("number", r".*", "is no plain number: write one like 1234.56"),
    (
        "id",
        _LOST_DIGITS.pattern,
        "was made a number by a spreadsheet, and its last digits are gone: format the column as "
        "text, and write the id again",
    ),
    ("", r".*[\x00-\x1f\x7f].*", "has a line break or another control character: take it away"),
    ("", r"[+\-@].*", "starts like a formula: paste the value itself"),
    ("name", r".*", "is no name of a usage type: write it like rovo_credits"),
    ("", r".*", "is longer than 500 characters: shorten it"),
)


def tidy(text: str) -> str:
    """The same text in one way of writing it: without characters that nobody sees, accents composed
    (NFC), one plain space for spaces of any kind and number."""
    if not text.isascii():
        seen = "".join(c for c in text if unicodedata.category(c) != "Cf")
        text = unicodedata.normalize("NFC", seen)
    return re.sub(r"[^\S\r\n\t]+", " ", text).strip()


def value_of(column: Column, text: str) -> Any:
    """What a tidy text means in this column: None where it is blank and may be; BrokenError."""
    if not text and column.kind != "flag":
        if column.required:
            raise BrokenError("is blank and may not be: give a value")
        return None
    value = _READERS[column.kind](text)
    if value is None or (column.choices and value not in column.choices):
        whys = ((pattern, why) for kind, pattern, why in _WHY if kind in ("", column.kind))
        why = next(why for pattern, why in whys if re.fullmatch(pattern, text, re.DOTALL))
        shown = repr(text if len(text) <= 60 else text[:57] + "...")
        raise BrokenError(f"{shown} {why.format(' or '.join(column.choices))}")
    return value
