"""What Neon says of a day or month is compared with what it says of hours and days within it."""

from pathlib import Path

import pytest

from assets.settings import read_settings
from dbt_like_sql.engine import warehouse
from tests.builds import build
from tests.conftest import Worlds
from tests.landed import Neon, Receipt, land, receive

HOURS = Receipt("neon_project_usage", "hourly", "2026-08-20", "2026-08-01", "2026-08-03")


@pytest.mark.slow
def test_hours_that_say_nothing_of_a_day_that_has_usage_are_compared(
    tmp_path: Path, worlds: Worlds
) -> None:
    """Receipts of all hours say that nothing was used; the day says that something was: one of them
    is wrong. Where the hours were not asked the day itself is the fact."""
    models = worlds.begin_facts(tmp_path, "reports.reconciliation")
    settings = read_settings({"WAREHOUSE": str(tmp_path / "meterhouse.duckdb")})
    days = ("2026-08-01", "2026-08-02", "2026-08-03")
    land(settings, *(Neon("project", "compute_unit_seconds", day, 700) for day in days))
    receive(settings, HOURS)
    build(settings, models)
    with warehouse.reader(settings.warehouse) as connection:
        found = connection.execute("""
            select day(period_start), granularity, fact_quantity, other_quantity,
                is_within_tolerance
            from reports.reconciliation order by all
        """).fetchall()
    assert found == [(1, "daily", 0, 700, False), (2, "daily", 0, 700, False)]
