"""The vendors: one line each."""

from typing import Any

from pipelines import atlassian_meters, atlassian_usage, bitbucket, forge, neon
from pipelines.endpoint import Endpoint
from pipelines.source import Source

SOURCES: tuple[Source[Any], ...] = (
    neon.SOURCE,
    forge.SOURCE,
    bitbucket.SOURCE,
    atlassian_usage.SOURCE,
    atlassian_meters.SOURCE,
)
ENDPOINTS: tuple[Endpoint, ...] = tuple(e for source in SOURCES for e in source.endpoints)
# of facts: a vendor may have several
FAMILIES = tuple(dict.fromkeys(endpoint.source for endpoint in ENDPOINTS))


def source_of(endpoint: Endpoint) -> Source[Any]:
    """The vendor that has this endpoint."""
    return next(source for source in SOURCES if endpoint in source.endpoints)


def called(source: Source[Any]) -> str:
    """What people read of a vendor as: the family of its facts, and what of it is asked here where
    another tells of the same family."""
    first = source.endpoints[0]
    others = {e.source for other in SOURCES if other != source for e in other.endpoints}
    return f"{first.source} ({first.request})" if first.source in others else first.source


def endpoint_of(table: str) -> Endpoint:
    """The endpoint whose answers go to raw.<table>."""
    return next(endpoint for endpoint in ENDPOINTS if endpoint.table == table)
