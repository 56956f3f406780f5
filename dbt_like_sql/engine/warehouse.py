"""Opening the warehouse: one writer that waits its turn, readers on a copy that no writer touches.

A DuckDB file has one writing process, and a reader of that file keeps the writer out. So analysts
open the read copy, which publishing.py replaces in one step; open readers keep the one they opened.
A client that opens the copy for writing all the same changes it until the next publish at most.
"""

import contextlib
import logging
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

# of the tables that loads keep; what upgrades an older warehouse is pipelines/upgrade.py
FORMAT = 2
# what is there by then is of 0.1, which kept no format
_CLAIM = (
    "create schema if not exists meta; create table meta.warehouse as select uuid() as id,"  # noqa: S608
    f" case when count(*) = 0 then {FORMAT} else 1 end as format from duckdb_tables()"
    " where database_name = current_database() and schema_name = 'raw' and table_name = 'loads'"
)
_RETRY_SECONDS = 0.1
_SILENT_SECONDS = 1.0
# nothing is fetched to read a file that is none of DuckDB's
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_MAGIC = b"DUCK"  # from the ninth byte on
_log = logging.getLogger(__name__)

# what comes of a disk or a file, and not of a query
_OF_STORAGE = (
    OSError,
    sqlite3.Error,
    duckdb.IOException,
    duckdb.TransactionException,
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.SerializationException,
    duckdb.OutOfMemoryException,
)
_SAFE = "Nothing of this step was kept, what landed before is untouched: then run the same again."
_ADVICE = {
    "not a database|malformed": "Delete it under $XDG_STATE_HOME/meterhouse: it is made anew.",
    "No space left|quota|max_temp_directory_size|too large|disk I/O": f"Free some space. {_SAFE}",
    "(?i)permission|not permitted|read-?only|directory|file exists": "Let this user write its"
    " folder and its files, or set WAREHOUSE to another place; nothing was changed.",
    "set lock": "A load or a build holds it: try again in a moment.",
    "memory": f"Raise MEMORY_LIMIT, or free some memory. {_SAFE}",
    "version number": "A newer DuckDB wrote it: use the meterhouse that did; nothing was changed.",
    "(?i)no DuckDB|corrupt|enough bytes|wal|internal|invalidated": "Put a backup in its place, or "
    "move it away and load again what the vendors still keep; nothing was changed.",
    "": f"See what is wrong with it. {_SAFE}",
}
_WRITTEN_ANEW = "Delete it, and run `meterhouse build`, which writes it anew."


class WarehouseError(RuntimeError):
    """The warehouse, or a file beside it, cannot be used; the text says why, and what to do."""


class WarehouseBusyError(WarehouseError):
    """Somebody else held the warehouse for longer than we were ready to wait."""


@contextlib.contextmanager
def turn(file: Path, what: str, advice: str, timeout_seconds: float) -> Iterator[None]:
    """Hold a lock file, which ends with its process; says who holds it while that is another.

    Raises WarehouseBusyError when it is not free in time.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        try:
            lock.acquire(timeout=min(_SILENT_SECONDS, timeout_seconds))
        except Timeout:
            _log.warning("waiting for %s, held by %s", what, _holder(file))
            lock.acquire(timeout=max(timeout_seconds - _SILENT_SECONDS, 0))
    except Timeout:
        raise WarehouseBusyError(_busy(what, _holder(file), timeout_seconds, advice)) from None
    try:
        file.write_text(str(os.getpid()))  # only for what a waiter says
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def writer_lock(path: Path, timeout_seconds: float = 600) -> Iterator[None]:
    """Hold the one lock under which this warehouse is written, `<path>.lock`.

    Loads and builds both take it. Raises WarehouseBusyError when it is not free in time.
    """
    with turn(Path(f"{path}.lock"), str(path), _when_busy(path), timeout_seconds):
        yield


@contextlib.contextmanager
def writer(path: Path, timeout_seconds: float = 600) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, open for writing, in UTC; waits at most `timeout_seconds` for its turn.

    Raises WarehouseBusyError naming the process that holds it, and WarehouseError where it cannot
    be used, is not ours, or is of a later format.
    """
    deadline = time.monotonic() + timeout_seconds
    with in_words(path), writer_lock(path, timeout_seconds):
        connection = _connect(path, deadline, timeout_seconds)
        try:
            # what a build spilled that was killed: nobody else has the file open now
            shutil.rmtree(f"{path}.tmp", ignore_errors=True)
            if not _is_claimed(connection, path):
                connection.execute(_CLAIM)
            yield connection
        finally:
            connection.close()


def read_copy(path: Path) -> Path:
    """Where the copy for readers is: meterhouse.duckdb -> meterhouse.read.duckdb."""
    return path.with_suffix(f".read{path.suffix}")


@contextlib.contextmanager
def reader(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The read copy of the warehouse at `path`, read-only, in UTC; never waits, never blocks.

    Where there is none that opens, the warehouse itself, for a moment. Raises WarehouseError where
    neither can be read, or nothing was built yet.
    """
    copy, advice = read_copy(path), _WRITTEN_ANEW
    try:
        with in_words(copy, advice):
            connection = _opened(copy, read_only=True)
    except WarehouseError:
        with in_words(path):
            if not (path.exists() and path.stat().st_size):
                text = f"nothing has been built yet: run `meterhouse run` (no {copy})"
                raise WarehouseError(text) from None
            connection, copy, advice = _opened(path, read_only=True), path, ""
            _is_claimed(connection, path)
    with in_words(copy, advice):
        try:
            yield connection
        finally:
            connection.close()


@contextlib.contextmanager
def in_words(
    path: Path | str = "a temporary file or a request budget", advice: str = ""
) -> Iterator[None]:
    """What a disk or a file does not allow, and what a model or a seed cannot be built of, is a
    WarehouseError of one sentence."""
    try:
        yield
    except _OF_STORAGE as error:
        what = re.sub(r"^(\[Errno \d+\]|\w+ Error:) |[!.]?(\n.*)?$", "", str(error), flags=re.S)
        found = (said for pattern, said in _ADVICE.items() if re.search(pattern, what))
        raise WarehouseError(f"{path} cannot be used: {what}. {advice or next(found)}") from None
    except (duckdb.DataError, duckdb.ProgrammingError) as error:
        where = " ".join(getattr(error, "__notes__", ()))
        if not where:  # of no model and no seed: a fault of the code
            raise
        what = str(error).splitlines()[0].rstrip(".")
        text = f"{where}: {what}. Nothing was changed; readers see the build before it."
        raise WarehouseError(text) from None
    except RuntimeError as error:
        if str(error) != "Query interrupted":  # how DuckDB takes a Ctrl-C
            raise
        raise KeyboardInterrupt from None


@contextlib.contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of what is done inside, or nothing."""
    connection.execute("begin")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        # a commit that failed has already ended the transaction
        with contextlib.suppress(duckdb.Error):
            connection.execute("rollback")
        raise


def models_file(connection: duckdb.DuckDBPyConnection) -> Path | None:
    """Where what was read of the models is kept: meterhouse.duckdb -> meterhouse.models.json."""
    row = connection.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchone()
    return models_beside(Path(row[0])) if row and row[0] else None


def models_beside(path: Path) -> Path:
    """The same of the warehouse at this path."""
    return path.with_suffix(".models.json")


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
    connection: duckdb.DuckDBPyConnection,
    kind: str,
    name: str,
    comment: str | None,
    columns: Mapping[str, str],
) -> None:
    """Document a table or view and its columns in the catalogue, where analysts' tools show it."""
    said = {f'column {name}."{column}"': about for column, about in columns.items()}
    if comment:
        said[f"{kind} {name}"] = comment
    # at once: statement by statement they take twice the time, and there are thousands
    connection.execute(
        "; ".join(f"comment on {it} is {literal(about)}" for it, about in said.items())
    )


def literal(value: str | datetime | None) -> str:
    """A value as SQL writes it: with any parameter DuckDB's client imports pandas, for a second."""
    if value is None:
        return "null"
    if isinstance(value, datetime):
        return f"timestamptz '{value.isoformat(sep=' ')}'"
    return "'" + value.replace("'", "''") + "'"


def _connect(path: Path, deadline: float, timeout_seconds: float) -> duckdb.DuckDBPyConnection:
    say_at = time.monotonic() + _SILENT_SECONDS
    while True:
        try:
            return _opened(path)
        except duckdb.IOException as error:
            if "Could not set lock" not in str(error):
                raise
            found = re.search(r"held in (.*? \(PID \d+\))", str(error))
            holder = found[1] if found else str(error)
        if time.monotonic() >= deadline:
            text = _busy(str(path), holder, timeout_seconds, _when_busy(path))
            raise WarehouseBusyError(text)
        if time.monotonic() >= say_at:
            _log.warning("waiting for %s, held by %s", path, holder)
            say_at = deadline
        time.sleep(_RETRY_SECONDS)


def _opened(path: Path, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """A connection to a file of DuckDB's; to a new one where there is none, or an empty one."""
    if read_only or path.exists():
        with path.open("rb") as file:
            start = file.read(12)
        if start == b"" and not (read_only or Path(f"{path}.wal").exists()):
            path.unlink()  # what mktemp left, or we, killed while it was made
        elif start[8:] != _MAGIC:
            raise duckdb.IOException("it is no DuckDB database")
    connection = duckdb.connect(path, read_only, config=_CONFIG)
    connection.execute("set TimeZone = 'UTC'")
    return connection


def _is_claimed(connection: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Whether a database says that it is ours; refuses what others made, or a later meterhouse."""
    try:
        row = connection.execute("select format from meta.warehouse").fetchone()
    except (duckdb.CatalogException, duckdb.BinderException):
        there = describe(connection)
        if not there or "asked_at" in there.get("raw.loads", {}):
            return False
        raise WarehouseError(
            f"{path} holds tables that meterhouse did not make ({next(iter(there))}, ...). Set "
            "WAREHOUSE to a file of its own; nothing was changed."
        ) from None
    if row and row[0] > FORMAT:
        raise WarehouseError(
            f"{path} was written by a newer meterhouse (format {row[0]}; this one knows {FORMAT}). "
            "Use that one; nothing was changed."
        )
    return True


def _busy(what: str, holder: str, seconds: float, advice: str) -> str:
    return f"{what} is in use by {holder}; waited {seconds:g} s. {advice}"


def _when_busy(path: Path) -> str:
    return (
        "If that is a load or a build, let it finish; if it is somebody's SQL client, close it "
        f"there and open {read_copy(path)}, which is never locked."
    )


def _holder(lock: Path) -> str:
    with contextlib.suppress(OSError):
        if pid := lock.read_text().strip():
            return f"another meterhouse process (PID {pid})"
    return "another meterhouse process"
