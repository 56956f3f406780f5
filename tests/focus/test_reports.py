"""What has a price, as FOCUS has it: literal usage in, rows of the specification out."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.models import PACKAGE_FOLDER, load_models
from dbt_like_sql.engine.seeds import load_seed
from tests.atlassian_usage.folder import Exports, Line
from tests.conftest import Worlds
from tests.focus.ladder import CORRUPTIONS, VERSIONS, complaints, specified
from tests.landed import Forge, Names, Neon, land
from tests.models.test_cost import COMPUTE, GB, TRANSFER, opened
from tests.models.test_owners import FIRST

OFFICIALLY_CAUGHT = 5  # of the corruptions, the first: the official validator tells these apart
AUGUST = datetime(2026, 8, 1, tzinfo=UTC)
SEEDS = PACKAGE_FOLDER / "seeds"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Exports:
    """A warehouse of a little of every vendor, with an owner."""
    folder = tmp_path_factory.mktemp("focus")
    owners = folder / "owners.csv"
    owners.write_text(FIRST + "1,neon,,shop*,,,,,,data,acme,,,\n")
    here = opened(folder, worlds)
    settings = replace(here.settings, own_seeds={"seeds.owners": owners})
    models = worlds.once(folder, "marts.fct_cost", *VERSIONS.values(), "reports.focus_gaps")
    here = replace(here, settings=settings, models=models)
    here.write(
        "acme.csv", "acme",
        Line("rovo_dev_credits", "user:ann", "2026-11", "2500", "2026-12-31", included="2000"),
        Line("pipelines_build_minutes", "workspace:w", "2026-11-01", "70", "2026-12-31"),
        Line("large_file_storage", "workspace:w", "2026-11-30T06:00", "230", "2026-11-30T06:00",
             included="5"),
    )  # fmt: skip
    assert not here.land().failures
    land(
        here.settings,
        Names({"p": "shop 7"}),
        Neon("p", TRANSFER, "2026-08-02 05", 400 * GB),
        Neon("p", TRANSFER, "2026-08-02 06", 250 * GB),
        Neon("p", TRANSFER, "2026-08-02 06", 300 * GB, branch="b"),
        Neon("m", COMPUTE, "2026-03", 36_000),
        Neon("n", COMPUTE, "2026-08-01", 3600, "business"),
        Neon("n", COMPUTE, "2026-08-03", 7200, "business"),
        Forge("app", "KVS_READ", "2026-09-03", "0.15"),
    )
    here.build()
    return here


@pytest.fixture
def copy(here: Exports) -> Iterator[duckdb.DuckDBPyConnection]:
    """The read copy, beside which temporary tables may be made."""
    with warehouse.reader(here.settings.warehouse) as connection:
        yield connection


def charges(here: Exports, columns: str, service: str = "%") -> list[tuple[Any, ...]]:
    """Columns of what services cost, in order of time."""
    return here.read(
        f"select {columns} from reports.focus_1_2 where ServiceName like ?"  # noqa: S608
        " order by ChargePeriodStart, ResourceId, x_is_included desc",
        service,
    )


def test_hours_are_charged_by_the_day_and_cut_at_the_allowance(here: Exports) -> None:
    """500 GB are included: 400 of the first hour and 100 of the branch's 300 in the next; what no
    branch accounts for is below zero by 50, and takes its cost back."""
    columns = (
        "ChargePeriodStart::date::varchar, ChargePeriodEnd::date::varchar, ResourceType,"
        " ResourceId, PricingQuantity, ListUnitPrice, ContractedUnitPrice, ListCost, BilledCost"
    )
    tenth, day = Decimal("0.1"), ("2026-08-02", "2026-08-03")
    assert [row for row in charges(here, columns, "Neon%") if row[0] == "2026-08-02"] == [
        (*day, "Branch", "b", 100, tenth, 0, 10, 0),
        (*day, "Branch", "b", 200, tenth, tenth, 20, 20),
        (*day, "Project", "p", 400, tenth, 0, 40, 0),
        (*day, "Project", "p", -50, tenth, tenth, -5, -5),
    ]


def test_a_month_keeps_its_period(here: Exports) -> None:
    """What is known by the month alone is one charge of all of it; so is a month's reading."""
    columns = "ChargePeriodStart, ChargePeriodEnd, BillingPeriodStart, BillingPeriodEnd, SkuPriceId"
    march, april = (datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4))
    (compute, *_) = charges(here, columns, "Neon%")
    assert compute == (march, april, march, april, "neon-compute/scale/0.222")
    november, december = (datetime(2026, month, 1, tzinfo=UTC) for month in (11, 12))
    whole = (november, december, november, december, "bitbucket-lfs/10")
    assert charges(here, columns, "Bitbucket") == [whole, whole]


def test_each_vendor_is_told_in_the_words_of_focus(here: Exports) -> None:
    """Accounts, resources and units; blocks are what they cover, and credits are units."""
    columns = (
        "ProviderName, BillingAccountType, BillingAccountId, SubAccountType, SubAccountName,"
        " ResourceType, ResourceId, ServiceSubcategory, ConsumedQuantity, ConsumedUnit,"
        " PricingQuantity, PricingUnit, ChargeDescription"
    )
    allowance = ", covered by an allowance"
    neon, *_ = charges(here, columns, "Neon%")
    assert neon == (
        "Neon", "Organization", "org", "Project", "m", "Project", "m", "Relational Databases",
        36_000, "CU-Seconds", 10, "CU-Hours", "Compute",
    )  # fmt: skip
    app = ("Atlassian", "App", "app", "App", "app", "App", "app", "NoSQL Databases")
    tenth, rest, line = Decimal("0.1"), Decimal("0.05"), "Key-Value Store: Reads"
    assert charges(here, columns, "Forge%") == [
        (*app, tenth, "GB", tenth, "GB", f"{line}{allowance}"),
        (*app, rest, "GB", rest, "GB", line),
    ]
    ann = ("Atlassian", "Organization", "acme", None, None, "User", "ann", "Generative AI")
    assert charges(here, columns, "Rovo Dev") == [
        (*ann, 2000, "Credits", 2000, "Credits", f"Rovo Dev credits{allowance}"),
        (*ann, 500, "Credits", 500, "Credits", "Rovo Dev credits"),
    ]
    assert charges(here, columns, "Bitbucket")[-1][3:12] == (
        "Workspace", "w", "Workspace", "w", "Source Code Management", 225, "GB", 3, "100 GB",
    )  # fmt: skip


def test_tags_say_who_owns_it(here: Exports) -> None:
    """As the rules of one's own do; what no rule matches has none."""
    found = charges(here, "distinct SubAccountId, SubAccountName, Tags, Tags->>'team'", "Neon%")
    assert sorted(found) == [
        ("m", "m", None, None),
        ("p", "shop 7", '{"team":"data","customer":"acme"}', "data"),
    ]


def test_what_has_no_price_is_a_gap_and_never_zero(here: Exports) -> None:
    """It is counted, with the reason, and in no FOCUS report."""
    gaps = "select period_month, meter, plan, unpriced_reason, row_count, series_count, quantity"
    assert here.read(f"{gaps} from reports.focus_gaps order by period_month") == [
        (date(2026, 8, 1), COMPUTE, "business",
         "no price of this meter, plan and day is known", 2, 1, 10800),
        (date(2026, 11, 1), "pipelines_build_minutes", None,
         "how much is included per workspace is not known", 1, 1, 70),
    ]  # fmt: skip
    assert here.read(
        "select count(*) from reports.focus_1_2 where x_meter = 'pipelines_build_minutes'"
    ) == [(0,)]


@pytest.mark.parametrize(("version", "report"), VERSIONS.items())
def test_the_reports_are_as_the_specification_says(
    copy: duckdb.DuckDBPyConnection, version: str, report: str
) -> None:
    """Columns, types and rows; the sums are those of marts.fct_cost, whatever time it is here."""
    assert complaints(copy, report, version) == []
    copy.execute("set TimeZone = 'America/Los_Angeles'")
    assert complaints(copy, report, version) == []
    ((cost, list_cost, meters),) = copy.execute(
        f"select sum(BilledCost), sum(ListCost), count(distinct x_meter) from {report}"  # noqa: S608
    ).fetchall()
    assert (cost, list_cost) == copy.execute(
        "select sum(cost), sum(list_cost) from marts.fct_cost where unpriced_reason is null"
    ).fetchone()
    assert meters == 5


def test_the_two_reports_say_the_same(copy: duckdb.DuckDBPyConnection) -> None:
    """What a column means is told alike in both, and nothing is stored for either."""
    one, other = (load_models()[name] for name in VERSIONS.values())
    renamed = {"InvoiceIssuerName"}
    shared = specified("1.2").keys() & specified("1.4").keys() - renamed
    assert {c: one.column_docs[c] for c in shared} == {c: other.column_docs[c] for c in shared}
    assert copy.execute(
        "select count(*) from duckdb_views() where view_name like 'focus_%'"
    ).fetchall() == [(3,)]


@pytest.mark.parametrize("wrong", list(CORRUPTIONS)[OFFICIALLY_CAUGHT:])
def test_what_the_official_validator_misses_is_found(
    copy: duckdb.DuckDBPyConnection, wrong: str
) -> None:
    """Eight ways to break a file that it lets pass."""
    copy.execute(f"create temp table broken as {CORRUPTIONS[wrong]} from reports.focus_1_2")
    assert complaints(copy, "temp.broken", "1.2")


def test_every_meter_and_unit_has_its_words() -> None:
    """A meter that is a fact has a service, which is of one category; a unit has one of FOCUS."""
    with duckdb.connect() as connection:
        connection.execute("create schema seeds")
        for name in ("meters", "focus_services", "focus_units"):
            load_seed(connection, f"seeds.{name}", SEEDS / f"{name}.csv")
        assert (
            connection.execute(
                "select source, meter from seeds.meters anti join seeds.focus_services"
                " using (source, meter) where family is not null"
            ).fetchall()
            == []
        )
        assert (
            connection.execute(
                "(select unit from seeds.meters where family is not null union"
                " select billed_unit from seeds.meters where billed_unit is not null)"
                " except select unit from seeds.focus_units"
            ).fetchall()
            == []
        )
        assert (
            connection.execute(
                "select service_name from seeds.focus_services group by 1"
                " having count(distinct service_category) > 1"
            ).fetchall()
            == []
        )
