"""How fresh each source is, and what needs somebody: receipts in, verdicts out."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assets.settings import Settings, read_settings
from assets.sources import endpoint_of
from dbt_like_sql.engine import warehouse
from pipelines import receipts
from tests import builds, reading
from tests.clock import NOW  # 2026-11-21 15:30
from tests.conftest import Worlds
from tests.landed import Neon, Receipt, land, receive

PROJECTS, BRANCHES = "neon_project_usage", "neon_branch_usage"
Rows = list[tuple[Any, ...]]


def hours(asked: str, until: str, table: str = PROJECTS, scope: str = "org") -> Receipt:
    """Hours of a day of November that were asked for at an instant of it."""
    since = f"2026-11-{until[:2]} 00:00"
    return Receipt(table, "hourly", f"2026-11-{asked}", since, f"2026-11-{until}", scope)


@pytest.fixture
def fresh(tmp_path: Path, worlds: Worlds) -> Callable[..., Rows]:
    """Rows of reports.freshness after these receipts, as of an instant."""
    models = worlds.begin_alone(tmp_path, "reports.freshness")

    def found(*receipts: Receipt, now: datetime = NOW, columns: str = "hourly_until") -> Rows:
        settings = settings_at(tmp_path / "meterhouse.duckdb", now)
        receive(settings, *receipts)
        builds.build(settings, models)
        sql = f"select source, verdict, {columns} from reports.freshness order by 1, 2"  # noqa: S608
        return [row for row in read(settings, sql) if row[1] != "never loaded"]

    return found


def settings_at(path: Path, now: datetime) -> Settings:
    """A warehouse, and what time it is there."""
    return read_settings({"WAREHOUSE": str(path), "XDG_STATE_HOME": "."}, lambda: now)


def read(settings: Settings, sql: str) -> Rows:
    """Rows of the read copy."""
    return reading.rows(settings.warehouse, sql)


def at(text: str) -> datetime:
    """An instant of November 2026, UTC."""
    return datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=UTC)


@pytest.mark.slow
def test_what_was_never_loaded_says_so(fresh: Callable[..., Rows], tmp_path: Path) -> None:
    """One row per source, also of those that nobody set up, without any instant."""
    assert fresh() == []
    rows = read(
        settings_at(tmp_path / "meterhouse.duckdb", NOW),
        "select distinct verdict, scope_count, age_hours, late_at from reports.freshness",
    )
    assert rows == [("never loaded", 0, None, None)]


def test_usage_is_held_up_to_the_last_bucket_that_had_settled(fresh: Callable[..., Rows]) -> None:
    """The table that is behind counts; the open hour, and one that ended just before it was asked
    for, are not held. It is late three hours after it was last told of."""
    receipts = (hours("21 15:20", "21 16:00"), hours("21 14:10", "21 15:00", BRANCHES))
    columns = "hourly_until, age_hours, late_at, scope_count, scope"
    assert fresh(*receipts, columns=columns) == [
        ("neon", "ok", at("21 13:00"), 2.5, at("21 17:10"), 1, "org")
    ]


@pytest.mark.slow
def test_a_source_of_which_a_part_is_late_has_a_row_of_each(fresh: Callable[..., Rows]) -> None:
    """The verdict is that of the build's clock."""
    receipts = (hours("21 15:20", "21 16:00"), hours("21 12:20", "21 13:00", scope="other"))
    columns = "scope, hourly_until"
    assert fresh(*receipts, now=at("21 15:19"), columns="scope_count") == [("neon", "ok", 2)]
    assert fresh(now=at("21 16:19"), columns=columns) == [
        ("neon", "late", "other", at("21 12:00")),
        ("neon", "ok", "org", at("21 15:00")),
    ]


def test_what_was_asked_of_another_day_tells_nothing_of_today(fresh: Callable[..., Rows]) -> None:
    """Yesterday and today are both open, and one of them was asked for: it is told up to its end,
    and late 36 hours after that, though it was asked later."""
    day = Receipt(
        "forge_app_usage", "daily", "2026-11-21 06:00", "2026-11-20", "2026-11-21", source="forge"
    )
    found = fresh(day, now=at("21 09:00"), columns="daily_until, late_at")
    assert found == [("forge", "ok", at("20 00:00"), at("22 12:00"))]


@pytest.mark.slow
def test_what_has_ended_or_was_late_for_a_month_stopped(fresh: Callable[..., Rows]) -> None:
    """It is nobody's trouble any more, and keeps no other table of its scope from being judged."""
    gone = Receipt(PROJECTS, "ended", "2026-11-21 15:00", scope="gone")
    day = Receipt(
        "bitbucket_pipeline_runs",
        "daily",
        "2026-10-25 12:20",
        "2026-09-01",
        "2026-10-26",
        source="bitbucket",
    )
    old = hours("01 12:20", "01 13:00", BRANCHES)
    receipts = (hours("21 14:20", "21 15:00", scope="gone"), gone, day, old)
    now, columns = datetime(2026, 12, 2, 9, tzinfo=UTC), "scope, hourly_until, daily_until"
    assert fresh(*receipts, hours("21 15:20", "21 16:00"), columns=columns) == [
        ("bitbucket", "late", "org", None, datetime(2026, 10, 25, tzinfo=UTC)),
        ("neon", "late", "org", at("01 12:00"), None),
        ("neon", "stopped", "gone", at("21 14:00"), None),
    ]
    assert fresh(now=now, columns=columns)[:2] == [
        ("bitbucket", "stopped", "org", None, datetime(2026, 10, 25, tzinfo=UTC)),
        ("neon", "late", "org", at("21 15:00"), None),
    ]


def test_files_are_never_late_and_names_are_no_usage(fresh: Callable[..., Rows]) -> None:
    """reports.export_freshness says of each export whether it is."""
    files = Receipt("platform_usage", "snapshot", "2026-01-05 07:00", source="atlassian_platform")
    names = Receipt("neon_projects", "snapshot", "2026-11-21 02:20")
    listed = datetime(2026, 1, 5, 7, tzinfo=UTC)
    assert fresh(files, names, columns="listed_at, late_at") == [
        ("atlassian_platform", "ok", listed, None),
        ("neon", "nothing told", None, None),
    ]


@pytest.mark.slow
def test_what_is_missing_is_told_before_it_is_at_risk(tmp_path: Path, worlds: Worlds) -> None:
    """A day that was refused, say, is in the list until it is held, and no failure while there is
    time."""
    worlds.begin(tmp_path)
    models, table = worlds.once(tmp_path, "reports.needs_you"), PROJECTS
    settings = settings_at(tmp_path / "meterhouse.duckdb", NOW)
    before = Receipt(table, "daily", "2026-11-21 02:20", "2026-11-18", "2026-11-19")
    receive(
        settings, before, Receipt(table, "daily", "2026-11-21 02:20", "2026-11-20", "2026-11-22")
    )
    builds.build(settings, models)
    sql = "select kind, subject, is_failure, since_at, what, what_to_do from reports.needs_you"
    what = f"{table} daily: 1 buckets are not held, of org for one"
    todo = "Run `meterhouse load --gaps`."
    missing = ("missing", f"{table} daily", False, at("19 00:00"), what, todo)
    assert read(settings, sql) == [missing]
    receive(settings, Receipt(table, "daily", "2026-11-21 02:30", "2026-11-19", "2026-11-20"))
    builds.build(settings, models)
    assert read(settings, sql) == []


@pytest.mark.slow
def test_the_end_of_the_calendar_is_told_a_year_before(tmp_path: Path, worlds: Worlds) -> None:
    """And is a failure from the first day that no fact can have."""
    worlds.begin(tmp_path)
    models = worlds.once(tmp_path, "reports.needs_you")
    sql = "select subject, what, is_failure from reports.needs_you"
    first = datetime(2036, 1, 1, tzinfo=UTC)
    what = "seeds.calendar_days: usage after 2035-12-31 lands, and is in no fact"
    for now, told in (
        (datetime(2034, 12, 30, tzinfo=UTC), []),
        (datetime(2035, 1, 1, tzinfo=UTC), [("seeds.calendar_days", what, False)]),
        (first, [("seeds.calendar_days", what, True)]),
    ):
        settings = settings_at(tmp_path / "meterhouse.duckdb", now)
        builds.build(settings, models)
        assert read(settings, sql) == told


def test_what_needs_somebody_is_one_row_a_cause(tmp_path: Path, worlds: Worlds) -> None:
    """What it is about has no count and no age: it is the same from build to build."""
    worlds.begin(tmp_path)
    settings = settings_at(tmp_path / "meterhouse.duckdb", NOW)
    land(
        settings,
        Neon("p", "compute_unit_seconds", "2026-11-01", 5),
        Neon("p", "new", "2026-11-14", 7),
    )
    receive(settings, hours("15 00:20", "15 01:00"), hours("19 15:20", "19 16:00"))
    with warehouse.writer(settings.warehouse) as connection:
        receipts.see(connection, endpoint_of("neon_branch_usage"), ["q"], NOW)
    models = worlds.once(tmp_path, "reports.needs_you")
    builds.build(settings, models)
    sql = (
        "select kind, source, subject, is_failure, since_at, too_late_at, what_to_do"
        " from reports.needs_you order by 1, 3"
    )
    first = read(settings, sql)
    assert [row[:4] for row in first] == [
        ("at risk", "neon", "neon_project_usage hourly", True),
        ("late", "neon", "neon", True),
        ("missing", "neon", "neon_project_usage daily", False),
        ("never answered", "neon", "neon_branch_usage", True),
        ("unknown meter", "neon", "new", True),
    ]
    (risk, late, *_) = first
    # the hour from 00 to 01 was asked for before it had settled, and from 01 on nobody asked
    assert risk[4:] == (at("15 00:00"), at("22 00:00"), "Run `meterhouse load --gaps`.")
    # of the days, which are of the 14th, the next one was not told by the 16th at noon
    assert late[4:6] == (at("16 12:00"), None)
