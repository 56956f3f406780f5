"""The week in a message: what was used, what it cost, what changed, and what needs somebody."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from datetime import timedelta

from assets.report.page import Span
from assets.runs.opening import Row

Sums = dict[str, list[float]]
# places of queries/things.sql: the last 7 whole days, and the 7 before
WEEK, WEEK_BEFORE = 2, 3
MOST_CHANGES, MOST_METERS = 5, 12


def digest(span: Span, things: list[Row], partial: Set[str], needs: Iterable[Row]) -> str:
    """The message; its first line is its subject. Of `partial` sources more days are known of one
    week than of the other: what they differ by says nothing."""
    sources, _, meters = _sums(things)
    _, projects, _ = _sums(thing for thing in things if thing["source"] not in partial)
    costs = [sum(pair) for pair in zip(*sources.values(), strict=True)] or [0.0, 0.0]
    since, until = span.today - timedelta(days=7), span.today - timedelta(days=1)
    change = "not comparable" if partial & sources.keys() else _change(*costs)
    lines = [f"{since} to {until}: ${costs[0]:,.2f} ({change})", ""]
    lines += ["Cost, an estimate, against the 7 days before:", *_lines(sources, "$", partial), ""]
    changes = sorted(projects.items(), key=lambda item: abs(item[1][0] - item[1][1]), reverse=True)
    lines += ["What changed most:", *_lines(dict(changes[:MOST_CHANGES]), "$"), ""]
    used = [item for item in sorted(meters.items())[:MOST_METERS] if any(item[1])]
    lines += ["Used:", *_lines(dict(used)), ""]
    needed = [f"- {row['kind']} {row['source'] or ''}: {row['what']}" for row in needs]
    lines += ["What needs somebody:", *(needed or ["- nothing"])]
    return "\n".join(lines)


def _sums(things: Iterable[Row]) -> tuple[Sums, Sums, Sums]:
    """This week and the one before, of cost by source and by project, and of use by meter."""
    found: list[Sums] = [defaultdict(lambda: [0.0, 0.0]) for _ in range(3)]
    sources, projects, meters = found
    for thing in things:
        for meter in thing["meters"]:
            name = thing["project"] or thing["org"]
            for at, place in enumerate((WEEK, WEEK_BEFORE)):
                cost, used = meter["c"][place] or 0.0, meter["q"][place] or 0.0
                sources[thing["source"]][at] += cost
                projects[f"{name} ({thing['source']})"][at] += cost
                meters[f"{thing['source']} {meter['meter']}, {meter['unit']}"][at] += used
    return sources, projects, meters


def _lines(sums: Sums, sign: str = "", partial: Set[str] = frozenset()) -> Iterator[str]:
    for name, (now, before) in sums.items():
        change = "not comparable" if name in partial else _change(now, before)
        yield f"- {name}: {sign}{now:,.2f} ({change})"


def _change(now: float, before: float) -> str:
    return f"{(now - before) / before:+.0%}" if before else "new" if now else "as before"
