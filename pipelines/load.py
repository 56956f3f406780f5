"""Slices -> raw.*, through dlt, and then a receipt per scope in raw.loads.

raw.* only ever grows. A receipt is written last, under the same lock as the rows, so rows without
a receipt count for nothing. A long load lands as it goes: what was killed goes on after the last
receipt. Not here: which slices there are (each vendor's slices.py) and raw.loads (receipts.py).
"""

import shutil
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from pipelines import receipts
from pipelines.endpoint import Endpoint
from pipelines.http import VendorError
from pipelines.receipts import OpenWarehouse, Receipt
from pipelines.source import (
    Clock,
    LoadResult,
    Note,
    OutOfReachError,
    Pages,
    PartialAnswerError,
    RetiredError,
    Slice,
    UnknownBeforeError,
)

# an interruption costs at most what was asked for this long; landing costs half a second
LAND_EVERY_SECONDS = 20.0


def load(
    open_warehouse: OpenWarehouse,
    endpoint: Endpoint,
    resources: Callable[[Pages], Any],
    slices: Iterable[Slice],
    clock: Clock,
    done: Callable[[Slice], None] = lambda asked: None,
) -> LoadResult:
    """Ask for every slice, append the answers to raw.<table>, write the receipts.

    `resources` is the vendor as a dlt source. Extracting and normalizing hold no lock; only the
    short load into DuckDB does. A slice that fails is in `LoadResult.failures` and leaves no
    receipt; the others land. `done` is called after each.
    """
    load_id = f"{clock():%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}"
    walk = Walk(endpoint, load_id, clock, deque(slices), done)
    walk.result.slice_count = len(walk.waiting)
    while walk.waiting:
        folder, landed_before = (
            tempfile.mkdtemp(prefix="meterhouse-dlt-"),
            len(walk.result.receipts),
        )
        try:
            pipeline = _pipeline(folder)
            source = resources(walk.pages).with_resources(endpoint.table)
            pipeline.extract(source, loader_file_format="parquet")
            pipeline.normalize()
            if landed := walk.result.receipts[landed_before:]:
                with open_warehouse() as connection:
                    receipts.create_raw_tables(connection, {endpoint.table: endpoint.schema})
                    if any(receipt.rows for receipt in landed):
                        pipeline.load(credentials=connection).raise_on_failed_jobs()
                    receipts.write(connection, endpoint, load_id, landed, clock())
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return walk.result


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


@dataclass
class Walk:
    """The slices of one load, asked in turn: what a dlt resource yields, and the receipts."""

    endpoint: Endpoint
    load_id: str
    clock: Clock
    waiting: deque[Slice]
    done: Callable[[Slice], None] = lambda asked: None
    result: LoadResult = field(default_factory=LoadResult)

    def __post_init__(self) -> None:
        self.result.load_ids.append(self.load_id)

    def pages(self, endpoint: Endpoint) -> Iterator[pa.Table]:
        """The pages of the slices, until it is time to land; none of any other endpoint."""
        started = time.monotonic()
        while self.waiting and endpoint.table == self.endpoint.table:
            asked = self.waiting.popleft()
            yield from self._pages_of(asked)
            self.done(asked)
            if time.monotonic() - started >= LAND_EVERY_SECONDS:
                return

    def _pages_of(self, asked: Slice, retried_after: int = 0) -> Iterator[pa.Table]:
        """The pages of one slice, and its receipt after the last one."""
        asked_at, rows, number, complete = self.clock(), 0, retried_after, True
        window = asked.window
        try:
            for page in asked.ask(window):
                if isinstance(page, Note):
                    self.result.notes.append(page)
                    continue
                number, rows = number + 1, rows + len(page)
                if len(page):
                    yield self._stamped(page, number)
        except OutOfReachError as error:
            # the oldest bucket aged out in this very moment: once more without it
            shorter = window.without_first_bucket() if window else None
            if shorter is None or retried_after:
                self.result.failures.append(error)
            else:
                yield from self._pages_of(replace(asked, window=shorter), number + 1)
            return
        except PartialAnswerError as partial:
            self.result.notes.append(str(partial))
            complete = False
        except UnknownBeforeError as unknown:
            self.result.notes.append(str(unknown))
            if unknown.window is None:
                return
            window = unknown.window
        except RetiredError as retired:
            self.result.notes.append(str(retired))
            complete = False  # asked, and known to have no answer: not asked again at every tick
        except pa.ArrowInvalid as error:
            about = f"{self.endpoint.table} of {asked.scope}" + (f", {window}" if window else "")
            advice = "nothing of it counts; please report it with this text"
            self.result.failures.append(VendorError(f"{about}: {error}: {advice}"))
            return
        except VendorError as error:
            self.result.failures.append(error)
            return
        self.result.receipts.append(Receipt(asked.scope, window, asked_at, rows, number, complete))

    def _stamped(self, page: pa.Table, number: int) -> pa.Table:
        page = page.append_column("load_id", pa.repeat(self.load_id, len(page)))
        return page.append_column("page", pa.repeat(pa.scalar(number, pa.int32()), len(page)))
