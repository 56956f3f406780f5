"""A warehouse that 0.1 wrote opens, and its facts are equal (warehouse_0_1/README.md)."""

import csv
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from assets.runs.opening import open_warehouse
from assets.settings import read_settings
from assets.sources import ENDPOINTS
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.models import PACKAGE_FOLDER
from dbt_like_sql.engine.warehouse import WarehouseError
from pipelines import upgrade
from pipelines.endpoint import Endpoint
from pipelines.log import columns_of
from pipelines.windows import whole_buckets
from tests.builds import build
from tests.conftest import Worlds
from tests.models.test_storage import files_up_to

WRITTEN = Path(__file__).parent / "warehouse_0_1"
FACTS = """
    select
        source, org_id, project_id, branch_id, site_id, environment_id, user_id, meter, unit,
        granularity, cast(period_start as varchar), sum(quantity)
    from (
        from marts.fct_compute union all from marts.fct_storage union all from marts.fct_transfer
        union all from marts.fct_credits union all from marts.fct_operations
    )
    group by all having count(*) = 1 or branch_id is not null or sum(quantity) <> 0
"""
Facts = dict[tuple[str | None, ...], Decimal]
# what 0.1 asked for
OF_0_1 = [e for e in ENDPOINTS if f"raw.{e.table}" in (WRITTEN / "schema.sql").read_text()]


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


@pytest.mark.slow  # by default the next one: of the same warehouse, and more
def test_facts_of_a_warehouse_of_0_1_are_equal(tmp_path: Path, worlds: Worlds) -> None:
    """Every fact of all four vendors and three grains is as 0.1 had it, and none besides."""
    write_warehouse(tmp_path / "meterhouse.duckdb", "whole")
    facts = facts_of_build(tmp_path / "meterhouse.duckdb", worlds.models())
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


@pytest.mark.slow  # by default tests/test_whole_buckets.py has such receipts
def test_receipts_that_end_within_a_bucket_are_healed(tmp_path: Path, worlds: Worlds) -> None:
    """The bucket was not asked for whole: what an earlier receipt says of it counts again.

    0.1 counted it as asked, found no row for it in the answer, and lost a day of one org and a
    month of another; so these facts are the company's answer key alone, which 0.1 never had.
    """
    write_warehouse(tmp_path / "meterhouse.duckdb", "whole", "until_noon")
    facts = facts_of_build(tmp_path / "meterhouse.duckdb", worlds.models())
    assert facts == expected("facts.csv", "facts_until_noon.csv")


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of 0.1 with all that it was loaded with, opened once; its copy is beside it."""
    path: Path = tmp_path_factory.mktemp("upgraded") / "meterhouse.duckdb"
    write_warehouse(path, "whole", "until_noon")
    with open_warehouse(read_settings({"WAREHOUSE": str(path)})):
        pass
    return path


def test_a_disk_without_room_for_the_copy_is_not_filled_by_it(tmp_path: Path) -> None:
    """It is begun anew once there is room."""
    path = tmp_path / "meterhouse.duckdb"
    write_warehouse(path)
    with (
        files_up_to(path.stat().st_size // 2),
        pytest.raises(WarehouseError, match="Free some space"),
        open_warehouse(read_settings({"WAREHOUSE": str(path)})),
    ):
        pytest.fail("got in")
    assert not [*tmp_path.glob("*.draft"), *tmp_path.glob("*.0.1.*")]


def test_a_killed_upgrade_has_changed_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All tables or none; the copy that it kept is of before, and the next one does it all."""
    path = tmp_path / "meterhouse.duckdb"
    write_warehouse(path, "whole")
    settings, copy = read_settings({"WAREHOUSE": str(path)}), path.with_suffix(".0.1.duckdb")
    made: list[Endpoint] = []

    def killed(connection: duckdb.DuckDBPyConnection, endpoint: Endpoint) -> None:
        make_log(connection, endpoint)
        made.append(endpoint)
        if len(made) == 3:
            raise KeyboardInterrupt

    make_log = upgrade._make_log
    with monkeypatch.context() as patch:
        patch.setattr(upgrade, "_make_log", killed)
        with pytest.raises(KeyboardInterrupt), open_warehouse(settings):
            pytest.fail("got in")
    with warehouse.writer(path) as connection:
        assert columns_of(connection, made[0].table)[-2:] == ["load_id", "page"]
    with open_warehouse(settings) as connection:
        assert connection.execute("select format from meta.warehouse").fetchall() == [
            (warehouse.FORMAT,)
        ]
        assert all("landed_at" in columns_of(connection, e.table) for e in made)
    with duckdb.connect(copy, read_only=True) as connection:
        assert columns_of(connection, made[0].table)[-2:] == ["load_id", "page"]


Told = dict[tuple[object, ...], tuple[object, ...]]


def answers(path: Path, endpoint: Endpoint, is_log: bool) -> dict[tuple[object, ...], Told]:
    """By complete receipt: what was said of each key, in the buckets that it asked for whole."""
    names = endpoint.schema.names
    stamp = "scope, landed_at, is_withdrawn" if is_log else "load_id, page, null"
    found: dict[tuple[object, ...], Told] = {}
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        there = columns_of(connection, endpoint.table)
        columns = ", ".join(f'"{name}"' if name in there else "null" for name in names)
        rows = connection.execute(
            f"select {columns}, {stamp} from raw.{endpoint.table}"  # noqa: S608
        ).fetchall()
        receipts = connection.execute(
            "select scope, load_id, granularity, window_start, window_end, landed_at from raw.loads"
            " where resource = ? and complete",
            [endpoint.table],
        ).fetchall()
    for scope, load_id, grain, since, until, landed_at in receipts:
        asked = {*whole_buckets(grain, since, until)} if since else set()
        told = found[scope, grain, since, until, landed_at] = {}
        for *values, whose, place, is_withdrawn in sorted(rows, key=lambda row: (row[-2], row[-3])):
            row = dict(zip(names, values, strict=True))
            if since and (
                row["bucket_start"] not in asked or row.get("granularity", grain) != grain
            ):
                continue
            key = tuple(row[name] for name in endpoint.key)
            if is_log and whose == scope and place <= landed_at:
                told.pop(key, None)
                told |= {} if is_withdrawn else {key: tuple(values)}
            elif not is_log and whose == load_id and scope_of(row) in (scope, "all"):
                told[key] = tuple(values)
    return found


def scope_of(row: dict[str, object]) -> object:
    """What 0.1 wrote into the receipt that a row of usage belongs to."""
    if "file_sha256" in row:
        return row["file_sha256"] if "usage_type" in row else "all"
    if "app_id" in row:
        return f"{row['app_id']}/{row['resource']}"
    if "plan" in row or ("slug" in row and "full_name" not in row):
        return "all"
    return row.get("org_id") or row.get("workspace_uuid")


@pytest.mark.parametrize("endpoint", OF_0_1, ids=lambda endpoint: endpoint.table)
def test_every_answer_can_be_told_at_every_receipt(upgraded: Path, endpoint: Endpoint) -> None:
    """The log says of each receipt what the table of 0.1 said of it, and stores nothing twice."""
    before = answers(upgraded.with_suffix(".0.1.duckdb"), endpoint, is_log=False)
    after = answers(upgraded, endpoint, is_log=True)
    if endpoint.withdraws:
        assert after == before
    else:  # what an earlier answer told stays told
        assert after.keys() == before.keys()
        assert all(before[receipt].items() <= after[receipt].items() for receipt in before)


def test_what_was_stored_again_and_again_is_stored_once(upgraded: Path) -> None:
    """No row of a log says the same as the one before it of its key."""
    with duckdb.connect(upgraded, read_only=True) as connection:
        for endpoint in OF_0_1:
            key = ", ".join(f'"{name}"' for name in endpoint.key)
            values = ", ".join(f'"{name}"' for name in (*endpoint.values, "is_withdrawn"))
            repeats = connection.execute(
                f"select count(*) from (select lag(row({values})) over (partition by scope, {key}"  # noqa: S608
                f" order by landed_at) is not distinct from row({values}) as is_repeat"
                f" from raw.{endpoint.table}) where is_repeat"
            ).fetchone()
            assert repeats == (0,), endpoint.table
