"""From rows of text to a checked Arrow table: what a column, a line and a file have to keep to."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.atlassian_usage.files.contract import (
    BY_NAME,
    COLUMNS,
    KEY,
    TABLES,
    UNITS,
    Column,
    fold,
    unit_called,
    usage_type_called,
)
from pipelines.atlassian_usage.files.csv_rows import Row
from pipelines.atlassian_usage.files.explain import explain
from pipelines.atlassian_usage.files.problems import LISTED, Problems

_PATTERNS = {
    # no text: what is written as a formula, or has a character that nobody types
    "text": r"[^=+\-@\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,499}",
    "name": r"[a-z][a-z0-9_]{0,99}",
    # so many of them add up to what 38 digits hold
    "number": r"[0-9]{1,20}(?:\.[0-9]{1,9})?",
}
_INSTANT = re.compile(
    r"2[01]\d\d-\d\d-\d\d"
    r"(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?: ?(?:[Zz]|UTC|[+-]\d\d:?\d\d))?)?",
    re.ASCII,
)
_REPOSITORY = re.compile(
    r"[^/\s]+/[^/\s]+|\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?", re.I
)
_FLAGS = {"true": True, "yes": True, "false": False, "no": False, "": False}
_CALLED: dict[str, Callable[[str], str]] = {
    "usage_type": usage_type_called,
    "scope_type": fold,
    "granularity": fold,
    "source": fold,
    "is_final": fold,
}
_DAY = timedelta(days=1)


def instant(text: str) -> datetime | None:
    """A date as its midnight, an instant without a zone as UTC; None where it is neither."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text.replace(" UTC", "Z").replace(" Z", "Z"))
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


@dataclass(frozen=True)
class Texts:
    """One column of a batch: its distinct texts, and the number of the one that each row has.

    Most columns have few distinct texts, and what is done to one is done once.
    """

    distinct: list[str]
    codes: pa.Array


def texts_of(header: dict[str, int], rows: list[Row]) -> dict[str, Texts]:
    """Rows as trimmed texts by the contract's names; a column that is not there is blank."""
    columns = list(zip(*(cells for _, cells in rows), strict=True))
    blank = Texts([""], pa.repeat(pa.scalar(0, pa.int32()), len(rows)))
    return {
        name: _texts(columns[header[name]], _CALLED.get(name)) if name in header else blank
        for name in BY_NAME
    }


def _texts(cells: tuple[str, ...], called: Callable[[str], str] | None) -> Texts:
    coded = pa.array(cells, pa.string()).dictionary_encode()
    trimmed = [text.strip() for text in coded.dictionary.to_pylist()]
    named = [called(text) for text in trimmed] if called else trimmed
    numbers = {text: number for number, text in enumerate(dict.fromkeys(named))}
    return Texts(
        list(numbers), pa.array([numbers[text] for text in named], pa.int32()).take(coded.indices)
    )


@cache
def _schema(name: str) -> Any:
    """What the values of a column have to be, as a pandera schema."""
    import pandera.pandas as pandera  # here, because it costs seconds

    column = BY_NAME[name]
    if column.kind == "instant":
        are = partial(_are_instants, required=column.required)
        check = pandera.Check(are, n_failure_cases=LISTED)
    elif column.kind in ("choice", "flag"):
        check = pandera.Check.isin([*(column.choices or _FLAGS)], n_failure_cases=LISTED)
    else:
        pattern = f"^(?:{_PATTERNS[column.kind]}){'' if column.required else '?'}$"
        check = pandera.Check.str_matches(pattern, n_failure_cases=LISTED)
    return pandera.SeriesSchema(checks=check, name=name)


def _are_instants(texts: Any, required: bool) -> Any:
    return texts.map(lambda text: instant(text) is not None if text else not required).astype(bool)


def check_columns(
    texts: dict[str, Texts], given: Iterable[str], lines: list[int | None], problems: Problems
) -> None:
    """Note every value that is not what its column has to be, in the order of the file."""
    found = [case for name in given for case in _wrong_values(name, texts[name])]
    for row, name, text in sorted(found, key=itemgetter(0)):
        problems.add(lines[row], name, explain(BY_NAME[name], text))


def _wrong_values(name: str, texts: Texts) -> Iterator[tuple[int, str, str]]:
    """(row, column, text), the first rows of each text that does not keep to the schema."""
    import pandas as pd
    from pandera.errors import SchemaErrors

    try:
        _schema(name).validate(pd.Series(texts.distinct, dtype="str", name=name), lazy=True)
    except SchemaErrors as errors:
        for number in errors.failure_cases["index"].unique():
            rows = pc.indices_nonzero(pc.equal(texts.codes, int(number)))
            yield from (
                (row, name, texts.distinct[int(number)]) for row in rows[: LISTED + 1].to_pylist()
            )


def typed(texts: dict[str, Texts], lines: list[int | None]) -> pa.Table:
    """The lines as the contract's types: texts as dictionaries, wrong numbers and instants null."""
    columns = {column.name: _typed(column, texts[column.name]) for column in COLUMNS}
    columns["unit"] = _units(texts["usage_type"], texts["unit"])
    return pa.table({**columns, "line": pa.array(lines, pa.int32())})


def without_problems(table: pa.Table, problems: Problems) -> pa.Table:
    """The lines of which nothing is wrong."""
    wrong = pa.array([line for line in problems.lines if line], pa.int32())
    return table.filter(pc.invert(pc.is_in(table["line"], value_set=wrong)))


def _typed(column: Column, texts: Texts) -> Any:
    """A column's values; one that is blank, or wrong and no text, is null."""
    kind = TABLES["platform_usage"].field(column.name).type
    if column.kind == "flag":
        return pa.array([_FLAGS.get(text) for text in texts.distinct], kind).take(texts.codes)
    if column.kind == "instant":
        return pa.array([instant(text) for text in texts.distinct], kind).take(texts.codes)
    if column.kind == "number":
        distinct = pa.array(texts.distinct, pa.string())
        good = pc.match_substring_regex(distinct, f"^{_PATTERNS['number']}$")
        # from text to decimal nothing is rounded
        return pc.if_else(good, distinct, pa.scalar(None, pa.string())).cast(kind).take(texts.codes)
    blank = texts.distinct.index("") if "" in texts.distinct else -1
    codes = pc.if_else(pc.equal(texts.codes, blank), pa.scalar(None, pa.int32()), texts.codes)
    return pa.DictionaryArray.from_arrays(codes, texts.distinct)


def _units(usage_types: Texts, units: Texts) -> Any:
    """Units of known usage types by the contract's name; those of others stay as they are."""
    expected = pa.array(map(UNITS.get, usage_types.distinct), pa.string()).take(usage_types.codes)
    called = pa.array(map(unit_called, units.distinct), pa.string()).take(units.codes)
    given = pa.array(units.distinct, pa.string()).take(units.codes)
    as_expected = pc.fill_null(pc.equal(expected, called), False)
    return pc.if_else(as_expected, expected, given).dictionary_encode()


def check_lines(table: pa.Table, now: datetime, problems: Problems) -> None:
    """Note what one line says that cannot be, though each of its values could."""
    names = ["org_id", "usage_type", "scope_type", "scope_id", "granularity", "unit"]
    frame = table.select(["line", *names, "period_start", "period_end", "exported_at"]).to_pandas()
    for column, wrong, reason in _line_rules(frame, now):
        for row in frame[wrong].head(LISTED + 1).itertuples() if wrong.any() else ():
            problems.add(int(row.line), column, reason(row))


def _line_rules(f: Any, now: datetime) -> Iterator[tuple[str, Any, Callable[[Any], str]]]:
    """(column, which lines are wrong, why); the first one about a value is the one that counts."""
    span = f.period_end - f.period_start
    known = span.notna()
    expected = f.usage_type.astype(object).map(UNITS)
    yield (
        "unit",
        expected.notna() & (f.unit.astype(object) != expected),
        lambda row: (
            f"{row.unit!r} is no unit of {row.usage_type}, which is in "
            f"{UNITS[row.usage_type]}: convert it"
        ),
    )
    repository = f.scope_id.where(f.scope_type == "repository").astype(object)
    is_one = repository.map(lambda text: bool(_REPOSITORY.fullmatch(text)), na_action="ignore")
    yield (
        "scope_id",
        is_one.eq(False),
        lambda row: f"{row.scope_id!r} is no repository: write workspace/repo-slug or its uuid",
    )
    org_id, scope_id = (column.astype(object).str.casefold() for column in (f.org_id, f.scope_id))
    yield (
        "scope_id",
        (f.scope_type == "org") & (scope_id != org_id),
        lambda row: f"{row.scope_id!r} is not the org_id: usage of an org has its own id here",
    )
    yield (
        "period_end",
        span < timedelta(0),
        lambda row: "is before period_start: swap the two",
    )
    midnight = f.period_start == f.period_start.dt.floor("D")
    yield (
        "period_end",
        known & (f.granularity == "day") & ((span != _DAY) | ~midnight),
        lambda row: "a day goes from midnight UTC to the next: period_end is the day after",
    )
    yield (
        "period_end",
        (f.granularity == "month") & ((span < 27 * _DAY) | (span > 32 * _DAY)),
        lambda row: "a month has 27 to 32 days: period_end is the first instant after the month",
    )
    yield (
        "period_end",
        known & (f.granularity == "snapshot") & (span != timedelta(0)),
        lambda row: "a snapshot has no length: period_start and period_end are when it was read",
    )
    yield (
        "exported_at",
        f.exported_at > now + _DAY,
        lambda row: f"{row.exported_at:%Y-%m-%d %H:%M} UTC is yet to come: correct the date",
    )


def check_file(table: pa.Table, problems: Problems) -> None:
    """Note lines that say the same thing twice, and periods that overlap.

    Days beside a month of the same scope are no problem: they are two resolutions of one thing.
    """
    if not len(table):
        return
    frame = table.select(["line", "period_start", "period_end"]).to_pandas()
    frame["scope"] = _codes(table)
    frame = frame.sort_values(["scope", "period_start", "period_end", "line"], ignore_index=True)
    before = frame.shift()
    same = frame["scope"] == before["scope"]
    twice = same & (frame["period_start"] == before["period_start"])
    twice &= frame["period_end"] == before["period_end"]
    for at in frame.index[twice][: LISTED + 1]:
        first = int(before.at[at, "line"])
        reason = f"the same usage, scope and period as in line {first}: keep one of the two"
        problems.add(int(frame.at[at, "line"]), "period_start", reason)
    reached = frame.groupby("scope")["period_end"].cummax().shift()
    overlapping = same & ~twice & (frame["period_start"] < reached)
    for row in frame[overlapping].head(LISTED + 1).itertuples() if overlapping.any() else ():
        reason = f"the period overlaps that of line {_overlapped(frame, row)}: correct one"
        problems.add(int(row.line), "period_start", reason)


def _overlapped(frame: Any, row: Any) -> int:
    """The first line of the same scope whose period reaches into that of `row`."""
    earlier = frame.iloc[: row.Index]
    reaching = (earlier["scope"] == row.scope) & (earlier["period_end"] > row.period_start)
    return int(earlier["line"][reaching].iloc[0])


def _codes(table: pa.Table) -> Any:
    """A number for each distinct scope and granularity of a usage type, in whatever letters."""
    lower = [pc.utf8_lower(column.cast(pa.string())) for column in table.select(list(KEY))]
    frame = pa.table([c.dictionary_encode() for c in lower], list(KEY)).to_pandas()
    return frame.groupby(list(KEY), observed=True, dropna=False, sort=False).ngroup()
