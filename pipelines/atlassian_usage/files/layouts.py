"""Files that somebody else laid out: columns.toml says which of their columns is which of ours.

Atlassian's page exports a CSV whose columns it does not document. A layout turns such rows into
those of the contract, which are then checked like any other. Nothing of an unknown layout loads.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from pipelines.atlassian_usage.files.contract import COLUMNS, called, fold
from pipelines.atlassian_usage.files.problems import Problem
from pipelines.atlassian_usage.files.xlsx import NoText, Row

FILE_NAME = "columns.toml"
_KINDS = {column.name: column.kind for column in COLUMNS}
_MAYBE_TOTALS = "[layout.leave_out]  # where these are totals, name their column; else delete it"
_ALWAYS = {"contract_version": "1", "source": "ui_export"}
_DATE = re.compile(r"20\d\d-[01]\d-[0-3]\d")
_GROUPED = re.compile(r"[1-9][0-9]{0,2}([,\s'’])[0-9]{3}(?:\1[0-9]{3})*(?:\.[0-9]+)?")
# with a unit, or without; and not 20261105
_LIKE_A_NUMBER = re.compile(
    r"(?!20\d\d[01]\d[0-3]\d\b)(\d{1,3}([.,'’\s]\d{3})+|\d+)([.,]\d+)?\D{0,9}"
)
# it has a year, or is one like 5/11/26
_LIKE_A_DATE = re.compile(
    r"(.*\D)?20\d\d(\D.*|[01]\d[0-3]\d)?|\d\d?([./ -])\d\d?\3\d\d?(\D.*)?", re.DOTALL
)
_SWAPPED = str.maketrans(".,", ",.")


class Layout(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One layout: by which `headers` it is known, and what is where.

    `columns` and `constants` are by the contract's names; `leave_out` are lines that have such a
    value under a header of theirs. `last_day`: a period ends with that day, and not before it.
    `zone` is that of times of day.
    """

    name: str
    headers: tuple[str, ...]
    columns: dict[str, str]
    constants: dict[str, str] = {}
    leave_out: dict[str, tuple[str, ...]] = {}
    date_format: str | None = None
    zone: str = "UTC"
    decimal: Literal[".", ","] = "."
    last_day: bool = False

    def problems(self) -> Iterator[str]:
        """What cannot be meant."""
        for name in (*self.columns, *self.constants):
            if name not in _KINDS:
                yield f"{name} is no column of the contract"
        for header in (*self.columns.values(), *self.leave_out):
            if header not in self.headers:
                yield f"{header!r} is not among the headers"
        try:
            ZoneInfo(self.zone)
        except (KeyError, OSError, ValueError):
            yield f"{self.zone!r} is no time zone: write one like Europe/Berlin"

    def cells(self, theirs: dict[str, str], file_name: str) -> list[str]:
        """A line in the contract's columns, in their order; what is not told is blank."""
        told = _ALWAYS | self.constants
        said = {ours: theirs[header] for ours, header in self.columns.items()}
        is_reading = fold((told | said).get("granularity", "")) == "snapshot"
        told |= {ours: self._value(ours, text, is_reading) for ours, text in said.items()}
        if len(dated := {*_DATE.findall(file_name)}) == 1:  # of two, nobody says which it is
            told.setdefault("exported_at", *dated)
        told["period_end"] = self._end(told)
        return [told.get(column.name, "") for column in COLUMNS]

    def is_left_out(self, theirs: dict[str, str]) -> bool:
        """Whether it is a total, or whatever else was declared."""
        return any(theirs[header].strip() in values for header, values in self.leave_out.items())

    def _value(self, column: str, text: str, is_reading: bool) -> str:
        if _KINDS[column] == "number":
            return plain_number(text, self.decimal)
        # a midnight is a date, but for when something was read
        is_read = (is_reading or column == "exported_at") and not isinstance(text, NoText)
        has_time = is_read and _has_time(text)
        found = self._instant(text, has_time) if _KINDS[column] == "instant" else None
        return text if found is None else _written(found)

    def _instant(self, text: str, has_time: bool) -> datetime | None:
        """A date, or an instant in UTC; None where it is neither, for the contract to say so."""
        text, found = text.strip(), None
        with suppress(ValueError):
            found = datetime.fromisoformat(text)  # as every workbook has them
        with suppress(ValueError):
            found = datetime.strptime(text, self.date_format or "")  # noqa: DTZ007 - see below
        if found is None:
            return None
        if found.tzinfo is None and found.time() == time() and not has_time:
            return found
        local = found if found.tzinfo else found.replace(tzinfo=ZoneInfo(self.zone))
        return local.astimezone(UTC)

    def _end(self, told: dict[str, str]) -> str:
        """The first instant after the period, from its last day or from its start."""
        from_start, granularity = "period_end" not in told, fold(told.get("granularity", ""))
        is_longer = granularity == "day" if from_start else granularity != "snapshot"
        length = timedelta(days=is_longer and (from_start or self.last_day))
        try:
            at = datetime.fromisoformat(told["period_start" if from_start else "period_end"])
            if from_start and granularity == "month":
                return _written((at.replace(day=1) + timedelta(days=32)).replace(day=at.day))
            return _written(at + length)
        except (KeyError, ValueError, OverflowError):  # not told, or the next month has no such day
            return told.get("period_end", "")


def plain_number(text: str, decimal: str) -> str:
    """Without groups of three digits, and with a point; a number of a workbook as it is."""
    if isinstance(text, NoText):
        return text
    text = text.strip() if decimal == "." else text.strip().translate(_SWAPPED)
    return re.sub(r"[,\s'’]", "", text) if _GROUPED.fullmatch(text) else text


def _written(at: datetime) -> str:
    return f"{at:%Y-%m-%d}" if at.tzinfo is None else at.isoformat()


class _File(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    layout: tuple[Layout, ...]


@dataclass(frozen=True)
class Layouts:
    """Those of a columns.toml, and its bytes: a file is another once they differ."""

    layouts: tuple[Layout, ...] = ()
    content: bytes = b""

    @classmethod
    def in_folder(cls, folder: Path) -> "Layouts":
        """Those of columns.toml in a folder; none where it is not there. A Problem is raised
        where it cannot be meant."""
        try:
            content = (folder / FILE_NAME).read_bytes()
            found = msgspec.toml.decode(content, type=_File).layout
        except FileNotFoundError:
            return cls()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Problem(f"is no file of layouts: {error}") from None
        for layout in found:
            for problem in layout.problems():
                raise Problem(f"layout {layout.name!r}: {problem}")
        return cls(found, content)

    def of(self, line: int, names: Iterable[str]) -> Layout | None:
        """The one that has this header."""
        given = {*map(str.strip, names)}
        found = [layout for layout in self.layouts if given >= {*layout.headers}]
        if len(found) > 1:
            both = " and ".join(repr(layout.name) for layout in found)
            raise Problem(f"is laid out as {both} of {FILE_NAME}: name more headers of one", line)
        return found[0] if found else None


def contract_rows(rows: Iterator[Row], layouts: Layouts, file_name: str) -> Iterator[Row]:
    """Rows in the contract's columns, whoever laid them out; of no known layout as they are."""
    line, names = next(rows, (0, []))
    names = [name.strip() for name in names]
    layout = layouts.of(line, names)
    used = {*layout.columns.values(), *layout.leave_out} if layout else ()
    for twice in (name for name in used if names.count(name) > 1):
        raise Problem(f"{twice!r} is there twice, and {FILE_NAME} means one: rename one", line)
    if layout is None:
        yield from [(line, names)] if names else []
        yield from rows
        return
    yield line, [column.name for column in COLUMNS]
    for at, cells in rows:
        theirs = dict(zip(names, cells, strict=True))
        if not layout.is_left_out(theirs):
            yield at, layout.cells(theirs, file_name)


def proposal(names: list[str], rows: list[list[str]]) -> str:
    """An entry of columns.toml for a header and its rows, to be corrected and pasted: what may be
    meant in two ways is blank, and loads nothing before it is filled in."""
    told = {name.strip(): texts for name, *texts in zip(names, *rows, strict=True) if name.strip()}
    found = defaultdict[str, list[str]](list)
    for name, texts in told.items():
        found[called("column", name) or _guess(texts)].append(name)
    others = found.pop("", [])
    kinds = defaultdict[str, list[str]](list)
    for ours, name in ((ours, name) for ours, theirs in found.items() for name in theirs):
        kinds[_KINDS[ours]] += filter(str.strip, told[name])
    wanted = [c for c in COLUMNS if c.required and c.name not in {*_ALWAYS, "period_end"}]
    lines = ["[[layout]]", 'name = "this file"', f"headers = {_toml([*told])}"]
    lines += _blanks(kinds["instant"] if found["period_start"] else [""], kinds["number"])
    if found["period_end"]:
        lines += ['last_day = ""  # true: period_end is the last day; false: the day after it']
    lines += ["[layout.columns]"]
    for ours, (name, *more) in ((ours, of) for ours, of in found.items() if of):
        lines += [f'{ours} = ""  # {_toml([name, *more])}' if more else f"{ours} = {_toml(name)}"]
    besides = f"  # what one of these says goes above: {_toml(others)}" if others else ""
    lines += [f"[layout.constants]{besides}"]
    lines += [f'{c.name} = ""  # {c.help}' for c in wanted if not found[c.name]]
    totals = [
        f'"" = {_toml([*who])}  # {_toml(name)}'
        for name, texts in told.items()
        if (used := [told[of] for of in found["quantity"] if of != name])
        and (who := dict.fromkeys(each for of in used for each in _totals(texts, of)))
    ]
    return "\n".join([*lines, *([_MAYBE_TOTALS, *totals] if totals else [])])


def _blanks(instants: list[str], numbers: list[str]) -> Iterator[str]:
    """What dates and numbers do not say by themselves."""
    if other := [text for text in instants if _iso(text) is None]:
        yield f'date_format = ""  # of {_toml(other[0])}: as in docs.python.org, strftime'
    if local := [text for text in instants if _is_local(text)]:
        yield f'zone = ""  # of {_toml(local[0])}: UTC, or one like Europe/Berlin'
    if any(plain_number(text, ".") != plain_number(text, ",") for text in numbers):
        yield 'decimal = ""  # "." or ","'


def _iso(text: str) -> datetime | None:
    with suppress(ValueError):
        return datetime.fromisoformat(text.strip())
    return None


def _has_time(text: str) -> bool:
    return ":" in text or len(re.findall(r"\d+", text)) > 3


def _is_local(text: str) -> bool:
    """Whether it has a time of day, but midnight, and may have no offset."""
    if at := _iso(text):
        return at.tzinfo is None and at.time() != time()
    return _has_time(text) and not re.search(r"(?<!\d)00\D00(\D00)?\s*$", text)


def _guess(texts: list[str]) -> str:
    for text in map(str.strip, texts):
        if "@" in text:
            return "scope_id"
        if _LIKE_A_NUMBER.fullmatch(text):
            return "quantity"
        if _LIKE_A_DATE.fullmatch(text):
            return "period_start"
    return ""


def _totals(whose: list[str], texts: list[str]) -> Iterator[str]:
    """Who has as much as all others, or a multiple, however decimals are written, but for what
    rounding takes; or which two have as much as all but these. A number is no total, nor is a day
    among days, or an address among addresses."""
    no_total = {"quantity", _guess(whose)} - {""}
    for decimal in ".,":
        sums: dict[str, Decimal] = defaultdict(Decimal)
        with suppress(ArithmeticError):
            for who, text in zip(whose, texts, strict=True):
                sums[who.strip()] += Decimal(plain_number(text, decimal) or 0)
            whole = sum(sums.values())
            parts = {who: of for who, of in sums.items() if _guess([who]) not in no_total}
            times = {who: of / (whole - of) for who, of in parts.items() if of < whole}
            yield from (who for who, n in times.items() if round(n) and _is_about(n, round(n)))
            halves = [who for who, n in times.items() if _is_about(n, 0.5)]
            yield from halves if len(halves) == 2 else ()


def _is_about(number: Decimal, other: float) -> bool:
    return math.isclose(number, other, rel_tol=0.001)


def _toml(value: str | list[str]) -> str:
    """A text, or a list of them, as TOML: JSON, but for what nobody has in a header."""
    return msgspec.json.encode(value, enc_hook=str).decode()
