"""A first build of a long history: ours, and the same SELECTs run by hand.

Each is run in a process of its own: `python -m tests.benchmarks.building WHO WAREHOUSE`.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import duckdb

from assets.runs import building
from assets.sources import ENDPOINTS
from dbt_like_sql.engine.models import PACKAGE_FOLDER, load_models
from dbt_like_sql.engine.models.model import SCHEMAS
from dbt_like_sql.engine.seeds import load_seed, seed_files
from dbt_like_sql.engine.warehouse import literal, read_copy
from pipelines import receipts
from tests.benchmarks.history import END, settings_at


def ours(path: Path) -> None:
    """As `meterhouse build` does it: in parts, checked, in one transaction, and published."""
    building.build(settings_at(path, END))


def by_hand(path: Path) -> None:
    """Every SELECT as it is written, one after the other, and the facts copied; no check."""
    with duckdb.connect(path) as connection:
        connection.execute("set TimeZone = 'UTC'; set memory_limit = '2GB'")
        receipts.create_raw_tables(connection, ENDPOINTS)
        for schema in ("seeds", *SCHEMAS):
            connection.execute(f"create schema if not exists {schema}")
        for name, file in seed_files(PACKAGE_FOLDER).items():
            load_seed(connection, name, file)
        for model in load_models().values():
            kind = "view" if model.is_view else "table"
            connection.execute(f"create {kind} {model.name} as {model.select(now=END)}")
        connection.execute(
            f"attach {literal(str(read_copy(path)))} as copy; create schema copy.marts;"
            " create table copy.marts.fct_usage as from marts.fct_usage; checkpoint copy"
        )


WHO = {"ours": ours, "by hand": by_hand}


def main(who: str, filled: str) -> None:
    """Build a copy of a warehouse that holds raw rows alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy(filled, folder))
        WHO[who](path)
        files = [file.stat().st_size for file in Path(folder).glob("*.duckdb")]
    print(json.dumps({"bytes": sum(files)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
