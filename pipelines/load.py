"""Slices -> raw.*, through dlt, and then a receipt per scope in raw.loads.

raw.* only ever grows. A receipt is written last, under the same lock as the rows, so rows without
a receipt count for nothing. A long load lands as it goes: what was killed goes on after the last
receipt. Not here: which slices there are (each vendor's slices.py) and raw.loads (receipts.py).
"""

import logging
import os
import shutil
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock

from pipelines import receipts
from pipelines.endpoint import Endpoint
from pipelines.log import OF_THE_MACHINE
from pipelines.receipts import OpenWarehouse, Receipt
from pipelines.settings import LONGEST_ID, LONGEST_SHOWN
from pipelines.source import (
    SHOWN,
    BucketsRefusedError,
    Clock,
    LoadResult,
    Note,
    OutOfReachError,
    Pages,
    RefusedError,
    Slice,
    UnknownBeforeError,
    VendorError,
    readable,
    unexpected,
)
from pipelines.windows import Window

# an interruption costs at most what was asked for this long; landing costs half a second
LAND_EVERY_SECONDS = 20.0
# of DuckDB while it compares answers with what stands; beyond it spills beside the warehouse, so
# that a load takes the same memory whatever the number of pages. Each thread has buffers of its
# own: two of them run out of it where one does not, and take more CPU
MEMORY_LIMIT = "128MB"
ROWS_OF_A_GROUP = 10_000
# all that dlt is told
SETTINGS = {
    # so that a part of the time is found in a long answer without reading the rest of it
    "row_group_size": ROWS_OF_A_GROUP,
    # what is known of the groups of a file is in memory until it ends
    "file_max_items": 100 * ROWS_OF_A_GROUP,
    "dlthub_telemetry": False,
}
_PREFIX, _LOCK = "meterhouse-dlt-", ".lock"
# what Python, and so whoever reads it, can tell
FIRST_INSTANT, LAST_INSTANT = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def load(
    open_warehouse: OpenWarehouse,
    endpoint: Endpoint,
    resources: Callable[[Pages], Any],
    slices: Iterable[Slice],
    clock: Clock,
    done: Callable[[Slice], None] = lambda asked: None,
    of_the_machine: tuple[type[Exception], ...] = OF_THE_MACHINE,
) -> LoadResult:
    """Ask for every slice, append what changed to raw.<table>, write the receipts.

    `resources` is the vendor as a dlt source. Asking holds no lock; only the comparison with what
    stands does. A slice that fails is in `LoadResult.failures` and leaves nothing; the others land.
    `done` is called after each. Errors `of_the_machine` are no vendor's, and end the load.
    """
    waiting = deque(slices)
    load_id = f"{clock():%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}"
    result = LoadResult([load_id], slice_count=len(waiting))
    walk = Walk(endpoint, clock, waiting, result, done, of_the_machine)
    while waiting and not walk.is_interrupted:
        try:
            _ask_and_land(open_warehouse, resources, walk)
        except KeyboardInterrupt:
            walk.is_interrupted = True
    if walk.is_interrupted:
        raise KeyboardInterrupt(f"{walk.landed_count} of {result.slice_count} loaded")
    return result


def _ask_and_land(
    open_warehouse: OpenWarehouse, resources: Callable[[Pages], Any], walk: "Walk"
) -> None:
    """Go on with a walk until it is time to land, and land that."""
    endpoint, result, clock = walk.endpoint, walk.result, walk.clock
    with open_warehouse() as connection:
        ask_number = receipts.next_ask_number(connection)
    with _folder() as folder:
        answers = _answers(resources(walk.pages).with_resources(endpoint.table), folder)
        landed = result.receipts[walk.landed_count :]
        if not landed:
            return
        with open_warehouse() as connection:
            receipts.create_raw_tables(connection, [endpoint])
            if not walk.landed_count:  # should the others not be reached, they are known
                others = {asked.scope for asked in walk.waiting}
                receipts.see(connection, endpoint, sorted(others), clock())
            connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'; set threads = 1")
            load_id, now = result.load_ids[0], clock()
            receipts.write(connection, endpoint, load_id, ask_number, landed, answers, now)
    walk.landed_count = len(result.receipts)


def remove_abandoned() -> None:
    """Remove the folders of processes that are gone."""
    for abandoned in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*{_LOCK}"):
        with suppress(OSError), FileLock(abandoned, blocking=False):  # a living one holds it
            _remove(abandoned)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for as long as it takes."""
    remove_abandoned()
    # beside the folder, and there before and after it: whenever its process dies, one finds it
    handle, lock = tempfile.mkstemp(prefix=_PREFIX, suffix=_LOCK)
    os.close(handle)
    with FileLock(lock):
        folder = Path(lock).with_suffix("")
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            _remove(Path(lock))


def _remove(lock: Path) -> None:
    shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    lock.unlink(missing_ok=True)


class _DltSettings:
    """A provider of dlt's configuration, and its only one: those of its own look into the
    environment and into files a thousand times a load, and may find what is meant for others."""

    name, is_empty = "meterhouse", False
    supports_secrets, supports_sections = True, False

    def get_value(self, key: str, *_: Any) -> tuple[Any, str]:
        """A value, or None, and what it is called."""
        return SETTINGS.get(key), key

    def get_value_location(self, *_: Any) -> str:
        """Where it is written: here."""
        return ""


def _answers(source: Any, folder: Path) -> list[str]:
    """The answers of a dlt source, as Parquet files of a dataset in `folder`."""
    import dlt  # here, because it costs a second
    from dlt.common.configuration.container import Container
    from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
    from dlt.extract.exceptions import ResourceExtractionError
    from dlt.pipeline.exceptions import PipelineStepFailed

    logging.getLogger("dlt").disabled = True  # what it tells, in pages, is raised as well
    settings: list[Any] = [_DltSettings()]
    Container()[PluggableRunContext].providers.providers = settings
    pipeline = dlt.pipeline(
        "meterhouse",
        destination=dlt.destinations.filesystem(folder.as_uri()),
        dataset_name="answers",
        pipelines_dir=str(folder),
    )
    # state lives in the receipts; two loads at once must not share a working directory
    pipeline.config.restore_from_destination = False
    try:
        pipeline.extract(source, loader_file_format="parquet")
        pipeline.normalize()
        pipeline.load().raise_on_failed_jobs()
    except PipelineStepFailed as failed:  # a full disk, or a Ctrl-C; of a slice, it is wrapped
        error: BaseException = failed.exception
        if isinstance(error, ResourceExtractionError):
            error = error.__cause__ or error
        raise error from None
    pa.default_memory_pool().release_unused()  # it would stand beside what DuckDB takes
    return [str(path) for path in folder.glob("answers/*/*.parquet")]


@dataclass
class Walk:
    """The slices of one load, asked in turn: what a dlt resource yields, and in `result` the
    receipts of those whose answers were whole, or as whole as they come."""

    endpoint: Endpoint
    clock: Clock
    waiting: deque[Slice]
    result: LoadResult
    done: Callable[[Slice], None]
    of_the_machine: tuple[type[Exception], ...]
    slices_asked: int = 0
    landed_count: int = 0
    is_interrupted: bool = False

    def pages(self, endpoint: Endpoint) -> Iterator[pa.Table]:
        """The pages of the slices, until it is time to land; none of any other endpoint."""
        started = time.monotonic()
        while self.waiting and endpoint.table == self.endpoint.table:
            asked = self.waiting.popleft()
            try:
                yield from self._pages_of(asked)
            except KeyboardInterrupt:
                self.is_interrupted = True  # what was asked before lands
                self.waiting.appendleft(asked)
                return
            self.done(asked)
            if time.monotonic() - started >= LAND_EVERY_SECONDS:
                return

    def _pages_of(self, asked: Slice, is_second_try: bool = False) -> Iterator[pa.Table]:
        """The pages of one slice, and its receipt after the last one."""
        self.slices_asked += 1
        number, asked_at, window = self.slices_asked, self.clock(), asked.window
        rows, pages, complete = 0, 0, True
        windows: list[Window | None] = [window]
        unclaimed, left_out = {*asked.less}, list[str]()
        try:
            for page in asked.ask(window):
                match page:
                    case Note():
                        self.result.notes.append(page)
                    case BucketsRefusedError():
                        self.result.failures.append(page)
                        unclaimed |= page.buckets
                    case Window():
                        windows.append(page)
                    case _:
                        known = self._without_strange(page, left_out)
                        pages, rows = pages + 1, rows + len(known)
                        if len(known):
                            yield _numbered(known, number, pages)
        except OutOfReachError as error:
            # the oldest bucket aged out in this very moment: once more without it
            if shorter := window.without([window.since]) if window and not is_second_try else []:
                yield from self._pages_of(replace(asked, window=shorter[0]), is_second_try=True)
            else:
                self._note_end(asked, error)
            return
        except self.of_the_machine:
            raise
        except Exception as error:
            ended = self._note_end(asked, error)
            if not ended.is_answer:
                return
            complete = isinstance(ended, UnknownBeforeError)
            if isinstance(ended, UnknownBeforeError):
                windows = [ended.window] if ended.window else []
            if isinstance(ended, RefusedError):
                number = 0  # of no slice: what was told before it counts for nothing
        if left_out:
            self.result.failures.append(self._listed_without(asked.scope, left_out))
            complete = False
        for each in _parts_of(windows, unclaimed):
            receipt = Receipt(asked.scope, each, asked_at, rows, pages, complete, slice=number)
            self.result.receipts.append(receipt)
            rows = pages = 0  # counted once

    def _note_end(self, asked: Slice, error: Exception) -> VendorError:
        """What ended a slice, among the failures or notes of the load."""
        if not isinstance(error, VendorError):
            about = f"{asked.scope}, {asked.window}" if asked.window else asked.scope
            error = unexpected(self.endpoint, about, error)
        if error.is_failure:
            self.result.failures.append(error)
        else:
            self.result.notes.append(str(error))
        return error

    def _without_strange(self, page: pa.Table, left_out: list[str]) -> pa.Table:
        """What is listed, but for rows that nobody could use, which are named. Of usage it would
        not be all."""
        strange = _strange(page, self.endpoint)
        if not strange:
            return page
        for number, why in strange.items():
            if self.endpoint.is_windowed:
                raise ValueError(why)
            key = [f"{page[name][number]}"[:LONGEST_SHOWN] for name in self.endpoint.key]
            left_out.append(f"{', '.join(key)}: {why}")
        return page.filter(pa.array(number not in strange for number in range(len(page))))

    def _listed_without(self, scope: str, left_out: list[str]) -> VendorError:
        """What is told of rows that were left out."""
        more = f"; and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
        return VendorError(
            f"{self.endpoint.source} {self.endpoint.request} of {scope}: it lists what cannot be "
            f"kept ({readable('; '.join(left_out[:SHOWN]))}{more}). These are known as before, the "
            "others are loaded; everything landed before is untouched. It is asked for again: if "
            "it stays, please report it with this text."
        )


def _parts_of(windows: Iterable[Window | None], less: set[datetime]) -> Iterator[Window | None]:
    """The windows without these buckets."""
    for window in windows:
        yield from window.without(less) if window and less else [window]


def _strange(page: pa.Table, endpoint: Endpoint) -> dict[int, str]:
    """The rows that nobody could read again, by their number, and why; and those with ids that
    would be asked with, or told apart from the right ones, for ever."""
    found: dict[int, str] = {}

    def see(is_strange: pa.ChunkedArray, why: str) -> None:
        if pc.any(is_strange).as_py():
            numbers = pc.indices_nonzero(pc.fill_null(is_strange, False)).to_pylist()
            found.update(dict.fromkeys(numbers, why))

    for column in page.schema:
        name, values = column.name, page[column.name]
        if pa.types.is_timestamp(column.type):
            first, last = (pa.scalar(at, column.type) for at in (FIRST_INSTANT, LAST_INSTANT))
            is_strange = pc.or_(pc.less(values, first), pc.greater(values, last))
            see(is_strange, f"{name} is before the year 1, or after 9999")
        elif name in endpoint.key and column.type == pa.string():
            is_long = pc.greater(pc.utf8_length(values), LONGEST_ID)
            see(is_long, f"{name} has more than {LONGEST_ID} characters")
            if name.endswith(("_id", "_uuid")):
                is_no_id = pc.match_substring_regex(values, "[[:cntrl:]]|^$")
                see(is_no_id, f"{name} is empty, or has control characters")
    return found


def _numbered(page: pa.Table, slice_number: int, number: int) -> pa.Table:
    for name, value in (("slice", slice_number), ("page", number)):
        page = page.append_column(name, pa.repeat(pa.scalar(value, pa.int32()), len(page)))
    is_long = "bucket_start" in page.column_names and len(page) > ROWS_OF_A_GROUP
    return page.sort_by("bucket_start") if is_long else page
