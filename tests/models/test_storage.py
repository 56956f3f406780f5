"""What a disk or a file does not allow is said in one sentence, and what landed stays as it was."""

import os
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname

import duckdb
import pytest

from dbt_like_sql.engine.build_state import create_tables, publish_later
from dbt_like_sql.engine.publishing import publish
from dbt_like_sql.engine.warehouse import (
    FORMAT,
    WarehouseError,
    read_copy,
    reader,
    writer,
)

# no process has it
MOST_PIDS = 2**30
NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A warehouse with a million numbers, published."""
    path = tmp_path / "here" / "meterhouse.duckdb"
    with writer(path) as connection:
        connection.execute("create schema marts; create table marts.t as select 1 as x")
        connection.execute("create schema raw; create table raw.u as from range(1000000)")
        publish(connection, path)
    return path


def refused(path: Path) -> str:
    """Why the warehouse cannot be opened, in one line."""
    with pytest.raises(WarehouseError) as raised, writer(path, 0.1):
        pytest.fail("got in")
    (line,) = str(raised.value).splitlines()
    assert raised.value.__cause__ is None
    return line


def flip(path: Path) -> None:
    """Other bytes in the middle, and at the place where the catalogue may be."""
    with path.open("r+b") as file:
        for place in range(4096, path.stat().st_size, 4096):
            file.seek(place)
            file.write(b"\xa5")


def make_sqlite(path: Path) -> None:
    """A file for which DuckDB would fetch an extension."""
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("create table t (x)")
    connection.close()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "flipped": (flip, "Corrupt database file: "),
    "truncated": (lambda path: os.truncate(path, 100_000), "Could not read enough bytes"),
    "text": (lambda path: path.write_text("hello, I am no database"), "it is no DuckDB database."),
    "short": (lambda path: path.write_text("hi"), "it is no DuckDB database."),
    "sqlite": (make_sqlite, "it is no DuckDB database."),
    # readers have what was in it, which a build of nothing would replace
    "emptied": (lambda path: os.truncate(path, 0), "it is no DuckDB database."),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_warehouse_is_said_and_left_as_it_is(path: Path, damage: str) -> None:
    """With what to do; and what was published can be read all the same."""
    do, words = DAMAGES[damage]
    do(path)
    before = path.read_bytes()
    line = refused(path)
    assert line.startswith(f"{path} cannot be used: ")
    assert words in line
    assert "Put a backup in its place" in line
    assert path.read_bytes() == before
    with reader(path) as connection:
        assert connection.execute("from marts.t").fetchall() == [(1,)]


@pytest.mark.parametrize("damage", [*DAMAGES, "gone"])
def test_a_damaged_copy_is_read_from_the_warehouse(path: Path, damage: str) -> None:
    """Until the next build writes it anew."""
    copy = read_copy(path)
    copy.chmod(0o644)
    do = DAMAGES[damage][0] if damage in DAMAGES else Path.unlink
    do(copy)
    with reader(path) as connection:
        assert connection.execute("from marts.t").fetchall() == [(1,)]
    with writer(path) as connection:
        create_tables(connection)
        publish_later(connection, "marts.t")
        publish(connection, path)
    with duckdb.connect(copy, read_only=True) as connection:
        assert connection.execute("from marts.t").fetchall() == [(1,)]


@pytest.mark.parametrize("name", ["meterhouse.duckdb", "meterhouse.duckdb.wal"])
def test_what_is_no_file_is_not_waited_for(path: Path, name: str) -> None:
    """As a pipe, to which nobody ever writes."""
    pipe = path.with_name(name)
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    assert f"{pipe} is no file. Move it away" in refused(path)


def test_an_empty_file_becomes_ours(tmp_path: Path) -> None:
    """What mktemp made, or what was killed before it wrote anything."""
    path = tmp_path / "meterhouse.duckdb"
    path.touch()
    with pytest.raises(WarehouseError, match="nothing has been built yet"), reader(path):
        pytest.fail("read nothing")
    ids = []
    for _ in range(2):
        with writer(path) as connection:
            ids += connection.execute("select format, id from meta.warehouse").fetchall()
    assert ids[0] == ids[1]
    assert ids[0][0] == FORMAT


def test_what_others_made_is_refused(tmp_path: Path) -> None:
    """By whoever would write and whoever would read, and its tables stay."""
    path = tmp_path / "foreign.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("create schema marts; create table marts.fct_compute as select 42 as x")
    words = "holds tables that meterhouse did not make (marts.fct_compute, ...). Set WAREHOUSE"
    assert words in refused(path)
    with pytest.raises(WarehouseError, match="did not make"), reader(path):
        pytest.fail("read something")
    with duckdb.connect(path, read_only=True) as connection:
        assert connection.execute("from marts.fct_compute").fetchall() == [(42,)]


def test_a_newer_warehouse_is_left_alone(path: Path) -> None:
    """Of a later meterhouse, which knows better."""
    with writer(path) as connection:
        connection.execute("update meta.warehouse set format = 99")
    assert "written by a newer meterhouse (format 99; this one knows" in refused(path)


def test_a_full_disk_is_said_and_stays_as_it_was(path: Path) -> None:
    """No file may grow: neither what is written nor a publish leaves anything behind."""
    names = {file.name for file in path.parent.iterdir()}
    full = pytest.raises(WarehouseError, match=r"File too large.*\. Free some space\.")
    with full, files_up_to(path.stat().st_size + 4096), writer(path) as connection:
        connection.execute("create table raw.more as select md5(range::varchar) from range(900000)")
    assert {file.name for file in path.parent.iterdir()} == names
    with writer(path) as connection:
        connection.execute("insert into marts.t values (2)")
        create_tables(connection)
        publish_later(connection, "marts.t")
    with full, files_up_to(4096), writer(path) as connection:
        publish(connection, path)
    assert {file.name for file in path.parent.iterdir()} == names
    with writer(path) as connection:
        assert connection.execute("select count(*) from raw.u").fetchone() == (1000000,)
        publish(connection, path)
    with reader(path) as connection:
        assert connection.execute("from marts.t order by x").fetchall() == [(1,), (2,)]


def test_a_disk_that_is_full_when_all_is_written_down_is_said_to_be(path: Path) -> None:
    """DuckDB tells first that it closed the file, and only then why that did not work."""
    full = pytest.raises(WarehouseError, match=r"File too large\. Free some space\.")
    with full as caught, files_up_to(path.stat().st_size + 4096), writer(path) as connection:
        connection.execute("insert into marts.t values (2)")
    assert "DETACH" not in str(caught.value)
    with writer(path) as connection:
        assert connection.execute("select count(*) from raw.u").fetchone() == (1000000,)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file can be written beyond this many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_folder_that_may_not_be_written_is_said(path: Path) -> None:
    """With who has to do what."""
    path.parent.chmod(0o500)
    try:
        with as_somebody_else():
            line = refused(path)
    finally:
        path.parent.chmod(0o700)
    assert "ermission denied" in line
    assert "Let this user write its folder and its files" in line


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Root may write everywhere."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if me == 0:
            os.seteuid(me)


def test_what_a_killed_build_spilled_is_removed(tmp_path: Path) -> None:
    """By the next process that writes."""
    spilled = tmp_path / f"new.duckdb.tmp-{gethostname()}-{MOST_PIDS}"
    spilled.mkdir()
    (spilled / "duckdb_temp_storage_DEFAULT-0.tmp").write_bytes(b"a million rows")
    with writer(tmp_path / "new.duckdb"):
        assert not spilled.exists()


def test_no_extension_is_ever_fetched(path: Path) -> None:
    """Neither to write nor to read."""
    for opened in (writer, reader):
        with opened(path) as connection:
            for name in ("autoinstall_known_extensions", "autoload_known_extensions"):
                found = connection.execute(f"select current_setting('{name}')").fetchone()
                assert found == (False,), name
