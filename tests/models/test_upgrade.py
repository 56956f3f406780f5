"""A warehouse that 0.1 wrote opens, and its facts are equal (warehouse_0_1/README.md)."""

import csv
from decimal import Decimal
from pathlib import Path

import duckdb

from assets.settings import read_settings
from dbt_like_sql.engine.models import PACKAGE_FOLDER
from tests.builds import build
from tests.conftest import Worlds

WRITTEN = Path(__file__).parent / "warehouse_0_1"
FACTS = """
    select
        source, org_id, project_id, branch_id, site_id, environment_id, user_id, meter, unit,
        granularity, cast(period_start as varchar), quantity
    from (
        from marts.fct_compute union all from marts.fct_storage union all from marts.fct_transfer
        union all from marts.fct_credits union all from marts.fct_operations
    )
"""
Facts = dict[tuple[str | None, ...], Decimal]


def write_warehouse(path: Path, *parts: str) -> None:
    """Make the DuckDB file from its text: `whole`, and `until_noon` after it."""
    with duckdb.connect(path) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute((WRITTEN / "schema.sql").read_text())
        for part in parts:
            connection.execute(f"set file_search_path = '{WRITTEN / part}'")
            connection.execute((WRITTEN / part / "load.sql").read_text())


def facts_of_build(path: Path, models: Path = PACKAGE_FOLDER) -> Facts:
    """What a build of today makes of it; no clock is in any of this."""
    build(read_settings({"WAREHOUSE": str(path)}), models)
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        rows = connection.execute(FACTS).fetchall()
    found = {(*key,): quantity for *key, quantity in rows}
    assert len(found) == len(rows)
    return found


def expected(*files: str) -> Facts:
    """The answer key; a later file replaces facts of an earlier one, or, without a quantity, takes
    them away."""
    facts: Facts = {}
    for file in files:
        with (WRITTEN / file).open(encoding="utf-8", newline="") as lines:
            for *key, quantity in list(csv.reader(lines))[1:]:
                id = tuple(part or None for part in key)
                facts.pop(id, None)
                if quantity:
                    facts[id] = Decimal(quantity)
    return facts


def test_facts_of_a_warehouse_of_0_1_are_equal(tmp_path: Path) -> None:
    """Every fact of all four vendors and three grains is as 0.1 had it, and none besides."""
    write_warehouse(tmp_path / "meterhouse.duckdb", "whole")
    facts = facts_of_build(tmp_path / "meterhouse.duckdb")
    assert facts == expected("facts.csv")
    assert {(key[0], key[9]) for key in facts} == {
        ("neon", "hourly"),
        ("neon", "daily"),
        ("neon", "monthly"),
        ("forge", "daily"),
        ("bitbucket", "daily"),
        ("atlassian_platform", "daily"),
        ("atlassian_platform", "monthly"),
    }


def test_receipts_that_end_within_a_bucket_are_healed(tmp_path: Path, worlds: Worlds) -> None:
    """The bucket was not asked for whole: what an earlier receipt says of it counts again.

    0.1 counted it as asked, found no row for it in the answer, and lost a day of one org and a
    month of another; so these facts are the company's answer key alone, which 0.1 never had.
    """
    write_warehouse(tmp_path / "meterhouse.duckdb", "whole", "until_noon")
    facts = facts_of_build(tmp_path / "meterhouse.duckdb", worlds.models())
    assert facts == expected("facts.csv", "facts_until_noon.csv")
