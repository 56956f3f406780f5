"""Opening the warehouse: one writer that waits its turn, readers on a copy that no writer touches.

Only here and in publishing.py it matters whether it is a file or a lake (lakes/).
A DuckDB file has one writing process, and a reader of that file keeps the writer out. So analysts
open the read copy, which publishing.py replaces in one step; open readers keep the one they opened.
A client that opens the copy for writing all the same changes it until the next publish at most.
"""

import contextlib
import logging
import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from dbt_like_sql.engine import words
from dbt_like_sql.engine.lakes.address import Lake, Warehouse, beside
from dbt_like_sql.engine.words import WarehouseBusyError as WarehouseBusyError
from dbt_like_sql.engine.words import WarehouseError as WarehouseError
from dbt_like_sql.engine.words import in_words as in_words
from dbt_like_sql.engine.words import literal as literal

# of the tables that loads keep; what upgrades an older warehouse is pipelines/upgrade.py
FORMAT = 2
# what is there by then is of 0.1, which kept no format
_CLAIM = (
    "create schema if not exists meta; create table meta.warehouse as select uuid() as id,"  # noqa: S608
    f" case when count(*) = 0 then {FORMAT} else 1 end as format from duckdb_tables()"
    " where database_name = current_database() and schema_name = 'raw' and table_name = 'loads'"
)
_RETRY_SECONDS = 0.1
_WRITTEN_ANEW = "Delete it, and run `meterhouse build`, which writes it anew."
_MAGIC = b"DUCK"  # from the ninth byte on
_log = logging.getLogger(__name__)
# one for all openings of a file, which is closed between them: to start it takes 10 ms of CPU
_engine = lru_cache(maxsize=1)(words.instance)
os.register_at_fork(before=_engine.cache_clear)  # a process that is forked has none of its threads


@contextlib.contextmanager
def turn(file: Path, what: str, advice: str, timeout_seconds: float) -> Iterator[None]:
    """Hold a lock file, which ends with its process; says who holds it while that is another.

    Raises WarehouseBusyError when it is not free in time.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        try:
            lock.acquire(timeout=min(words.SILENT_SECONDS, timeout_seconds))
        except Timeout:
            _log.warning("waiting for %s, held by %s", what, _holder(file))
            lock.acquire(timeout=max(timeout_seconds - words.SILENT_SECONDS, 0))
    except Timeout:
        raise WarehouseBusyError(words.busy(what, _holder(file), timeout_seconds, advice)) from None
    try:
        with contextlib.suppress(OSError):  # only for what a waiter says: a full disk is to be told
            file.write_text(str(os.getpid()))
        yield
    finally:
        lock.release()


def writer_lock(
    at: Warehouse, timeout_seconds: float = 600, source: str = ""
) -> contextlib.AbstractContextManager[None]:
    """Hold the one lock under which this warehouse is written, `<path>.lock`.

    Loads and builds both take it; of a lake it is that of loads. With a source: the lock under
    which that is asked. Raises WarehouseBusyError when it is not free in time.
    """
    advice = "Let that load finish, and run the same again." if source else _when_busy(at)
    if isinstance(at, Lake):
        from dbt_like_sql.engine.lakes import opening as lake

        return lake.turn(at, source or lake.LANDING, advice, timeout_seconds)
    file = at.with_name(f"{at.name}.{source}.lock" if source else f"{at.name}.lock")
    return turn(file, f"{source} of {at}" if source else str(at), advice, timeout_seconds)


@contextlib.contextmanager
def writer(
    at: Warehouse, timeout_seconds: float = 600, builds: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, open for writing, in UTC; waits at most `timeout_seconds` for its turn.

    `builds`: in the turn of builds, which of a file is that of loads. Raises WarehouseBusyError
    naming the process that holds it, and WarehouseError where it cannot be used, is not ours, or is
    of a later format.
    """
    with in_words(at):
        if isinstance(at, Lake):
            from dbt_like_sql.engine.lakes import opening as lake

            opened = lake.writer(at, _when_busy(at), timeout_seconds, builds, _claim)
        else:
            opened = _file_writer(at, timeout_seconds)
        with opened as connection:
            yield connection


@contextlib.contextmanager
def _file_writer(path: Path, timeout_seconds: float) -> Iterator[duckdb.DuckDBPyConnection]:
    deadline = time.monotonic() + timeout_seconds
    with writer_lock(path, timeout_seconds):
        engine = _engine(path, os.getpid())
        try:
            with contextlib.closing(engine.cursor()) as connection:
                _attach(connection, path, deadline, timeout_seconds)
                _claim(connection, path)
                yield connection
            engine.execute("detach warehouse")
        except BaseException:
            _engine.cache_clear()
            engine.close()  # and the file with it, whatever state that is in
            raise


def landing(at: Warehouse) -> contextlib.AbstractContextManager[None]:
    """While it builds: nobody loads meanwhile, for what loads write, too. So it is on a file."""
    return writer_lock(at) if isinstance(at, Lake) else contextlib.nullcontext()


def holder(at: Warehouse) -> str | None:
    """The process that writes the warehouse at this moment, if one does."""
    if isinstance(at, Lake):
        from dbt_like_sql.engine.lakes import opening as lake

        return lake.holder(at)
    lock = Path(f"{at}.lock")
    with contextlib.suppress(OSError):
        if lock.exists():
            try:
                FileLock(lock).acquire(timeout=0).lock.release()
            except Timeout:
                pid = lock.read_text().strip()
                return f"{Path(f'/proc/{pid}/comm').read_text().strip()} (pid {pid})"
    return None


def damage(at: Warehouse) -> str:
    """Why the warehouse cannot be opened, which nobody meets who reads the copy; '' where it can,
    or others hold it. It takes a writer's turn: to close a file ends its process's locks on it."""
    if isinstance(at, Lake) or holder(at) or not os.access(f"{at}.lock", os.W_OK):
        return ""
    advice = "" if at.exists() else "Put a backup in its place."
    try:
        with in_words(at, advice), writer_lock(at, 0), contextlib.closing(_opened(at)) as opened:
            _is_claimed(opened, at)
    except WarehouseBusyError:
        return ""
    except WarehouseError as error:  # somebody's client has it
        return "" if "set lock" in f"{error}" else f"{error}"
    return ""


def read_copy(path: Path) -> Path:
    """Where the copy for readers is: meterhouse.duckdb -> meterhouse.read.duckdb."""
    return path.with_suffix(f".read{path.suffix}")


def reader(at: Warehouse) -> contextlib.AbstractContextManager[duckdb.DuckDBPyConnection]:
    """The read copy of the warehouse, read-only, in UTC; never waits, never blocks.

    Where there is none that opens, the warehouse itself, for a moment; a lake itself, as it is when
    this begins. Raises WarehouseError where neither can be read, or nothing was built yet.
    """
    if isinstance(at, Lake):
        from dbt_like_sql.engine.lakes import opening as lake

        return lake.reader(at)
    return _file_reader(at)


@contextlib.contextmanager
def _file_reader(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    copy, advice = read_copy(path), _WRITTEN_ANEW
    try:
        with in_words(copy, advice):
            connection = _opened(copy)
    except WarehouseError:
        with in_words(path):
            if not (path.exists() and path.stat().st_size):
                text = f"{words.NOTHING_BUILT} (no {copy})"
                raise WarehouseError(text) from None
            connection, copy, advice = _opened(path), path, ""
    with in_words(copy, advice), contextlib.closing(connection):
        if copy == path:
            _is_claimed(connection, path)
        yield connection


def written_at(at: Warehouse) -> float:
    """When what readers see was written, in seconds since 1970; 0: nothing was."""
    if isinstance(at, Lake):
        with reader(at) as connection, contextlib.suppress(duckdb.CatalogException):
            built = "select coalesce(epoch(max(built_at)), 0) from meta.builds"
            ((seconds,),) = connection.execute(built).fetchall()
            return float(seconds)
        return 0.0
    files = (read_copy(at), at)
    return next((file.stat().st_mtime for file in files if file.exists()), 0.0)


def for_clients(at: Warehouse) -> str:
    """How any client of DuckDB opens what readers see."""
    if isinstance(at, Lake):
        return f"attach '{at}' as lake (read_only)"
    return f"duckdb -readonly {read_copy(at)}"


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
    ((path,),) = connection.execute(
        f"select coalesce(getvariable('{words.BESIDE}'), path) from duckdb_databases()"  # noqa: S608
        " where database_name = current_database()"
    ).fetchall()
    return models_beside(Path(path)) if path else None


def models_beside(at: Warehouse) -> Path:
    """The same of the warehouse at this place."""
    return beside(at).with_suffix(".models.json")


def describe(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """`{schema.table: {column: type}}` of everything that stands in the warehouse."""
    columns: dict[str, dict[str, str]] = {}
    for schema, table, column, kind in connection.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns()"
        " where database_name = current_database() and not internal"
        " order by schema_name, table_name, column_index"
    ).fetchall():
        columns.setdefault(f"{schema}.{table}", {})[column] = kind
    return columns


def count(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    """How many rows a table or view has."""
    ((rows,),) = connection.execute(f"select count(*) from {name}").fetchall()  # noqa: S608
    return int(rows)


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
    statements = [f"comment on {it} is {literal(about)}" for it, about in said.items()]
    try:
        # at once: statement by statement they take twice the time, and there are thousands
        connection.execute("; ".join(statements))
    except duckdb.BinderException as error:  # a lake knows of no columns of a view
        if kind != "view" or "Cannot comment on columns" not in str(error):
            raise
        connection.execute("; ".join(statements[len(columns) :]))


def _attach(
    connection: duckdb.DuckDBPyConnection, path: Path, deadline: float, timeout_seconds: float
) -> None:
    say_at = time.monotonic() + words.SILENT_SECONDS
    while True:
        _is_duckdb(path)
        try:
            connection.execute(f"attach {literal(str(path))} as warehouse (type duckdb)")
            break
        except duckdb.IOException as error:
            if "Could not set lock" not in str(error):
                raise
            found = re.search(r"held in (.*? \(PID \d+\))", str(error))
            holder = found[1] if found else str(error)
        if time.monotonic() >= say_at:
            _log.warning("waiting for %s, held by %s", path, holder)
            say_at = math.inf
        if time.monotonic() >= deadline:
            text = words.busy(str(path), holder, timeout_seconds, _when_busy(path))
            raise WarehouseBusyError(text)
        time.sleep(_RETRY_SECONDS)
    connection.execute(f"use warehouse; {words.AS_BEFORE}")


def _opened(path: Path) -> duckdb.DuckDBPyConnection:
    """A connection to a file of DuckDB's that is only read."""
    _is_duckdb(path, read_only=True)
    connection = duckdb.connect(path, read_only=True, config=words.CONFIG)
    connection.execute(words.AS_BEFORE)
    return connection


def _is_duckdb(path: Path, read_only: bool = False) -> None:
    """Refuse what is no file of DuckDB's; an empty one gives way to a new one."""
    wal = Path(f"{path}.wal")
    for its in (path, wal):
        if its.exists() and not (its.is_file() or its.is_dir()):  # a pipe is waited for for ever
            raise duckdb.IOException(f"{its} is no file")
    if read_only or path.exists():
        with path.open("rb") as file:
            start = file.read(12)
        if start == b"" and not (read_only or wal.exists() or read_copy(path).exists()):
            path.unlink()  # what mktemp left, or we, killed while it was made
        elif start[8:] != _MAGIC:
            raise duckdb.IOException("it is no DuckDB database")


def _claim(connection: duckdb.DuckDBPyConnection, at: Warehouse) -> None:
    """Write down that it is ours, where it is new; refuses what others made, or a later one."""
    if not _is_claimed(connection, at):
        connection.execute(_CLAIM)


def _is_claimed(connection: duckdb.DuckDBPyConnection, path: Warehouse) -> bool:
    """Whether a database says that it is ours; refuses what others made, or a later meterhouse."""
    try:
        row = connection.execute("select format from meta.warehouse").fetchone()
    except (duckdb.CatalogException, duckdb.BinderException):
        there = describe(connection)
        if not there or "asked_at" in there.get("raw.loads", {}):
            return False
        raise WarehouseError(
            f"{path} holds tables that meterhouse did not make ({next(iter(there))}, ...). Set "
            "WAREHOUSE to a file or lake of its own; nothing was changed."
        ) from None
    if row and row[0] > FORMAT:
        raise WarehouseError(
            f"{path} was written by a newer meterhouse (format {row[0]}; this one knows {FORMAT}). "
            "Use that one; nothing was changed."
        )
    return True


def _when_busy(at: Warehouse) -> str:
    if isinstance(at, Lake):
        return "Let that load or build finish, and run the same again; readers never wait."
    return (
        "If that is a load or a build, let it finish; if it is somebody's SQL client, close it "
        f"there and open {read_copy(at)}, which is never locked."
    )


def _holder(lock: Path) -> str:
    with contextlib.suppress(OSError):
        if pid := lock.read_text().strip():
            return f"another meterhouse process (PID {pid})"
    return "another meterhouse process"
