"""Buckets under two billing periods: the sum is the fact, and what looks like a repeat is named."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assets.settings import Settings, read_settings
from assets.sources import ENDPOINTS
from dbt_like_sql.engine import warehouse
from pipelines.receipts import create_raw_tables
from tests.builds import build
from tests.conftest import Worlds

DAY, NEXT = datetime(2026, 8, 14, tzinfo=UTC), datetime(2026, 8, 15, tzinfo=UTC)
MONTH, NEXT_MONTH = datetime(2026, 8, 1, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)
ASKED = datetime(2026, 8, 20, tzinfo=UTC)
NOON, SIX = DAY.replace(hour=12), DAY.replace(hour=6)
Span = tuple[datetime, datetime]
# a billing period, the timeframe that it tells, and the value
Told = tuple[Span, Span, int]


def met_at(changed_at: datetime, values: tuple[int, int], is_clipped: bool = False) -> list[Told]:
    """What two periods tell of the day on which the plan changed."""
    frames = [(DAY, changed_at), (changed_at, NEXT)] if is_clipped else [(DAY, NEXT)] * 2
    periods = [(MONTH, changed_at), (changed_at, NEXT_MONTH)]
    return list(zip(periods, frames, values, strict=True))


# project: what its periods told of the 14th
TOLD: dict[str, list[Told]] = {
    "whole day twice": met_at(SIX, (3600, 3600)),
    "periods overlap": [((MONTH, NEXT_MONTH), (DAY, NEXT), 3600)] * 2,
    "frames meet": met_at(SIX, (3600, 3600), is_clipped=True),
    "other values": met_at(SIX, (1200, 3600)),
    "halves": met_at(NOON, (3600, 3600)),
    "nothing used": met_at(SIX, (0, 0)),
    "one period": [
        ((MONTH, NEXT_MONTH), (DAY, NOON), 3600),
        ((MONTH, NEXT_MONTH), (NOON, NEXT), 3600),
    ],
    "three times": [*met_at(SIX, (7, 7)), ((MONTH, NEXT_MONTH), (DAY, NEXT), 7)],
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Settings:
    """Of a warehouse in which all this was landed, with one receipt, and built."""
    path: Path = tmp_path_factory.mktemp("periods") / "meterhouse.duckdb"
    models = worlds.begin_facts(path.parent, "reports.reconciliation")
    found = read_settings({"WAREHOUSE": str(path)})
    with warehouse.writer(path) as connection:
        create_raw_tables(connection, ENDPOINTS)
        for project, told in TOLD.items():
            for number, (period, frame, value) in enumerate(told):
                period_id = "one" if project == "one period" else f"{number}"
                connection.execute(
                    "insert into raw.neon_project_usage by name select 'org' as org_id,"
                    " ? as project_id, ? as period_id, 'scale' as period_plan,"
                    " ?::timestamptz as period_start, ?::timestamptz as period_end,"
                    " ?::timestamptz as timeframe_start, ?::timestamptz as timeframe_end,"
                    " 'compute_unit_seconds' as metric_name, ? as value, 'daily' as granularity,"
                    " ?::timestamptz as bucket_start, 'org' as scope, 'load' as load_id,"
                    " now() as landed_at, false as is_withdrawn",
                    [project, period_id, *period, *frame, value, DAY],
                )
        connection.execute(
            "insert into raw.loads by name select 'load' as load_id, 'neon' as source,"
            " 'neon_project_usage' as resource, 'daily' as granularity, 'org' as scope,"
            " ?::timestamptz as window_start, ?::timestamptz as window_end,"
            " ?::timestamptz as asked_at, 1 as rows, 1 as pages, true as complete,"
            " now() as landed_at",
            [DAY, NEXT, ASKED],
        )
    build(found, models)
    return found


def read(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    """Rows of the read copy."""
    with warehouse.reader(settings.warehouse) as connection:
        return connection.execute(sql).fetchall()


def test_the_periods_of_a_bucket_add_up(settings: Settings) -> None:
    """Also where they tell the same: which of the two is right is not known."""
    sql = "select project_id, quantity from marts.fct_compute where quantity > 0"
    assert dict(read(settings, sql)) == {
        project: sum(value for *_, value in told)
        for project, told in TOLD.items()
        if project != "nothing used"
    }


def test_a_bucket_that_two_periods_tell_alike_is_named(settings: Settings) -> None:
    """With the sum, and the sum of each value once; equal halves of a bucket are no fault."""
    rows = read(
        settings,
        "select project_id, granularity, period_start, fact_quantity, other_quantity,"
        " is_within_tolerance from reports.reconciliation"
        " where comparison = 'another billing period' order by project_id",
    )
    assert rows == [
        ("halves", "daily", DAY, 7200, 3600, True),
        ("periods overlap", "daily", DAY, 7200, 3600, False),
        ("three times", "daily", DAY, 21, 7, False),
        ("whole day twice", "daily", DAY, 7200, 3600, False),
    ]
