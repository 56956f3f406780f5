"""The upkeep of a lake from Dagster: once a day, and only where the warehouse is one."""

import dagster as dg

from assets.catalog.failing import failing_in_words
from assets.settings import read_settings
from dbt_like_sql.engine.lakes.address import Lake, Warehouse
from dbt_like_sql.engine.lakes.upkeep import upkeep


@dg.op(description="Merge small files, and delete what no reader can need any more")
def tidy(context: dg.OpExecutionContext) -> None:
    """Do it, and say what was done."""
    with failing_in_words():
        settings = read_settings()
        assert isinstance(settings.warehouse, Lake)  # noqa: S101  # there is no such job otherwise
        context.log.info(f"{upkeep(settings.warehouse, settings.clock())}")


@dg.job(description="The upkeep of the lake's files; as `meterhouse upkeep`")
def lake_upkeep() -> None:
    """Do it."""
    tidy()


DAILY = dg.ScheduleDefinition(
    name="lake_upkeep",
    job=lake_upkeep,
    cron_schedule="40 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At 03:40, between two hourly ticks: the upkeep of the lake's files",
)


def upkeep_of(at: Warehouse) -> list[dg.ScheduleDefinition]:
    """The schedule, where there is something to keep up."""
    return [DAILY] if isinstance(at, Lake) else []
