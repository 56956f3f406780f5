"""The read copy follows the builds by what changed alone, whatever became of the last publish."""

import errno
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from dbt_like_sql.engine import publishing
from dbt_like_sql.engine.build_state import create_tables, publish_later
from dbt_like_sql.engine.publishing import publish
from dbt_like_sql.engine.warehouse import read_copy, writer
from tests.models.test_runner import MODELS, VIEW, build, create_raw, day, edit, land, write

PATH = "meterhouse.duckdb"
MORE = {
    # a view of what is published, one of what is not (a table there), and one of undated rows
    "marts/fct_large.sql": VIEW,
    "reports/resolved.sql": "-- materialized: view\n"
    "select r.scope, count(*) as days from intermediate.int_resolution as r group by r.scope",
    "reports/inside.sql": VIEW.replace("marts.fct_usage", "intermediate.int_usage"),
}
RELATIONS = (
    "select schema_name || '.' || {kind}_name from duckdb_{kind}s() where database_name = {db}"
)
COMMENTS = """select schema_name, table_name, column_name, data_type, comment
from duckdb_columns() where database_name = {} and schema_name in ('marts', 'reports', 'seeds')"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with every kind of relation that is published."""
    for name, sql in (MODELS | MORE).items():
        write(tmp_path, name, sql)
    days = "\n".join(f"{day(number):%Y-%m-%d}" for number in range(1, 41))
    write(tmp_path, "seeds/calendar_days.csv", f"date\n{days}\n")
    return tmp_path


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The open writer, with four days landed."""
    with writer(tmp_path / PATH) as connection:
        create_raw(connection)
        land(connection, "daily", (day(1), day(5)), {day(n): n for n in range(1, 5)})
        yield connection


def published(connection: duckdb.DuckDBPyConnection, folder: Path) -> Path:
    """The read copy after a publish, which is equal to the warehouse."""
    publish(connection, folder / PATH)
    copy = read_copy(folder / PATH)
    assert_equal(connection, copy)
    return copy


def assert_equal(connection: duckdb.DuckDBPyConnection, copy: Path) -> None:
    """Names, columns, comments and rows of what is published are those of the warehouse."""

    def names(kind: str, db: str) -> set[str]:
        found = connection.execute(RELATIONS.format(kind=kind, db=db)).fetchall()
        return {name for (name,) in found if name.startswith(("marts.", "reports.", "seeds."))}

    connection.execute(f"attach '{copy}' as copy (read_only)")
    try:
        here = "current_database()"
        own = names("table", here) | names("view", here)
        assert names("table", "'copy'") | names("view", "'copy'") == own
        assert names("view", "'copy'") <= {"marts.fct_large"}
        told = [
            connection.execute(f"{COMMENTS.format(db)} order by all").fetchall()
            for db in (here, "'copy'")
        ]
        assert told[0] == told[1]
        # a view of the copy reads the copy's tables once it is opened by itself
        tables = names("table", "'copy'")
        for a, b in [(n, f"copy.{n}") for n in tables] + [(f"copy.{n}", n) for n in tables]:
            assert connection.execute(f"from {a} except all from {b}").fetchall() == [], a
    finally:
        connection.execute("detach copy")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_builds_and_publishes_ends_in_an_equal_copy(
    warehouse: duckdb.DuckDBPyConnection, folder: Path, seed: int
) -> None:
    """Loads, changed models and seeds, lost and strange copies, skipped publishes: always equal."""
    dice = random.Random(seed)
    copy = read_copy(folder / PATH)
    for number in range(8):
        first, step = dice.randrange(1, 12), dice.randrange(1, 5)
        window = (day(first), day(first + step))
        land(warehouse, dice.choice(["daily", "hourly"]), window, {window[0]: dice.randrange(40)})
        what = dice.randrange(8)
        if what == 0:
            edit(folder, "marts/fct_usage.sql", "usage.quantity -- ", "usage.quantity -- too, ")
            edit(folder, "marts/fct_usage.sql", "select\n", f"select\n    {number} as n{number},\n")
        if what == 1:
            write(folder, "seeds/scopes.csv", f"scope\norg{number}\n")
        if what == 2:
            (folder / "reports/resolved.sql").unlink(missing_ok=True)
        if what == 3:
            write(folder, "reports/resolved.sql", MORE["reports/resolved.sql"])
        if what == 4:
            copy.unlink(missing_ok=True)
        if what == 5 and copy.exists():
            copy.chmod(0o644)
            with duckdb.connect(copy) as client:
                client.execute("delete from marts.fct_usage")
        build(warehouse, folder=folder)
        if dice.random() < 0.7:
            published(warehouse, folder)
    build(warehouse, folder=folder)
    published(warehouse, folder)


def test_where_nothing_changed_nothing_is_published(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """The file is the same file."""
    build(warehouse, folder=folder)
    before = published(warehouse, folder).stat()
    build(warehouse, folder=folder)
    after = published(warehouse, folder).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_only_the_windows_that_changed_are_written(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """Rows of other days are those of the copy before, which nobody looks at."""
    build(warehouse, folder=folder)
    copy = published(warehouse, folder)
    copy.chmod(0o644)
    with duckdb.connect(copy) as client:
        client.execute("update marts.fct_usage set quantity = 100 + quantity")
    publishing._note(warehouse, copy)
    land(warehouse, "daily", (day(2), day(3)), {day(2): 20})
    build(warehouse, folder=folder)
    publish(warehouse, folder / PATH)
    with duckdb.connect(copy, read_only=True) as client:
        quantities = "select quantity::int from marts.fct_usage order by period_start"
        assert client.execute(quantities).fetchall() == [(101,), (20,), (103,), (104,)]


def test_a_system_that_cannot_share_blocks_copies_them(
    warehouse: duckdb.DuckDBPyConnection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As sandboxed kernels answer: the next copy is made all the same."""
    build(warehouse, folder=folder)
    published(warehouse, folder)

    def unknown(*_: int) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("os.copy_file_range", unknown)
    land(warehouse, "daily", (day(2), day(3)), {day(2): 20})
    build(warehouse, folder=folder)
    published(warehouse, folder)


@pytest.mark.parametrize(
    "call",
    [
        "_write",
        "_note",
        *(pytest.param(call, marks=pytest.mark.slow) for call in ("_sync", "_remove_side_files")),
    ],
)
def test_what_a_killed_publish_left_the_next_one_takes_over(
    warehouse: duckdb.DuckDBPyConnection,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
) -> None:
    """Whether it was killed before, while or after it noted what it was about to put in place."""
    build(warehouse, folder=folder)
    published(warehouse, folder)
    land(warehouse, "daily", (day(2), day(3)), {day(2): 20})
    build(warehouse, folder=folder)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publishing, call, killed)
        with pytest.raises(KeyboardInterrupt):
            publish(warehouse, folder / PATH)
    build(warehouse, folder=folder)
    published(warehouse, folder)


@pytest.mark.slow
def test_a_copy_that_is_not_ours_is_written_whole(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """Deleted, changed by a client, with a client's log beside it, or one of another day."""
    build(warehouse, folder=folder)
    copy = published(warehouse, folder)
    earlier = shutil.copy(copy, folder / "earlier.duckdb")
    land(warehouse, "daily", (day(2), day(3)), {day(2): 20})
    build(warehouse, folder=folder)
    published(warehouse, folder)
    copy.unlink()
    published(warehouse, folder)
    shutil.copy(earlier, copy)
    published(warehouse, folder)
    copy.chmod(0o644)
    with duckdb.connect(copy) as client:
        client.execute("drop view marts.fct_large; drop table marts.fct_usage")
    published(warehouse, folder)
    log = Path(f"{copy}.wal")
    log.write_bytes(b"of a client")
    published(warehouse, folder)
    assert not log.exists()


def test_a_copy_that_is_damaged_is_written_whole(
    warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """Also where size and time say that nobody touched it."""
    build(warehouse, folder=folder)
    copy = published(warehouse, folder)
    before = copy.stat()
    copy.chmod(0o644)
    copy.write_bytes(b"\0" * before.st_size)
    os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
    land(warehouse, "daily", (day(2), day(3)), {day(2): 20})
    build(warehouse, folder=folder)
    published(warehouse, folder)


@pytest.mark.slow
def test_a_copy_of_much_free_room_is_written_whole(
    warehouse: duckdb.DuckDBPyConnection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was deleted leaves room in the file, which is kept while it is little."""
    warehouse.execute(
        "create schema marts;"
        "create table marts.t as select range as x, md5(range::varchar) as y from range(200000)"
    )
    create_tables(warehouse)
    publish_later(warehouse, "marts.t")
    large = published(warehouse, folder).stat().st_size
    for most, is_large in ((1000, True), (2, False)):
        monkeypatch.setattr(publishing, "_FREE_BLOCKS", most)
        warehouse.execute("delete from marts.t where x between 1000 and 180000")
        publish_later(warehouse, "marts.t", "x between 1000 and 180000")
        assert (published(warehouse, folder).stat().st_size > large / 2) is is_large


def test_a_failed_publish_can_be_made_again(
    warehouse: duckdb.DuckDBPyConnection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error half-way leaves neither a transaction nor a file attached."""
    build(warehouse, folder=folder)
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "_create", lambda *_: warehouse.execute("from nowhere"))
        with pytest.raises(duckdb.CatalogException):
            publish(warehouse, folder / PATH)
    assert not read_copy(folder / PATH).exists()
    published(warehouse, folder)
