"""One source, one window -> raw.*, and then a receipt per scope in raw.loads.

raw.* only ever grows. A receipt is written last, under the same lock as the rows, so rows without
a receipt (a walk that broke, a process that was killed) count for nothing.
"""

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.http import VendorError

Connection = duckdb.DuckDBPyConnection
OpenWarehouse = Callable[[], AbstractContextManager[Connection]]

RECEIPTS = pa.schema(
    [
        ("load_id", pa.string()),
        ("source", pa.string()),
        ("resource", pa.string()),
        ("granularity", pa.string()),
        ("scope", pa.string()),
        ("window_start", pa.timestamp("us", "UTC")),
        ("window_end", pa.timestamp("us", "UTC")),
        ("asked_at", pa.timestamp("us", "UTC")),
        ("rows", pa.int64()),
        ("pages", pa.int64()),
        ("complete", pa.bool_()),
        ("landed_at", pa.timestamp("us", "UTC")),
    ]
)


class OutOfReachError(VendorError):
    """The window starts before what the vendor still keeps at this granularity."""


class PartialAnswerError(VendorError):
    """The vendor said that its answer leaves something out; what it did say is worth keeping."""


class RetiredError(VendorError):
    """The vendor has taken this call away; that is known, and no failure of a run."""


@dataclass(frozen=True)
class Window:
    """A half-open UTC window [since, until) of whole buckets at one granularity."""

    granularity: str
    since: datetime
    until: datetime

    @property
    def bucket_unit(self) -> str:
        """hour, day or month."""
        return {"hourly": "hour", "daily": "day", "monthly": "month"}[self.granularity]

    def without_first_bucket(self) -> "Window":
        """The window less its oldest bucket."""
        return replace(self, since=next_bucket(self.since, self.granularity))

    def __str__(self) -> str:
        return f"{self.granularity} {self.since:%Y-%m-%dT%H:%MZ} to {self.until:%Y-%m-%dT%H:%MZ}"


def next_bucket(start: datetime, granularity: str) -> datetime:
    """Where the bucket after the one that starts at `start` starts."""
    if granularity == "monthly":
        return (start.replace(day=1) + timedelta(days=32)).replace(day=1)
    return start + (timedelta(hours=1) if granularity == "hourly" else timedelta(days=1))


@dataclass(frozen=True)
class Receipt:
    """What raw.loads says of one scope of one load."""

    scope: str
    window: Window | None
    asked_at: datetime
    rows: int
    pages: int
    complete: bool = True


@dataclass
class Landing:
    """What one load did: receipts of the scopes that landed, and what went wrong with others."""

    load_id: str
    table: str
    receipts: list[Receipt] = field(default_factory=list)
    failures: list[VendorError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows that count (those of a scope that failed do not)."""
        return sum(receipt.rows for receipt in self.receipts)


# asks for one scope over a window (None: a snapshot), page by page
Ask = Callable[[Any], Iterator[pa.Table]]


def load(
    open_warehouse: OpenWarehouse,
    source: str,
    table: str,
    schema: pa.Schema,
    scopes: Mapping[str, Ask],
    window: Window | None,
) -> Landing:
    """Ask for every scope, append the answers to raw.<table>, write the receipts.

    Extracting and normalizing hold no lock; only the short load into DuckDB does. A scope that
    fails is reported in `Landing.failures` and leaves no receipt; the others land.
    """
    landing = Landing(f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}", table)
    folder = tempfile.mkdtemp(prefix="meterhouse-dlt-")
    try:
        pipeline = _pipeline(folder)
        pipeline.extract(_resource(landing, table, scopes, window), loader_file_format="parquet")
        pipeline.normalize()
        if landing.receipts:
            with open_warehouse() as connection:
                create_raw_tables(connection, {table: schema})
                if landing.rows:
                    pipeline.load(credentials=connection).raise_on_failed_jobs()
                _write_receipts(connection, source, landing)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return landing


def _pipeline(folder: str) -> Any:
    import dlt  # here, because it costs a second

    dlt.config["runtime.dlthub_telemetry"] = False
    dlt.config["runtime.log_level"] = "ERROR"
    pipeline = dlt.pipeline(
        "meterhouse",
        destination=dlt.destinations.duckdb(),
        dataset_name="raw",
        pipelines_dir=folder,
    )
    # state lives in the receipts; two loads at once must not share a working directory
    pipeline.config.restore_from_destination = False
    return pipeline


def _resource(
    landing: Landing, table: str, scopes: Mapping[str, Ask], window: Window | None
) -> Any:
    import dlt

    def pages() -> Iterator[pa.Table]:
        for scope, ask in scopes.items():
            yield from _pages_of(landing, scope, ask, window)

    return dlt.resource(pages, name=table, write_disposition="append")


def _pages_of(
    landing: Landing, scope: str, ask: Ask, window: Window | None, retried_after: int = 0
) -> Iterator[pa.Table]:
    """The pages of one scope, and its receipt after the last one."""
    asked_at, rows, number, complete = datetime.now(UTC), 0, retried_after, True
    try:
        for number, page in enumerate(ask(window), start=retried_after + 1):
            rows += len(page)
            if len(page):
                yield _stamped(page, landing.load_id, number)
    except OutOfReachError as error:
        # the oldest bucket aged out in this very moment: once more without it
        shorter = window.without_first_bucket() if window else None
        if shorter is None or shorter.since >= shorter.until or retried_after:
            landing.failures.append(error)
        else:
            yield from _pages_of(landing, scope, ask, shorter, retried_after=number + 1)
        return
    except PartialAnswerError as partial:
        landing.notes.append(str(partial))
        complete = False
    except RetiredError as retired:
        landing.notes.append(str(retired))
        complete = False  # asked, and known to have no answer: not asked again at every turn
    except pa.ArrowInvalid as error:
        landing.failures.append(VendorError(f"{landing.table} of {scope}, {window}: {error}"))
        return
    except VendorError as error:
        landing.failures.append(error)
        return
    landing.receipts.append(Receipt(scope, window, asked_at, rows, number, complete))


def _stamped(page: pa.Table, load_id: str, number: int) -> pa.Table:
    page = page.append_column("load_id", pa.repeat(load_id, len(page)))
    return page.append_column("page", pa.repeat(pa.scalar(number, pa.int32()), len(page)))


def covers(connection: Connection, table: str, scope: str, window: Window) -> bool:
    """Whether complete receipts of raw.<table> cover every bucket of the window for this scope."""
    create_raw_tables(connection, {})
    receipts = connection.execute(
        """
        select window_start, window_end from raw.loads
        where resource = ? and scope = ? and granularity = ? and complete
            and window_end > ? and window_start < ?
        order by window_start
        """,
        [table, scope, window.granularity, window.since, window.until],
    ).fetchall()
    reached = window.since
    for start, end in receipts:
        if start > reached:
            return False
        reached = max(reached, end)
    return reached >= window.until


def create_raw_tables(connection: Connection, tables: Mapping[str, pa.Schema]) -> None:
    """Make raw.<table> and raw.loads, or add the columns that an older version did not have."""
    connection.execute("create schema if not exists raw")
    stamp = [("load_id", pa.string()), ("page", pa.int32())]
    wanted = {name: pa.schema([*schema, *stamp]) for name, schema in tables.items()}
    for name, schema in {**wanted, "loads": RECEIPTS}.items():
        empty_answer = schema.empty_table()  # noqa: F841  # DuckDB reads it by its name
        columns = connection.execute("describe select * from empty_answer").fetchall()
        body = ", ".join(f'"{column}" {kind}' for column, kind, *_ in columns)
        connection.execute(f"create table if not exists raw.{name} ({body})")
        for column, kind, *_ in columns:
            connection.execute(f'alter table raw.{name} add column if not exists "{column}" {kind}')


def _write_receipts(connection: Connection, source: str, landing: Landing) -> None:
    connection.execute("begin")
    for receipt in landing.receipts:
        connection.execute(
            """
            insert into raw.loads by name
            select ? as load_id, ? as source, ? as resource, ? as granularity, ? as scope,
                ?::timestamptz as window_start, ?::timestamptz as window_end,
                ?::timestamptz as asked_at, ? as rows, ? as pages, ? as complete,
                -- strictly increasing whatever the clock does: builds count on it
                greatest(
                    ?::timestamptz,
                    (select max(landed_at) + interval 1 microsecond from raw.loads)
                ) as landed_at
            """,
            [
                landing.load_id,
                source,
                landing.table,
                receipt.window.granularity if receipt.window else "snapshot",
                receipt.scope,
                receipt.window.since if receipt.window else None,
                receipt.window.until if receipt.window else None,
                receipt.asked_at,
                receipt.rows,
                receipt.pages,
                receipt.complete,
                datetime.now(UTC),
            ],
        )
    connection.execute("commit")
