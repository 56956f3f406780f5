"""What a line, and all lines of a file together, have to keep to: a typed frame is checked."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from pipelines.atlassian_usage.files.contract import KEY
from pipelines.atlassian_usage.files.problems import LISTED, Problem

_REPOSITORY = (
    r"(?i)[^/\s]+/[^/\s]+|\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?"
)
_DAY = timedelta(days=1)
# column, which lines are wrong, and why, with values of the line in braces
_Rule = tuple[str, Any, str]


def check(table: pa.Table, now: datetime, problems: list[Problem]) -> None:
    """Note what lines say that cannot be, though each of their values could, and then, of lines of
    which nothing is wrong so far, what they say together.

    `table` has beside the contract's columns the `known` unit of its usage type and the `line`.
    A comparison with a value that is blank, or could not be read, finds nothing wrong.
    """
    import pandas as pd  # here, because it costs half a second

    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    problems += _broken(frame, _line_rules(frame, now))
    # one scope in whatever letters; none where a part of it, but for the app, could not be read
    frame["app"] = frame.app.fillna("")
    names = [frame[name].str.lower() for name in KEY]
    frame["scope"] = frame.groupby(names, sort=False).ngroup()
    frame = frame[["line", "scope", "granularity", "period_start", "period_end"]]
    frame = frame[~frame.line.isin([problem.line for problem in problems])].dropna()
    frame = frame.sort_values(["scope", "period_start", "period_end", "line"], ignore_index=True)
    problems += _broken(frame, _file_rules(frame))


def _broken(frame: Any, rules: Iterator[_Rule]) -> Iterator[Problem]:
    for column, wrong, reason in rules:
        for row in frame[wrong.fillna(False)].head(LISTED + 1).to_dict("records"):
            yield Problem(reason.format(**row), row["line"], column)


def _line_rules(f: Any, now: datetime) -> Iterator[_Rule]:
    yield (
        "unit",
        f.unit != f.known,
        "{unit!r} is no unit of {usage_type}, which is in {known}: convert it",
    )
    yield (
        "scope_id",
        (f.scope_type == "repository") & ~f.scope_id.str.fullmatch(_REPOSITORY),
        "{scope_id!r} is no repository: write workspace/repo-slug or its uuid",
    )
    yield (
        "scope_id",
        (f.scope_type == "org") & (f.scope_id.str.lower() != f.org_id.str.lower()),
        "{scope_id!r} is not the org_id: usage of an org has its own id here",
    )
    yield (
        "exported_at",
        f.exported_at > now + _DAY,
        "{exported_at:%Y-%m-%d %H:%M} UTC is yet to come: correct the date",
    )
    for wrong, reason in _period_rules(f):
        yield "period_end", wrong, reason


def _period_rules(f: Any) -> Iterator[tuple[Any, str]]:
    """A day is a UTC day, a month or cycle is whole UTC days, a snapshot is an instant; of a line
    that breaks two of these rules the first counts."""
    start, end, span = f.period_start, f.period_end, f.period_end - f.period_start
    is_day, is_month = f.granularity == "day", f.granularity == "month"
    is_whole = (start == start.dt.floor("D")) & (end == end.dt.floor("D"))
    yield span < timedelta(0), "is before period_start: swap the two"
    yield (
        (is_day | is_month) & ~is_whole & span.notna(),
        "a {granularity} goes from midnight UTC to midnight UTC, and this one from "
        "{period_start:%Y-%m-%d %H:%M} to {period_end:%Y-%m-%d %H:%M}: write the dates alone, "
        "and as period_end the day after the last one",
    )
    yield (
        is_day & (span != _DAY),
        "a day goes from midnight UTC to the next: period_end is the day after",
    )
    yield (
        is_month & ((span < 27 * _DAY) | (span > 32 * _DAY)),
        "a month has 27 to 32 days: period_end is the first instant after the month",
    )
    yield (
        is_month & (start.dt.day == 1) & ((end + _DAY).dt.day == 1),
        "{period_end:%Y-%m-%d} is the last day of the month: period_end is the day after it",
    )
    yield (
        (f.granularity == "snapshot") & (start != end),
        "a snapshot has no length: period_start and period_end are when it was read",
    )


def _file_rules(f: Any) -> Iterator[_Rule]:
    """Lines that say the same thing twice, periods that overlap, and months that were written with
    their last day for the day after it; of a line that breaks two of these rules the first counts.

    Days beside a month of the same scope are no problem: they are two resolutions of one thing.
    """
    before = f.shift()
    f["before"] = before.line
    # a scope's first line reaches further than any before it, so that none of another scope is here
    furthest = f.groupby("scope").period_end.cummax()
    f["reaching"] = f.line.where(f.period_end == furthest).ffill().shift()
    is_same = f.scope == before.scope
    is_twice = (f.period_start == before.period_start) & (f.period_end == before.period_end)
    for wrong, reason in (
        (is_twice, "the same usage, scope and period as in line {before}: keep one of them"),
        (
            ~is_twice & (f.period_start < furthest.shift()),
            "the period overlaps that of line {reaching}: correct one",
        ),
        (
            (f.granularity == "month") & (f.period_start == before.period_end + _DAY),
            "the month before it, in line {before}, ends a day earlier: period_end is the day "
            "after the last one",
        ),
    ):
        yield "period_start", is_same & wrong, reason
