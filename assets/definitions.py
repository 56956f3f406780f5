"""Everything that Dagster shows and runs. Loads with no setting at all."""

import dagster as dg

from assets.alerts.automation import DIGEST, alerts
from assets.automation import FILES_SENSORS, SCHEDULES, build_what_landed
from assets.catalog.freshness import freshness
from assets.catalog.upkeep import upkeep_of
from assets.model_assets import SEEDS, models
from assets.raw_assets import PARTS, RAW_ASSETS, RECEIPTS, loader_resource
from assets.settings import warehouse_at

# in process: steps of a run share one DuckDB file, and a process per step costs seconds each
defs = dg.Definitions(
    assets=[*RAW_ASSETS, *PARTS, RECEIPTS, *SEEDS, models],
    asset_checks=[freshness],
    schedules=[*SCHEDULES, DIGEST, *upkeep_of(warehouse_at())],
    sensors=[*FILES_SENSORS, build_what_landed, alerts],
    resources={"loader": loader_resource},
    executor=dg.in_process_executor,
)
