"""A folder of exports as a dlt source, and the slices that it is loaded in: one per new file."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from pipelines.atlassian_usage.client import Folder
from pipelines.atlassian_usage.endpoints import ENDPOINTS, FILES, LISTINGS, Settings
from pipelines.atlassian_usage.files.problems import RejectedFileError
from pipelines.source import Asked, Pages, Slice

AskedFolder: TypeAlias = Asked[Settings, Folder]


@dlt.source(name="atlassian_usage")
def atlassian_usage(pages: Pages) -> Iterable[DltResource]:
    """Lines, problems and listings as resources, appended to raw.<table>."""
    for endpoint in ENDPOINTS:
        yield dlt.resource(pages(endpoint), name=endpoint.table, write_disposition="append")


def slices(asked: AskedFolder) -> Iterator[Slice]:
    """A slice per file that is new or newly rejected; then what there is, where that is news.

    Without a window: facts follow the rows that differ, not the span of a file.
    """
    scan = asked.client.scan(asked.landed, asked.account.clock())
    if asked.endpoint == FILES:
        for table in scan.new:
            yield Slice(table["file_sha256"][0].as_py(), None, _saying(table))
        for error in scan.rejected:
            yield Slice(error.file_sha256 or str(error.path), None, _refusing(error))
    elif scan.is_new_listing:
        columns = zip(*scan.listing, strict=True) if scan.listing else [()] * len(LISTINGS.schema)
        rows = dict(zip(LISTINGS.schema.names, columns, strict=True))
        yield Slice("all", None, _saying(pa.table(rows, schema=LISTINGS.schema)))


def _saying(*tables: pa.Table) -> Callable[[Any], Iterator[pa.Table]]:
    return lambda _: iter(tables)


def _refusing(error: RejectedFileError) -> Callable[[Any], Iterator[pa.Table]]:
    def ask(_: object) -> Iterator[pa.Table]:
        raise error

    return ask
