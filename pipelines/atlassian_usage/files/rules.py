"""What a line, and all lines of a file together, have to keep to: a typed frame is checked."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.atlassian_usage.files.contract import KEY, UNITS
from pipelines.atlassian_usage.files.problems import LISTED, Problem

_REPOSITORY = re.compile(
    r"[^/\s]+/[^/\s]+|\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?", re.I
)
_LINE = (
    *("line", "org_id", "usage_type", "scope_type", "scope_id", "granularity", "unit"),
    *("period_start", "period_end", "exported_at"),
)
_DAY = timedelta(days=1)
# column, which lines are wrong, and why, with values of the line in braces
_Rule = tuple[str, Any, str]


def check_lines(table: pa.Table, now: datetime, problems: list[Problem]) -> None:
    """Note what one line says that cannot be, though each of its values could."""
    frame = table.select(_LINE).to_pandas()
    for column, wrong, reason in (*_value_rules(frame, now), *_period_rules(frame)):
        for row in frame[wrong].head(LISTED + 1).to_dict("records"):
            problems.append(Problem(reason.format(**row), int(row["line"]), column))


def _differ(values: Any, others: Any) -> Any:
    return values.notna() & others.notna() & (values != others)


def _value_rules(f: Any, now: datetime) -> Iterator[_Rule]:
    f["known"] = f.usage_type.astype(object).map(UNITS)
    yield (
        "unit",
        _differ(f.unit.astype(object), f.known),
        "{unit!r} is no unit of {usage_type}, which is in {known}: convert it",
    )
    of_repositories = f.scope_id[f.scope_type == "repository"].astype(object).dropna()
    yield (
        "scope_id",
        f.index.isin(of_repositories[~of_repositories.str.fullmatch(_REPOSITORY)].index),
        "{scope_id!r} is no repository: write workspace/repo-slug or its uuid",
    )
    yield (
        "scope_id",
        (f.scope_type == "org") & _differ(f.scope_id.str.lower(), f.org_id.str.lower()),
        "{scope_id!r} is not the org_id: usage of an org has its own id here",
    )
    yield (
        "exported_at",
        f.exported_at > now + _DAY,
        "{exported_at:%Y-%m-%d %H:%M} UTC is yet to come: correct the date",
    )


def _period_rules(f: Any) -> Iterator[_Rule]:
    """A day is a UTC day, a month or cycle is whole UTC days, a snapshot is an instant; of a line
    that breaks two of these rules the first counts."""
    start, end, span = f.period_start, f.period_end, f.period_end - f.period_start
    is_day, is_month = f.granularity == "day", f.granularity == "month"
    is_whole = (start == start.dt.floor("D")) & (end == end.dt.floor("D"))
    for wrong, reason in (
        (span < timedelta(0), "is before period_start: swap the two"),
        (
            (is_day | is_month) & span.notna() & ~is_whole,
            "a {granularity} goes from midnight UTC to midnight UTC, and this one from "
            "{period_start:%Y-%m-%d %H:%M} to {period_end:%Y-%m-%d %H:%M}: write the dates alone, "
            "and as period_end the day after the last one",
        ),
        (
            is_day & span.notna() & (span != _DAY),
            "a day goes from midnight UTC to the next: period_end is the day after",
        ),
        (
            is_month & ((span < 27 * _DAY) | (span > 32 * _DAY)),
            "a month has 27 to 32 days: period_end is the first instant after the month",
        ),
        (
            is_month & (start.dt.day == 1) & end.dt.is_month_end,
            "{period_end:%Y-%m-%d} is the last day of the month: period_end is the day after it",
        ),
        (
            (f.granularity == "snapshot") & _differ(start, end),
            "a snapshot has no length: period_start and period_end are when it was read",
        ),
    ):
        yield "period_end", wrong, reason


def check_file(table: pa.Table, problems: list[Problem]) -> None:
    """Note lines that say the same thing twice, periods that overlap, and months that were written
    with their last day for the day after it; of lines of which nothing is wrong so far.

    Days beside a month of the same scope are no problem: they are two resolutions of one thing.
    """
    frame = table.select(["line", "granularity", "period_start", "period_end"]).to_pandas()
    frame["scope"] = _scopes(table)
    frame = frame[~frame.line.isin([problem.line for problem in problems])].dropna()
    frame = frame.sort_values(["scope", "period_start", "period_end", "line"], ignore_index=True)
    before = frame.shift()
    is_same = frame.scope == before.scope
    is_twice = is_same & (frame.period_start == before.period_start)
    is_twice &= frame.period_end == before.period_end
    # a scope's first line reaches further than any before it, so that none of another scope is here
    furthest = frame.groupby("scope").period_end.cummax()
    reaching = frame.line.where(frame.period_end == furthest).ffill().shift()
    is_overlapping = is_same & ~is_twice & (frame.period_start < furthest.shift())
    is_hole = is_same & (frame.granularity == "month")
    is_hole &= frame.period_start == before.period_end + _DAY
    for wrong, other, reason in (
        (is_twice, before.line, "the same usage, scope and period as in line {}: keep one of them"),
        (is_overlapping, reaching, "the period overlaps that of line {}: correct one"),
        (
            is_hole,
            before.line,
            "the month before it, in line {}, ends a day earlier: period_end is the day after the "
            "last one",
        ),
    ):
        for line, at in zip(frame.line[wrong][: LISTED + 1], other[wrong], strict=False):
            problems.append(Problem(reason.format(int(at)), int(line), "period_start"))


def _scopes(table: pa.Table) -> Any:
    """A number for each distinct scope and granularity of a usage type, in whatever letters; none
    where one of them, but for the app, could not be read."""
    columns = {name: pc.utf8_lower(table[name]) for name in KEY}
    columns["app"] = pc.fill_null(columns["app"], "")
    frame = pa.table({n: c.dictionary_encode() for n, c in columns.items()}).to_pandas()
    numbers = frame.groupby(list(KEY), observed=True, sort=False).ngroup()
    return numbers.where(numbers >= 0)
