"""One value of a platform usage file: what its text means, or why it means nothing and what to
write instead. Not here: what one line, or one file, has to keep to (rules.py)."""

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pipelines.atlassian_usage.files.contract import REFUSALS, Column, called, fold

_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
# so many of them add up to what 38 digits hold
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,9})?")
_INSTANT = re.compile(
    r"2[01]\d\d-\d\d-\d\d"
    r"(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?: ?(?:[Zz]|UTC|[+-]\d\d:?\d\d))?)?",
    re.ASCII,
)
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
    name = called("usage_type", text) or fold(text)
    return name if _NAME.fullmatch(name) else None


# by kind of column; None where the text means nothing. A text or an id means what it is, but for
# what is refused
_READERS: dict[str, Callable[[str], Any]] = {
    "choice": fold,
    "flag": lambda text: _FLAGS.get(fold(text)),
    "id": lambda text: None if refusal("id", text) else text,
    "instant": _instant,
    "name": _name,
    "number": _number,
    "text": lambda text: None if refusal("text", text) else text,
}


def refusal(kind: str, text: str) -> str | None:
    """Why a text means nothing in a column of this kind, and what to write: the first that fits."""
    found = (why for of, pattern, why in REFUSALS if of in ("", kind) and pattern.fullmatch(text))
    return next(found, None)


def tidy(text: str) -> str:
    """The same text in one way of writing it: without characters that nobody sees, accents composed
    (NFC), one plain space for spaces of any kind and number."""
    if not text.isascii():
        seen = "".join(c for c in text if unicodedata.category(c) != "Cf")
        text = unicodedata.normalize("NFC", seen)
    return re.sub(r"[^\S\r\n\t]+", " ", text).strip()


def value_of(column: Column, text: str) -> tuple[Any, str | None]:
    """What a tidy text means in this column, None where it is blank and may be; or why it means
    nothing."""
    if not text and column.kind != "flag":
        return None, "is blank and may not be: give a value" if column.required else None
    value = _READERS[column.kind](text)
    if value is None or (column.choices and value not in column.choices):
        shown = repr(text if len(text) <= 60 else text[:57] + "...")
        why = refusal(column.kind, text) or ""
        return None, f"{shown} {why.format(' or '.join(column.choices))}"
    return value, None
