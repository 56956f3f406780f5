"""What exports come to, in plain Python: the rule itself, written without the product's SQL.

One organization and usage type at a time, from rows of the contract. Not here: files that change
(of each name only one is known), and Bitbucket's names and runs.
"""

import calendar
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

Span = tuple[date, date]
Scope = tuple[str, str]
# site, project, user
Who = tuple[str | None, str | None, str | None]
Facts = dict[tuple[Who, Span], Decimal]
DAY = timedelta(days=1)
WAYS = {"workspace": 1, "repository": 1, "user": 2, "site": 3}


@dataclass(frozen=True)
class Told:
    """A line: whose, of which days, how much, and up to when it was read."""

    scope: Scope
    app: str | None
    is_day: bool
    span: Span
    quantity: Decimal
    rank: tuple[Any, ...]
    exported: datetime
    is_final: bool
    is_reading: bool


def facts_of(rows: Iterable[tuple[str, dict[str, Any]]], is_gauge: bool) -> Facts:
    """The facts of (file name, row of the contract), all of one organization and usage type."""
    lines = told_lines([*rows], is_gauge)
    periods = chosen_periods([line for line in lines if not line.is_day])
    placed: dict[tuple[Any, ...], tuple[Span, Told]] = {}
    for line in sorted(lines, key=lambda line: line.rank):
        within = [p for p in periods if p[0] <= line.span[0] and line.span[1] <= p[1]]
        if line.is_day or line.span in periods:
            key = (line.scope, line.app, line.is_day, line.span)
            placed[key] = (within[0] if within else line.span, line)
    wholes: dict[Span, dict[Scope, list[Told]]] = defaultdict(lambda: defaultdict(list))
    for whole, line in placed.values():
        wholes[whole][line.scope].append(line)
    found: Facts = {}
    for whole, scopes in wholes.items():
        own = {scope: own_usage(told, whole) for scope, told in scopes.items()}
        if all(is_by_days for is_by_days, _ in own.values()):
            days = {day for _, usage in own.values() for day in usage}
            for day in days:
                of_day = {s: usage[day] for s, (_, usage) in own.items() if day in usage}
                found |= split(day, {s: (quantity, False) for s, quantity in of_day.items()})
        else:
            found |= split(
                whole,
                {
                    scope: (
                        sum(usage.values(), Decimal(0)),
                        is_by_days and len(usage) < (whole[1] - whole[0]).days,
                    )
                    for scope, (is_by_days, usage) in own.items()
                },
            )
    return found


def told_lines(rows: list[tuple[str, dict[str, Any]]], is_gauge: bool) -> list[Told]:
    """Every row with the days that it is of."""
    renewals = {
        at(row["allowance_reset_at"]).date() for _, row in rows if row["allowance_reset_at"]
    }
    for _, row in rows:
        if row["granularity"] == "month":
            renewals |= {at(row["period_start"]).date(), at(row["period_end"]).date()}
    lines = []
    for name, row in rows:
        kind, start, end = row["granularity"], at(row["period_start"]), at(row["period_end"])
        exported = at(row["exported_at"])
        read = min(start if kind == "snapshot" else end - timedelta(microseconds=1), exported)
        span = start.date(), end.date()
        if is_gauge:
            span = month_of(read.date())
        elif kind == "snapshot":
            span = cycle_of(start, row["allowance_reset_at"], renewals)
        lines.append(
            Told(
                scope=(row["scope_type"], row["scope_id"].lower()),
                app=row["app"].lower() if row["app"] else None,
                is_day=kind == "day" and not is_gauge,
                span=span,
                quantity=row["quantity"],
                rank=(read, read if kind == "snapshot" else exported, kind, name),
                exported=read if kind == "snapshot" else exported,
                is_final=row["is_final"],
                is_reading=kind == "snapshot" and not is_gauge,
            )
        )
    return lines


def at(text: str) -> datetime:
    """A date's midnight, or an instant, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def month_of(day: date) -> Span:
    """The calendar month of a day."""
    first = day.replace(day=1)
    return first, months_after(first, 1)


def months_after(day: Any, count: int) -> Any:
    """The same day of another month, or its last."""
    years, month = divmod(day.month - 1 + count, 12)
    last = calendar.monthrange(day.year + years, month + 1)[1]
    return day.replace(year=day.year + years, month=month + 1, day=min(day.day, last))


def cycle_of(read: datetime, resets: str | None, renewals: set[date]) -> Span:
    """From renewal to renewal: as the reading says, else after the last one before it."""
    before = [day for day in renewals if day <= read.date()]
    anchor = read.replace(day=1, hour=0, minute=0)
    if resets:
        anchor = at(resets)
    elif before:
        anchor = datetime.combine(max(before), datetime.min.time(), UTC)
    instants = [months_after(anchor, count) for count in range(-40, 40)]
    last = max(instant for instant in instants if instant <= read)
    following = min(instant for instant in instants if instant > read)
    midnights = {datetime.combine(day, datetime.min.time(), UTC) for day in renewals}
    ended = [m for m in midnights if 27 * DAY <= following - m <= 32 * DAY]
    start = last.date() if last.date() in renewals or not ended else max(ended).date()
    return start, following.date()


def chosen_periods(months: list[Told]) -> set[Span]:
    """Never two that overlap: those of the total, then those that were over when exported,
    then those of a calendar of readings, or of files, whichever told last; of calendars of files
    that of which one was over and exported last, then that which begins first."""
    latest: dict[Span, datetime] = {}
    for line in months:
        latest[line.span] = max(latest.get(line.span, line.exported), line.exported)
    totals = {line.span for line in months if line.scope[0] == "org"}
    read = {line.span[0].day for line in months if line.is_reading}
    by_file = max(
        (line.exported for line in months if not line.is_reading), default=at("1970-01-01")
    )
    whole: dict[int, datetime] = {}
    first: dict[int, date] = {}
    told: dict[int, datetime] = {}
    for span, exported in latest.items():
        day = span[0].day
        first[day] = min(first.get(day, span[0]), span[0])
        told[day] = max(told.get(day, exported), exported)
        if exported.date() >= span[1]:
            whole[day] = max(whole.get(day, exported), exported)

    def place(span: Span) -> tuple[Any, ...]:
        day, is_over = span[0].day, latest[span].date() >= span[1]
        teller = (told[day], True) if day in read else (by_file, False)
        last = whole.get(day, at("1970-01-01"))
        same = (last, -first[day].toordinal(), latest[span], *span)
        return (span in totals, True, *same) if is_over else (span in totals, False, *teller, *same)

    spans = {line.span for line in months}
    return {
        span
        for span in spans
        if not any(
            other[0] < span[1] and other[1] > span[0] and place(other) > place(span)
            for other in spans
        )
    }


def own_usage(lines: list[Told], whole: Span) -> tuple[bool, dict[Span, Decimal]]:
    """Whether a scope is told by the day, and its usage by period."""
    of_all = [line.span for line in lines if line.app is None]
    kept = [
        line
        for line in lines
        if line.app is None
        or not any(start <= line.span[0] and line.span[1] <= end for start, end in of_all)
    ]
    counted: list[Told] = []
    total_by_days = False
    for app in sorted({line.app for line in kept}, key=lambda app: (app is not None, app)):
        months = [line for line in kept if not line.is_day and app in (None, line.app)]
        days = [line for line in kept if line.is_day and line.app == app]
        if days and stands_for(days, months, whole):
            counted += days
            total_by_days |= app is None
        elif not total_by_days:
            counted += [line for line in months if line.app == app]
    is_by_days = all(line.is_day for line in counted)
    usage: dict[Span, Decimal] = defaultdict(Decimal)
    for line in counted:
        usage[line.span if is_by_days else whole] += line.quantity
    return is_by_days, usage


def stands_for(days: list[Told], months: list[Told], whole: Span) -> bool:
    """Whether these days are all that had passed when the month was exported."""
    if not months:
        return True
    until = max(min(whole[1], line.exported.date()) for line in months)
    over = [
        d for d in days if d.span[1] <= until and (d.is_final or d.exported.date() >= d.span[1])
    ]
    return len(over) >= (until - whole[0]).days


def split(period: Span, told: dict[Scope, tuple[Decimal, bool]]) -> Facts:
    """The parts of a period, and what each whole has over its parts."""
    way = min((WAYS[kind] for kind, _ in told if kind != "org"), default=0)
    found: Facts = {}
    parts = Decimal(0)
    for (kind, name), (quantity, is_lower) in told.items():
        if kind == "org" or WAYS[kind] != way:
            continue
        if kind == "repository":
            who: Who = (name.split("/")[0], name, None)
        else:
            who = (None, None, name) if kind == "user" else (name, None, None)
        rest, has_parts = quantity, False
        if kind == "workspace":
            inside = [
                q for (k, n), (q, _) in told.items() if (k, n.split("/")[0]) == ("repository", name)
            ]
            rest, has_parts = quantity - sum(inside, Decimal(0)), bool(inside)
            rest = max(rest, Decimal(0)) if is_lower and has_parts else rest
        parts += rest
        if rest or not has_parts:
            found[who, period] = rest
    for (kind, _), (quantity, is_lower) in told.items():
        if kind == "org":
            rest = quantity - parts
            rest = max(rest, Decimal(0)) if is_lower and way else rest
            if rest or not way:
                found[(None, None, None), period] = rest
    return found
