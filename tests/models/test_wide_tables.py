"""The tables to begin with: the obvious query over them is right."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from assets.settings import SettingsError, read_settings
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.checks import CheckFailedError
from dbt_like_sql.engine.models import PACKAGE_FOLDER
from dbt_like_sql.engine.warehouse import WarehouseError
from tests.atlassian_usage.folder import Exports, Line
from tests.conftest import Worlds
from tests.landed import Forge, Neon, land
from tests.models.test_cost import opened

ROOT, COMPUTE = "root_branch_bytes_month", "compute_unit_seconds"
APP = "1dd565ca-0000-4000-8000-00000000000A"
NAMES = f"""kind,id,name
project,{APP.lower()},Burndown
project,{APP},Another name of it
user,ann,Ann
org,acme,Acme
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Exports:
    """A warehouse of storage in both units of Neon, of hours, days and a month, and of an app."""
    folder = tmp_path_factory.mktemp("wide")
    here = opened(folder, worlds)
    here.write(
        "acme.csv", "acme", Line("rovo_dev_credits", "user:ann", "2026-11", "7", "2026-12-31")
    )
    assert not here.land().failures
    land(
        here.settings,
        Neon("p", ROOT, "2026-03", 744 * 10**9),
        Neon("p", ROOT, "2026-08-01", 10**9),
        Neon("p", COMPUTE, "2026-08-02 05", 3600),
        Neon("p", COMPUTE, "2026-08-02 06", 7200),
        Neon("p", COMPUTE, "2026-08-02 06", 1800, branch="b"),
        Neon("idle", COMPUTE, "2026-08-01", 0),
        Neon("idle", ROOT, "2026-08-02 05", 0),
        Neon("idle", ROOT, "2026-08-02 06", 744 * 10**9 // 744),
        Neon("idle", ROOT, "2026-08-02 07", 0),
        Forge(APP, "FUNCTION_COMPUTE", "2026-09-05", "250000"),
    )
    return here


@pytest.fixture(scope="module")
def named(here: Exports, tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """The same, with a person's own names."""
    folder = tmp_path_factory.mktemp("seeds")
    (folder / "names.csv").write_text(NAMES)
    own = read_settings({"SEEDS_DIR": f"{folder}"}).own_seeds
    here.settings = replace(here.settings, own_seeds=own)
    here.build()
    return here


def test_a_meter_has_one_unit_whatever_it_was_told_in(named: Exports) -> None:
    """744 GB-hours of March and a GB-month of August are 2 GB-months, whoever asks the unit."""
    found = named.read(
        "select unit, sum(quantity), billed_unit, sum(billed_quantity), sum(cost)"
        " from marts.usage_monthly where meter = ? and project_id = 'p' group by all",
        ROOT,
    )
    assert found == [("byte-months", 2 * 10**9, "GB-month", 2, Decimal("0.70"))]


def test_no_digit_is_lost_between_units(tmp_path: Path, worlds: Worlds) -> None:
    """A double ends after 16 digits: 7 TB for all of a month, of which a branch has too much; and
    a quantity of 20 digits, which no long number holds in billionths of another unit."""
    here = opened(tmp_path, worlds)
    land(
        here.settings,
        Neon("p", ROOT, "2026-03", 7482062309581176),
        Neon("p", ROOT, "2026-03", 7482062309581921, branch="b"),
        Neon("most", ROOT, "2026-03", 99999999999999999999),
    )
    here.build()
    found = here.read(
        "select project_id, branch_id, quantity, billed_quantity from marts.usage_monthly"
        " where unit = 'byte-months' order by all"
    )
    whole = Decimal("134408602150537634.407258064")
    assert found == [
        ("most", None, whole, Decimal("134408602.150537634407258064")),
        ("p", "b", Decimal("10056535362341.291666666"), Decimal("10056.535362341291666666")),
        ("p", None, Decimal("-1.001344086"), Decimal("-0.000000001001344086")),
    ]


def test_days_have_no_months_and_months_have_all(named: Exports) -> None:
    """March is known as a month alone: no peak on its first day."""
    query = "select distinct period_date from marts.usage_daily where project_id = 'p' order by 1"
    assert named.read(query) == [(date(2026, 8, 1),), (date(2026, 8, 2),)]
    query = (
        "select distinct period_month from marts.usage_monthly where project_id = 'p' order by 1"
    )
    assert named.read(query) == [(date(2026, 3, 1),), (date(2026, 8, 1),)]


def test_hours_and_branches_add_up(named: Exports) -> None:
    """Two hours, of one of which a branch accounts for half an hour."""
    found = named.read(
        "select branch_id, sum(quantity) from marts.usage_daily"
        " where meter = ? and project_id = 'p' group by all order by all",
        COMPUTE,
    )
    assert found == [("b", 1800), (None, 9000)]


@pytest.mark.slow
def test_rows_are_the_same_in_any_time_zone(named: Exports) -> None:
    """What readers have as views is worked out in their session: its days and months are UTC."""
    views = named.read("select schema_name, view_name from duckdb_views() where not internal")
    assert ("marts", "usage_monthly") in views
    queries = [f"from {schema}.{view} order by all" for schema, view in views]
    told = [named.read(query) for query in queries]
    for zone in ("America/Los_Angeles", "Pacific/Auckland"):
        with warehouse.reader(named.settings.warehouse) as connection:
            connection.execute(f"set TimeZone = '{zone}'")
            for query, rows in zip(queries, told, strict=True):
                assert connection.execute(query).fetchall() == rows, (query, zone)


def test_a_month_is_a_date_in_every_table(named: Exports) -> None:
    """One that is an instant joins no other, and reads as midnight."""
    assert (
        named.read(
            "select table_name, column_name, data_type from information_schema.columns"
            " where table_schema in ('marts', 'reports') and data_type <> 'DATE'"
            " and (column_name = 'period_month' or suffix(column_name, '_date'))"
        )
        == []
    )


def test_what_no_vendor_names_is_named_by_the_seed(named: Exports) -> None:
    """Of two names of one id, in capitals or not, one is taken, and no row counts twice."""
    found = named.read(
        "select source, org_name, project_name, user_name, sum(quantity) from marts.usage_daily"
        " where source <> 'neon' group by all order by all",
    )
    assert found == [("forge", None, "Another name of it", None, 250000)]
    found = named.read(
        "select org_name, user_name, sum(quantity) from marts.usage_monthly"
        " where source = 'atlassian_platform' group by all",
    )
    assert found == [("Acme", "Ann", 7)]


def test_an_idle_project_is_told_by_its_compute(named: Exports) -> None:
    """It stores something and computes nothing; a zero is no usage."""
    found = named.read(
        "select project_id, cast(first_used_at at time zone 'UTC' as varchar),"
        " cast(last_used_at at time zone 'UTC' as varchar),"
        " cast(last_computed_at at time zone 'UTC' as varchar)"
        " from marts.dim_project where source = 'neon' order by 1",
    )
    assert found == [
        ("idle", "2026-08-02 06:00:00", "2026-08-02 07:00:00", None),
        ("p", "2026-03-01 00:00:00", "2026-08-02 07:00:00", "2026-08-02 07:00:00"),
    ]


def test_what_is_missing_of_a_persons_own_seeds_is_said(tmp_path: Path) -> None:
    """A folder that is not there, and a file that takes the place of none that is to be filled."""
    with pytest.raises(SettingsError, match=r"SEEDS_DIR .* path of a folder that is there"):
        read_settings({"SEEDS_DIR": f"{tmp_path}/none"})
    (tmp_path / "meters.csv").write_text("")
    with pytest.raises(SettingsError, match=r"names\.csv.*without meters\.csv"):
        read_settings({"SEEDS_DIR": f"{tmp_path}"})


FIRST_OF_PLANS = "source,org_id,meter,plan,user_count\n"
FIRST_OF_PRICES = (PACKAGE_FOLDER / "seeds/price_overrides.csv").read_text()
FIRST_OF_BUDGETS = (
    "budget,source,org,project,team,customer,amount_usd,thresholds,valid_from_date,"
    "valid_until_date\n"
)


@pytest.mark.slow
def test_a_file_of_ones_own_that_cannot_be_read_is_named(tmp_path: Path, worlds: Worlds) -> None:
    """A number that is none, or is written for people, those that would be rounded, and what is not
    in UTF-8: one sentence that says where, and nothing was built. The mark that a spreadsheet puts
    before UTF-8 is no part of the first column."""
    here = opened(tmp_path, worlds, "reports.budgets", is_once=True)
    plan = f"{FIRST_OF_PLANS}atlassian_platform,o,m,p,"
    for seed, rows, said in (
        ("plans", f"{plan}many\n", 'Line: 2. .*"user_count".*"many"'),
        ("plans", f"{plan}12.5\n", "line 2: user_count 12.5 has decimals"),
        ("monthly_budgets", f"{FIRST_OF_BUDGETS}all,,,,,,1.0000000001,0.8,,\n", "line 2"),
        ("monthly_budgets", f'{FIRST_OF_BUDGETS}all,,,,,,"1,000",,,\n', 'Line: 2. .*"1,000"'),
        ("monthly_budgets", f"{FIRST_OF_BUDGETS}all,,,,,,1e19,,,\n", "line 2: amount_usd 1e19 has"),
        ("monthly_budgets", f"{FIRST_OF_BUDGETS}all,,,,,,-1{'0' * 18},,,\n", "more than 18 digits"),
        (
            "price_overrides",
            f"{FIRST_OF_PRICES}neon,c,,m,,h,1,,,{10**11}{',' * 7}\n",
            "than 11 d",
        ),
        ("price_overrides", f"{FIRST_OF_PRICES}neon,c,,m,,h,1e9{',' * 10}\n", "usd_per_unit 1e9"),
        ("plans", f"{plan}2147483648\n", "line 2: user_count 2147483648 has more than 9 digits"),
        ("monthly_budgets", f"{FIRST_OF_BUDGETS}\xfcber,,,,,,1,,,\n", "UTF-8"),
    ):
        file = tmp_path / f"{seed}.csv"
        file.write_bytes(rows.encode("latin-1"))
        here.settings = replace(here.settings, own_seeds={f"seeds.{seed}": file})
        with pytest.raises(WarehouseError, match=f"{seed}.csv.*{said}") as raised:
            here.build()
        assert "\n" not in str(raised.value)
    file.write_text(f"\ufeff{FIRST_OF_BUDGETS}\xfcber,,,,,,1,,,\n".replace("\n", "\r\n"))
    here.build()
    assert here.read("select budget, amount_usd from reports.budgets") == [("\xfcber", 1)]
    file.write_text(f"{FIRST_OF_BUDGETS}all,,,,,,{'9' * 18}.999999999,10,,\n")
    here.build()
    ((amount,),) = here.read("select amount_usd from reports.budgets")
    assert amount == Decimal(f"{'9' * 18}.999999999")


@pytest.mark.slow
def test_a_line_of_commas_is_no_row(tmp_path: Path, worlds: Worlds) -> None:
    """Spreadsheets leave it behind. It was a rule without a priority, for which nothing was built,
    a budget of everything without an amount, and a line of no invoice."""
    here = opened(tmp_path, worlds, "reports.budgets", "reports.invoice_reconciliation")
    own = {}
    for seed in ("owners", "monthly_budgets", "invoices", "price_overrides"):
        first = (PACKAGE_FOLDER / f"seeds/{seed}.csv").read_text().partition("\n")[0]
        own[f"seeds.{seed}"] = tmp_path / f"{seed}.csv"
        own[f"seeds.{seed}"].write_text(f"{first}\n{',' * first.count(',')}\n")
    here.settings = replace(here.settings, own_seeds=own)
    assert not here.build().failed_checks
    assert [here.read(f"from {seed}") for seed in own] == [[], [], [], []]


SOURCES = "intermediate.int_unknown_sources"
OF_STANDARD = "atlassian_platform,o,rovo_credits,Standard,"
UNFITTING = (
    # of two rows of a plan each would be added, and a plan nobody sells has no allowance
    (
        "plans",
        f"{FIRST_OF_PLANS}{OF_STANDARD}100\n{OF_STANDARD.replace('Standard', 'STANDARD')}50\n",
        "grain",
    ),
    ("plans", f"{FIRST_OF_PLANS}atlassian_platform,o,,Standart,9\n", "has_an_allowance"),
    ("plans", f"{FIRST_OF_PLANS}atlassian_platform,o,rovo,Standard,9\n", "has_an_allowance"),
    ("plans", f"{FIRST_OF_PLANS}atlassian_platform,,,Standard,9\n", "org_id"),
    ("plans", f"{FIRST_OF_PLANS}{OF_STANDARD}-9\n", "user_count"),
    ("names", "kind,id,name\nperson,ann,Ann\n", "kind"),
    ("workspace_orgs", "workspace_uuid,org_id\n{w},a\nW,b\n", "grain"),
    # in whatever pattern
    ("owners", "10,neom,,,,,,,,data,,,,", "neom"),
    ("owners", "10,neon_?,,,,,,,,data,,,,", "neon_[?]"),
    ("monthly_budgets", "all,%,,,,,1,,,", "%"),
    ("invoices", "neom,o,2026-08,Compute,,1,i", "neom"),
    ("invoices", ",o,2026-08,Compute,,1,i", "NULL"),
)


def test_a_row_of_ones_own_that_fits_nothing_is_refused(tmp_path: Path, worlds: Worlds) -> None:
    """It would be passed over, or count twice, without a word. What is meant is read in any case,
    and lines of commas are no rows."""
    models = {
        "plans": "intermediate.int_plans",
        "names": "intermediate.int_names",
        "workspace_orgs": "intermediate.int_bitbucket_owners",
    }
    here = opened(tmp_path, worlds, *models.values(), SOURCES)
    for seed, text, said in UNFITTING:
        file = tmp_path / f"{seed}.csv"
        first = (PACKAGE_FOLDER / "seeds" / file.name).read_text()
        file.write_text(text if text.startswith(first) else f"{first}{text}\n")
        here.settings = replace(here.settings, own_seeds={f"seeds.{seed}": file})
        found = (
            rf"{models[seed]}: (check `)?.*{said}"
            if seed in models
            else (rf"{SOURCES}: 1 row where.*\n.*'file': {seed}.csv, 'source': {said}}}")
        )
        with pytest.raises(CheckFailedError, match=found):
            here.build()
    good = {
        "plans": f"{FIRST_OF_PLANS}atlassian_platform,O,,STANDARD,9\n,,,,\n",
        "names": "kind,id,name\nUser,ANN,Ann\n,,\n",
        "workspace_orgs": "workspace_uuid,org_id\nW,A\n{w},a\n,\n",
        "owners": "10,NEON*,,,,,,,,data,,,,\n20,,,,,,,,,data,,,,\n",
        "monthly_budgets": "all,?orge,,,,,1,,,\n",
        "invoices": "Neon,o,2026-08,Compute,,1,i\n",
    }
    for seed, text in good.items():
        first = (PACKAGE_FOLDER / f"seeds/{seed}.csv").read_text()
        (tmp_path / f"{seed}.csv").write_text(text if text.startswith(first) else first + text)
    own = {f"seeds.{seed}": tmp_path / f"{seed}.csv" for seed in good}
    here.settings = replace(here.settings, own_seeds=own)
    here.build()
    with duckdb.connect(str(here.settings.warehouse)) as opened_here:
        owners = opened_here.table(models["workspace_orgs"])
        assert owners.fetchall() == [("{w}", "a")]
