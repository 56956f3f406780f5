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
from pathlib import Path
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
# of DuckDB while it compares answers with what stands; beyond it spills beside the warehouse, so
# that a load takes the same memory whatever the number of pages
MEMORY_LIMIT = "128MB"
ROWS_OF_A_GROUP = 10_000


def load(
    open_warehouse: OpenWarehouse,
    endpoint: Endpoint,
    resources: Callable[[Pages], Any],
    slices: Iterable[Slice],
    clock: Clock,
    done: Callable[[Slice], None] = lambda asked: None,
) -> LoadResult:
    """Ask for every slice, append what changed to raw.<table>, write the receipts.

    `resources` is the vendor as a dlt source. Asking holds no lock; only the comparison with what
    stands does. A slice that fails is in `LoadResult.failures` and leaves nothing; the others land.
    `done` is called after each.
    """
    load_id = f"{clock():%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}"
    walk = Walk(endpoint, load_id, clock, deque(slices), done)
    walk.result.slice_count = len(walk.waiting)
    while walk.waiting:
        folder, landed_before = Path(tempfile.mkdtemp(prefix="meterhouse-dlt-")), len(walk.receipts)
        try:
            answers = _land(resources(walk.pages).with_resources(endpoint.table), folder)
            if landed := walk.receipts[landed_before:]:
                with open_warehouse() as connection:
                    receipts.create_raw_tables(connection, [endpoint])
                    connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
                    receipts.write(connection, endpoint, load_id, landed, answers, clock())
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return walk.result


def _land(source: Any, folder: Path) -> list[str]:
    """The answers of a dlt source, as Parquet files of a dataset in `folder`."""
    import dlt  # here, because it costs a second

    dlt.config["runtime.log_level"] = "ERROR"
    # so that a part of the time is found in a long answer without reading the rest of it
    dlt.config["data_writer.row_group_size"] = ROWS_OF_A_GROUP
    # what is known of the groups of a file is in memory until it ends
    dlt.config["data_writer.file_max_items"] = 100 * ROWS_OF_A_GROUP
    pipeline = dlt.pipeline(
        "meterhouse",
        destination=dlt.destinations.filesystem(folder.as_uri()),
        dataset_name="answers",
        pipelines_dir=str(folder),
    )
    # state lives in the receipts; two loads at once must not share a working directory
    pipeline.config.restore_from_destination = False
    pipeline.extract(source, loader_file_format="parquet")
    pipeline.normalize()
    pipeline.load().raise_on_failed_jobs()
    pa.default_memory_pool().release_unused()  # it would stand beside what DuckDB takes
    return [str(path) for path in folder.glob("answers/*/*.parquet")]


@dataclass
class Walk:
    """The slices of one load, asked in turn: what a dlt resource yields, and the receipts."""

    endpoint: Endpoint
    load_id: str
    clock: Clock
    waiting: deque[Slice]
    done: Callable[[Slice], None] = lambda asked: None
    result: LoadResult = field(default_factory=LoadResult)
    slices_asked: int = 0

    def __post_init__(self) -> None:
        self.result.load_ids.append(self.load_id)

    @property
    def receipts(self) -> list[Receipt]:
        """Of the slices whose answers were whole, or as whole as they come."""
        return self.result.receipts

    def pages(self, endpoint: Endpoint) -> Iterator[pa.Table]:
        """The pages of the slices, until it is time to land; none of any other endpoint."""
        started = time.monotonic()
        while self.waiting and endpoint.table == self.endpoint.table:
            asked = self.waiting.popleft()
            yield from self._pages_of(asked)
            self.done(asked)
            if time.monotonic() - started >= LAND_EVERY_SECONDS:
                return

    def _pages_of(self, asked: Slice, is_second_try: bool = False) -> Iterator[pa.Table]:
        """The pages of one slice, and its receipt after the last one."""
        self.slices_asked += 1
        number, asked_at, rows, pages, complete = self.slices_asked, self.clock(), 0, 0, True
        window = asked.window
        try:
            for page in asked.ask(window):
                if isinstance(page, Note):
                    self.result.notes.append(page)
                    continue
                pages, rows = pages + 1, rows + len(page)
                if len(page):
                    yield _numbered(page, number, pages)
        except OutOfReachError as error:
            # the oldest bucket aged out in this very moment: once more without it
            shorter = window.without_first_bucket() if window else None
            if shorter is None or is_second_try:
                self.result.failures.append(error)
            else:
                yield from self._pages_of(replace(asked, window=shorter), is_second_try=True)
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
        self.receipts.append(
            Receipt(asked.scope, window, asked_at, rows, pages, complete, slice=number)
        )


def _numbered(page: pa.Table, slice_number: int, number: int) -> pa.Table:
    for name, value in (("slice", slice_number), ("page", number)):
        page = page.append_column(name, pa.repeat(pa.scalar(value, pa.int32()), len(page)))
    is_long = "bucket_start" in page.column_names and len(page) > ROWS_OF_A_GROUP
    return page.sort_by("bucket_start") if is_long else page
