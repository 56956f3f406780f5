"""The facts as a whole: one table and its views, and days that no session moves."""

from pathlib import Path

import duckdb

from dbt_like_sql.engine.lakes.address import beside
from dbt_like_sql.engine.warehouse import read_copy
from tests.conftest import World, Worlds
from tests.landed import Neon, land
from tests.models.test_cost import opened

COMPUTE = "compute_unit_seconds"
FAMILIES = ("compute", "credits", "operations", "storage", "transfer")


def test_the_read_copy_holds_every_fact_once(landed_world: World) -> None:
    """fct_usage has the rows, the five facts show them, and together they are all of it."""
    kinds = landed_world.read(
        "select table_name, table_type from information_schema.tables"
        " where table_schema = 'marts' and table_name like 'fct_%' order by 1"
    )
    views = [(f"fct_{family}", "VIEW") for family in FAMILIES]
    tables = [(f"fct_{name}", "BASE TABLE") for name in ("cost", "cost_by_day", "usage")]
    assert kinds == sorted([*views, *tables])
    every = " union all ".join(f"from marts.fct_{family}" for family in FAMILIES)
    ((rows, of_usage),) = landed_world.read(
        f"select count(*), (select count(*) from marts.fct_usage) from ({every})"  # noqa: S608
    )
    assert rows == of_usage > 0


def test_the_warehouse_holds_every_fact_once(landed_world: World) -> None:
    """All of them are views there, of the one table that is worked out."""
    facts = landed_world.raw(
        "select distinct table_type from information_schema.tables"
        " where table_schema = 'marts' and table_name like 'fct_%'"
        " and table_name not like 'fct_cost%'"
    )
    assert facts == [("VIEW",)]


def test_no_session_moves_a_day(landed_world: World) -> None:
    """period_date is the UTC day in the warehouse and in the copy, wherever one is."""
    path = beside(landed_world.settings.warehouse)
    for file in (path, read_copy(path)):
        with duckdb.connect(file, read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            days = "select period_start, period_date from marts.fct_usage order by all"
            true = connection.execute(days).fetchall()
            assert all(start.date() == day for start, day in true)
            for zone in ("America/Los_Angeles", "Pacific/Kiritimati"):
                connection.execute(f"set TimeZone = '{zone}'")
                assert [day for _, day in connection.execute(days).fetchall()] == [
                    day for _, day in true
                ]


def test_a_zero_that_is_told_now_is_no_correction(tmp_path: Path, worlds: Worlds) -> None:
    """Neon leaves out most zeros, and tells some: only what was used can be corrected."""
    here, day = opened(tmp_path, worlds, "reports.restatements"), "2026-08-01"
    land(here.settings, Neon("p", COMPUTE, day, 5), Neon("used", COMPUTE, day, 0))
    land(
        here.settings,
        Neon("p", COMPUTE, day, 6),
        Neon("used", COMPUTE, day, 7),
        Neon("idle", COMPUTE, day, 0),
        Neon("new", COMPUTE, day, 8),
        asked_at="2026-08-09",
    )
    here.build()
    found = here.read(
        "select project_id, quantity_before, quantity_after from reports.restatements order by 1"
    )
    assert found == [("new", None, 8), ("p", 5, 6), ("used", 0, 7)]
