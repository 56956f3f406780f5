"""When things run by themselves: what each schedule asks for, and when a build is started."""

import re
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from assets.automation import SCHEDULES, build_what_landed
from assets.catalog.partitions import partition_key
from assets.definitions import defs
from assets.runs.loading import Loader
from assets.settings import read_settings
from assets.sources import endpoint_of
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.lakes.address import beside
from pipelines.windows import Window, floor, next_bucket
from tests.clock import NOW
from tests.conftest import Open, World

SENSORS = defs.get_repository_def().sensor_defs
BY_NAME = {schedule.name: schedule for schedule in SCHEDULES}


@pytest.fixture
def configured(world: Open, monkeypatch: pytest.MonkeyPatch) -> World:
    """A small company, with the settings that ticks read pointed at its vendor."""
    small = {"projects": 3, "branches": 1, "orgs": 1, "apps": 1, "workspaces": 1}
    opened = world(oddities=False, built=True, **small)
    opened.configure(monkeypatch)
    return opened


def tick(name: str, at: datetime) -> dg.RunRequest:
    """The one run that a schedule asks for at an instant."""
    request: dg.RunRequest
    (request,) = evaluate(name, at).run_requests
    return request


def evaluate(name: str, at: datetime) -> Any:
    """A tick of a schedule."""
    context = dg.build_schedule_context(
        scheduled_execution_time=at, repository_def=defs.get_repository_def()
    )
    return BY_NAME[name].evaluate_tick(context)


def sense() -> Any:
    """A tick of the sensor, of a Dagster that never ran anything."""
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance, repository_def=defs.get_repository_def())
        return build_what_landed.evaluate_tick(context)


def partitions_of(request: dg.RunRequest) -> tuple[str, str]:
    """The first and the last partition that a run is asked for."""
    tags = request.tags
    return (
        tags["dagster/asset_partition_range_start"],
        tags["dagster/asset_partition_range_end"],
    )


def land_today(configured: World) -> None:
    """The hours of today, as the command line would land them."""
    now = NOW
    window = Window("hourly", floor(now, "daily"), next_bucket(now, "hourly"))
    with Loader(configured.settings) as loader, loader.at_once():
        assert not loader.load_window(endpoint_of("neon_project_usage"), window).failures


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("name", "at", "first", "last"),
    [
        ("neon_hourly", (2026, 11, 21, 10, 20), "2026-11-21-04:00", "2026-11-21-10:00"),
        ("neon_hourly", (2026, 11, 21, 0, 20), "2026-11-20-18:00", "2026-11-21-00:00"),
        ("neon_hourly", (2026, 11, 21, 2, 20), "2026-11-18-00:00", "2026-11-21-02:00"),
        ("neon_daily", (2026, 11, 21, 2, 20), "2026-11-18", "2026-11-21"),
        ("neon_daily", (2026, 3, 1, 2, 20), "2026-02-26", "2026-03-01"),
        ("neon_monthly", (2026, 11, 21, 3, 20), "2026-09-01", "2026-11-01"),
        ("neon_monthly", (2026, 1, 31, 3, 20), "2025-11-01", "2026-01-01"),
    ],
)
def test_a_schedule_reads_the_open_partition_and_the_trailing_ones_again(
    name: str, at: tuple[int, int, int, int, int], first: str, last: str
) -> None:
    """6 hours (at 02:20 the hours of 3 days), 3 days, 2 months, in one run."""
    assert partitions_of(tick(name, datetime(*at, tzinfo=UTC))) == (first, last)


@pytest.mark.usefixtures("configured")
def test_names_are_asked_for_once_a_day() -> None:
    """A run without partitions, whose key is the day's."""
    request = tick("neon_names", datetime(2026, 11, 21, 2, 20, tzinfo=UTC))
    assert request.run_key == "neon_names 2026-11-21"
    assert request.tags.get("dagster/asset_partition_range_start") is None


def test_schedules_run_at_twenty_past_in_utc() -> None:
    """Hourly at :20; daily, and the names, at 02:20; monthly at 03:20; each vendor at its own."""
    assert {name: schedule.cron_schedule for name, schedule in BY_NAME.items()} == {
        "neon_hourly": "20 * * * *",
        "neon_daily": "20 2 * * *",
        "neon_monthly": "20 3 * * *",
        "neon_names": "20 2 * * *",
        "forge_daily": "20 12 * * *",
        "bitbucket_daily": "20 2 * * *",
        "bitbucket_names": "20 2 * * *",
        "atlassian_meters_daily": "20 0 * * *",
    }
    assert {schedule.execution_timezone for schedule in SCHEDULES} == {"UTC"}


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_schedule_without_a_source_is_skipped(
    name: str, configured: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No source has its settings: no run, and the tick says which setting is missing."""
    missing = {
        "neon": "NEON_API_KEY",
        "forge": "FORGE_APP_IDS",
        "bitbucket": "BITBUCKET_TOKEN",
        "atlassian": "ATLASSIAN_ORG_API_KEY",
    }[name.split("_")[0]]
    monkeypatch.delenv(missing, raising=False)
    found = evaluate(name, datetime(2026, 11, 21, 10, 20, tzinfo=UTC))
    assert found.run_requests == []
    assert missing in found.skip_message
    assert "not set" in found.skip_message
    assert configured.new_requests() == []


@pytest.mark.usefixtures("configured")
def test_a_setting_that_cannot_be_used_keeps_no_schedule_from_its_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which fails in one sentence (test_run_requests.py); the tick would, in pages of stack."""
    monkeypatch.setenv("MEMORY_LIMIT", "lots")
    assert tick("neon_hourly", datetime(2026, 11, 21, 10, 20, tzinfo=UTC)).run_key


@pytest.mark.usefixtures("configured")
def test_a_setting_that_cannot_be_used_is_why_a_sensor_skips(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one sentence; and the tick after it is mended is as ever."""

    def said() -> dict[str, str | None]:
        context = dg.build_sensor_context(instance, repository_def=defs.get_repository_def())
        return {it.name: it.evaluate_tick(context).skip_message for it in SENSORS}

    before = said()
    for setting, value in (("MEMORY_LIMIT", "lots"), ("WAREHOUSE", "~nobody-is-here/w.duckdb")):
        with monkeypatch.context() as patched:
            patched.setenv(setting, value)
            told = said()
        assert told.keys() >= {"alerts", "build_what_landed", "platform_usage_files"}
        for why in told.values():
            assert why
            assert re.fullmatch(f"{setting} is {value!r}: it has to be .*", why)
    assert said() == before


@pytest.mark.usefixtures("configured")
def test_the_sensor_skips_without_a_warehouse() -> None:
    """Nothing was loaded yet: no run, and no file is made."""
    beside(read_settings().warehouse).unlink()
    found = sense()
    assert found.run_requests == []
    assert found.skip_message == "nothing has been loaded yet"
    assert not beside(read_settings().warehouse).exists()


def test_the_sensor_builds_what_landed_once(built_hours: World) -> None:
    """After a build there is nothing to do; a load is followed by one run over its days."""
    found = sense()
    assert found.run_requests == []
    assert found.skip_message == "every receipt is built"
    land_today(built_hours)
    today = partition_key("daily", NOW)
    (request,) = sense().run_requests
    assert partitions_of(request) == (today, today)
    (again,) = sense().run_requests
    assert again.run_key == request.run_key
    land_today(built_hours)
    (later,) = sense().run_requests
    assert later.run_key != request.run_key


def test_the_sensor_builds_once_a_day_all_the_same(configured: World) -> None:
    """What is stale, or about to be lost, follows the clock: a check has to look."""
    assert sense().run_requests == []
    configured.raw("update meta.builds set built_at = built_at - interval 1 day")
    (request,) = sense().run_requests
    today = partition_key("daily", NOW)
    assert (request.run_key, partitions_of(request)) == (today, (today, today))


def test_the_sensor_does_not_wait_for_a_long_build(
    configured: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody writes, the tick is skipped and names who."""
    monkeypatch.setattr("assets.automation.TICK_WAITS_SECONDS", 0.05)
    land_today(configured)
    with warehouse.writer_lock(configured.settings.warehouse):
        found = sense()
    assert found.run_requests == []
    assert found.skip_message
    assert "looking again at the next tick" in found.skip_message
