"""The warehouse as runs open it, what a query answers as rows, and how notes beside it are kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from assets.settings import Settings
from assets.sources import ENDPOINTS
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.words import in_place_of
from pipelines import upgrade
from pipelines.receipts import Connection

Row = dict[str, Any]


@contextmanager
def open_warehouse(
    settings: Settings, timeout_seconds: float = 600, builds: bool = False
) -> Iterator[Connection]:
    """The warehouse, for writing, in the format of today, when it is this process's turn."""
    with warehouse.writer(settings.warehouse, timeout_seconds, builds) as connection:
        upgrade.upgrade(connection, ENDPOINTS)
        yield connection


def write_note(file: Path, text: str) -> None:
    """Write what is kept beside the warehouse: whoever reads it meanwhile, or after a kill, finds
    the old one or the new one."""
    try:
        with in_place_of(file) as draft:
            draft.write_text(text, encoding="utf-8")
    except OSError:
        file.write_text(text, encoding="utf-8")  # a full disk has room for as much as it gives up


def rows_of(connection: Connection, sql: str) -> list[Row]:
    """What a report of the read copy holds, by the names of its columns."""
    try:
        result = connection.execute(sql)
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        schemas = "from information_schema.schemata where schema_name = 'reports'"
        # before this report, or a column, was thought of; or what was loaded first, and not built
        is_built = connection.execute(schemas).fetchall()
        why = "what was built is of another version" if is_built else "nothing has been built yet"
        message = f"{why}: run `meterhouse build`"
        raise warehouse.WarehouseError(message) from error
    names = [column for column, *_ in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
