"""One source, one window -> raw.*, and then a receipt per scope in raw.loads.

raw.* only ever grows. A receipt is written last, under the same lock as the rows, so rows without
a receipt (a walk that broke, a process that was killed) count for nothing. A long load lands as it
goes: what was killed goes on after the last receipt.
"""

import shutil
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.http import VendorError
from pipelines.windows import Window, whole_buckets

# an interruption costs at most what was asked for this long; landing costs half a second
LAND_EVERY_SECONDS = 20.0

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


class UnknownBeforeError(VendorError):
    """The answer counts for `window` only (None: for nothing): what was before is not known."""

    def __init__(self, message: str, window: Window | None) -> None:
        super().__init__(message)
        self.window = window


class RetiredError(VendorError):
    """The vendor has taken this call away; that is known, and no failure of a run."""


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


@dataclass(frozen=True)
class Piece:
    """One scope over one window (None: a snapshot), how to ask for it, and its receipt."""

    scope: str
    window: Window | None
    ask: Ask


def load(
    open_warehouse: OpenWarehouse,
    source: str,
    table: str,
    schema: pa.Schema,
    pieces: Iterable[Piece],
    done: Callable[[Piece], None] = lambda piece: None,
) -> Landing:
    """Ask for every piece, append the answers to raw.<table>, write the receipts.

    Extracting and normalizing hold no lock; only the short load into DuckDB does. A piece that
    fails is reported in `Landing.failures` and leaves no receipt; the others land. `done` is
    called after each.
    """
    landing = Landing(f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}", table)
    waiting = deque(pieces)
    while waiting:
        folder, receipts_before = tempfile.mkdtemp(prefix="meterhouse-dlt-"), len(landing.receipts)
        try:
            pipeline = _pipeline(folder)
            resource = _resource(landing, table, waiting, done)
            pipeline.extract(resource, loader_file_format="parquet")
            pipeline.normalize()
            receipts = landing.receipts[receipts_before:]
            if receipts:
                with open_warehouse() as connection:
                    create_raw_tables(connection, {table: schema})
                    if any(receipt.rows for receipt in receipts):
                        pipeline.load(credentials=connection).raise_on_failed_jobs()
                    _write_receipts(connection, source, landing, receipts)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return landing


def _pipeline(folder: str) -> Any:
    import dlt  # here, because it costs a second

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
    landing: Landing, table: str, waiting: deque[Piece], done: Callable[[Piece], None]
) -> Any:
    """The pages of the pieces in turn, until it is time to land."""
    import dlt

    def pages() -> Iterator[pa.Table]:
        started = time.monotonic()
        while waiting:
            piece = waiting.popleft()
            yield from _pages_of(landing, piece)
            done(piece)
            if time.monotonic() - started >= LAND_EVERY_SECONDS:
                return

    return dlt.resource(pages, name=table, write_disposition="append")


def _pages_of(landing: Landing, piece: Piece, retried_after: int = 0) -> Iterator[pa.Table]:
    """The pages of one piece, and its receipt after the last one."""
    asked_at, rows, number, complete = datetime.now(UTC), 0, retried_after, True
    window = piece.window
    try:
        for number, page in enumerate(piece.ask(window), start=retried_after + 1):
            rows += len(page)
            if len(page):
                yield _stamped(page, landing.load_id, number)
    except OutOfReachError as error:
        # the oldest bucket aged out in this very moment: once more without it
        shorter = window.without_first_bucket() if window else None
        if shorter is None or retried_after:
            landing.failures.append(error)
        else:
            retry = replace(piece, window=shorter)
            yield from _pages_of(landing, retry, retried_after=number + 1)
        return
    except PartialAnswerError as partial:
        landing.notes.append(str(partial))
        complete = False
    except UnknownBeforeError as unknown:
        landing.notes.append(str(unknown))
        if unknown.window is None:
            return
        window = unknown.window
    except RetiredError as retired:
        landing.notes.append(str(retired))
        complete = False  # asked, and known to have no answer: not asked again at every turn
    except pa.ArrowInvalid as error:
        about = f"{landing.table} of {piece.scope}, {window}"
        landing.failures.append(VendorError(f"{about}: {error}"))
        return
    except VendorError as error:
        landing.failures.append(error)
        return
    landing.receipts.append(Receipt(piece.scope, window, asked_at, rows, number, complete))


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
        """,
        [table, scope, window.grain, window.since, window.until],
    ).fetchall()
    held = {start for ends in receipts for start in whole_buckets(window.grain, *ends)}
    return held.issuperset(window.buckets())


def create_raw_tables(connection: Connection, tables: Mapping[str, pa.Schema]) -> None:
    """Make raw.<table> and raw.loads, or add the columns that an older version did not have."""
    connection.execute("create schema if not exists raw")
    held: dict[str, set[str]] = {}
    for table, column in connection.execute(
        "select table_name, column_name from duckdb_columns() where schema_name = 'raw'"
    ).fetchall():
        held.setdefault(table, set()).add(column)
    stamp = [("load_id", pa.string()), ("page", pa.int32())]
    wanted = {name: pa.schema([*schema, *stamp]) for name, schema in tables.items()}
    for name, schema in {**wanted, "loads": RECEIPTS}.items():
        columns = {field.name: f'"{field.name}" {_duckdb_type(field.type)}' for field in schema}
        if name not in held:
            connection.execute(f"create table raw.{name} ({', '.join(columns.values())})")
        else:
            for column in columns.keys() - held[name]:
                connection.execute(f"alter table raw.{name} add column {columns[column]}")


def _duckdb_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    names = {
        pa.string(): "VARCHAR",
        pa.bool_(): "BOOLEAN",
        pa.int32(): "INTEGER",
        pa.int64(): "BIGINT",
        pa.timestamp("us", "UTC"): "TIMESTAMP WITH TIME ZONE",
    }
    return names[kind]


def _write_receipts(
    connection: Connection, source: str, landing: Landing, receipts: Iterable[Receipt]
) -> None:
    connection.execute("begin")
    for receipt in receipts:
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
                receipt.window.grain if receipt.window else "snapshot",
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
