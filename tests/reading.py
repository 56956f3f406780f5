"""Rows of a read copy, which tests look at again and again: it is opened once.

To open one of all models takes 20 ms of CPU, and what a test asks it takes one.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb

from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.lakes.address import Warehouse
from dbt_like_sql.engine.words import CONFIG


def rows(at: Warehouse, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """What readers of a warehouse are told, as it was last published."""
    if isinstance(at, Path) and warehouse.read_copy(at).exists():
        return copy_of(at).execute(sql, list(parameters)).fetchall()
    with warehouse.reader(at) as reader:
        return reader.execute(sql, list(parameters)).fetchall()


def copy_of(at: Path) -> duckdb.DuckDBPyConnection:
    """The read copy of a warehouse as it is now, in UTC; it stays open."""
    copy = warehouse.read_copy(at)
    is_now = copy.stat()
    connection = _opened(copy, is_now.st_ino, is_now.st_mtime_ns, is_now.st_size).cursor()
    return connection.execute("set TimeZone = 'UTC'")


@lru_cache(maxsize=2)
def _opened(copy: Path, *version: int) -> duckdb.DuckDBPyConnection:
    """The file as it is now, by a name that no other gets: by its own, DuckDB would take the next
    one for this one as long as this is open."""
    name = copy.with_name(f".{copy.name}.{os.getpid()}.{version}")
    os.link(copy, name)
    try:
        return duckdb.connect(name, read_only=True, config=CONFIG)
    finally:
        name.unlink()
