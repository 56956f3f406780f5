"""Forge as a dlt source, and the slices that it is asked in: per app, resource and month."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import TypeAlias

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from pipelines.forge import ENDPOINTS, ENVIRONMENT_USAGE, SITE_ENVIRONMENT_USAGE, Settings, app_uuid
from pipelines.forge.client import Forge
from pipelines.source import Asked, Pages, Slice, UnknownBeforeError, UsagePages
from pipelines.windows import Window, next_bucket

AskedForge: TypeAlias = Asked[Settings, Forge]


@dlt.source(name="forge")
def forge(pages: Pages) -> Iterable[DltResource]:
    """Every endpoint as a resource: its Arrow pages."""
    for endpoint in ENDPOINTS:
        yield dlt.resource(pages(endpoint), name=endpoint.table, write_disposition="append")


def slices(asked: AskedForge) -> list[Slice]:
    """A slice per app, resource and calendar month still to be asked, newest month first."""
    found = [
        Slice(scope, month, partial(_usage, asked, scope))
        for scope, starts in asked.due.items()
        for month in _months(starts)
    ]
    return sorted(found, key=lambda a_slice: str(a_slice.window), reverse=True)


def _months(starts: Iterable[datetime]) -> Iterator[Window]:
    """Windows of days, cut at the turn of the month."""
    for _, days in groupby(sorted(starts), key=lambda start: (start.year, start.month)):
        first, *rest = days
        yield Window("daily", first, next_bucket(rest[-1] if rest else first, "daily"))


def _usage(asked: AskedForge, scope: str, window: Window) -> UsagePages:
    """The pages of one slice; an app is asked about by the id that was given of it first."""
    uuid, _, resource = scope.partition("/")
    app_id = next(given for given in asked.account.settings.app_ids if app_uuid(given) == uuid)
    environments: list[str | None] = [None]
    if asked.endpoint == SITE_ENVIRONMENT_USAGE:
        found = asked.landed.values(ENVIRONMENT_USAGE, "environment_id", scope, window)
        environments = [environment for environment in found if environment]
    days: set[datetime] = set()
    for page in asked.client.usage(asked.endpoint.table, app_id, resource, window, environments):
        if isinstance(page, pa.Table):
            days.update(page["bucket_start"].to_pylist())
        yield page
    _refuse_to_guess(asked, window, days)


def _refuse_to_guess(asked: AskedForge, window: Window, days: set[datetime]) -> None:
    """Beyond what is surely kept, a day without an answer is unknown: no receipt has it."""
    if asked.known_since is None or window.since >= asked.known_since:
        return
    since = min([*days, asked.known_since])
    note = (
        f"forge {window}: Atlassian showed 60 days of history when it last said how "
        "much it keeps. What it does not answer of earlier days is unknown, not zero"
    )
    if since > window.since:
        answered = Window(window.grain, since, window.until) if since < window.until else None
        raise UnknownBeforeError(note, answered)
