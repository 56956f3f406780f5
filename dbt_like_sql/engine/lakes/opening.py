"""DuckLake: the same tables as Parquet files, their catalogue in Postgres, for many machines.

Readers read the lake itself, so nothing is published. DuckLake lets two writers commit the same new
rows, and fails the later of two that change one table; so one lands at a time and one builds at a
time, each in a turn that is a lock of the catalogue's sessions. A load waits for no build: they
write different tables. Not here: what is the same of a file (warehouse.py).
"""

import hashlib
import itertools
import logging
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb

from dbt_like_sql.engine import words
from dbt_like_sql.engine.lakes.address import Lake, beside
from dbt_like_sql.engine.words import WarehouseBusyError, WarehouseError, literal

if TYPE_CHECKING:
    import psycopg

Parts: TypeAlias = dict[str, Any]
LANDING, BUILDING = "landing", "building"
_EXTRA = "A lake needs packages that are not installed: pip install 'meterhouse[ducklake]'"
_ADVICE = (
    "See that its Postgres is there, answers this user, and is this lake's; nothing was changed."
)
# a session that is gone without a word frees its turn after a minute; and one that waits for a long
# query of DuckDB's is not idle, as hosts of Postgres take it to be after some minutes
_SESSION: Parts = {
    "options": "-c idle_in_transaction_session_timeout=0",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
_HOLDER = """
    select activity.application_name
    from pg_locks as lock
    inner join pg_stat_activity as activity on lock.pid = activity.pid
    where lock.locktype = 'advisory' and lock.granted and lock.objsubid = 1
        and lock.database = (select oid from pg_database where datname = current_database())
        and (lock.classid::bigint << 32 | lock.objid::bigint) = any(%s)
"""
_log = logging.getLogger(__name__)
_numbers = itertools.count()


@contextmanager
def turn(at: Lake, name: str, advice: str, timeout_seconds: float) -> Iterator[None]:
    """Hold the lock of this name, which ends with the process; says who holds it meanwhile.

    Raises WarehouseBusyError when it is not free in time.
    """
    started, what = time.monotonic(), f"{name} of {at}"
    with _session(at) as session:
        if not _locked(session, name, min(words.SILENT_SECONDS, timeout_seconds)):
            _log.warning("waiting for %s, held by %s", what, _held_by(session, name))
            left = started + timeout_seconds - time.monotonic()
            if not _locked(session, name, left):
                text = words.busy(what, _held_by(session, name), timeout_seconds, advice)
                raise WarehouseBusyError(text)
        yield


def holder(at: Lake) -> str | None:
    """The process that lands or builds at this moment, if one does."""
    with _session(at) as session:
        return _held_by(session, LANDING, BUILDING) or None


@contextmanager
def writer(
    at: Lake,
    advice: str,
    timeout_seconds: float,
    builds: bool,
    claim: Callable[[duckdb.DuckDBPyConnection, Lake], None],
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The lake, open for writing, in the turn of loads or in that of builds.

    A new one is made in the turn of loads: two would make it at once.
    """
    with ExitStack() as held:
        if builds:
            held.enter_context(turn(at, BUILDING, advice, timeout_seconds))
        with ExitStack() as landing:
            landing.enter_context(turn(at, LANDING, advice, timeout_seconds))
            connection = held.enter_context(connected(at))
            claim(connection, at)
            if not builds:
                held.push(landing.pop_all())
        yield connection


@contextmanager
def reader(at: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """The lake as it is at the beginning, read-only."""
    with words.in_words(at), connected(at, read_only=True) as connection:
        yield connection


@contextmanager
def connected(at: Lake, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose tables are those of the lake; reading, of the one moment of its start."""
    engine = _engine(beside(at), "://" in at.data, os.getpid())
    name = f"lake_{next(_numbers)}"
    parts = _address(at)
    password = literal(str(parts.pop("password", "") or ""))
    with closing(engine.cursor()) as outside, closing(engine.cursor()) as connection:
        outside.execute(f"create secret {name} (type postgres, password {password})")
        try:
            _attach(outside, at, name, parts, read_only)
            place = literal(str(beside(at)))
            connection.execute(f"use {name}; {words.AS_BEFORE}")
            connection.execute(f"set variable {words.BESIDE} = {place}")
            if read_only:
                connection.execute("begin")
            yield connection
        finally:
            # where Postgres is gone, to close it in a transaction ends the process
            with suppress(duckdb.Error):
                connection.execute("rollback")
            connection.close()
            outside.execute(f"detach database if exists {name}; drop secret {name}")


def _attach(
    outside: duckdb.DuckDBPyConnection, at: Lake, name: str, parts: Parts, read_only: bool
) -> None:
    from psycopg.conninfo import make_conninfo

    where = literal(f"ducklake:postgres:{make_conninfo('', **parts)}")
    options = f"data_path {literal(at.data)}, meta_secret {name}{', read_only' * read_only}"
    try:
        # what is attached is shown to whoever asks, and a secret is not
        outside.execute(f"attach {where} as {name} ({options})")
    except duckdb.Error as error:
        if read_only and "FATAL" not in str(error) and "does not exist" in str(error):
            raise WarehouseError(f"{words.NOTHING_BUILT} ({at} is empty)") from None
        text = re.sub(r"^(.*(?=Unable to connect)|\w+ Error: )|\.?\n.*", "", str(error), flags=re.S)
        raise WarehouseError(f"{at} cannot be used: {text}. {_ADVICE}") from None


@cache
def _engine(place: Path, is_remote: bool, process: int) -> duckdb.DuckDBPyConnection:
    """DuckDB with what it needs for a lake, once for a process: to load that takes 0.3 s.

    DuckDB checks the signatures of its own extensions; nothing is downloaded. Of a bucket it knows
    the key as AWS's own tools do, and its server by DUCKDB_S3_ENDPOINT.
    """
    engine = words.instance(place, process)
    for name in ("ducklake", "postgres_scanner"):
        _load(engine, name)
    if is_remote:
        _load(engine, "httpfs")
        ((server,),) = engine.execute("select current_setting('s3_endpoint')").fetchall()
        if not server.endswith("amazonaws.com"):  # others know a bucket by the path alone
            engine.execute("set global s3_url_style = 'path'")
    return engine


def _load(engine: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension from its package."""
    try:
        package = resources.files(f"duckdb_extension_{name}")
    except ModuleNotFoundError:
        raise WarehouseError(_EXTRA) from None
    version = f"v{duckdb.__version__}"
    engine.execute(f"load '{package / 'extensions' / version / name}.duckdb_extension'")


@contextmanager
def _session(at: Lake) -> Iterator["psycopg.Connection"]:
    """A session of the catalogue, outside of any transaction."""
    parts = _address(at)
    import psycopg

    parts["application_name"] = f"meterhouse on {socket.gethostname()}, PID {os.getpid()}"
    try:
        with closing(psycopg.connect(autocommit=True, **parts)) as session:
            yield session
    except psycopg.OperationalError as error:
        what = str(error).partition("\n")[0]
        raise WarehouseError(f"{at} cannot be used: {what}. {_ADVICE}") from None


def _locked(session: "psycopg.Connection", name: str, seconds: float) -> bool:
    from psycopg.errors import LockNotAvailable

    session.execute(f"set lock_timeout = {max(1, round(seconds * 1000))}")
    with suppress(LockNotAvailable):
        session.execute("select pg_advisory_lock(%s)", [_key(name)])
        return True
    return False


def _held_by(session: "psycopg.Connection", *names: str) -> str:
    """Who holds one of these, as far as anybody does."""
    found = session.execute(_HOLDER, [[_key(name) for name in names]]).fetchone()
    # who may not see the sessions of others sees no name
    return f"{found[0] or 'another user of its Postgres'}" if found else ""


def _key(name: str) -> int:
    """The number by which Postgres knows a lock of the database of this catalogue."""
    return int.from_bytes(hashlib.sha256(f"meterhouse {name}".encode()).digest()[:8], signed=True)


def _address(at: Lake) -> Parts:
    """What libpq takes from the address, by its names, and what it leaves open."""
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        raise WarehouseError(_EXTRA) from None
    try:
        return {**_SESSION, **conninfo_to_dict(at.catalog)}
    except ProgrammingError:  # which may tell a part of the password
        text = f"{at} is nothing that libpq connects by: correct WAREHOUSE"
        raise WarehouseError(text) from None
