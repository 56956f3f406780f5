"""One hour of very many projects: `python -m tests.benchmarks.slopes pages|load|build FOLDER`.

Each step is a process of its own. Pages are made beforehand, so what is measured is landing them.
"""

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from assets.runs import building
from assets.sources import endpoint_of
from pipelines.windows import Window
from tests.benchmarks.history import BRANCHES, END, HOUR, METRICS, load_pages, settings_at, usage

# as many as Neon tells at once, and their branches
PROJECTS_OF_A_PAGE = 100
WINDOW = Window("hourly", END, END + HOUR)


def pages(folder: Path, projects: int) -> None:
    """Write what Neon says of these projects."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for table in BRANCHES:
            told = usage(table, projects, WINDOW.since, WINDOW.until)
            connection.execute(f"copy ({told}) to '{folder / table}.parquet' (format parquet)")


def load(folder: Path) -> None:
    """Land it, page by page."""
    settings = settings_at(folder / "meterhouse.duckdb", WINDOW.until + timedelta(minutes=20))
    for table in BRANCHES:
        load_pages(settings, table, WINDOW, _pages(folder, table))


def _pages(folder: Path, table: str) -> Iterator[pa.Table]:
    schema = endpoint_of(table).schema
    rows = PROJECTS_OF_A_PAGE * BRANCHES[table] * len(METRICS[table])
    with pq.ParquetFile(folder / f"{table}.parquet") as file:
        for batch in file.iter_batches(rows):
            yield pa.Table.from_batches([batch]).select(schema.names).cast(schema)


def build(folder: Path) -> None:
    """Build it, with all checks, and publish it."""
    path = folder / "meterhouse.duckdb"
    building.build(settings_at(path, WINDOW.until + timedelta(minutes=30)))


if __name__ == "__main__":
    step, where = sys.argv[1], Path(sys.argv[2])
    if step == "pages":
        pages(where, int(sys.argv[3]))
    else:
        {"load": load, "build": build}[step](where)
