"""One value of a platform usage file: what its text means, or why it means nothing and what to
write instead. Not here: what one line, or one file, has to keep to (rules.py)."""

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pipelines.atlassian_usage.files.contract import (
    Column,
    fold,
    usage_type_called,
)

_TEXT = re.compile(r"[^=+\-@\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,499}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
# so many of them add up to what 38 digits hold
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,9})?")
# a spreadsheet keeps 15 digits of a number; the rest of an id is gone
_LOST_DIGITS = re.compile(r"[0-9](\.[0-9]+)?[eE]\+?[0-9]+|[0-9]{15}0{5,}")
_INSTANT = re.compile(
    r"2[01]\d\d-\d\d-\d\d"
    r"(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?: ?(?:[Zz]|UTC|[+-]\d\d:?\d\d))?)?",
    re.ASCII,
)
_FLAGS = {"true": True, "yes": True, "false": False, "no": False, "": False}
_NO_NUMBER = (
    (r"=.*", "is a formula: paste its value instead"),
    (r"-.*", "is negative: usage is never below zero, and a correction is a new export"),
    (r"\+?[0-9.]+[eE][+-]?[0-9]+", "has an exponent: write all its digits"),
    (r"(?i)nan|[+]?inf(inity)?|n/?a|null|none", "is no number: leave the line out, or give it"),
    (r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?", "has a comma, for thousands it seems: write 1234.56"),
    (r"[0-9]{1,3}(\.[0-9]{3})+,[0-9]*", "has points for thousands and a comma: write 1234.56"),
    (r"[0-9]*,[0-9]*", "has a decimal comma: write a point, 1234.56"),
    (r"[0-9]{1,3}([ '’_][0-9]{3})+([.,][0-9]*)?", "is in groups: write 1234.56"),
    (r"[0-9]+\.[0-9]{10,}", "has more than 9 decimals: round it to 9"),
    (r"[0-9]{21,}(\.[0-9]*)?", "has more than 20 digits before the point"),
    (r".*[$€£¥₹%].*", "has a currency or percent sign: quantities are plain numbers"),
    (r"[0-9][0-9.,]*\s*[A-Za-z]+", "has letters: the unit has a column of its own"),
)


class WrongValueError(ValueError):
    """A text that is not what its column has to be; the message says what to write."""


def tidy(text: str) -> str:
    """The same text in one way of writing it: without characters that nobody sees, accents composed
    (NFC), one plain space for spaces of any kind and number."""
    if not text.isascii():
        seen = "".join(c for c in text if unicodedata.category(c) != "Cf")
        text = unicodedata.normalize("NFC", seen)
    return re.sub(r"[^\S\r\n\t]+", " ", text).strip()


def value_of(column: Column, text: str) -> Any:
    """What a tidy text means in this column: None where it is blank and may be; WrongValueError."""
    if column.kind != "flag" and not text:
        if column.required:
            raise WrongValueError("is blank and may not be: give a value")
        return None
    try:
        return _READERS[column.kind](column, text)
    except WrongValueError as error:
        shown = repr(text if len(text) <= 60 else text[:57] + "...")
        raise WrongValueError(f"{shown} {error}") from None


def _number(column: Column, text: str) -> Decimal:
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    found = (why for pattern, why in _NO_NUMBER if re.fullmatch(pattern, text, re.DOTALL))
    raise WrongValueError(next(found, "is no plain number: write one like 1234.56"))


def _instant(column: Column, text: str) -> datetime:
    """A date is its midnight, an instant without a zone is UTC."""
    if _INSTANT.fullmatch(text):
        try:
            found = datetime.fromisoformat(text.replace(" UTC", "Z").replace(" Z", "Z"))
        except ValueError:
            pass
        else:
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    raise WrongValueError(_no_instant(text))


def _no_instant(text: str) -> str:
    if text.startswith("="):
        return "is a formula: paste its value instead"
    if re.fullmatch(r"[0-9]{5}(\.[0-9]+)?", text):
        return "is a spreadsheet's day number: format the cells as dates"
    like = "write 2026-12-31 or 2026-12-31T13:00:00Z"
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*", text):
        return f"is in no calendar or beyond what is plausible: {like}"
    return f"is no date that can be read in one way only: {like}"


def _choice(column: Column, text: str) -> str:
    if fold(text) in column.choices:
        return fold(text)
    if column.name == "contract_version":
        raise WrongValueError("is no version of the contract that this reader knows: it knows 1")
    raise WrongValueError(f"is none of {', '.join(column.choices)}: write one of these")


def _flag(column: Column, text: str) -> bool:
    if fold(text) not in _FLAGS:
        raise WrongValueError("is neither true nor false: write one of these, or leave it blank")
    return _FLAGS[fold(text)]


def _name(column: Column, text: str) -> str:
    if not _NAME.fullmatch(usage_type_called(text)):
        raise WrongValueError(
            _no_text(text) or "is no name of a usage type: write it like rovo_credits"
        )
    return usage_type_called(text)


def _text(column: Column, text: str) -> str:
    if not _TEXT.fullmatch(text):
        raise WrongValueError(_no_text(text) or "is longer than 500 characters: shorten it")
    return text


def _id(column: Column, text: str) -> str:
    if _LOST_DIGITS.fullmatch(text):
        raise WrongValueError(
            "was made a number by a spreadsheet, and its last digits are gone: format the column "
            "as text, and write the id again"
        )
    return _text(column, text)


def _no_text(text: str) -> str | None:
    if re.search(r"[\r\n]", text):
        return "has a line break inside: take it away"
    if re.search(r"[\x00-\x1f\x7f]", text):
        return "has a control character inside: take it away"
    if text[0] in "=+-@":
        return f"starts like a formula, with {text[0]}: paste the value itself"
    return None


_READERS: dict[str, Callable[[Column, str], Any]] = {
    "choice": _choice,
    "flag": _flag,
    "id": _id,
    "instant": _instant,
    "name": _name,
    "number": _number,
    "text": _text,
}
