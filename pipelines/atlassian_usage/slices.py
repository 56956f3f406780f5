"""A folder of exports as a dlt source, and the slices that it is loaded in: one per new file."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from pipelines.atlassian_usage import ENDPOINTS, Settings
from pipelines.atlassian_usage.client import Folder
from pipelines.atlassian_usage.files.problems import RejectedFileError
from pipelines.source import Asked, Pages, Slice, snapshot

if TYPE_CHECKING:
    import pyarrow as pa

AskedFolder: TypeAlias = Asked[Settings, Folder]


def atlassian_usage(pages: Pages) -> Any:
    """Lines, problems and listings as resources."""
    import dlt  # here: the folder is looked through at every run, and mostly has nothing new

    @dlt.source(name="atlassian_usage")
    def source() -> Any:
        for endpoint in ENDPOINTS:
            yield dlt.resource(pages(endpoint), name=endpoint.table, write_disposition="append")

    return source()


def slices(asked: AskedFolder) -> Iterator[Slice]:
    """A slice per file that is new or newly rejected; then what there is, where that is news.

    Without a window: facts follow the rows that differ, not the span of a file.
    """
    for endpoint, scope, told in asked.client.news(asked.landed, asked.account.clock()):
        if endpoint == asked.endpoint:
            yield snapshot(scope, _rows_of, told)


def _rows_of(told: "pa.Table | RejectedFileError") -> "Iterator[pa.Table]":
    if isinstance(told, RejectedFileError):
        raise told
    yield told
