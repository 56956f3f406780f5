# ruff: noqa: S608  (the name of a lake is one that we gave it)
"""Upkeep of a lake's files: each load and build writes some of its own, and nothing goes by itself.

Small files become larger ones, and what nobody can read any more is deleted, with what builds left
that were killed. A file of DuckDB needs none of it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.lakes.address import Lake
from dbt_like_sql.engine.words import literal

# no reader and no build takes this long, and so far back a lake can be read as it was
KEPT = timedelta(days=1)
# of a file whose rows were replaced to this part only the others are read and written again
_REPLACED = 0.3


@dataclass(frozen=True)
class Upkeep:
    """What was done: files that stand and their bytes, before and after, and how many are gone."""

    files_before: int
    files: int
    bytes_before: int
    bytes: int
    deleted: int


def upkeep(at: Lake, now: datetime) -> Upkeep:
    """Merge, expire and delete, as of `now`. Readers go on; loads and builds wait."""
    old = f"older_than => {literal(now - KEPT)}"
    with warehouse.writer(at, builds=True) as connection, warehouse.landing(at):
        ((lake,),) = connection.execute("select current_database()").fetchall()

        def call(function: str, *options: str) -> int:
            told = ", ".join([literal(lake), *options])
            return len(connection.execute(f"call ducklake_{function}({told})").fetchall())

        def stands() -> tuple[int, int]:
            ((files, size),) = connection.execute(
                "select sum(file_count + delete_file_count), sum(file_size_bytes)"
                f" from ducklake_table_info({literal(lake)})"
            ).fetchall()
            return int(files or 0), int(size or 0)

        files_before, bytes_before = stands()
        call("flush_inlined_data")
        call("expire_snapshots", old)
        call("merge_adjacent_files")
        call("rewrite_data_files", f"delete_threshold => {_REPLACED}")
        deleted = call("cleanup_old_files", old) + call("delete_orphaned_files", old)
        files, size = stands()
    return Upkeep(files_before, files, bytes_before, size, deleted)
