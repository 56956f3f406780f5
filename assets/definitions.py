"""Everything that Dagster shows and runs. Loads with no setting at all."""

import dagster as dg

from assets.automation import (
    BUILD_JOB,
    FILES_JOB,
    JOBS,
    SCHEDULES,
    build_what_landed,
    platform_usage_files,
)
from assets.models import SEEDS, models
from assets.raw import PARTS, RAW_ASSETS, RECEIPTS, vendors_resource

# in process: steps of a run share one DuckDB file, and a process per step costs seconds each
defs = dg.Definitions(
    assets=[*RAW_ASSETS, *PARTS, RECEIPTS, *SEEDS, models],
    jobs=[*JOBS.values(), FILES_JOB, BUILD_JOB],
    schedules=SCHEDULES,
    sensors=[platform_usage_files, build_what_landed],
    resources={"vendors": vendors_resource},
    executor=dg.in_process_executor,
)
