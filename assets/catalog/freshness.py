"""Whether usage is fresh: by what was last told, and not by when something was written."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from assets.catalog.checks import as_result
from assets.catalog.tables import raw_key
from assets.loading import open_warehouse
from assets.raw_assets import failing_in_words
from assets.retention import retention
from assets.settings import Settings, read_settings
from assets.sources import ENDPOINTS, source_of
from pipelines import receipts
from pipelines.endpoint import SNAPSHOT
from pipelines.receipts import Connection

NAME = "data_is_fresh"
# what falls due by the clock; names are as fresh as their listing, of which a policy says
WATCHED = [
    (endpoint, grain)
    for endpoint in ENDPOINTS
    for grain in endpoint.grains
    if grain != SNAPSHOT and grain not in endpoint.only_backfilled
]


def evaluated(
    connection: Connection, settings: Settings
) -> dict[dg.AssetCheckKey, dg.AssetCheckEvaluation]:
    """Of every table that is asked for and was told at some time."""
    told, found = receipts.told_until(connection), {}
    for endpoint, grain in WATCHED:
        until, source = told.get((endpoint.table, grain)), source_of(endpoint)
        if until and source.name not in settings.missing:
            stale_after = retention(endpoint.table, grain).stale_after
            key = dg.AssetCheckKey(raw_key(endpoint.table, grain), NAME)
            found[key] = dg.AssetCheckEvaluation(
                *key,
                passed=settings.clock() - until < stale_after,
                description=f"{source.title} was last told of up to {until:%Y-%m-%d %H:%MZ}.",
            )
    return found


def _spec(table: str, grain: str) -> dg.AssetCheckSpec:
    hours = retention(table, grain).stale_after // timedelta(hours=1)
    text = f"What was told last is at most {hours} hours old, however late it was written."
    return dg.AssetCheckSpec(NAME, asset=raw_key(table, grain), description=text)


@dg.multi_asset_check(specs=[_spec(e.table, grain) for e, grain in WATCHED], can_subset=True)
def freshness(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Look now; the sensor looks at every tick."""
    settings = read_settings()
    with failing_in_words(), open_warehouse(settings) as connection:
        receipts.create_raw_tables(connection)
        found = evaluated(connection, settings)
    yield from (as_result(found[key]) for key in context.selected_asset_check_keys if key in found)
