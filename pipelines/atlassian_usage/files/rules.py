"""From rows of text to a checked Arrow table: what a column, a line and a file have to keep to."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.atlassian_usage.files.contract import COLUMNS, KEY, TABLES, UNITS, unit_called
from pipelines.atlassian_usage.files.csv_text import Row
from pipelines.atlassian_usage.files.problems import LISTED, Problems
from pipelines.atlassian_usage.files.values import WrongValueError, tidy, value_of

_REPOSITORY = re.compile(
    r"[^/\s]+/[^/\s]+|\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?", re.I
)
_DAY = timedelta(days=1)


def typed(header: dict[str, int], rows: list[Row], problems: Problems) -> pa.Table:
    """The lines as the contract's types, with every value noted that is not what its column has to
    be; those, and a column that is not there, are null.

    Most columns have few distinct texts, and each is read once.
    """
    lines = pa.array([line for line, _ in rows], pa.int32())
    cells = list(zip(*(cells for _, cells in rows), strict=True))
    columns: dict[str, Any] = {}
    wrong: list[tuple[int, str, str]] = []
    for column in COLUMNS:
        kind = TABLES["platform_usage"].field(column.name).type
        if column.name not in header:
            blank = False if column.kind == "flag" else None
            columns[column.name] = pa.repeat(pa.scalar(blank, kind), len(rows))
            continue
        coded = pa.array(cells[header[column.name]], pa.string()).dictionary_encode()
        values: list[Any] = []
        for number, text in enumerate(coded.dictionary.to_pylist()):
            try:
                values.append(value_of(column, tidy(text)))
            except WrongValueError as error:
                values.append(None)
                at = pc.indices_nonzero(pc.equal(coded.indices, number))
                wrong += [(n, column.name, str(error)) for n in at[: LISTED + 1].to_pylist()]
        columns[column.name] = pa.array(values, kind).take(coded.indices)
    place = {name: at for at, name in enumerate(header)}
    for row, name, reason in sorted(wrong, key=lambda found: (found[0], place[found[1]])):
        problems.add(lines[row].as_py(), name, reason)
    table = pa.table({**columns, "line": lines})
    units = _units(table["usage_type"], table["unit"])
    return table.set_column(table.schema.get_field_index("unit"), "unit", units)


def _units(usage_types: Any, units: Any) -> Any:
    """Units of known usage types by the contract's name; those of others stay as they are."""
    coded = units.combine_chunks().dictionary_encode()
    called = [unit_called(text) for text in coded.dictionary.to_pylist()]
    named = pa.array(called, pa.string()).take(coded.indices)
    kinds = usage_types.combine_chunks().dictionary_encode()
    expected = [UNITS.get(name) for name in kinds.dictionary.to_pylist()]
    as_expected = pc.equal(pa.array(expected, pa.string()).take(kinds.indices), named)
    return pc.if_else(pc.fill_null(as_expected, False), named, units.combine_chunks())


def without_problems(table: pa.Table, problems: Problems) -> pa.Table:
    """The lines of which nothing is wrong."""
    wrong = pa.array([line for line in problems.lines if line], pa.int32())
    return table.filter(pc.invert(pc.is_in(table["line"], value_set=wrong)))


def check_lines(table: pa.Table, now: datetime, problems: Problems) -> None:
    """Note what one line says that cannot be, though each of its values could."""
    names = ["org_id", "usage_type", "scope_type", "scope_id", "granularity", "unit"]
    frame = table.select(["line", *names, "period_start", "period_end", "exported_at"]).to_pandas()
    for column, wrong, reason in _line_rules(frame, now):
        for row in frame[wrong].head(LISTED + 1).itertuples() if wrong.any() else ():
            problems.add(int(row.line), column, reason(row))


def _line_rules(f: Any, now: datetime) -> Iterator[tuple[str, Any, Callable[[Any], str]]]:
    """(column, which lines are wrong, why); the first one about a value is the one that counts."""
    expected = f.usage_type.astype(object).map(UNITS)
    yield (
        "unit",
        expected.notna() & f.unit.notna() & (f.unit.astype(object) != expected),
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
    org_id, scope_id = (column.astype(object).str.lower() for column in (f.org_id, f.scope_id))
    yield (
        "scope_id",
        (f.scope_type == "org") & scope_id.notna() & org_id.notna() & (scope_id != org_id),
        lambda row: f"{row.scope_id!r} is not the org_id: usage of an org has its own id here",
    )
    yield from _period_rules(f)
    yield (
        "exported_at",
        f.exported_at > now + _DAY,
        lambda row: f"{row.exported_at:%Y-%m-%d %H:%M} UTC is yet to come: correct the date",
    )


def _period_rules(f: Any) -> Iterator[tuple[str, Any, Callable[[Any], str]]]:
    """A day is a UTC day, a month or cycle is whole UTC days, a snapshot is an instant."""
    span = f.period_end - f.period_start
    known, is_month = span.notna(), f.granularity == "month"
    yield "period_end", span < timedelta(0), lambda row: "is before period_start: swap the two"
    starts, ends = (f[name] == f[name].dt.floor("D") for name in ("period_start", "period_end"))
    yield (
        "period_end",
        known & f.granularity.isin(["day", "month"]) & ~(starts & ends),
        lambda row: (
            f"a {row.granularity} goes from midnight UTC to midnight UTC, and this one from "
            f"{row.period_start:%Y-%m-%d %H:%M} to {row.period_end:%Y-%m-%d %H:%M}: write the "
            "dates alone, and as period_end the day after the last one"
        ),
    )
    yield (
        "period_end",
        known & (f.granularity == "day") & (span != _DAY),
        lambda row: "a day goes from midnight UTC to the next: period_end is the day after",
    )
    yield (
        "period_end",
        is_month & ((span < 27 * _DAY) | (span > 32 * _DAY)),
        lambda row: "a month has 27 to 32 days: period_end is the first instant after the month",
    )
    yield (
        "period_end",
        is_month & (f.period_start.dt.day == 1) & f.period_end.dt.is_month_end,
        lambda row: (
            f"{row.period_end:%Y-%m-%d} is the last day of the month: period_end is the first day "
            f"after it, {row.period_end + _DAY:%Y-%m-%d}"
        ),
    )
    yield (
        "period_end",
        known & (f.granularity == "snapshot") & (span != timedelta(0)),
        lambda row: "a snapshot has no length: period_start and period_end are when it was read",
    )


def check_file(table: pa.Table, problems: Problems) -> None:
    """Note lines that say the same thing twice, periods that overlap, and months that were written
    with their last day for the day after it.

    Days beside a month of the same scope are no problem: they are two resolutions of one thing.
    """
    if not len(table):
        return
    frame = table.select(["line", "granularity", "period_start", "period_end"]).to_pandas()
    frame["scope"] = _codes(table)
    frame = frame.sort_values(["scope", "period_start", "period_end", "line"], ignore_index=True)
    before = frame.shift()
    same = frame["scope"] == before["scope"]
    twice = same & (frame["period_start"] == before["period_start"])
    twice &= frame["period_end"] == before["period_end"]
    reached = frame.groupby("scope")["period_end"].cummax().shift()
    overlapping = same & ~twice & (frame["period_start"] < reached)
    holes = same & (frame["granularity"] == "month")
    holes &= frame["period_start"] == before["period_end"] + _DAY
    for wrong, reason in (
        (twice, "the same usage, scope and period as in line {}: keep one of the two"),
        (overlapping, "the period overlaps that of line {}: correct one"),
        (
            holes,
            "the month before it, in line {}, ends a day earlier: period_end is the day after the "
            "last one",
        ),
    ):
        for row in frame[wrong].head(LISTED + 1).itertuples() if wrong.any() else ():
            at = _overlapped(frame, row) if wrong is overlapping else before.line[row.Index]
            problems.add(int(row.line), "period_start", reason.format(int(at)))


def _overlapped(frame: Any, row: Any) -> int:
    """The first line of the same scope whose period reaches into that of `row`."""
    earlier = frame.iloc[: row.Index]
    reaching = (earlier["scope"] == row.scope) & (earlier["period_end"] > row.period_start)
    return int(earlier["line"][reaching].iloc[0])


def _codes(table: pa.Table) -> Any:
    """A number for each distinct scope and granularity of a usage type, in whatever letters."""
    lower = [pc.utf8_lower(column) for column in table.select(list(KEY)).itercolumns()]
    frame = pa.table([c.dictionary_encode() for c in lower], list(KEY)).to_pandas()
    return frame.groupby(list(KEY), observed=True, dropna=False, sort=False).ngroup()
