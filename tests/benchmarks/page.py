"""docs/benchmarks.md and its pictures, from what was measured."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from pathlib import Path
from textwrap import fill

DOCS = Path(__file__).parents[2] / "docs"
WIDTH, BAR, LABEL = 640, 26, 190
HEAD = """# Benchmarks

What `make bench` measured on {date}: {cores} cores, {memory} GB of memory, Python {python},
DuckDB {duckdb}, dlt {dlt}. Each program ran in a process of its own, in turn (A B A B), and the
least of its rounds counts; the spread is by how much the worst exceeded it. Only ratios mean
something elsewhere, and wall only on an idle machine. `--full` measures the sizes that the claims
are about.
"""


@dataclass(frozen=True)
class Finding:
    """A claim, what was measured for it, and whether it holds.

    `bars`: by name, what the picture shows, in `unit`. `limit`: where the line of the claim is.
    """

    name: str
    claim: str
    table: str
    bars: Mapping[str, float]
    unit: str
    limit: float | None = None
    notes: Sequence[str] = ()


def as_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def picture(finding: Finding) -> str:
    """Bars, and a line at the limit, as SVG."""
    most = max([*finding.bars.values(), finding.limit or 0]) or 1
    scale = (WIDTH - LABEL - 90) / most
    height = BAR * len(finding.bars) + 20
    shapes = []
    for number, (name, value) in enumerate(finding.bars.items()):
        y = 10 + number * BAR
        shapes += [
            f'<text x="{LABEL - 8}" y="{y + 16}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LABEL}" y="{y + 3}" width="{value * scale:.1f}" height="{BAR - 8}"/>',
            f'<text x="{LABEL + value * scale + 6:.1f}" y="{y + 16}">'
            f"{value:,.2f} {escape(finding.unit)}</text>",
        ]
    if finding.limit is not None:
        x = LABEL + finding.limit * scale
        shapes.append(f'<path d="M {x:.1f} 4 V {height - 4}" stroke="#c33" stroke-dasharray="4"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        f' font-family="sans-serif" font-size="13" fill="#47a">'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>{"".join(shapes)}</svg>\n'
    ).replace("<text ", '<text fill="#222" ')


def verdict(finding: Finding) -> str:
    """Whether what was measured stays below the limit."""
    if finding.limit is None:
        return ""
    most = max(finding.bars.values())
    found = f"{most:,.2f} of {finding.limit:,g} {finding.unit}"
    return f"{'It holds' if most <= finding.limit else '**It does not hold**'}: {found}.\n\n"


def write(findings: Sequence[Finding], end: str) -> None:
    """Replace the page, which ends so, and the pictures of these findings."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    parts = [
        HEAD.format(
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            cores=os.cpu_count(),
            memory=round(memory),
            python=platform.python_version(),
            duckdb=version("duckdb"),
            dlt=version("dlt"),
        )
    ]
    pictures = DOCS / "benchmarks"
    pictures.mkdir(exist_ok=True)
    for finding in findings:
        (pictures / f"{finding.name}.svg").write_text(picture(finding), encoding="utf-8")
        parts.append(
            f"## {finding.name}\n\n{fill(finding.claim, 140)}\n\n{finding.table}\n\n"
            f"![{finding.name}](benchmarks/{finding.name}.svg)\n\n"
            + verdict(finding)
            + "".join(f"{note}\n\n" for note in finding.notes)
            + f"`.venv/bin/python -m tests.benchmarks {finding.name}`\n"
        )
    (DOCS / "benchmarks.md").write_text("\n".join([*parts, end]), encoding="utf-8")
