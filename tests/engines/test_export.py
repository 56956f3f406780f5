"""What lands is copied for a cluster once, a file for each table and day."""

from pathlib import Path

import duckdb

from assets.runs.opening import open_warehouse
from assets.settings import Settings
from dbt_like_sql.engine.spark.exporting import export
from tests.conftest import Open
from tests.landed import Neon, land

USAGE = "*/raw/neon_project_usage/*/*.parquet"


def exported(settings: Settings, folder: Path) -> dict[str, int]:
    """When each file of usage was written, after an export."""
    with open_warehouse(settings) as connection:
        export(connection, folder)
    return {file.name: file.stat().st_mtime_ns for file in folder.glob(USAGE)}


def test_what_landed_is_copied_once(tmp_path: Path, world: Open) -> None:
    """Days that are over are not written again, and all that landed is there, exactly once."""
    settings, folder = world(orgs=1, projects=1).settings, tmp_path / "shared"
    land(settings, Neon("p", "compute_unit_seconds", "2026-08-01", 1))
    with open_warehouse(settings) as connection:
        earlier = "set landed_at = landed_at - interval '2' day"
        connection.execute(f"update raw.neon_project_usage {earlier}; update raw.loads {earlier}")
    exported(settings, folder)
    land(settings, Neon("p", "compute_unit_seconds", "2026-08-02", 2))
    second = exported(settings, folder)
    land(settings, Neon("p", "compute_unit_seconds", "2026-08-03", 3))
    third = exported(settings, folder)
    of_none, earlier, today = sorted(third)  # the first has the columns
    rewritten = [name for name in second if third[name] != second[name]]
    assert rewritten == [today], "what landed on days that are over stays as it was"
    assert {of_none, earlier} < second.keys()
    values = duckdb.read_parquet(f"{folder}/{USAGE}").project("cast(value as integer) as v")
    assert values.order("v").fetchall() == [(1,), (2,), (3,)]
    assert len(duckdb.read_parquet(f"{folder}/*/raw/loads/*/*.parquet").fetchall()) == 3
