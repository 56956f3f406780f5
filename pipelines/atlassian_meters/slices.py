"""The meters API as a dlt source, and the slices that it is asked in: one per organization."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import TypeAlias

import dlt
from dlt.extract import DltResource

from pipelines.atlassian_meters import READINGS, Settings
from pipelines.atlassian_meters.client import Meters
from pipelines.source import Asked, Pages, Slice
from pipelines.windows import Window

AskedMeters: TypeAlias = Asked[Settings, Meters]
# an account that left is asked about until no cycle may still tell of it
REMEMBERED = timedelta(days=62)


@dlt.source(name="atlassian_meters")
def atlassian_meters(pages: Pages) -> Iterable[DltResource]:
    """Every endpoint as a resource: its Arrow pages."""
    yield dlt.resource(pages(READINGS), name=READINGS.table, write_disposition="append")


def slices(asked: AskedMeters) -> Iterator[Slice]:
    """A reading of today per organization and its accounts."""
    for org_id, window in asked.windows():
        if window:
            lately = Window(window.grain, window.since - REMEMBERED, window.until)
            known = asked.landed.values(READINGS, "account_id", org_id, lately)
            ids = dict.fromkeys([*asked.account.settings.account_ids, *filter(None, known)])
            # asked for as it was given, and known in small letters
            given = next(i for i in asked.account.settings.org_ids if i.lower() == org_id)
            yield Slice(org_id, window, partial(asked.client.readings, given, ids))
