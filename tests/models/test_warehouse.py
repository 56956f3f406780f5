"""The warehouse file: one writer at a time, readers that never fail, and the DuckDB we rely on."""

import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from assets.runs.building import memory_limit
from dbt_like_sql.engine.build_state import create_tables, publish_later
from dbt_like_sql.engine.publishing import publish
from dbt_like_sql.engine.warehouse import (
    WarehouseBusyError,
    WarehouseError,
    read_copy,
    reader,
    writer,
    writer_lock,
)
from pipelines.settings import byte_count

WRITE_A_ROW = """
import sys
from pathlib import Path
from dbt_like_sql.engine.warehouse import writer
with writer(Path(sys.argv[1]), 60) as connection:
    print("in", flush=True)
    sys.stdin.readline()
    connection.execute("create table if not exists turns (who varchar)")
    connection.execute("insert into turns values ('other')")
"""
SHOWS_A_BAR = """
import sys
from pathlib import Path
from dbt_like_sql.engine.warehouse import reader, writer
for opened in (writer, reader):
    with opened(Path(sys.argv[1])) as connection:
        print(*connection.execute("select current_setting('enable_progress_bar')").fetchone())
"""
HOLD_THE_FILE = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("in", flush=True)
sys.stdin.readline()
"""

# what most tools do: open for writing, change rows; then it stays, or goes on at a line
WRITE_INTO_THE_COPY = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("delete from marts.t where x < 3")
connection.execute("insert into marts.t values (1000)")
print("in", flush=True)
sys.stdin.readline()
connection.execute("checkpoint")
connection.execute("insert into marts.t values (2000)")
print("again", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a warehouse may be made, in a folder that is not there yet."""
    return tmp_path / "warehouse" / "meterhouse.duckdb"


def start(script: str, path: Path) -> subprocess.Popen[str]:
    """Another process that runs `script` on this warehouse, once it says that it is in."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "in\n"
    return process


def finish(process: subprocess.Popen[str]) -> None:
    """Let it go on, and wait until it is gone."""
    process.communicate("go\n", timeout=60)
    assert process.returncode == 0


def test_two_processes_wait_their_turn(path: Path) -> None:
    """A writer that comes while another writes gets in when that one is done."""
    other = start(WRITE_A_ROW, path)
    assert other.stdin
    other.stdin.write("go\n")
    other.stdin.flush()
    with writer(path, 60) as connection:
        connection.execute("insert into turns values ('we')")
        assert connection.execute("select who from turns").fetchall() == [("other",), ("we",)]
        assert connection.execute("select current_setting('TimeZone')").fetchone() == ("UTC",)
    finish(other)


def test_no_bar_is_drawn_over_what_is_said(path: Path) -> None:
    """Nor by a process that runs no file, which DuckDB takes for a person at a prompt."""
    command = [sys.executable, "-c", SHOWS_A_BAR, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_writer_that_never_ends_is_named(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Waiting has a bound, and who waits says within it which process to look at."""
    other = start(WRITE_A_ROW, path)
    with pytest.raises(WarehouseBusyError, match=f"PID {other.pid}"), writer(path, 0.1):
        pytest.fail("got in")
    finish(other)
    holder = f"another meterhouse process (PID {other.pid})"
    assert caplog.messages == [f"waiting for {path}, held by {holder}"]


@pytest.mark.slow
def test_somebody_elses_client_is_named(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A process that holds the file without our lock is named too, with what to open instead."""
    path.parent.mkdir()
    other = start(HOLD_THE_FILE, path)
    with pytest.raises(WarehouseBusyError) as raised, writer(path, 1.3):
        pytest.fail("got in")
    assert f"(PID {other.pid})" in str(raised.value)
    assert f"(PID {other.pid})" in caplog.text
    assert str(read_copy(path)) in str(raised.value)
    finish(other)
    with writer(path, 60) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_the_lock_is_free_after_an_error(path: Path) -> None:
    """Whatever happens inside, connection and lock are given back."""
    with pytest.raises(ZeroDivisionError), writer(path):
        raise ZeroDivisionError
    started = time.monotonic()
    with writer_lock(path, 1):
        assert time.monotonic() - started < 1


def test_nothing_built_yet_is_said(path: Path) -> None:
    """A reader before the first build learns what to run."""
    with pytest.raises(WarehouseError, match="run `meterhouse run`"), reader(path):
        pytest.fail("read nothing")


def test_the_read_copy_holds_marts_reports_and_seeds(path: Path) -> None:
    """Rows, types and comments are in the copy; raw and intermediate are not."""
    with writer(path) as connection:
        for schema in ("raw", "intermediate", "marts", "reports", "seeds"):
            connection.execute(f"create schema {schema}")
            connection.execute(f"create table {schema}.t (amount decimal(38, 9))")
        connection.execute("insert into marts.t values (0.000000001)")
        connection.execute("comment on table marts.t is 'what it''s about'")
        connection.execute("comment on column marts.t.amount is 'how much'")
        publish(connection, path)
    assert read_copy(path).name == "meterhouse.read.duckdb"
    with reader(path) as connection:
        tables = connection.execute(
            "select schema_name, comment from duckdb_tables() order by all"
        ).fetchall()
        assert tables == [("marts", "what it's about"), ("reports", None), ("seeds", None)]
        assert connection.execute("select cast(amount as varchar) from marts.t").fetchall() == [
            ("0.000000001",)
        ]
        comments = connection.execute(
            "select comment from duckdb_columns() where comment is not null"
        )
        assert comments.fetchall() == [("how much",)]
        with pytest.raises(duckdb.InvalidInputException, match="read-only"):
            connection.execute("delete from marts.t")


def test_a_view_of_what_is_published_stays_a_view(path: Path) -> None:
    """Its rows are in the copy once; a view of anything else is a table there, comments and all."""
    with writer(path) as connection:
        connection.execute(
            "create schema intermediate; create schema marts;"
            "create table intermediate.t as select unnest([1, 2]) as x;"
            "create view marts.every as select 0 as x;"
            "create view marts.some as with y as (select t.x from marts.every as t where t.x > 1)"
            " select y.x from y;"
            "create or replace view marts.every as select t.x from intermediate.t as t;"
            "comment on view marts.some is 'some'; comment on column marts.some.x is 'what';"
            "comment on view marts.every is 'every'"
        )
        publish(connection, path)
    with reader(path) as connection:
        assert connection.execute("from marts.some").fetchall() == [(2,)]
        assert connection.execute("select table_name, comment from duckdb_tables()").fetchall() == [
            ("every", "every")
        ]
        views = "select view_name, comment from duckdb_views() where not internal"
        assert connection.execute(views).fetchall() == [("some", "some")]
        columns = "select table_name, comment from duckdb_columns() where comment is not null"
        assert connection.execute(columns).fetchall() == [("some", "what")]


def test_an_open_reader_keeps_its_snapshot(path: Path) -> None:
    """A new copy replaces the file, not what somebody has open."""
    read = (
        "import sys, duckdb\n"
        "connection = duckdb.connect(sys.argv[1], read_only=True)\n"
        "print('in', flush=True)\n"
        "sys.stdin.readline()\n"
        "assert connection.execute('select count(*) from marts.t').fetchone() == (1,)\n"
    )
    with writer(path) as connection:
        connection.execute("create schema marts; create table marts.t as select 1 as x")
        publish(connection, path)
    open_reader = start(read, read_copy(path))
    with writer(path) as connection:
        connection.execute("insert into marts.t values (2)")
        publish_later(connection, "marts.t", "x = 2")
        publish(connection, path)
    with reader(path) as connection:
        assert connection.execute("select count(*) from marts.t").fetchone() == (2,)
    finish(open_reader)


def test_a_killed_publish_leaves_nothing_in_the_way(path: Path) -> None:
    """What an earlier publish left half-written is removed, and no draft stays."""
    path.parent.mkdir()
    draft = Path(f"{read_copy(path)}.draft")
    draft.write_bytes(b"half a database")
    Path(f"{draft}.wal").write_bytes(b"half a log")
    with writer(path) as connection:
        connection.execute("create schema marts; create table marts.t as select 1 as x")
        publish(connection, path)
    with reader(path) as connection:
        assert connection.execute("from marts.t").fetchall() == [(1,)]
    assert {file.name for file in path.parent.iterdir()} == {
        "meterhouse.duckdb",
        "meterhouse.duckdb.lock",
        "meterhouse.read.duckdb",
    }


def publish_numbers(path: Path, count: int) -> None:
    """Publish marts.t with the numbers below `count`."""
    with writer(path) as connection:
        connection.execute("create schema if not exists marts")
        connection.execute(
            "create or replace table marts.t as select range as x from range($1)", [count]
        )
        create_tables(connection)
        publish_later(connection, "marts.t")
        publish(connection, path)


def numbers(path: Path) -> list[int]:
    """What a reader finds in marts.t."""
    with reader(path) as connection:
        return [x for (x,) in connection.execute("from marts.t order by x").fetchall()]


def test_the_read_copy_is_read_only_on_disk(path: Path) -> None:
    """Nobody but root can open it for writing, and the next publish replaces it all the same."""
    for count in (3, 4):
        publish_numbers(path, count)
        assert read_copy(path).stat().st_mode & 0o222 == 0
        assert numbers(path) == list(range(count))


def test_what_a_client_wrote_into_the_copy_is_not_in_the_next(path: Path) -> None:
    """Every reader would replay its log onto the new file, whether it lives or is killed."""
    publish_numbers(path, 5)
    read_copy(path).chmod(0o644)  # as root finds it
    client = start(WRITE_INTO_THE_COPY, read_copy(path))
    log = Path(f"{read_copy(path)}.wal")
    assert log.exists()
    publish_numbers(path, 7)
    assert numbers(path) == list(range(7))
    assert client.stdin
    assert client.stdout
    client.stdin.write("go\n")
    client.stdin.flush()
    assert client.stdout.readline() == "again\n"
    client.kill()
    client.communicate()
    assert log.exists()  # it had stayed open, and wrote another log beside the new file
    publish_numbers(path, 8)
    assert numbers(path) == list(range(8))
    assert not log.exists()


def test_a_publish_that_is_killed_before_its_rename_leaves_the_old_copy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's log is gone by then, so that at no moment it stands beside the new file."""
    publish_numbers(path, 5)
    log = Path(f"{read_copy(path)}.wal")
    log.write_bytes(b"of the file before")

    def killed(draft: Path, copy: Path) -> None:
        assert not log.exists()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            publish_numbers(path, 7)
    assert numbers(path) == list(range(5))
    publish_numbers(path, 7)
    assert numbers(path) == list(range(7))


def test_an_empty_ctas_does_not_lose_rows(path: Path) -> None:
    """DuckDB 2.0.0 reads 0 rows here (seen 2026-11-21): the day of the upgrade is a decision."""
    with writer(path) as connection:
        connection.execute("set threads = 2")
        connection.execute("create table source as select range as i from range(200000)")
        connection.execute("begin")
        connection.execute("create table target as select * from source limit 0")
        connection.execute("insert into target select * from source")
        assert connection.execute("select max(i) from target").fetchone() == (199999,)
        connection.execute("commit")
        groups = "select count(*) from (select i from target group by i)"
        assert connection.execute(groups).fetchone() == (200000,)


@pytest.mark.parametrize(("its_own", "of_a_build"), [("1.6GB", 1000), ("16GB", 2000)])
def test_a_build_takes_half_of_a_small_machine(path: Path, its_own: str, of_a_build: int) -> None:
    """Where DuckDB would take four fifths a build takes half, and never more than 2 GB."""
    with writer(path) as connection:
        connection.execute(f"set memory_limit = '{its_own}'")
        assert byte_count(memory_limit(connection)) == pytest.approx(of_a_build * 10**6, rel=0.1)
