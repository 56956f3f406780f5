"""Forge under Dagster: one run lands the days, or the month, that it is asked for."""

from datetime import timedelta

import dagster as dg
import pytest

from assets.catalog.partitions import partition_key
from assets.catalog.tables import raw_key
from assets.definitions import defs
from assets.raw_assets import RAW_ASSETS, loader_resource
from pipelines.windows import floor
from tests.clock import TODAY
from tests.conftest import Open, World
from tests.forge.world import APP, SMALL

DAILY, MONTHLY = raw_key(APP, "daily"), raw_key(APP, "monthly")


@pytest.fixture
def configured(world: Open, monkeypatch: pytest.MonkeyPatch) -> World:
    """A small company, with the settings that runs read pointed at its gateway."""
    opened = world(**SMALL)
    opened.configure(monkeypatch)
    return opened


@pytest.mark.slow  # by default 168 hours of Neon are
def test_ten_days_are_one_run_and_ten_partitions(
    configured: World, instance: dg.DagsterInstance
) -> None:
    """A request for each resource and month touched, the forecast in the log; all ten are green."""
    days = [TODAY - timedelta(days=n) for n in range(9, -1, -1)]
    keys = [partition_key("daily", day) for day in days]
    names = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    result = defs.resolve_job_def("load_forge_daily").execute_in_process(
        instance=instance,
        asset_selection=[DAILY],
        tags=dict(zip(names, (keys[0], keys[-1]), strict=True)),
    )
    assert result.success
    assert instance.get_materialized_partitions(DAILY) == set(keys)
    requests = 12 * len({(day.year, day.month) for day in days})
    assert len(configured.sandbox.forge.requests) == requests
    log = "\n".join(str(entry) for entry in instance.all_logs(result.run_id))
    assert f"{requests} slices of forge_app_usage to ask" in log
    assert configured.environment["ATLASSIAN_API_TOKEN"] not in log
    rows = configured.raw("select bucket_start, count(*) from raw.forge_app_usage group by all")
    counts = {
        event.materialization.partition: event.materialization.metadata[
            "dagster/partition_row_count"
        ].value
        for event in (
            found.step_materialization_data for found in result.get_asset_materialization_events()
        )
    }
    assert counts == {partition_key("daily", day): count for day, count in rows}


def test_a_month_is_a_partition_of_the_backfill(
    configured: World, instance: dg.DagsterInstance
) -> None:
    """Last month's days, under daily receipts: twelve requests, one green partition."""
    last = floor(TODAY.replace(day=1) - timedelta(days=1), "monthly")
    key = partition_key("monthly", last)
    (assets,) = (assets for assets in RAW_ASSETS if MONTHLY in assets.keys)
    result = dg.materialize(
        [assets],
        selection=[MONTHLY],
        instance=instance,
        resources={"loader": loader_resource},
        tags={
            "dagster/asset_partition_range_start": key,
            "dagster/asset_partition_range_end": key,
        },
    )
    assert result.success
    assert instance.get_materialized_partitions(MONTHLY) == {key}
    assert len(configured.sandbox.forge.requests) == 12
    said = configured.raw("select distinct granularity, window_start, window_end from raw.loads")
    assert said == [("daily", last, TODAY.replace(day=1))]
