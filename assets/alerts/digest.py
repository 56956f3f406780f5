"""The week in a message: what was used, what it cost, what changed, and what needs somebody."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from datetime import timedelta

from assets.report.page import Span
from assets.runs.opening import Row

# by source and name: this week, and the one before
Sums = dict[tuple[str, str], list[float]]
# places of queries/things.sql: the last 7 whole days, and the 7 before
WEEK, WEEK_BEFORE = 2, 3
MOST_CHANGES = 5


def digest(span: Span, things: list[Row], partial: Set[str], needs: Iterable[Row]) -> str:
    """The message; its first line is its subject. Of `partial` sources more days are known of one
    week than of the other: what they differ by says nothing."""
    sources, projects, meters = _sums(things)
    costs = [sum(pair) for pair in zip(*sources.values(), strict=True)] or [0.0, 0.0]
    since, until = span.today - timedelta(days=7), span.today - timedelta(days=1)
    change = "not comparable" if any(name in partial for name, _ in sources) else _change(*costs)
    lines = [f"{since} to {until}: ${costs[0]:,.2f} ({change})", ""]
    lines += ["Cost, an estimate, against the 7 days before:", *_lines(sources, partial, "$"), ""]
    changes = [item for item in projects.items() if item[0][0] not in partial]
    changes.sort(key=lambda item: abs(item[1][0] - item[1][1]), reverse=True)
    lines += ["What changed most:", *_lines(dict(changes[:MOST_CHANGES]), partial, "$"), ""]
    lines += ["Used:", *_lines(dict(sorted(meters.items())), partial), ""]
    needed = [f"- {row['kind']} {row['source'] or ''}: {row['what']}" for row in needs]
    lines += ["What needs somebody:", *(needed or ["- nothing"])]
    return "\n".join(lines)


def _sums(things: Iterable[Row]) -> tuple[Sums, Sums, Sums]:
    """Of cost by source and by project, and of use by meter: what is told of either week."""
    found: list[Sums] = [defaultdict(lambda: [0.0, 0.0]) for _ in range(3)]
    sources, projects, meters = found
    for thing in things:
        source = thing["source"]
        # projects of two organizations may have one name
        project = f"{', '.join(filter(None, [thing['org'], thing['project']]))} ({source})"
        for meter in thing["meters"]:
            for at, place in enumerate((WEEK, WEEK_BEFORE)):
                # what has no price costs something that nobody knows
                if (cost := meter["c"][place]) is not None:
                    sources[source, source][at] += cost
                    projects[source, project][at] += cost
                if used := meter["q"][place]:
                    meters[source, f"{source} {meter['meter']}, {meter['unit']}"][at] += used
    return sources, projects, meters


def _lines(sums: Sums, partial: Set[str], sign: str = "") -> Iterator[str]:
    for (source, name), (now, before) in sums.items():
        change = "not comparable" if source in partial else _change(now, before)
        # little is not nothing
        amount = f"under {sign}0.01" if 0 < now < 0.005 else f"{sign}{now:,.2f}"
        yield f"- {name}: {amount} ({change})"


def _change(now: float, before: float) -> str:
    if not before:
        return "new" if now else "as before"
    return f"{round(100 * (now - before) / abs(before)):+d}%"
