# ruff: noqa: S608  (names come from the catalogue of our own warehouse)
"""A warehouse moved from a file into a lake, or back: what landed, verified before it is kept.

Models are no part of it: they are built where it arrived. All of it is one transaction, so that
what was killed half-way has left nothing, and is begun again; after it, it is found to be there.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import duckdb

from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.lakes import opening as lake
from dbt_like_sql.engine.lakes.address import Lake, Warehouse
from dbt_like_sql.engine.words import WarehouseError, in_words, literal

# how many rows a table has, and a sum of their hashes
Content: TypeAlias = tuple[int, int | None]
_FILE = "file"
# what can be built again is not moved
_MOVED = "schema_name = 'raw' or (schema_name = 'meta' and table_name = 'warehouse')"


def move(source: Warehouse, target: Warehouse, say: Callable[[str], None]) -> dict[str, int]:
    """Copy what landed from one to the other, which holds nothing or the same; the rows of each
    table.

    Nobody writes to either meanwhile. Raises WarehouseError where the target holds something else,
    or does not hold the same in the end; then nothing of it is kept.
    """
    both = (source, target)
    lakes = [at for at in both if isinstance(at, Lake)]
    files = [at for at in both if isinstance(at, Path)]
    if not (lakes and files):
        raise WarehouseError("from a file into a lake or back: a file is moved by copying it")
    with ExitStack() as held:
        for at in both:
            held.enter_context(in_words(at))
            held.enter_context(warehouse.writer_lock(at))
        held.enter_context(lake.turn(lakes[0], lake.BUILDING, "Let it finish.", 600))
        connection = held.enter_context(lake.connected(lakes[0]))
        ((name,),) = connection.execute("select current_database()").fetchall()
        files[0].parent.mkdir(parents=True, exist_ok=True)
        is_read = " (read_only)" if files[0] == source else ""
        connection.execute(f"attach {literal(str(files[0]))} as {_FILE}{is_read}")
        held.callback(connection.execute, f"use memory; detach {_FILE}")
        known = {lakes[0]: name, files[0]: _FILE}
        return _move(connection, known[source], known[target], f"{target}", say)


def _move(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    target: str,
    shown: str,
    say: Callable[[str], None],
) -> dict[str, int]:
    counts = dict[str, int]()
    if there := _tables(connection, target, "schema_name <> 'meta'"):
        landed, brought = (_landed(connection, at) for at in (source, target))
        if landed == brought:  # by a move that was killed after this, while it built
            say("  it is there already, every row the same in both")
            return {table: count for table, (count, _) in landed.items()}
        raise WarehouseError(
            f"{shown} holds something else already ({there[0]}, ...), and nothing was changed. Name"
            " a place that is empty; what an earlier move brought was verified, and can be used."
        )
    with warehouse.transaction(connection):
        connection.execute(f"drop schema if exists {target}.meta cascade")
        for table in _tables(connection, source, _MOVED):
            schema = table.partition(".")[0]
            connection.execute(f"create schema if not exists {target}.{schema}")
            connection.execute(f"create table {target}.{table} as from {source}.{table}")
            held, arrived = (_content(connection, f"{at}.{table}") for at in (source, target))
            if held != arrived:
                raise WarehouseError(
                    f"{table} did not arrive as it was ({held[0]:,} rows, {arrived[0]:,} there): "
                    "nothing was kept. Run it again; if it happens again, tell us."
                )
            counts[table] = held[0]
            say(f"  {table:<36} {held[0]:>13,} rows, the same in both")
    return counts


def _tables(connection: duckdb.DuckDBPyConnection, database: str, where: str) -> list[str]:
    found = connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables()"
        f" where database_name = {literal(database)} and not internal and ({where}) order by all"
    ).fetchall()
    return [name for (name,) in found]


def _landed(connection: duckdb.DuckDBPyConnection, database: str) -> dict[str, Content]:
    """What is moved, of tables that have rows: a build makes others."""
    tables = _tables(connection, database, _MOVED)
    held = {table: _content(connection, f"{database}.{table}") for table in tables}
    return {table: content for table, content in held.items() if content[0]}


def _content(connection: duckdb.DuckDBPyConnection, table: str) -> Content:
    """How many rows it has, and what they are, in whatever order."""
    ((count, content),) = connection.execute(
        f"select count(*), sum(hash(it)) from {table} as it"
    ).fetchall()
    return count, content


def facts_of(at: Warehouse) -> dict[str, Content]:
    """What every fact table says, in whatever order, as readers see it."""
    with warehouse.reader(at) as connection:
        named = connection.execute(
            # a view of a lake is a table in a read copy
            "select table_name from information_schema.tables where table_schema = 'marts'"
            " and table_catalog = current_database() and table_name like 'fct_%' order by all"
        ).fetchall()
        return {name: _content(connection, f"marts.{name}") for (name,) in named}
