"""`meterhouse export` and `meterhouse sql`: literal tables in, files and rows of Postgres out."""

import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl  # type: ignore[import-untyped]
import psycopg
import pytest
from click.testing import CliRunner, Result

from assets.cli import main
from tests.models.test_storage import files_up_to
from tests.postgres import INITDB, postgres

# a table of every type, with names that are no good to a spreadsheet; October and November
TABLES = """
    create schema marts; create schema reports; create schema seeds;
    create table seeds.plans as select 1 as no;
    create table marts.dim_org as select 'o1' as org_id, '=1+1' as org_name union all
        select 'o2', null;
    create table marts.fct_cost as select * from (values
        ('b', timestamptz '2026-10-31 23:00:00+00', date '2026-10-31', 1.500000000, true, ''),
        ('a', timestamptz '2026-11-01 00:00:00+00', date '2026-11-01', 0.000000001, false, null)
    ) as t (org_id, period_start, period_date, quantity, is_open, plan);
    create view reports.focus_1_2 as select
        period_start as ChargePeriodStart, quantity as BilledCost, is_open as x_is_open,
        '{"team":"data"}' as Tags
        from marts.fct_cost;
    create view reports.focus_1_4 as from reports.focus_1_2;
    create table reports.focus_gaps as
        select date '2026-10-01' as period_month, cast(7 as bigint) as row_count
"""
OCTOBER = ("--month", "2026-10")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a read copy."""
    with duckdb.connect(tmp_path / "meterhouse.read.duckdb") as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(TABLES)
    return tmp_path


def call(here: Path, *arguments: str, told: str = "") -> Result:
    """Run the command on that read copy."""
    environment = {"WAREHOUSE": f"{here / 'meterhouse.duckdb'}", "COLUMNS": "80"}
    return CliRunner().invoke(main, arguments, env=environment, input=told)


def read(file: Path) -> list[tuple[Any, ...]]:
    """The rows of a file of Parquet."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.execute(f"from '{file}'").fetchall()


def test_a_month_of_focus_is_a_file(here: Path) -> None:
    """It says what it costs, what will still change, and how much has no price; to export a month
    again replaces it."""
    for _ in range(2):
        result = call(here, "export", "focus", *OCTOBER)
        assert result.exit_code == 0, result.output
    file = here / "exports" / "focus-1.2-2026-10.parquet"
    assert result.output.splitlines() == [
        f"{file}: 1 charges, $1.50 by estimate",
        "  1 of them will still change: export the month again later.",
        "  7 more have no price and are left out: see reports.focus_gaps.",
    ]
    instant = datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert read(file) == [(instant, Decimal("1.5"), True, '{"team":"data"}')]
    to = here / "deep" / "november.csv"
    told = ("--version", "1.4", "--month", "2026-11", "--format", "csv", "--to", f"{to}")
    shown = json.loads(call(here, "export", "focus", *told, "--json").output)
    assert (shown["rows"], shown["left_out"]) == (1, 0)
    assert to.read_text().splitlines() == [
        "ChargePeriodStart,BilledCost,x_is_open,Tags",
        '2026-11-01T00:00:00Z,0.000000001,false,"{""team"":""data""}"',
    ]
    assert sorted(to.parent.iterdir()) == [to]


def test_tables_are_files_by_month(here: Path) -> None:
    """Those that are named, or all marts and reports; what has no time is there whole."""
    named = ("export", "parquet", "fct_cost", "marts.dim_org", *OCTOBER)
    assert call(here, *named, "--to", f"{here / 'out'}").exit_code == 0
    out = here / "out" / "2026-10"
    assert [row[0] for row in read(out / "marts.fct_cost.parquet")] == ["b"]
    assert read(out / "marts.dim_org.parquet") == [("o1", "=1+1"), ("o2", None)]
    assert call(here, "export", "csv").exit_code == 0
    assert sorted(file.name for file in (here / "exports").iterdir()) == [
        "marts.dim_org.csv", "marts.fct_cost.csv", "reports.focus_1_2.csv",
        "reports.focus_1_4.csv", "reports.focus_gaps.csv",
    ]  # fmt: skip


def test_a_workbook_holds_what_the_table_does(here: Path) -> None:
    """Numbers, times in UTC, and text that is no formula."""
    assert call(here, "export", "xlsx", "fct_cost", "dim_org").exit_code == 0
    sheets = {}
    for name in ("marts.fct_cost", "marts.dim_org"):
        book = openpyxl.load_workbook(here / "exports" / f"{name}.xlsx")
        sheets[name] = list(book.worksheets[0].iter_rows(values_only=True))
    assert sheets["marts.fct_cost"] == [
        ("org_id", "period_start", "period_date", "quantity", "is_open", "plan"),
        ("b", datetime(2026, 10, 31, 23), datetime(2026, 10, 31), 1.5, True, None),  # noqa: DTZ001
        ("a", datetime(2026, 11, 1), datetime(2026, 11, 1), 1e-9, False, None),  # noqa: DTZ001
    ]
    assert sheets["marts.dim_org"][1] == ("o1", "=1+1")


def test_a_text_that_no_cell_holds_is_cut_and_said(here: Path) -> None:
    """It was, in silence, and the columns after it were left out; what just fits is whole."""
    with duckdb.connect(here / "meterhouse.read.duckdb") as connection:
        connection.execute(
            "create table reports.needs_you as select unnest([32767, 32768, 40000]) as no,"
            " repeat('x', no) as what, repeat('\xe4', no - 1) as subject, 'all' as source"
        )
    result = call(here, "export", "xlsx", "needs_you")
    assert result.exit_code == 0
    said = "is cut to the 32,767 characters that a cell holds: write parquet or csv for all of it"
    assert [" ".join(line.split()) for line in result.output.splitlines()] == [
        f"reports.needs_you: what of 2 rows {said}",
        f"reports.needs_you: subject of 1 rows {said}",
        f"{here / 'exports' / 'reports.needs_you.xlsx'}: 3 rows",
    ]
    book = openpyxl.load_workbook(here / "exports" / "reports.needs_you.xlsx")
    rows = [*book.worksheets[0].iter_rows(values_only=True)][1:]
    assert [(no, len(what), len(subject), source) for no, what, subject, source in rows] == [
        (32767, 32767, 32766, "all"),
        (32768, 32767, 32767, "all"),
        (40000, 32767, 32767, "all"),
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("csv", "fct_costs"), 2, "Did you mean 'fct_cost'?"),
        (("csv", "seeds.plans"), 2, "No mart or report is called 'seeds.plans'"),
        (("focus",), 2, "--month"),
        (("focus", *OCTOBER, "--to", "x.csv"), 2, "--to has to end in .parquet"),
        (("csv", "--to", "meterhouse.read.duckdb"), 1, "Name another place with --to"),
        (("postgres", "--to", "postgresql://me:s3cret@host/db"), 1, "PGPASSWORD"),
    ],
)
def test_what_cannot_be_exported_is_said(
    here: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, told: str
) -> None:
    """In a sentence, without a password; what stands there is as it was."""
    monkeypatch.chdir(here)
    result = call(here, "export", *arguments)
    assert (result.exit_code, told in result.output) == (code, True), result.output
    assert "s3cret" not in result.output
    assert not [*here.glob("**/*.draft")]


@pytest.mark.parametrize(("kind", "size"), [("csv", 4), ("parquet", 4), ("xlsx", 5_000)])
def test_what_a_disk_does_not_take_leaves_what_stood_there(
    here: Path, kind: str, size: int
) -> None:
    """And nothing half-written."""
    there = here / "exports" / f"marts.dim_org.{kind}"
    there.parent.mkdir()
    there.write_text("before")
    with files_up_to(size):
        result = call(here, "export", kind, "dim_org")
    assert result.exit_code == 1
    assert f"{there} cannot be used: " in result.stderr
    assert [file.read_text() for file in there.parent.iterdir()] == ["before"]


def test_a_driver_that_is_not_there_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    result = call(here, "export", "postgres")
    assert result.exit_code == 1
    assert "pip install 'meterhouse[postgres]'" in result.output


def test_more_rows_than_a_sheet_has_are_no_workbook(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is left out in silence."""
    monkeypatch.setattr("assets.terminal.targets._MOST_SHEET_ROWS", 1)
    result = call(here, "export", "xlsx", "fct_cost")
    assert result.exit_code == 1
    assert "has 2 rows, and a sheet holds 1" in result.output


def test_sql_prints_what_a_query_gives(here: Path) -> None:
    """As a table with all of it where nobody looks on, or as JSON; the query is an argument or
    comes from standard input."""
    query = "select org_id, period_start from marts.fct_cost order by 1"
    shown = call(here, "sql", query)
    assert shown.exit_code == 0
    assert "│ b       │ 2026-10-31 23:00:00+00   │" in shown.output
    assert call(here, "sql", told=query).output == shown.output
    assert json.loads(call(here, "sql", query, "--json").output)["rows"][0] == {
        "org_id": "a",
        "period_start": "2026-11-01 00:00:00+00:00",
    }
    long = call(here, "sql", "select range as n, repeat('x', 200) as x from range(500)").output
    assert len(long.splitlines()) > 500
    assert "x" * 200 in long
    # DuckDB draws 10,000 rows at the most
    many = call(here, "sql", "select range + 1000000 as n from range(20001)").output
    assert re.findall(r"│ +(\d+) │", many) == [f"{n + 1000000}" for n in range(20001)]
    odd = call(here, "sql", "select 'a' || chr(27) || '[31m' || chr(155) as x").output
    assert not {"\x1b", "\x9b"} & {*odd}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select 1 as a, 2 as a", {"a": 1, "a_1": 2}),
        ("select 1 / cast(0 as double) as a, 0 / cast(0 as double) as b", {"a": None, "b": None}),
        ("select cast(1.5 as decimal(4, 2)) as a, null as b", {"a": "1.50", "b": None}),
        ("explain select 1", None),
    ],
)
def test_json_has_each_column_and_is_json(here: Path, query: str, expected: Any) -> None:
    """Two columns of one name, and numbers that JSON has no word for."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    text = call(here, "sql", query, "--json").output
    (row,) = json.loads(text, parse_constant=refuse)["rows"]
    assert expected in (None, row)


@pytest.mark.parametrize("query", ["selec", "select nothing", "drop table marts.fct_cost", ""])
def test_sql_that_cannot_be_run_changes_nothing(here: Path, query: str) -> None:
    """What is wrong is the last line; nothing is written."""
    result = call(here, "sql", query)
    assert (result.exit_code, "FAILED" in result.output) == ((1, True) if query else (0, False))
    assert call(here, "sql", "from marts.fct_cost").exit_code == 0


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """A Postgres."""
    if not INITDB:
        pytest.skip("no Postgres is installed here")
    with postgres() as address:
        yield address


@pytest.mark.slow
def test_postgres_has_each_month_once(here: Path, database: str) -> None:
    """Types and values arrive; a month that is exported again is replaced, others stay; a column
    that is new is added; what fails changes nothing."""
    to = ("--to", database)
    everything = call(here, "export", "postgres", *to)
    assert everything.exit_code == 0, everything.output
    for month in ("2026-10", "2026-11", "2026-10"):
        assert call(here, "export", "postgres", "--month", month, *to).exit_code == 0
    with psycopg.connect(database) as connection:
        connection.execute("set time zone 'UTC'")

        def rows(query: str) -> list[tuple[Any, ...]]:
            return connection.execute(query.encode()).fetchall()

        assert rows("select * from marts.fct_cost order by org_id") == [
            ("a", datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 1).date(),  # noqa: DTZ001
             Decimal("0.000000001"), False, None),
            ("b", datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 10, 31).date(),  # noqa: DTZ001
             Decimal("1.5"), True, ""),
        ]  # fmt: skip
        tags = """select "Tags"::json->>'team', "BilledCost" from reports.focus_1_2 order by 2"""
        assert rows(tags) == [("data", Decimal("0.000000001")), ("data", Decimal("1.5"))]
        assert rows("select count(*) from marts.dim_org") == [(2,)]
        connection.commit()
    with duckdb.connect(here / "meterhouse.read.duckdb") as changed:
        changed.execute("alter table marts.dim_org add column first_seen_at timestamptz")
        changed.execute("create table marts.dim_site as select [1] as site_id")
    assert call(here, "export", "postgres", "dim_org", *to).exit_code == 0
    failed = call(here, "export", "postgres", "fct_cost", "dim_site", *to)
    assert failed.exit_code == 1
    with psycopg.connect(database) as connection:
        assert connection.execute("select first_seen_at from marts.dim_org").fetchall()
        assert connection.execute("select count(*) from marts.fct_cost").fetchall() == [(2,)]
