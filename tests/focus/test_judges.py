"""Whether judges from outside take what we call FOCUS, and what they tell apart."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from assets.terminal.targets import Rows, write_file
from dbt_like_sql.engine import warehouse
from tests.conftest import Worlds
from tests.focus.judges import Judges, NoJudgesError, installed
from tests.focus.ladder import CORRUPTIONS, VERSIONS, complaints
from tests.focus.test_reports import OFFICIALLY_CAUGHT
from tests.landed import Names, land
from tests.models.test_cost import of_atlassian, of_forge, of_neon, opened
from tests.models.test_owners import FIRST

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# one leaf of an OR, whose other leaf wants the opposite; what holds them passes
ALWAYS = {"InvoiceId-C-005-C"}
SENTINEL = "select * replace ('X' as ChargeClass)"
USE_CASES = {"1.2": 53, "1.4": 66}
ANSWERED = {"1.2": 27, "1.4": 30}  # the rest are about commitments, capacity and marketplaces


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judges]:
    """The judges."""
    folder = tmp_path_factory.mktemp("judges") / "venv"
    try:
        yield installed(folder)
    except NoJudgesError as error:
        pytest.skip(str(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # half a gigabyte


@pytest.fixture(scope="module")
def read(
    tmp_path_factory: pytest.TempPathFactory, worlds: Worlds
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The read copy of every case that prices know, with owners."""
    folder = tmp_path_factory.mktemp("focus")
    owners = folder / "owners.csv"
    owners.write_text(FIRST + "1,neon,,*s*,,,,,,data,{project},,,\n")
    here = opened(folder, worlds)
    settings = replace(here.settings, own_seeds={"seeds.owners": owners})
    here = replace(here, settings=settings)
    for org_id, lines in of_atlassian().items():
        here.write(f"{org_id}.csv", org_id, *lines)
    assert not here.land().failures
    land(here.settings, Names({"crossing": "Crossing", "tied": "Tied"}), *of_neon(), *of_forge())
    here.build()
    with warehouse.reader(here.settings.warehouse) as connection:
        yield connection


def written(read: duckdb.DuckDBPyConnection, file: Path, select: str = "", of: str = "1.2") -> Path:
    """A report as a file, or what is made of it."""
    read.execute(f"create or replace temp view made as {select} from {VERSIONS[of]}")
    assert write_file(read, Rows("temp.made", {}), file, print) > 50
    return file


def test_the_official_validator_fails_no_rule_that_could_pass(
    judges: Judges, read: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """Of all that it can try of 1.2, with the criteria that are true of us."""
    passed, failed = judges.validate(written(read, tmp_path / "focus.parquet"))
    assert failed == ALWAYS
    assert passed >= 298


def test_the_rules_that_sleep_pass_when_they_are_awake(
    judges: Judges, read: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """Rules of prices are never tried where ChargeClass is null: a value in it wakes them."""
    passed, failed = judges.validate(written(read, tmp_path / "focus.parquet", SENTINEL))
    assert failed == ALWAYS | {"ChargeClass-C-000-M", "ChargeClass-C-005-C"}
    assert passed >= 296


def test_the_toolkit_converts_it_and_finds_nothing(
    judges: Judges, read: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """1.2 becomes 1.4; what we say is 1.4 is."""
    told = judges.convert(written(read, tmp_path / "focus.parquet"), tmp_path / "converted")
    assert "lint [Cost and Usage]: lint OK" in told
    assert "lint OK (STRUCTURAL_VALID, SEMANTIC_VALID)" in judges.lint(
        written(read, tmp_path / "focus_1_4.parquet", of="1.4")
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_every_official_use_case_runs(
    judges: Judges, read: duckdb.DuckDBPyConnection, tmp_path: Path, version: str
) -> None:
    """On a file of ours, all of them; and no fewer have an answer than can have one."""
    file, failed, answered = written(read, tmp_path / "focus.parquet", of=version), {}, set()
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"create table focus_data_table as from '{file}'")
        queries = dict(judges.queries(version))
        for name, sql in queries.items():
            try:
                if connection.execute(sql, list(_parameters(connection, sql))).fetchall():
                    answered.add(name)
            except duckdb.Error as error:
                failed[name] = str(error)
    assert failed == {}
    assert len(queries) == USE_CASES[version]
    assert len(answered) >= ANSWERED[version]


def _parameters(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[Any]:
    """A value for each `?`: an end of the time that there is, or a value that the column has."""
    for before in sql.split("?")[:-1]:
        (column,) = re.findall(r"(\w+)\"?\s*(?:[<>=!]+|like|in)\s*\(?\s*$", before, re.I) or ("",)
        if not column or column.endswith(("Start", "End")):
            yield "2027-01-01" if re.search(r"<=?\s*$", before) else "2025-01-01"
        else:
            sql = f"select any_value({column}) from focus_data_table"  # noqa: S608
            yield connection.execute(sql).fetchall()[0][0]


def test_the_official_validator_catches_what_it_can(
    judges: Judges, read: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """Five of the corruptions, and two more once its rules are awake."""
    replaced = [_replaced(wrong) for wrong in [*CORRUPTIONS][:OFFICIALLY_CAUGHT]]
    broken = f"select * replace ({', '.join(replaced)})"
    _, failed = judges.validate(written(read, tmp_path / "broken.parquet", broken))
    assert failed >= {
        "BillingCurrency-C-003-M", "ServiceCategory-C-003-M", "ServiceSubcategory-C-003-M",
        "PricingUnit-C-003-O", "PricingUnit-C-005-C",
    }  # fmt: skip
    asleep = ("a list cost of a dollar more", "no id of the price")
    awake = f"select * replace ({', '.join(map(_replaced, asleep))}, 'X' as ChargeClass)"
    _, failed = judges.validate(written(read, tmp_path / "awake.parquet", awake))
    assert failed >= {"ListCost-C-009-C", "SkuPriceId-C-005-C"}


def _replaced(wrong: str) -> str:
    return CORRUPTIONS[wrong].partition("replace (")[2].removesuffix(")")


@pytest.mark.parametrize("wrong", CORRUPTIONS)
def test_every_corruption_is_caught_on_some_step(
    judges: Judges, read: duckdb.DuckDBPyConnection, tmp_path: Path, wrong: str
) -> None:
    """Our own rules first, then the toolkit, then the official validator."""
    file = written(read, tmp_path / "broken.parquet", CORRUPTIONS[wrong])
    if not complaints(read, "temp.made", "1.2"):
        told = judges.convert(file, tmp_path / "converted")
        assert "lint OK" not in told or judges.validate(file)[1] > ALWAYS
