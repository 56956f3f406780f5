"""Files that somebody else laid out: columns.toml says which of their columns is which of ours.

Atlassian's page exports a CSV whose columns it does not document. A layout turns such rows into
those of the contract, which are then checked like any other. Nothing of an unknown layout loads.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from pipelines.atlassian_usage.files.contract import COLUMNS, called
from pipelines.atlassian_usage.files.problems import Problem
from pipelines.atlassian_usage.files.xlsx import Row

FILE_NAME = "columns.toml"
_KINDS = {column.name: column.kind for column in COLUMNS}
_ALWAYS = {"contract_version": "1", "source": "ui_export"}
_DATE = re.compile(r"20\d\d-[01]\d-[0-3]\d")


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
        told |= {ours: self._value(ours, theirs[header]) for ours, header in self.columns.items()}
        if dated := _DATE.search(file_name):
            told.setdefault("exported_at", dated[0])
        told["period_end"] = self._end(told)
        return [told.get(column.name, "") for column in COLUMNS]

    def is_left_out(self, theirs: dict[str, str]) -> bool:
        """Whether it is a total, or whatever else was declared."""
        return any(theirs[header].strip() in values for header, values in self.leave_out.items())

    def _value(self, column: str, text: str) -> str:
        if _KINDS[column] == "number":
            return self._number(text)
        found = self._instant(text) if _KINDS[column] == "instant" else None
        return text if found is None else _written(found)

    def _number(self, text: str) -> str:
        """Without groups of digits, and with a point."""
        group = "." if self.decimal == "," else ","
        plain = re.sub(rf"(?<=\d)[{group}\s\u00a0\u202f'’](?=\d{{3}})", "", text.strip())
        return plain.replace(self.decimal, ".")

    def _instant(self, text: str) -> datetime | None:
        """A date, or an instant in UTC; None where it is neither, for the contract to say so."""
        text, found = text.strip(), None
        with suppress(ValueError):
            found = datetime.fromisoformat(text)  # as every workbook has them
        with suppress(ValueError):
            found = datetime.strptime(text, self.date_format or "")  # noqa: DTZ007 - see below
        if found is None:
            return None
        if found.tzinfo is None and not (found.hour or found.minute or found.second):
            return found
        local = found if found.tzinfo else found.replace(tzinfo=ZoneInfo(self.zone))
        return local.astimezone(UTC)

    def _end(self, told: dict[str, str]) -> str:
        """The first instant after the period, from its last day or from its start."""
        from_start = "period_end" not in told
        length = timedelta(days=told.get("granularity") == "day" if from_start else self.last_day)
        try:
            at = datetime.fromisoformat(told["period_start" if from_start else "period_end"])
            if from_start and told.get("granularity") == "month":
                return _written((at.replace(day=1) + timedelta(days=32)).replace(day=at.day))
            return _written(at + length)
        except (KeyError, ValueError, OverflowError):  # not told, or the next month has no such day
            return told.get("period_end", "")


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
    layout = layouts.of(line, names)
    if layout is None:
        yield from [(line, names)] if names else []
        yield from rows
        return
    yield line, [column.name for column in COLUMNS]
    for at, cells in rows:
        theirs = dict(zip(map(str.strip, names), cells, strict=True))
        if not layout.is_left_out(theirs):
            yield at, layout.cells(theirs, file_name)


def proposal(names: list[str], rows: list[list[str]]) -> str:
    """An entry of columns.toml for a header and its first rows, to be corrected and pasted."""
    guesses: dict[str, str] = {}
    for name, *values in zip(names, *rows, strict=True):
        if name.strip() and (ours := called("column", name) or _guess(values)):
            guesses.setdefault(ours, name.strip())
    wanted = [c for c in COLUMNS if c.required and c.name not in {*guesses, *_ALWAYS, "period_end"}]
    lines = ["[[layout]]", 'name = "this file"']
    lines += [f"headers = {_toml([name.strip() for name in names if name.strip()])}"]
    lines += ['date_format = "%Y-%m-%d"  # as in docs.python.org, strftime; decimal = "," for 1,5']
    lines += ["[layout.columns]", *(f"{ours} = {_toml(name)}" for ours, name in guesses.items())]
    lines += ["[layout.constants]", *(f'{c.name} = ""  # {c.help}' for c in wanted)]
    return "\n".join(lines)


def _guess(values: list[str]) -> str | None:
    text = next(filter(None, map(str.strip, values)), "")
    if re.match(r"\d{4}-\d\d|\d{1,2}[./ ](\d{1,2}|\w{3,9})[./ ]\d{2,4}", text):
        return "period_start"
    return "quantity" if re.fullmatch(r"[\d.,'\s]+", text) else "scope_id" if "@" in text else None


def _toml(value: str | list[str]) -> str:
    """A text, or a list of them, as TOML: JSON, but for what nobody has in a header."""
    return msgspec.json.encode(value).decode()
