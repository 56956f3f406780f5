# ruff: noqa: S608  (names come from the catalogue of our own warehouse)
"""The read copy: what readers get of a build, replaced in one step while others have it open.

The next copy is the last one with the windows that changed; it is written whole where that one is
not as we left it, or would keep too much room free.
"""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import duckdb

from dbt_like_sql.engine.build_state import create_tables
from dbt_like_sql.engine.lakes.address import Lake, Warehouse
from dbt_like_sql.engine.warehouse import comment_on, literal, read_copy, transaction

PUBLISHED_SCHEMAS = ("marts", "reports", "seeds")
_SCHEMAS = ", ".join(map(literal, PUBLISHED_SCHEMAS))
# what DuckDB keeps beside a file, found by name alone: a file replaced without them is another one
_SIDE_FILES = (".wal", ".wal.checkpoint", ".wal.recovery")
# blocks of 256 KB: where more are free, and a third of those in use, a copy is written whole again
_FREE_BLOCKS = 32


class _Relation(NamedTuple):
    """A table or view: `kind` and `query` (of a view) as the catalogue has them."""

    kind: str
    comment: str | None
    query: str | None


def publish(connection: duckdb.DuckDBPyConnection, at: Warehouse) -> None:
    """Let readers see what was built: a lake's do. Of a file, bring the read copy up to the marts,
    reports and seeds of `connection`.

    Call it inside `writer`, after the build's commit. Where no build changed anything since the
    last publish, the file is not touched. Killed half-way, the old copy stands, and the next
    publish does all of it.
    """
    create_tables(connection)
    if isinstance(at, Lake):
        connection.execute("delete from meta.unpublished")
    elif not is_current(connection, at):
        _publish(connection, read_copy(at))


def _publish(connection: duckdb.DuckDBPyConnection, copy: Path) -> None:
    draft = Path(f"{copy}.draft")
    changes, is_ours = _unpublished(connection), _is_ours(connection, copy)
    try:
        if not (is_ours and _write_changes(connection, draft, changes, copy)):
            everything = dict.fromkeys(_relations(connection, "current_database()"), "true")
            _write(connection, draft, everything)
    except (OSError, duckdb.Error):  # a full disk is not to stay full of it
        draft.unlink(missing_ok=True)
        _remove_side_files(draft)
        raise
    draft.chmod(draft.stat().st_mode & ~0o222)
    _sync(draft)
    # killed from here on, the copy is not what is noted, and will be written whole
    _note(connection, draft)
    # before the rename and on disk by then: the old copy is itself without them, the new one is not
    _remove_side_files(copy)
    _sync(copy.parent)
    draft.replace(copy)
    _sync(copy.parent)


def is_current(connection: duckdb.DuckDBPyConnection, at: Warehouse) -> bool:
    """Readers see all that was built: of a file, the read copy is as we left it and holds it."""
    if isinstance(at, Lake):
        return True
    return _is_ours(connection, read_copy(at)) and not _unpublished(connection)


def _unpublished(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """By name, which rows builds have changed since the last publish: `true` is all that it is."""
    rows = connection.execute(
        "select name, case when bool_or(rows_where = 'true') then 'true'"
        " else string_agg(distinct rows_where, ' or ') end from meta.unpublished"
        f" where split_part(name, '.', 1) in ({_SCHEMAS}) group by name"
    ).fetchall()
    return dict(rows)


def _is_ours(connection: duckdb.DuckDBPyConnection, copy: Path) -> bool:
    """The copy is as the last publish left it, with no log of a client beside it."""
    noted = connection.execute("from meta.published").fetchone()
    beside = any(Path(f"{copy}{suffix}").exists() for suffix in _SIDE_FILES)
    return copy.exists() and not beside and noted == _identity(copy)


def _note(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """This is the copy now, and it holds all that was built."""
    with transaction(connection):
        connection.execute("delete from meta.unpublished; delete from meta.published")
        connection.execute(f"insert into meta.published values {_identity(file)}")


def _identity(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns


def _write_changes(
    connection: duckdb.DuckDBPyConnection, draft: Path, changes: Mapping[str, str], copy: Path
) -> bool:
    """Whether a draft could be made of the last copy, and is worth keeping."""
    try:
        is_good = _write(connection, draft, changes, copy)
    except duckdb.Error:  # damaged on disk: the time when it was changed does not tell
        return False
    return is_good and _is_ours(connection, copy)  # as it was before it was read


def _write(
    connection: duckdb.DuckDBPyConnection,
    draft: Path,
    changes: Mapping[str, str],
    base: Path | None = None,
) -> bool:
    """Make a draft of `base` (or of nothing) and these changes; whether little of it is free."""
    draft.unlink(missing_ok=True)
    _remove_side_files(draft)
    if base:
        _copy(base, draft)
    connection.execute(f"attach {literal(str(draft))} as published")
    try:
        with transaction(connection):
            _apply(connection, changes)
        connection.execute("checkpoint published")
        ((free, used),) = connection.execute(
            "select free_blocks, used_blocks from pragma_database_size()"
            " where database_name = 'published'"
        ).fetchall()
    finally:
        connection.execute("detach published")
    return bool(free <= max(_FREE_BLOCKS, used / 3))


def _apply(connection: duckdb.DuckDBPyConnection, changes: Mapping[str, str]) -> None:
    for schema in PUBLISHED_SCHEMAS:
        connection.execute(f"create schema if not exists published.{schema}")
    standing = _relations(connection, "'published'")
    anew = [name for name, where in changes.items() if where == "true" or name not in standing]
    for name in anew:
        if name in standing:
            connection.execute(f"drop {standing[name].kind} published.{name}")
    _create(connection, anew)
    for name in changes.keys() - {*anew}:
        if standing[name].kind == "table":  # the rows of a view are those of what it reads
            where = changes[name]
            connection.execute(f"delete from published.{name} where {where}")
            connection.execute(f"insert into published.{name} from {name} where {where}")


def _create(connection: duckdb.DuckDBPyConnection, names: list[str]) -> None:
    """A table of the warehouse is a table; a view is one where all that it reads is published."""
    given = _relations(connection, "current_database()")
    made = {name: given[name] for name in names if name in given}
    read = {name: _tables_in(connection, it.query) for name, it in made.items() if it.query}
    views = {name: inputs for name, inputs in read.items() if inputs <= given.keys()}
    said: dict[str, dict[str, str]] = {}
    for name, column, comment in connection.execute(
        "select schema_name || '.' || table_name, column_name, comment from duckdb_columns()"
        " where database_name = current_database() and comment is not null"
    ).fetchall():
        said.setdefault(name, {})[column] = comment
    # a view can be made once all that it reads is there
    order = TopologicalSorter({name: views.get(name, set()) & made.keys() for name in made})
    for name in order.static_order():
        kind, query = ("view", made[name].query) if name in views else ("table", f"from {name}")
        connection.execute(f"create {kind} published.{name} as {query}")
        comment_on(connection, kind, f"published.{name}", made[name].comment, said.get(name, {}))


def _relations(connection: duckdb.DuckDBPyConnection, database: str) -> dict[str, _Relation]:
    """What is published of a database, or was, by name."""
    where = f"where database_name = {database} and schema_name in ({_SCHEMAS})"
    rows = connection.execute(
        "select schema_name || '.' || table_name, 'table', comment, null from duckdb_tables()"
        f" {where} union all select schema_name || '.' || view_name, 'view', comment, sql"
        f" from duckdb_views() {where}"
    ).fetchall()
    return {
        name: _Relation(kind, comment, sql and sql.partition(" AS ")[2])
        for name, kind, comment, sql in rows
    }


def _tables_in(connection: duckdb.DuckDBPyConnection, query: str) -> set[str]:
    """What a query reads by its full name, as DuckDB itself parses it: to import another parser
    takes as long as a build of nothing."""
    found = set()

    def note(node: dict[str, str]) -> None:
        if node.get("type") == "BASE_TABLE" and node["schema_name"]:
            found.add(f"{node['schema_name']}.{node['table_name']}")

    ((parsed,),) = connection.execute(f"select json_serialize_sql({literal(query)})").fetchall()
    json.loads(parsed, object_hook=note)
    return found


def _copy(source: Path, target: Path) -> None:
    """Where the file system shares blocks (XFS, btrfs), a copy of any size takes no time."""
    try:
        with source.open("rb") as given, target.open("wb") as made:
            while os.copy_file_range(given.fileno(), made.fileno(), sys.maxsize):
                pass
    except OSError:  # some systems do not know that call; what else is wrong is so for this one
        shutil.copyfile(source, target)


def _remove_side_files(path: Path) -> None:
    """Remove what a client wrote beside a file: DuckDB would replay it onto the file after that."""
    for suffix in _SIDE_FILES:
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
