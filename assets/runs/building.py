"""The step after a load: build what is due in one transaction, and publish it to readers.

What became of a build stands in a note beside the warehouse: one that fails leaves nothing inside.
Not here: how models are built (dbt_like_sql/engine/).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from assets.runs.opening import Row, open_warehouse, write_note
from assets.settings import Settings, SettingsError
from assets.sources import ENDPOINTS
from dbt_like_sql.engine import publishing, runner, warehouse
from dbt_like_sql.engine.build_state import create_tables
from dbt_like_sql.engine.lakes.address import Warehouse, beside
from pipelines import receipts
from pipelines.receipts import Connection
from pipelines.settings import byte_count


def build(
    settings: Settings, since: datetime | None = None, until: datetime | None = None
) -> runner.BuildReport:
    """Build what is due (and [since, until) besides), in one transaction, and publish it."""
    with open_warehouse(settings, builds=True) as connection:
        limit = settings.house.memory_limit or memory_limit(connection)
        connection.execute(f"set memory_limit = '{limit}'")
        with warehouse.landing(settings.warehouse):
            receipts.create_raw_tables(connection)
            create_tables(connection)
        if not since and (report := idle(connection, settings)):
            return report
        with _noted(settings):
            with warehouse.landing(settings.warehouse):
                receipts.create_raw_tables(connection, ENDPOINTS)
            report = runner.build(
                connection, since, until, now=settings.clock(), own_seeds=settings.own_seeds
            )
            publishing.publish(connection, settings.warehouse)
    return report


def memory_limit(connection: Connection) -> str:
    """2 GB, or half of what this machine or container has, if less: DuckDB takes four fifths of it
    unless it is told, and what it does not count comes on top."""
    [(its_own,)] = connection.execute("select current_setting('memory_limit')").fetchall()
    return f"{min(2_000, byte_count(its_own) * 5 // 8 // 10**6)}MB"


def build_on_spark(
    settings: Settings, since: datetime | None = None, until: datetime | None = None
) -> runner.BuildReport:
    """Build on the cluster what is due there (and [since, until) besides), from a copy of what
    landed; loads go on meanwhile, and the warehouse and its read copy are as they were."""
    from dbt_like_sql.engine.spark import building as spark

    house = settings.house
    if not (house.spark_remote and house.spark_dir):
        raise SettingsError("a build on Spark needs SPARK_REMOTE and SPARK_DIR")
    return spark.build(
        partial(_with_all_tables, settings),
        house.spark_dir,
        house.spark_remote,
        since,
        until,
        now=settings.clock(),
        own_seeds=settings.own_seeds,
    )


@contextmanager
def _with_all_tables(settings: Settings) -> Iterator[Connection]:
    with open_warehouse(settings) as connection:
        receipts.create_raw_tables(connection, ENDPOINTS)
        yield connection


def idle(connection: Connection, settings: Settings) -> runner.BuildReport | None:
    """The report of a build that has nothing to make and nothing to publish, if that is so."""
    receipts.create_raw_tables(connection)
    report = runner.idle(connection, now=settings.clock(), own_seeds=settings.own_seeds)
    if not (report and publishing.is_current(connection, settings.warehouse)):
        return None
    with _noted(settings):  # what failed before was undone, and is no longer so
        return report


def last_build(at: Warehouse) -> Row:
    """When the last build of a warehouse that had something to do started and ended, and why it
    failed, as far as it is so: what has not ended is under way, or was killed."""
    file = _note_of(at)
    try:
        note = json.loads(file.read_text(encoding="utf-8"))
        failure, known = note.get("failure", ""), note.keys() & {"started_at", "ended_at"}
        instants = {name: datetime.fromisoformat(note[name]).astimezone(UTC) for name in known}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, TypeError, AttributeError):
        failure = f"{file}, which says how it ended, cannot be read"
        instants = {"ended_at": datetime.fromtimestamp(file.stat().st_mtime, UTC)}
    return {"failure": f"{failure}", **instants}


@contextmanager
def _noted(settings: Settings) -> Iterator[None]:
    """Write down that a build is under way, and then how it ended."""
    file, note = _note_of(settings.warehouse), {"started_at": f"{settings.clock()}"}
    write_note(file, json.dumps(note))
    try:
        yield
    except BaseException as error:
        note["failure"] = str(error) or "it was interrupted"
        raise
    finally:
        note["ended_at"] = f"{settings.clock()}"
        with suppress(OSError):  # of a full disk, which is said
            write_note(file, json.dumps(note))


def _note_of(at: Warehouse) -> Path:
    return beside(at).with_suffix(".build.json")
