"""Everything that Dagster shows and runs. Loads with no setting at all."""

import dagster as dg

from assets.automation import BUILD_JOB, JOBS, SCHEDULES, build_what_landed
from assets.models import SEEDS, models
from assets.raw import RAW_ASSETS, RECEIPTS, vendors_resource

# in process: steps of a run share one DuckDB file, and a process per step costs seconds each
defs = dg.Definitions(
    assets=[*RAW_ASSETS, RECEIPTS, *SEEDS, models],
    jobs=[*JOBS.values(), BUILD_JOB],
    schedules=SCHEDULES,
    sensors=[build_what_landed],
    resources={"vendors": vendors_resource},
    executor=dg.in_process_executor,
)
