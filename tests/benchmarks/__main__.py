"""Measures every claim about cost, or those named: `make bench`, `python -m tests.benchmarks NAME`.

All of them write docs/benchmarks.md; those named are only printed. `--full` measures the sizes that
the claims are about, and takes an hour; without it they are smaller.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.benchmarks import history, pages
from tests.benchmarks.measuring import Cost, alternate, module, run
from tests.benchmarks.page import Finding, as_table, write

FULL = "--full" in sys.argv


def best(costs: Sequence[Cost]) -> tuple[Cost, str]:
    """The round that took the least CPU, and by how much the worst exceeded it."""
    ordered = sorted(costs, key=lambda cost: cost.cpu)
    return ordered[0], f"{ordered[-1].cpu / ordered[0].cpu - 1:.0%}"


def ratios(found: Mapping[str, Sequence[Cost]], of: str) -> tuple[str, dict[str, float]]:
    """A table of programs against one of them, and the ratio of each's CPU to it."""
    base, _ = best(found[of])
    rows, bars = [], {}
    for name, costs in found.items():
        cost, spread = best(costs)
        bars[name] = cost.cpu / base.cpu
        figures = f"{cost.wall:.1f} s", f"{cost.cpu:.1f} s", spread, f"{cost.peak:,.0f} MB"
        rows.append([name, *figures, f"{bars[name]:.2f}"])
    head = ["", "wall", "CPU", "spread", "peak memory", f"CPU to {of}"]
    return as_table(head, rows), bars


def load() -> Finding:
    """Ours against the floor."""
    answers = pages.Answers(pages=10)
    with pages.serve(answers) as url:
        found = alternate(
            {who: module("loading", who, url, answers.hours) for who in ("ours", "floor")}
        )
    table, bars = ratios(found, "floor")
    claim = (
        "A load takes at most twice the CPU of a floor written by hand, which decodes the same "
        "pages with msgspec, makes Arrow of them, inserts that into DuckDB, and does nothing else: "
        f"{answers.pages} pages, {answers.values / 1e6:.2f} M values."
    )
    return Finding("load", claim, table, bars, "x", 2.0)


def load_peers() -> Finding:
    """dlt's own source for the same page."""
    answers = pages.Answers(pages=1, hours=168 if FULL else 48)
    with pages.serve(answers) as url:
        who = ("ours", "floor", "dlt_tuned", "dlt")
        found = alternate({name: module("loading", name, url, answers.hours) for name in who})
    table, bars = ratios(found, "ours")
    claim = (
        "What people would use instead: dlt's `rest_api` source, with its defaults and tuned (flat "
        f"rows, Parquet). One page, {answers.values / 1e6:.2f} M values; most of what ours takes "
        "for so little is the import of dlt."
    )
    notes = [
        "dlt's source knows no log of changes, no receipt and no withdrawn row: it lands what is "
        "said, again each time."
    ]
    return Finding("load_peers", claim, table, bars, "x", None, notes)


def memory() -> Finding:
    """Peak memory by pages."""
    rows, bars = [], {}
    for count in (1, 10, 100) if FULL else (1, 10, 30):
        answers = pages.Answers(pages=count)
        with pages.serve(answers) as url:
            cost = run(module("loading", "ours", url, answers.hours))
        name = f"{count * 100:,} projects"
        bars[name] = cost.peak
        rows.append(
            [name, f"{answers.values / 1e6:.1f} M", f"{cost.cpu:.1f} s", f"{cost.peak:,.0f} MB"]
        )
    claim = (
        "A load takes at most 512 MB, whatever the number of pages: so many projects, 168 hours, "
        "eight metrics."
    )
    table = as_table(["", "values", "CPU", "peak memory"], rows)
    return Finding("load_memory", claim, table, bars, "MB", 512)


def waiting() -> Finding:
    """Wall against the API's own time."""
    rows, bars = [], {}
    for hours in (7, 168):
        answers = pages.Answers(pages=10, hours=hours, seconds=1.3)
        with pages.serve(answers) as url:
            costs = [run(module("loading", "ours", url, hours)) for _ in range(2)]
        wall, own = min(cost.wall for cost in costs), answers.pages * answers.seconds
        name = f"{hours} hours a page"
        bars[name] = wall / own
        rows.append([name, f"{own:.1f} s", f"{wall:.1f} s", f"{wall / own:.2f}"])
    claim = (
        "A load takes hardly longer than the vendor does: ten pages of 1.3 s each. The next page "
        "is under way while one is decoded; what is added is the start of the process, the last "
        "page and the landing."
    )
    return Finding(
        "load_wall", claim, as_table(["", "vendor", "load", "ratio"], rows), bars, "x", 1.05
    )


def first_build() -> Finding:
    """Ours against the SELECTs."""
    projects, weeks = (200, 43) if FULL else (50, 10)
    values = history.VALUES_PER_PROJECT_AND_HOUR * projects * weeks * 168
    with tempfile.TemporaryDirectory() as folder:
        filled = Path(folder) / "meterhouse.duckdb"
        run(module("history", "--fill", filled, projects, weeks))
        found = alternate({who: module("building", who, filled) for who in ("ours", "by hand")})
    table, bars = ratios(found, "by hand")
    claim = (
        f"A first build of {values / 1e6:.1f} M values, with its checks, takes "
        "at most 1.5 times the same SELECTs run by hand without any, and 2 GB of memory."
    )
    return Finding("first_build", claim, table, bars, "x", 1.5)


def hour() -> Finding:
    """What an hour costs, and the disk, by how much is held."""
    rows, bars = [], {}
    for projects in (50, 100, 200) if FULL else (50,):
        base = 0.0
        for weeks in (1, 10, 40) if FULL else (1, 10):
            told = run(module("history", projects, weeks)).told
            tick = told["load"] + told["build"] + told["nothing_new"]
            base = base or tick
            name = f"{projects} projects, {weeks} weeks"
            bars[name] = tick / base
            figures = [f"{told[part]:.2f} s" for part in ("load", "build", "nothing_new")]
            values = f"{told['values'] / 1e6:.2f} M"
            sizes = (
                f"{told['bytes'] / told['values']:.1f}",
                f"{told['bytes'] / told['parquet']:.1f}",
            )
            rows.append([name, values, *figures, f"{tick / base:.2f}", *sizes])
    claim = (
        "An hour costs after years what it costs after a week (at most 1.3 times): CPU of the load "
        "of one hour, its build, and a build with nothing new. Both files together take so many "
        "bytes a value, and so many times what the rows of `raw` and of `marts.fct_usage` take as "
        "Parquet packed with zstd, each once."
    )
    head = ["", "values", "load", "build", "nothing new", "ratio", "bytes a value", "to Parquet"]
    return Finding("hour", claim, as_table(head, rows), bars, "x", 1.3)


CLAIMS: dict[str, Callable[[], Finding]] = {
    "load": load,
    "load_peers": load_peers,
    "load_memory": memory,
    "load_wall": waiting,
    "first_build": first_build,
    "hour": hour,
}
PEERS = """## Peers that cannot do the job

| | why |
|---|---|
| dbt-duckdb | dbt-core 1.12 needs a package whose build downloads a program from elsewhere |
| SQLMesh | beside DuckDB 1.5, pandas 3.1 and sqlglot 30.21 only its version 0.4.1 can be had |
"""


def main() -> None:
    """Print what was found; all of it becomes the page."""
    names = [name for name in sys.argv[1:] if name != "--full"]
    findings = []
    for name in names or CLAIMS:
        print(name, file=sys.stderr)
        findings.append(CLAIMS[name]())
        print(f"\n{findings[-1].claim}\n\n{findings[-1].table}\n", flush=True)
    if not names:
        write(findings, PEERS)


if __name__ == "__main__":
    main()
