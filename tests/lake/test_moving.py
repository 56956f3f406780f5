"""A warehouse moved into a lake and back: every row, or nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from assets.cli import main
from assets.settings import read_settings
from assets.sources import endpoint_of
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.lakes import moving
from dbt_like_sql.engine.lakes.address import Lake
from dbt_like_sql.engine.warehouse import WarehouseError
from pipelines import receipts
from tests.clock import NOW, Clock
from tests.conftest import Worlds, facts_of
from tests.lake.conftest import Lakes
from tests.landed import Neon, land

ROWS = (
    "select scope, project_id, metric_name, value, bucket_start, granularity, landed_at"
    " from raw.neon_project_usage order by all"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A warehouse of two rows and their receipts, that was asked once, and built a little."""
    settings = read_settings({"WAREHOUSE": str(tmp_path / "meterhouse.duckdb")}, Clock(lambda: NOW))
    days = ("2026-10-30", "2026-10-31")
    land(settings, *(Neon("p", "compute_unit_seconds", day, 3600) for day in days))
    with warehouse.writer(tmp_path / "meterhouse.duckdb") as connection:
        receipts.next_ask_number(connection)
        connection.execute("create schema marts; create table marts.fct_usage as select 1 as one")
    return tmp_path / "meterhouse.duckdb"


@pytest.fixture
def at(lakes: Lakes, tmp_path: Path) -> Lake:
    """A new lake."""
    found = read_settings(lakes(tmp_path)).warehouse
    assert isinstance(found, Lake)
    return found


def quietly(text: str) -> None:
    """Nobody watches."""


@pytest.mark.slow
def test_what_landed_moves_into_a_lake_and_back(file: Path, at: Lake) -> None:
    """Rows, receipts and the order of asking; what is built is left to be built."""
    rows = moving.move(file, at, quietly)
    assert {name: rows[name] for name in ("raw.loads", "raw.neon_project_usage", "raw.asked")} == {
        "raw.loads": 2,
        "raw.neon_project_usage": 2,
        "raw.asked": 1,
    }
    back = file.with_name("back.duckdb")
    assert moving.move(at, back, quietly) == rows
    with warehouse.writer(file) as before, warehouse.writer(back) as after:
        assert after.execute(ROWS).fetchall() == before.execute(ROWS).fetchall()
        assert receipts.next_ask_number(after) == 2
        whose = "select id from meta.warehouse"
        assert after.execute(whose).fetchall() == before.execute(whose).fetchall()
        assert "marts.fct_usage" not in warehouse.describe(after)


@pytest.mark.slow
def test_a_place_that_holds_something_is_refused(file: Path, at: Lake) -> None:
    """Nothing of it is replaced, and nothing is added; that a doctor looked at it is nothing."""
    with warehouse.writer(at) as connection:
        assert [*warehouse.describe(connection)] == ["meta.warehouse"]
        receipts.next_ask_number(connection)
    with pytest.raises(WarehouseError, match="holds something else already"):
        moving.move(file, at, quietly)


@pytest.mark.slow
@pytest.mark.parametrize("is_back", [False, True])
def test_a_move_that_was_killed_while_it_built_is_found_to_have_arrived(
    file: Path, at: Lake, is_back: bool
) -> None:
    """So that the same command goes on: to build takes longer than to move. There and back."""
    source, target = (at, file.with_name("back.duckdb")) if is_back else (file, at)
    if is_back:
        moving.move(file, at, quietly)
    rows = moving.move(source, target, quietly)
    with warehouse.writer(target) as connection:
        receipts.create_raw_tables(connection, [endpoint_of("neon_projects")])
        connection.execute("create schema marts; create table marts.fct_half as select 1 as x")
    assert moving.move(source, target, quietly).items() <= rows.items()


@pytest.mark.slow
def test_a_move_that_breaks_leaves_nothing_and_can_begin_again(
    file: Path, at: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted when most of it was copied, or where a row is another there."""

    def interrupted(text: str) -> None:
        if "neon_project_usage" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moving.move(file, at, interrupted)
    true: Callable[..., tuple[int, int | None]] = moving._content
    monkeypatch.setattr(moving, "_content", lambda c, table: (true(c, table)[0], id(table)))
    with pytest.raises(WarehouseError, match="did not arrive as it was"):
        moving.move(file, at, quietly)
    monkeypatch.undo()
    assert moving.move(file, at, quietly)["raw.loads"] == 2


def test_a_file_is_not_moved_to_a_file(file: Path) -> None:
    """Copying is what does that."""
    with pytest.raises(WarehouseError, match="by copying it"):
        moving.move(file, file.with_name("other.duckdb"), quietly)


def test_a_password_has_no_place_in_an_argument() -> None:
    """Every process of the machine sees it."""
    told = CliRunner().invoke(main, ["migrate", "--to", "ducklake:postgres:postgresql://a:b@c/d"])
    assert (told.exit_code, "PGPASSWORD" in told.output) == (1, True)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_command_moves_a_company_and_its_facts(
    worlds: Worlds, lakes: Lakes, tmp_path: Path
) -> None:
    """All models are built where it arrived, and tell the same."""
    with worlds.empty(tmp_path, built=True, projects=2) as here:
        here.land_reach()
        changed = lakes(tmp_path)
        address = changed["WAREHOUSE"].replace(":sesame@", "@")
        environment = here.environment | {"LAKE_DATA": changed["LAKE_DATA"]}
        told = CliRunner().invoke(main, ["migrate", "--to", address], env=environment)
        assert told.exit_code == 0, told.output
        assert facts_of(here.settings_with(**changed)) == here.expected()
