"""Why a value of a platform usage file is refused, and what to write instead."""

import re

from pipelines.atlassian_usage.files.contract import Column

_NUMBERS = (
    (r"=.*", "is a formula: paste its value instead"),
    (r"-.*", "is negative: usage is never below zero, and a correction is a new export"),
    (r"\+?[0-9.]+[eE][+-]?[0-9]+", "has an exponent: write all its digits"),
    (r"(?i)nan|[+]?inf(inity)?|n/?a|null|none", "is no number: leave the line out, or give it"),
    (r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?", "has a comma, for thousands it seems: write 1234.56"),
    (r"[0-9]{1,3}(\.[0-9]{3})+,[0-9]*", "has points for thousands and a comma: write 1234.56"),
    (r"[0-9]*,[0-9]*", "has a decimal comma: write a point, 1234.56"),
    (r"[0-9]{1,3}([ '’_\u00a0\u202f][0-9]{3})+([.,][0-9]*)?", "is in groups: write 1234.56"),
    (r"[0-9]+\.[0-9]{10,}", "has more than 9 decimals: round it to 9"),
    (r"[0-9]{21,}(\.[0-9]*)?", "has more than 20 digits before the point"),
    (r".*[$€£¥₹%].*", "has a currency or percent sign: quantities are plain numbers"),
    (r"[0-9][0-9.,]*\s*[A-Za-z]+", "has letters: the unit has a column of its own"),
)


def explain(column: Column, text: str) -> str:
    """What is wrong with `text` in this column, and what to do; the text is cut to be shown."""
    if not text:
        return "is blank and may not be: give a value"
    shown = repr(text if len(text) <= 60 else text[:57] + "...")
    if column.kind == "number":
        found = (why for pattern, why in _NUMBERS if re.fullmatch(pattern, text, re.DOTALL))
        return f"{shown} {next(found, 'is no plain number: write one like 1234.56')}"
    if column.kind == "instant":
        return f"{shown} {_no_instant(text)}"
    if column.name == "contract_version":
        return f"{shown} is no version of the contract that this reader knows: it knows 1"
    if column.kind == "choice":
        return f"{shown} is none of {', '.join(column.choices)}: write one of these"
    if column.kind == "flag":
        return f"{shown} is neither true nor false: write one of these, or leave it blank"
    return f"{shown} {_no_text(column, text)}"


def _no_instant(text: str) -> str:
    if text.startswith("="):
        return "is a formula: paste its value instead"
    if re.fullmatch(r"[0-9]{5}(\.[0-9]+)?", text):
        return "is a spreadsheet's day number: format the cells as dates"
    like = "write 2026-12-31 or 2026-12-31T13:00:00Z"
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*", text):
        return f"is in no calendar or beyond what is plausible: {like}"
    return f"is no date that can be read in one way only: {like}"


def _no_text(column: Column, text: str) -> str:
    if re.search(r"[\r\n]", text):
        return "has a line break inside: take it away"
    if re.search(r"[\x00-\x1f\x7f]", text):
        return "has a control character inside: take it away"
    if text[0] in "=+-@":
        return f"starts like a formula, with {text[0]}: paste the value itself"
    if column.kind == "name":
        return "is no name of a usage type: write it like rovo_credits"
    return "is longer than 500 characters: shorten it"
