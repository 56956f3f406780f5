"""The upkeep of a lake: fewer files, the same rows, and readers that go on."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from assets.catalog.upkeep import DAILY, lake_upkeep, upkeep_of
from assets.cli import main
from assets.settings import read_settings
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.lakes.address import Lake
from dbt_like_sql.engine.lakes.upkeep import upkeep
from tests.lake.conftest import Lakes


@pytest.mark.slow
def test_three_files_become_one(lakes: Lakes, tmp_path: Path) -> None:
    """A reader reads on in files that were replaced today; tomorrow they are deleted."""
    at = read_settings(lakes(tmp_path)).warehouse
    assert isinstance(at, Lake)
    with warehouse.writer(at) as connection:
        connection.execute("create schema raw; create table raw.kept (number bigint)")
        for _ in range(3):
            connection.execute("insert into raw.kept from range(100)")
    files = tmp_path / "lake" / "raw" / "kept"
    now = datetime.now(UTC)  # DuckLake's own clock
    with warehouse.reader(at) as connection:
        assert connection.execute("select count(*) from raw.kept").fetchall() == [(300,)]
        upkeep(at, now)
        assert connection.execute("select sum(number) from raw.kept").fetchall() == [(14850,)]
    assert len([*files.iterdir()]) == 4
    upkeep(at, now + timedelta(days=2))
    assert len([*files.iterdir()]) == 1
    with warehouse.reader(at) as connection:
        assert connection.execute("select sum(number) from raw.kept").fetchall() == [(14850,)]


def test_dagster_and_the_command_do_it(
    lakes: Lakes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And neither does anything to a file."""
    environment = lakes(tmp_path)
    assert upkeep_of(read_settings(environment).warehouse) == [DAILY]
    assert upkeep_of(tmp_path / "meterhouse.duckdb") == []
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert lake_upkeep.execute_in_process().success
    done = CliRunner().invoke(main, ["upkeep"])
    assert (done.exit_code, done.output.count(" files ")) == (0, 1)
    monkeypatch.setenv("WAREHOUSE", str(tmp_path / "meterhouse.duckdb"))
    refused = CliRunner().invoke(main, ["upkeep"])
    assert (refused.exit_code, "one file" in refused.output) == (2, True)
