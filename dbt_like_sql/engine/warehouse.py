"""Opening the warehouse: one writer that waits its turn, readers on a copy that no writer touches.

A DuckDB file has one writing process, and a reader of that file keeps the writer out. So analysts
open the read copy, which publishing.py replaces in one step; open readers keep the one they opened.
A client that opens the copy for writing all the same changes it until the next publish at most.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

_RETRY_SECONDS = 0.1
# what is no DuckDB file makes DuckDB fetch an extension that could read it, unless told not to
_CONFIG: dict[str, str | bool | int | float | list[str]] = {"autoinstall_known_extensions": False}


class WarehouseBusyError(RuntimeError):
    """Somebody else held the warehouse for longer than we were ready to wait."""


@contextlib.contextmanager
def writer_lock(path: Path, timeout_seconds: float = 600) -> Iterator[None]:
    """Hold the one lock under which this warehouse is written, `<path>.lock`.

    Loads and builds both take it. Raises WarehouseBusyError when it is not free in time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = Path(f"{path}.lock")
    lock = FileLock(file)
    try:
        lock.acquire(timeout=timeout_seconds)
    except Timeout:
        raise WarehouseBusyError(_busy(path, _holder(file), timeout_seconds)) from None
    try:
        file.write_text(str(os.getpid()))  # only for the message that a waiter may need
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def writer(path: Path, timeout_seconds: float = 600) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, open for writing, in UTC; waits at most `timeout_seconds` for its turn.

    Raises WarehouseBusyError naming the process that holds it.
    """
    deadline = time.monotonic() + timeout_seconds
    with writer_lock(path, timeout_seconds):
        connection = _connect(path, deadline, timeout_seconds)
        try:
            yield connection
        finally:
            connection.close()


def read_copy(path: Path) -> Path:
    """Where the copy for readers is: meterhouse.duckdb -> meterhouse.read.duckdb."""
    return path.with_suffix(f".read{path.suffix}")


@contextlib.contextmanager
def reader(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The read copy of the warehouse at `path`, read-only, in UTC; never waits, never blocks.

    Raises FileNotFoundError when nothing was published yet.
    """
    copy = read_copy(path)
    if not copy.exists():
        raise FileNotFoundError(f"nothing has been built yet: run `meterhouse run` (no {copy})")
    connection = duckdb.connect(copy, read_only=True, config=_CONFIG)
    try:
        connection.execute("set TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of what is done inside, or nothing."""
    connection.execute("begin")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        # a commit that failed has already ended the transaction
        with contextlib.suppress(duckdb.TransactionException):
            connection.execute("rollback")
        raise


def models_file(connection: duckdb.DuckDBPyConnection) -> Path | None:
    """Where what was read of the models is kept: meterhouse.duckdb -> meterhouse.models.json."""
    row = connection.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchone()
    return Path(row[0]).with_suffix(".models.json") if row and row[0] else None


def describe(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """`{schema.table: {column: type}}` of everything that stands in the warehouse."""
    columns: dict[str, dict[str, str]] = {}
    for schema, table, column, kind in connection.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns()"
        " where database_name = current_database() and not internal order by all"
    ).fetchall():
        columns.setdefault(f"{schema}.{table}", {})[column] = kind
    return columns


def count(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    """How many rows a table or view has."""
    row = connection.execute(f"select count(*) from {name}").fetchone()  # noqa: S608
    return int(row[0]) if row else 0


def comment_on(
    connection: duckdb.DuckDBPyConnection, kind: str, name: str, comment: str | None
) -> None:
    """Document a table, view or column in the catalogue, where analysts' tools show it."""
    if comment:
        connection.execute(f"comment on {kind} {name} is {literal(comment)}")


def literal(value: str | datetime | None) -> str:
    """A value as SQL writes it: with any parameter DuckDB's client imports pandas, for a second."""
    if value is None:
        return "null"
    if isinstance(value, datetime):
        return f"timestamptz '{value.isoformat(sep=' ')}'"
    return "'" + value.replace("'", "''") + "'"


def _connect(path: Path, deadline: float, timeout_seconds: float) -> duckdb.DuckDBPyConnection:
    while True:
        try:
            connection = duckdb.connect(path, config=_CONFIG)
        except duckdb.IOException as error:
            if "Could not set lock" not in str(error):
                raise
            if time.monotonic() >= deadline:
                holder = re.search(r"held in (.*? \(PID \d+\))", str(error))
                message = _busy(path, holder[1] if holder else str(error), timeout_seconds)
                raise WarehouseBusyError(message) from error
            time.sleep(_RETRY_SECONDS)
        else:
            connection.execute("set TimeZone = 'UTC'")
            return connection


def _busy(path: Path, holder: str, seconds: float) -> str:
    return (
        f"{path} is in use by {holder}; waited {seconds:g} s. If that is a load or a build, let it"
        f" finish; if it is somebody's SQL client, close it there and open {read_copy(path)},"
        " which is never locked."
    )


def _holder(lock: Path) -> str:
    with contextlib.suppress(OSError):
        if pid := lock.read_text().strip():
            return f"another meterhouse process (PID {pid})"
    return "another meterhouse process"
