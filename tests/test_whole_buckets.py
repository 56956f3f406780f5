"""Loads until any instant, and what older receipts claimed too much of: nothing held is erased."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets.runs import planning
from assets.settings import Settings, read_settings
from assets.sources import endpoint_of
from assets.terminal import runs
from assets.terminal.console import Report
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.lakes.address import beside
from pipelines import log
from pipelines.receipts import Connection, Landed, create_raw_tables, held_since
from pipelines.windows import GRAINS, Window, floor
from tests.builds import build
from tests.conftest import Open, World, Worlds

DAY = timedelta(days=1)
PROJECTS = "neon_project_usage"
COMPUTE = """
    select org_id, project_id, granularity, strftime(period_start, '%m-%d %H'), quantity
    from marts.fct_compute order by all
"""


def at(text: str) -> datetime:
    """A UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# -- loads until any instant --------------------------------------------------------------------


def load(here: World, source: str, grains: Iterable[str], since: datetime, until: datetime) -> None:
    """`meterhouse load --source … --grain … --since … --until …`, and nothing fails."""
    asked = runs.load_window(here.settings, Report(True), (source,), grains, since, until)
    assert asked.failures == []


def small(world: Open, **more: Any) -> World:
    """One project of Neon and nothing else."""
    of_neon: dict[str, Any] = {"orgs": 1, "projects": 1, "branches": 1, "apps": 0, "workspaces": 0}
    return world(**of_neon | more)


@pytest.mark.slow
def test_days_until_noon_are_whole_days(world: Open, tmp_path: Path, worlds: Worlds) -> None:
    """Days that are asked for again until this very moment, and then until yesterday's noon, are
    as they were, and Neon is blamed for no correction."""
    here = small(world, models=worlds.begin_facts(tmp_path, "reports.restatements"))
    here.land_reach("daily")
    now, yesterday = here.company.now, floor(here.company.now - DAY, "daily")
    load(here, "neon", ["daily"], now - 2 * DAY, now)
    load(here, "neon", ["daily"], yesterday - 7 * DAY, yesterday + DAY / 2)
    here.build()
    assert here.facts() == here.expected("daily")
    assert here.read("select * from reports.restatements") == []


@pytest.mark.slow  # by default days until noon are whole days
def test_all_grains_of_a_part_of_a_month_are_the_whole_month(world: Open) -> None:
    """Without --grain, ten days of last month ask for all of that month, which was held, and no
    empty answer takes its place."""
    here = small(world, facts_alone=True)
    here.land_reach("monthly")
    last = floor(floor(here.company.now, "monthly") - DAY, "monthly")
    since, until = last + 9 * DAY, last + 19 * DAY
    load(here, "neon", GRAINS, since, until)
    here.build()
    months = here.reach("monthly")
    held = {"monthly": (months.since, months.until), "daily": (since, until)}
    truth = here.company.expected_facts(held)
    assert here.facts() == truth
    assert any(key[5] == last for key in truth)


@pytest.mark.slow  # by default days of Neon are
def test_runs_until_noon_are_those_of_the_whole_day(world: Open) -> None:
    """Bitbucket's seconds of a day that was asked for until noon are all of that day."""
    here = small(world, workspaces=1, repositories=1, facts_alone=True)
    for names in ("bitbucket_workspaces", "bitbucket_repositories"):
        assert not here.land(names, None).failures
    org, today = here.company.atlassian, floor(here.company.now, "daily")
    used = org.seconds_by_repository_day
    days = (today - number * DAY for number in range(1, 15))
    day = next(day for day in days if used(day, day + DAY / 2) and used(day + DAY / 2, day + DAY))
    load(here, "bitbucket", ["daily"], day, day + DAY / 2)
    here.build()
    ((_, seconds),) = used(day, day + DAY).items()
    assert here.read("select sum(quantity) from marts.fct_compute") == [(seconds,)]


# -- receipts that claimed too much -------------------------------------------------------------


@pytest.fixture
def old(tmp_path: Path) -> Settings:
    """A warehouse in which receipts of Neon end and start inside buckets.

    p1 of `org` used 2,400 a day: first asked as a week, then until noon of the 20th, as half a
    November (an empty answer) and from the morning of the 14th on. Of `else` nothing was asked but
    half a day, and two hours and a half.
    """
    settings = read_settings(
        {"WAREHOUSE": str(tmp_path / "meterhouse.duckdb"), "XDG_STATE_HOME": str(tmp_path)}
    )
    week = {f"2026-11-{day}": 2400 for day in range(14, 21)}
    hours = {f"2026-11-22T0{hour}:00": 100 for hour in range(3)}
    late, part = {"2026-11-14": 1800, "2026-11-15": 2400}, {"2026-11-20": 1200}
    noon = "2026-11-20T12:00"
    with warehouse.writer(settings.warehouse) as connection:
        create_raw_tables(connection)
        answers = [*endpoint_of(PROJECTS).schema, ("load_id", pa.string()), ("page", pa.int32())]
        log.create_table(connection, PROJECTS, log.columns_for(pa.schema(answers)))
        for receipt in (
            ("org", "daily", "2026-11-14", "2026-11-21", "2026-11-22T03:00", week),
            ("org", "daily", "2026-11-14", noon, "2026-11-22T04:00", week | part),
            ("org", "monthly", "2026-11-01", noon, "2026-11-22T05:00", {}),
            ("org", "daily", "2026-11-14T06:00", "2026-11-16", "2026-11-22T06:00", late),
            ("else", "daily", "2026-11-20", noon, "2026-11-22T07:00", part),
            ("else", "hourly", "2026-11-22", "2026-11-22T02:30", "2026-11-22T04:00", hours),
        ):
            land(connection, *receipt)
        connection.execute("update meta.warehouse set format = 1")
    return settings


def land(
    connection: Connection,
    org: str,
    grain: str,
    since: str,
    until: str,
    asked: str,
    used: dict[str, int],
) -> None:
    """One load of project usage with a receipt, as an older version wrote them."""
    load_id = f"{org} {grain} {since} {until}"
    connection.execute(
        "insert into raw.loads by name select $1 as load_id, 'neon' as source, $2 as resource,"
        " $3 as granularity, $4 as scope, $5::timestamptz as window_start, $6::timestamptz as"
        " window_end, $7::timestamptz as asked_at, $8 as rows, 1 as pages, true as complete,"
        " $7::timestamptz as landed_at",
        [load_id, PROJECTS, grain, org, at(since), at(until), at(asked), len(used)],
    )
    for start, value in used.items():
        connection.execute(
            "insert into raw.neon_project_usage by name select $1 as load_id, 1 as page, $2 as"
            " org_id, 'p1' as project_id, 'period' as period_id, $3 as granularity,"
            " $4::timestamptz as timeframe_start, $4::timestamptz as bucket_start,"
            " 'compute_unit_seconds' as metric_name, $5 as value",
            [load_id, org, grain, at(start), Decimal(value)],
        )


def test_what_was_asked_before_counts_again(old: Settings, worlds: Worlds) -> None:
    """Every day of the week is served by the receipt that asked for all of it."""
    read = ("marts.fct_compute", "reports.restatements", "reports.coverage")
    build(old, worlds.once(beside(old.warehouse).parent, *read))
    with warehouse.writer(old.warehouse) as connection:
        found = connection.execute(COMPUTE).fetchall()
        restated = connection.execute("select * from reports.restatements").fetchall()
        spans = connection.execute(
            "select scope, granularity, span_start, span_end from reports.coverage"
            " where state = 'held' order by all"
        ).fetchall()
    assert found == [
        ("else", "p1", "hourly", "11-22 00", 100),
        ("else", "p1", "hourly", "11-22 01", 100),
        *(("org", "p1", "daily", f"11-{day} 00", 2400) for day in range(14, 21)),
    ]
    assert restated == []
    assert spans == [
        ("else", "hourly", at("2026-11-22"), at("2026-11-22T02:00")),
        ("org", "daily", at("2026-11-14"), at("2026-11-21")),
    ]


def test_a_bucket_that_was_asked_in_part_falls_due(old: Settings) -> None:
    """It is not held, for loads that are due and for those that build on what is held."""
    now, usage = at("2026-11-26T16:00"), endpoint_of(PROJECTS)
    landed = Landed(partial(warehouse.writer, old.warehouse))
    day = Window("daily", at("2026-11-20"), at("2026-11-21"))
    lacking = landed.lacking(usage, {"org": day, "else": day})
    november = Window("monthly", at("2026-11-01"), at("2026-12-01"))
    assert landed.lacking(usage, {"org": november}) == {"org": {at("2026-11-01")}}
    with warehouse.writer(old.warehouse) as connection:
        held = {g: held_since(connection, PROJECTS, g, at("2026-01-01")) for g in GRAINS}
    due, months = (
        planning.due_buckets(usage, grain, held[grain], {}, ("org", "else"), now)
        for grain in ("daily", "monthly")
    )
    assert at("2026-11-20") in due["else"]
    assert not {*due["org"]} & {at(f"2026-11-{number}") for number in range(14, 21)}
    assert at("2026-11-01") in months["org"]
    assert lacking == {"else": {at("2026-11-20")}}
