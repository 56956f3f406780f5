"""Where a lake is: what is said of it never has its password, and what it needs is named."""

import subprocess
import sys
from pathlib import Path

import pytest

from assets.settings import SettingsError, read_settings
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.lakes import opening
from dbt_like_sql.engine.lakes.address import Lake, beside
from dbt_like_sql.engine.warehouse import WarehouseError
from tests.lake.conftest import Lakes

SHOWN = {
    "host=db dbname=usage user=me password=sesame": "host=db dbname=usage",
    "host=db password='se same host=same' dbname=usage": "host=db dbname=usage",
    "password = sesame service=usage": "service=usage",
    "postgresql://me:sesame@db:5432/usage?sslmode=require": "//db:5432/usage",
    "postgresql:///usage?host=/run/pg&password=sesame": "///usage",
    "postgresql://me:[sesame@db,[::1]:5433/u?password=sesame@home": "//db,[::1]:5433/u",
    "host=db dbname=usage password=postgresql://sesame@home": "host=db dbname=usage",
}
# none of them is what it seems to whoever wrote it: libpq ends the password, or its name, before
UNWRITTEN = ("/sesame@db/usage", "?sesame@db/usage", "#sesame@db", "@sesame@db")


@pytest.mark.parametrize("catalog", SHOWN)
def test_an_address_is_shown_without_its_password(catalog: str) -> None:
    """Also in a representation, as errors of Python have it."""
    at = Lake(catalog, "s3://bucket/lake")
    assert str(at) == f"ducklake:postgres:{SHOWN[catalog]}"
    assert "same" not in repr(at)


def test_notes_are_beside_the_folder_or_in_one_of_their_own() -> None:
    """Of a bucket they are where those of a file are by default."""
    assert beside(Lake("", "/srv/usage/lake")) == Path("/srv/usage/lake")
    assert beside(Lake("", "s3://bucket/usage/lake/")) == Path("warehouse/lake")


@pytest.mark.parametrize("rest", UNWRITTEN)
def test_a_password_in_an_address_is_written_as_addresses_are(rest: str) -> None:
    """Or libpq takes a part of it for a host, and says so; it is not told here, either."""
    with pytest.raises(SettingsError, match="%40 for @") as told:
        read_settings({"WAREHOUSE": f"ducklake:postgres:postgresql://me:sesame{rest}"})
    assert "sesame" not in str(told.value)
    assert str(Lake(f"postgresql://me:sesame{rest}", "")) == "ducklake:postgres:"
    with pytest.raises(SettingsError, match="a path, or ducklake:postgres:") as told:
        read_settings({"WAREHOUSE": f"ducklake:me:sesame{rest}"})
    assert "sesame" not in str(told.value)


@pytest.mark.parametrize("kind", ["mysql:host=db.example password=sesame", "sqlite:lake.sqlite"])
def test_another_catalogue_is_refused(kind: str) -> None:
    """And what is wrong is not told with its password."""
    with pytest.raises(SettingsError, match="ducklake:postgres:") as told:
        read_settings({"WAREHOUSE": f"ducklake:{kind}", "LAKE_DATA": "/srv/lake"})
    assert "sesame" not in str(told.value)


def test_a_lake_needs_a_place_for_its_files() -> None:
    """Which no catalogue can guess."""
    with pytest.raises(SettingsError, match="LAKE_DATA is not set"):
        read_settings({"WAREHOUSE": "ducklake:postgres:dbname=usage"})


@pytest.mark.parametrize(
    "catalog",
    [
        "host=127.0.0.1 port=1 user=me password=sesame dbname=usage",
        "postgresql://me:sesame@127.0.0.1:1/usage",
        "host=db password='sesame",
    ],
)
def test_a_catalogue_that_is_not_there_is_named_without_its_password(catalog: str) -> None:
    """To whoever reads, and to whoever writes."""
    at = Lake(catalog, "/srv/lake")
    for opened in (warehouse.reader, warehouse.writer):
        with pytest.raises(WarehouseError, match="ducklake:postgres:") as told, opened(at):
            pass
        assert "sesame" not in str(told.value)


def test_a_query_finds_no_password(lakes: Lakes, tmp_path: Path) -> None:
    """In none of the tables that say what is attached, how, and with what."""
    at = read_settings(lakes(tmp_path)).warehouse
    with warehouse.writer(at):
        pass
    with warehouse.reader(at) as connection:
        for table in ("duckdb_databases()", "duckdb_secrets()", "duckdb_settings()"):
            found = connection.execute(f"from {table}").fetchall()
            assert found
            assert "sesame" not in str(found)


@pytest.mark.parametrize("lacking", ["psycopg", "duckdb_extension_ducklake"])
def test_what_is_not_installed_is_said_with_the_command(
    lacking: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In one sentence."""
    monkeypatch.setitem(sys.modules, lacking, None)
    at = Lake("host=127.0.0.1 port=1", str(tmp_path / "lake"))
    with (
        pytest.raises(WarehouseError, match=r"pip install 'meterhouse\[ducklake\]'"),
        opening.reader(at),
    ):
        pass


def test_a_file_needs_nothing_of_a_lake(tmp_path: Path) -> None:
    """Neither the driver of Postgres nor what opens a lake is imported."""
    look = (
        "import sys; from pathlib import Path; from dbt_like_sql.engine import warehouse\n"
        "at = Path(sys.argv[1])\n"
        "with warehouse.writer(at) as c: c.execute('create table raw_ (n int)')\n"
        "with warehouse.reader(at): pass\n"
        "found = {'psycopg', 'dbt_like_sql.engine.lakes.opening'} & sys.modules.keys()\n"
        "sys.exit(f'{found}' if found else 0)"
    )
    command = [sys.executable, "-c", look, str(tmp_path / "a.duckdb")]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
