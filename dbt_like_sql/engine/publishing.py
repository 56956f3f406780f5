# ruff: noqa: S608  (names come from the catalogue of our own warehouse)
"""The read copy: what readers get of a build, replaced in one step while others have it open."""

import os
from graphlib import TopologicalSorter
from pathlib import Path

import duckdb
import sqlglot

from dbt_like_sql.engine.models.parsing import named_tables, table_name
from dbt_like_sql.engine.warehouse import comment_on, literal, read_copy

PUBLISHED_SCHEMAS = ("marts", "reports", "seeds")
# what DuckDB keeps beside a file, found by name alone: a file replaced without them is another one
_SIDE_FILES = (".wal", ".wal.checkpoint", ".wal.recovery")


def publish(connection: duckdb.DuckDBPyConnection, path: Path) -> Path:
    """Replace the read copy by the marts, reports and seeds of `connection`; the copy's path.

    Call it inside `writer`, after the build's commit. Killed half-way, the old copy stands.
    """
    copy = read_copy(path)
    draft = Path(f"{copy}.draft")
    draft.unlink(missing_ok=True)
    _remove_side_files(draft)
    connection.execute(f"attach {literal(str(draft))} as published")
    try:
        _copy_all(connection)
        connection.execute("checkpoint published")
    finally:
        connection.execute("detach published")
    draft.chmod(draft.stat().st_mode & ~0o222)
    _sync(draft)
    # before the rename and on disk by then: the old copy is itself without them, the new one is not
    _remove_side_files(copy)
    _sync(copy.parent)
    draft.replace(copy)
    _sync(copy.parent)
    return copy


def _remove_side_files(path: Path) -> None:
    """Remove what a client wrote beside a file: DuckDB would replay it onto the file after that."""
    for suffix in _SIDE_FILES:
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _copy_all(connection: duckdb.DuckDBPyConnection) -> None:
    """A table of the warehouse is a table; a view is one where all that it reads is published."""
    schemas = ", ".join(map(literal, PUBLISHED_SCHEMAS))
    of_published = f"database_name = current_database() and schema_name in ({schemas})"
    found = connection.execute(
        "select schema_name || '.' || table_name, comment, null from duckdb_tables()"
        f" where {of_published} union all "
        "select schema_name || '.' || view_name, comment, sql from duckdb_views()"
        f" where {of_published}"
    ).fetchall()
    columns = connection.execute(
        "select schema_name || '.' || table_name, column_name, comment from duckdb_columns()"
        f" where {of_published} and comment is not null"
    ).fetchall()
    for schema in PUBLISHED_SCHEMAS:
        connection.execute(f"create schema published.{schema}")
    comments = {name: comment for name, comment, _ in found}
    queries = {name: sql.partition(" AS ")[2] for name, _, sql in found if sql}
    read = {name: _tables_in(query) for name, query in queries.items()}
    views = {name: inputs for name, inputs in read.items() if inputs <= comments.keys()}
    # a view can be made once all that it reads is there
    for name in TopologicalSorter({name: views.get(name, ()) for name in comments}).static_order():
        kind, query = ("view", queries[name]) if name in views else ("table", f"from {name}")
        connection.execute(f"create {kind} published.{name} as {query}")
        comment_on(connection, kind, f"published.{name}", comments[name])
    for name, column, comment in columns:
        comment_on(connection, "column", f'published.{name}."{column}"', comment)


def _tables_in(query: str) -> set[str]:
    return {table_name(table) for table in named_tables(sqlglot.parse_one(query, read="duckdb"))}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
