"""Whether usage is fresh: by what was told last, and not by when something was written."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from assets.catalog.checks import Verdicts, results_of
from assets.catalog.failing import failing_in_words
from assets.catalog.tables import raw_key
from assets.retention import retention
from assets.runs.opening import open_warehouse
from assets.settings import Settings, read_settings
from assets.sources import ENDPOINTS, source_of
from pipelines import receipts
from pipelines.endpoint import SNAPSHOT
from pipelines.receipts import Connection

# what falls due by the clock; names are as fresh as their listing, of which a policy says
WATCHED = [
    (endpoint, grain)
    for endpoint in ENDPOINTS
    for grain in endpoint.grains
    if grain != SNAPSHOT and grain not in endpoint.only_backfilled
]
SPECS = [
    dg.AssetCheckSpec(
        "data_is_fresh",
        asset=raw_key(endpoint.table, grain),
        description="What was told last is at most "
        f"{retention(endpoint.table, grain).stale_after // timedelta(hours=1)} hours old.",
    )
    for endpoint, grain in WATCHED
]


def verdicts(connection: Connection, settings: Settings) -> Verdicts:
    """Of every table that is asked for and was told at some time."""
    told_until, found = receipts.told_until(connection), {}
    for (endpoint, grain), spec in zip(WATCHED, SPECS, strict=True):
        until, source = told_until.get((endpoint.table, grain)), source_of(endpoint)
        if until and source.name not in settings.missing:
            stale_at = until + retention(endpoint.table, grain).stale_after
            found[spec.key] = dg.AssetCheckEvaluation(
                *spec.key,
                passed=settings.clock() < stale_at,
                description=f"{source.title} was last told of up to {until:%Y-%m-%d %H:%MZ}.",
            )
    return found


@dg.multi_asset_check(specs=SPECS, can_subset=True)
def freshness(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
    """Look now; the sensor looks at every tick."""
    with failing_in_words(), open_warehouse(settings := read_settings()) as connection:
        receipts.create_raw_tables(connection)
        found = verdicts(connection, settings)
    asked = context.selected_asset_check_keys
    for key in sorted(asked - found.keys()):
        table = key.asset_key.to_user_string()
        context.log.warning(f"{table} was never told, or no setting asks for it: it has no age.")
    yield from results_of(found, asked & found.keys())
