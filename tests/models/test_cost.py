"""What usage costs: literal usage in, and dollars that a reader can check with a pencil."""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from assets.settings import read_settings
from dbt_like_sql.engine.models import load_models
from dbt_like_sql.engine.runner import CheckFailedError
from tests.atlassian_usage.folder import Exports, Line
from tests.conftest import GRAINS, World, Worlds
from tests.landed import Forge, Neon, Run, land
from tests.sandbox.bill import neon_bill

GB = 10**9
COMPUTE, BRANCHES = "compute_unit_seconds", "extra_branches_month"
TRANSFER, PRIVATE = "public_network_transfer_bytes", "private_network_transfer_bytes"
ROOT, SNAPSHOTS = "root_branch_bytes_month", "snapshot_storage_bytes_month"
CHILD, RESTORE = "child_branch_bytes_month", "instant_restore_bytes_month"

# half of the models: of what is used, what it costs and who owns it
MONEY = (
    *("marts.dim_owner", "marts.fct_compute", "marts.fct_usage", "reports.cost_conservation"),
    *("reports.monthly_bill", "reports.owner_conservation", "reports.unpriced"),
)

# what is free of it in a month, and dollars for one of its units
FORGE_PRICES = (
    ("FUNCTION_COMPUTE", 100_000, Fraction("0.000025")),
    ("KVS_READ", Decimal("0.1"), Fraction("0.055")),
    ("SQL_REQUESTS", 100_000, Fraction("1.929") / 10**6),
)


def of_neon() -> Iterator[Neon]:
    """Projects, each of which is one case of a test below."""
    yield Neon("documented compute", COMPUTE, "2026-08-01", 500_000)
    yield Neon("documented branches", BRANCHES, "2026-08-01", 288, "launch")
    yield Neon("2 GB of March", ROOT, "2026-03", 1_488_000_000_000, org="march")
    yield Neon("3.36 GB of March", ROOT, "2026-03", 2_500_000_000_000, org="march")
    for meter, value in (
        (COMPUTE, 120 * 3600),
        (ROOT, 20 * GB),
        (CHILD, 5 * GB),
        (RESTORE, 10 * GB),
    ):
        yield Neon("documented month", meter, "2026-08", value, "launch", org="august")
    yield Neon("sends in March", TRANSFER, "2026-03", 80 * GB, "launch", org="march")
    yield Neon("sends too", TRANSFER, "2026-03", 40 * GB, "launch", org="march")
    yield Neon("snapshots", SNAPSHOTS, "2026-03", 744 * GB, org="march")
    yield Neon("snapshots", SNAPSHOTS, "2026-08-01", GB)
    for at, sent in (("08-30", 400), ("08-31", 250), ("09-01", 450)):
        yield Neon("crossing", TRANSFER, f"2026-{at}", sent * GB)
    for hour, branches in (("05", 19), ("06", 5)):
        yield Neon("by the hour", BRANCHES, f"2026-08-02 {hour}", branches, "launch")
    yield Neon("tied", TRANSFER, "2026-08-02 05", 700 * GB)
    yield Neon("tied", TRANSFER, "2026-08-02 05", 300 * GB, branch="b")
    yield Neon("tied", TRANSFER, "2026-08-02 05", 300 * GB, branch="a")
    yield Neon("half a cent", COMPUTE, "2026-08-01", 9000)
    yield Neon("half a cent", COMPUTE, "2026-08-01", 8900, branch="a")
    yield Neon("outdone", TRANSFER, "2026-08-02 05", 500 * GB)
    yield Neon("outdone", TRANSFER, "2026-08-02 05", 600 * GB, branch="a")
    for plan, branch in (("launch", 5400), ("scale", 9000)):
        yield Neon("changes plan", COMPUTE, "2026-08-02 05", branch + 1800, plan)
        yield Neon("changes plan", COMPUTE, "2026-08-02 05", branch, plan, "a")
    yield Neon("changes plan", BRANCHES, "2026-08-02 05", 10, "launch")
    yield Neon("changes plan", BRANCHES, "2026-08-02 05", 20, "scale")
    yield Neon("plan told once", COMPUTE, "2026-08-01", 7200, "launch", org="one plan")
    yield Neon("plan told once", COMPUTE, "2026-08-01", 3600, None, "a", org="one plan")
    yield Neon("no plan", COMPUTE, "2026-08-01", 3600, None)
    yield Neon("business", COMPUTE, "2026-08-01", 3600, "business")
    yield Neon("negotiated", BRANCHES, "2026-08-01", 240, "enterprise")
    yield Neon("half priced", COMPUTE, "2025-11", 3600, org="november")
    yield Neon("idle", COMPUTE, "2026-08-01", 0)


def of_forge() -> Iterator[Forge]:
    """Apps; 10 credits are a million tokens of Haiku."""
    yield Forge("example", "FUNCTION_COMPUTE", "2026-09-05", "250000")
    yield Forge("example", "KVS_READ", "2026-09-03", "0.1")
    yield Forge("example", "KVS_READ", "2026-09-09", "0.05")
    yield Forge("example", "LLM_INPUT", "2026-09-05", "20")
    yield Forge("example", "LLM_OUTPUT", "2026-09-05", "5")
    yield Forge("january", "FUNCTION_COMPUTE", "2026-01-05", "250000")
    yield Forge("requests", "SQL_REQUESTS", "2026-09-05", "1100000")
    yield Forge("oldest", "KVS_READ", "2016-02-29", "7")
    yield from at_random()


def at_random() -> list[Forge]:
    """Days about the turns of months, of apps that use up to thrice what is free on one."""
    any_of = random.Random(1)
    days = ("2026-01-01", "2026-06-01", "2026-06-30", "2026-07-01", "2026-07-15", "2026-07-31")
    return [
        Forge(app, meter, day, str(Decimal(any_of.randrange(3 * 10**8)) * free / 10**8))
        for app in ("any", "other")
        for meter, free, _ in FORGE_PRICES
        for day in days
    ]


def of_atlassian() -> dict[str, list[Line]]:
    """Organizations, of which exports of December tell."""
    at = "2026-12-31"

    def minutes(day: int, used: str, **more: Any) -> Line:
        return Line("pipelines_build_minutes", "workspace:w", f"2026-11-{day:02}", used, at, **more)

    def rovo(period: str, used: str, **more: Any) -> Line:
        return Line("rovo_credits", "org", period, used, at, **more)

    renews = {"included": "900", "resets": "2026-12-20"}
    days = ((1, "2400"), (2, "200"), (3, "900"), (4, "1"))
    cycle = (("11-25", "800"), ("12-02", "300"), ("12-03", "50"), ("12-20", "60"))
    return {
        "blocks": [minutes(day, used, included="2500") for day, used in days],
        "storage": [Line("large_file_storage", "workspace:w", "2026-11-30T06:00", "230",
                         "2026-11-30T06:00", included="5")],
        "cycle": [rovo(f"2026-{day}", used, **renews) for day, used in cycle],
        "by the month": [rovo("2026-12", "1000", included="900")],
        "no allowance": [minutes(1, "70"), rovo("2026-11-01", "70")],
        "users": [
            Line("rovo_dev_credits", f"user:{who}", "2026-11", used, at, included="2000")
            for who, used in (("ann", "1500"), ("bob", "2500"))
        ],
        "not billed": [Line("indexed_objects", "org", "2026-11-30T06:00", "230",
                            "2026-11-30T06:00", included="200")],
        "not sold": [Line("network_traffic", "workspace:w", "2026-11-01", "7", at)],
    }  # fmt: skip


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Exports:
    """A warehouse in which all this was landed and built."""
    folder = tmp_path_factory.mktemp("cost")
    here = opened(folder, worlds, *MONEY)
    for org_id, lines in of_atlassian().items():
        here.write(f"{org_id}.csv", org_id, *lines)
    assert not here.land().failures
    land(here.settings, *of_neon(), *of_forge())
    here.build()
    return here


def opened(folder: Path, worlds: Worlds, *models: str, is_once: bool = False) -> Exports:
    """A warehouse in which nothing was loaded, on 1 January 2027; of all models, or of these, that
    this test `is_once` alone builds."""
    (folder / "exports").mkdir(exist_ok=True)
    environment = {
        "WAREHOUSE": str(folder / "meterhouse.duckdb"),
        "XDG_STATE_HOME": str(folder / "state"),
        "PLATFORM_USAGE_DIR": str(folder / "exports"),
    }
    settings = read_settings(environment, lambda: datetime(2027, 1, 1, tzinfo=UTC))
    if not models:
        return Exports(folder / "exports", settings, worlds.begin(folder))
    begin = worlds.once if is_once else worlds.begin_alone
    return Exports(folder / "exports", settings, begin(folder, *models))


def parts(here: Exports, thing: str, columns: str) -> list[tuple[Any, ...]]:
    """Columns of what a project, app or organization costs, in order of time."""
    return here.read(
        f"select {columns} from marts.fct_cost where ? in (project_id, org_id)"  # noqa: S608
        " order by period_start, meter, branch_id, site_id, user_id, plan, is_included desc,"
        " tier_floor nulls first",
        thing,
    )


def bill(here: Exports, thing: str) -> dict[str, Decimal | None]:
    """What stands on the lines of the bill of a project, app or organization."""
    return dict(
        here.read(
            "select invoice_line, sum(cost) from reports.monthly_bill"
            " where ? in (project_id, org_id) group by 1",
            thing,
        )
    )


def test_the_examples_of_neons_own_page(priced: Exports) -> None:
    """500,000 CU-seconds on Scale, 12 child branches for a day on Launch, 2 GB for 31 days, and a
    month of Launch."""
    assert bill(priced, "documented compute") == {"Compute": Decimal("30.83")}
    assert bill(priced, "documented branches") == {"Extra branches": Decimal("0.15")}
    assert bill(priced, "2 GB of March") == {"Root storage": Decimal("0.70")}
    assert bill(priced, "3.36 GB of March") == {"Root storage": Decimal("1.18")}
    # the second of the months that the page on plans works out, $23.47 in all
    assert bill(priced, "documented month") == {
        "Compute": Decimal("12.72"),
        "Root storage": 7,
        "Child storage": Decimal("1.75"),
        "Instant restore": 2,
    }
    found = parts(priced, "documented branches", "quantity, is_included")
    assert found == [(216, True), (72, False)]


def test_the_examples_of_atlassians_own_page(priced: Exports) -> None:
    """250,000 GB-seconds, 0.15 GB read, and 2 M tokens in and 0.5 M out of Haiku: $5.75275."""
    found = priced.read(
        "select meter, sum(cost) from marts.fct_cost where project_id = 'example' group by 1"
    )
    assert dict(found) == {
        "FUNCTION_COMPUTE": Decimal("1.25"),
        "KVS_READ": Decimal("0.00275"),
        "LLM_INPUT": Decimal("2.00"),
        "LLM_OUTPUT": Decimal("2.50"),
    }


def test_half_a_cent_of_parts_is_rounded_as_one(priced: Exports) -> None:
    """2.5 hours at 22.2 cents are 55.5 cents, though of 100 and of 8,900 seconds neither is a
    decimal number."""
    assert bill(priced, "half a cent") == {"Compute": Decimal("0.56")}


def test_an_allowance_is_that_of_its_day(priced: Exports) -> None:
    """Until June 2026 half as much computing was free; and a million requests are one unit."""
    assert bill(priced, "january") == {"Forge Functions: Duration": Decimal("3.75")}
    found = parts(priced, "requests", "quantity, billed_quantity, cost")
    assert found == [(100000, Decimal("0.1"), 0), (1000000, 1, Decimal("1.929"))]


def test_any_app_costs_what_a_sum_in_fractions_says(priced: Exports) -> None:
    """Day by day: what is used in a month up to the end of a day, and up to its beginning, each
    beyond what is free. Twice as much computing is free from July 2026 on."""
    prices = {meter: (Fraction(free), usd) for meter, free, usd in FORGE_PRICES}
    expected: dict[tuple[str, ...], Fraction] = {}
    used: dict[tuple[str, ...], Fraction] = defaultdict(Fraction)
    for row in at_random():
        free, usd = prices[row.meter]
        if row.meter == "FUNCTION_COMPUTE" and row.at >= "2026-07":
            free *= 2
        month = row.app, row.meter, row.at[:7]
        before, after = used[month], used[month] + Fraction(row.amount)
        used[month] = after
        expected[row.app, row.meter, row.at] = (max(after, free) - max(before, free)) * usd
    found = priced.read(
        "select project_id, meter, cast(period_date as varchar), sum(cost) from marts.fct_cost"
        " where project_id in ('any', 'other') group by all"
    )
    assert len(found) == len(expected) == 36
    for *of, cost in found:
        assert abs(Fraction(cost) - expected[tuple(of)]) < Fraction(1, 10**15), of


def test_what_a_vendor_still_answers_of_long_ago_is_a_fact(priced: Exports) -> None:
    """Of a day on which nothing had a price."""
    assert parts(priced, "oldest", "period_date, quantity, cost") == [(date(2016, 2, 29), 7, None)]


def test_an_allowance_runs_out_in_the_middle_of_a_row(priced: Exports) -> None:
    """500 GB a month: 100 of the second day's 250 are included; September begins anew."""
    columns = "quantity, is_included, billed_quantity, list_unit_price, unit_price, cost, list_cost"
    tenth = Decimal("0.1")
    assert parts(priced, "crossing", columns) == [
        (400 * GB, True, 400, tenth, 0, 0, 40),
        (100 * GB, True, 100, tenth, 0, 0, 10),
        (150 * GB, False, 150, tenth, tenth, 15, 15),
        (450 * GB, True, 450, tenth, 0, 0, 45),
    ]


def test_what_counts_against_an_allowance_may_be_of_the_whole_org(priced: Exports) -> None:
    """100 GB of an org until May 2026: 120 are sent, and 20 of the later project are beyond it."""
    found = parts(priced, "sends in March", "quantity, cost")
    found += parts(priced, "sends too", "quantity, cost")
    assert found == [(80 * GB, 0), (20 * GB, 0), (20 * GB, 2)]


def test_rows_of_one_instant_come_in_order_of_their_ids(priced: Exports) -> None:
    """Branch a has its 300 GB, b 200 of its 300, and what no branch accounts for comes last."""
    assert parts(priced, "tied", "branch_id, quantity, cost") == [
        ("a", 300 * GB, 0),
        ("b", 200 * GB, 0),
        ("b", 100 * GB, 10),
        (None, 100 * GB, 10),
    ]


def test_a_negative_remainder_takes_its_cost_back(priced: Exports) -> None:
    """The branch says 600 GB and the project 500, of which all are included."""
    assert parts(priced, "outdone", "branch_id, quantity, cost") == [
        ("a", 500 * GB, 0),
        ("a", 100 * GB, 10),
        (None, -100 * GB, -10),
    ]
    assert bill(priced, "outdone") == {"Public transfer": 0}


def test_a_plan_that_is_not_told_of_a_branch_is_that_of_its_organization(priced: Exports) -> None:
    """Neon's own example of branches leaves it out: an hour each of what two hours cost."""
    found = parts(priced, "plan told once", "branch_id, quantity, plan, cost")
    hour = (3600, "launch", Decimal("0.106"))
    assert found == [("a", *hour), (None, *hour)]


def test_branches_are_counted_by_the_hour(priced: Exports) -> None:
    """10 of 19 are beyond the 9 of an hour; 5 in the next make up for none of them."""
    assert parts(priced, "by the hour", "quantity, is_included") == [
        (9, True),
        (10, False),
        (5, True),
    ]


def test_an_hour_in_which_the_plan_changed_has_a_price_for_each(priced: Exports) -> None:
    """1.5 CU-hours of a branch at Launch's price and 2.5 at Scale's; the remainders, too. Of
    branch-hours all 30 count, 10 against 9 and the other 20 against 24."""
    where = "plan, branch_id, quantity, round(cost, 6)"
    assert [row for row in parts(priced, "changes plan", where) if row[2] >= 1800] == [
        ("launch", "a", 5400, Decimal("0.159")),
        ("scale", "a", 9000, Decimal("0.555")),
        ("launch", None, 1800, Decimal("0.053")),
        ("scale", None, 1800, Decimal("0.111")),
    ]
    found = parts(priced, "changes plan", "plan, quantity, is_included, meter")
    assert [row[:3] for row in found if row[3] == BRANCHES] == [
        ("launch", 9, True),
        ("launch", 1, False),
        ("scale", 14, True),
        ("scale", 6, False),
    ]
    ((rows, quantity),) = priced.read(
        "select count(*), sum(quantity) from marts.fct_compute where project_id = 'changes plan'"
    )
    assert (rows, quantity) == (4, 5400 + 9000 + 2 * 1800)


def test_snapshots_cost_nothing_before_they_did(priced: Exports) -> None:
    """Charged since May 2026: by a row of the price book, so that it is 0 and not unknown."""
    assert parts(priced, "snapshots", "cost") == [(0,), (Decimal("0.09"),)]


def test_minutes_are_sold_in_blocks(priced: Exports) -> None:
    """2,500 are included; the second day opens a block of 1,000, the third fills it, and the one
    minute of the fourth opens another."""
    columns = "quantity, is_included, billed_quantity, cost"
    assert parts(priced, "blocks", columns) == [
        (2400, True, Decimal("2.4"), 0),
        (100, True, Decimal("0.1"), 0),
        (100, False, 1, 10),
        (900, False, 0, 0),
        (1, False, 1, 10),
    ]
    assert bill(priced, "storage") == {"Bitbucket Git LFS storage": 30}


def test_a_cycle_is_no_month(priced: Exports) -> None:
    """900 credits from 20 November to 20 December; beyond them a credit costs a cent from the 3rd
    on, and nothing before."""
    columns = "cast(period_date as varchar), quantity, is_included, cost"
    assert parts(priced, "cycle", columns) == [
        ("2026-11-25", 800, True, 0),
        ("2026-12-02", 100, True, 0),
        ("2026-12-02", 200, False, 0),
        ("2026-12-03", 50, False, Decimal("0.5")),
        ("2026-12-20", 60, True, 0),
    ]


def test_allowances_of_users_are_not_pooled(priced: Exports) -> None:
    """Bob is 500 credits over, whatever ann has left."""
    assert parts(priced, "users", "user_id, quantity, cost") == [
        ("ann", 1500, 0),
        ("bob", 2000, 0),
        ("bob", 500, 5),
    ]


def test_what_has_no_price_has_no_cost(priced: Exports) -> None:
    """And is named, with the reason: it is never 0, and never priced as if all were beyond."""
    why = priced.read(
        "select coalesce(project_id, org_id), meter, quantity, unpriced_reason from marts.fct_cost"
        " where cost is null and unit_price is null order by 1, 2"
    )
    no_price = "no price of this meter, plan and day is known"
    changed = "the price changed within the period: it has to be known by the day"
    included = "how much is included per {} is not known"
    assert why == [
        ("business", COMPUTE, 3600, no_price),
        ("by the month", "rovo_credits", 1000, changed),
        ("half priced", COMPUTE, 3600, changed),
        ("negotiated", BRANCHES, 240, included.format("project")),
        ("no allowance", "pipelines_build_minutes", 70, included.format("workspace")),
        ("no plan", COMPUTE, 3600, no_price),
        ("not sold", "network_traffic", 7, "no price: Atlassian publishes none"),
        ("oldest", "KVS_READ", 7, no_price),
    ]
    report = priced.read("select meter, quantity, month_count, is_stated from reports.unpriced")
    assert len(report) == len(why)
    assert [row for row in report if row[-1]] == [("network_traffic", 7, 1, True)]
    assert parts(priced, "not billed", "quantity, cost") == [(230, 0)]
    # nothing is charged before December, however much is included
    assert bill(priced, "no allowance")["Rovo credits"] == 0


def test_quantities_are_those_of_the_usage(priced: Exports) -> None:
    """Row by row: the parts of a usage row add up to it, and there is no other."""
    ids = "source, org_id, project_id, branch_id, site_id, user_id, meter, unit, period_start, plan"
    differing = priced.read(
        f"select {ids}, sum(quantity) from marts.fct_cost group by all"  # noqa: S608
        f" except all select {ids}, quantity from marts.fct_usage"
        f" union all (select {ids}, quantity from marts.fct_usage"
        f" except all select {ids}, sum(quantity) from marts.fct_cost group by all)"
    )
    assert differing == []
    assert priced.read("from reports.cost_conservation") == []
    assert priced.read("select quantity, cost from marts.fct_cost where project_id = 'idle'") == [
        (0, 0)
    ]


def test_owners_of_what_is_not_split_add_up_to_the_facts(priced: Exports) -> None:
    """With no rule at all everything is unassigned, and every dollar and quantity is there."""
    assert priced.read("select distinct owner_key from reports.cost_by_owner") == [("unassigned",)]
    assert priced.read("from reports.owner_conservation") == []
    ((owned_cost, cost),) = priced.read(
        "select sum(cost), (select sum(cost) from marts.fct_cost) from reports.cost_by_owner"
    )
    assert owned_cost == cost


OVERRIDES = """\
source,sku,invoice_line,meter,plan,billed_unit,usd_per_unit,quantity_floor,quantity_ceiling,\
quantity_included,allowed_per,period,quantity_per_block,valid_from_date,valid_until_date,\
certainty,documentation
neon,neon-compute,Compute,compute_unit_seconds,scale,CU-hour,0.2,,,,,,,2026-08-01,2026-08-02,contract,
neon,neon-root,Root,root_branch_bytes_month,scale,GB-month,0.3,,,,,,,2026-01-01,,contract,
neon,neon-root,Root,root_branch_bytes_month,,GB-month,0.2,,,,,,,2026-03-15,,contract,
neon,neon-transfer,Transfer,public_network_transfer_bytes,,GB,0.08,,100,600,project,month,,2026-08-01,,contract,
neon,neon-transfer,Transfer,public_network_transfer_bytes,,GB,0.05,100,,600,project,month,,2026-08-01,,contract,
"""


@pytest.mark.slow
def test_prices_of_a_contract_come_first(tmp_path: Path, worlds: Worlds) -> None:
    """On their days, and for their meter and plan. One build prices all of history again, and no
    raw row is touched. (Before that, a day that comes late moves what the days after it cost.) A
    price of all plans that begins within a month is none of the plan that has its own."""
    here = opened(tmp_path, worlds, *MONEY)
    here.models = worlds.once(tmp_path, "marts.fct_cost", "reports.cost_conservation")
    day = "2026-08-01"
    land(
        here.settings,
        *(Neon("p", COMPUTE, f"2026-08-0{n}", 36_000, plan) for n, plan in
          ((1, "scale"), (2, "scale"))),
        Neon("q", COMPUTE, day, 36_000, "launch"),
        Neon("p", TRANSFER, day, 750 * GB),
        Neon("late", TRANSFER, "2026-08-02", 300 * GB),
        Neon("of its plan", ROOT, "2026-03", 744 * GB, org="march"),
        Neon("of no plan", ROOT, "2026-03", 744 * GB, "launch", org="march"),
    )  # fmt: skip
    here.build()
    assert parts(here, "late", "quantity, cost") == [(300 * GB, 0)]
    land(here.settings, Neon("late", TRANSFER, day, 300 * GB))
    here.build()
    assert parts(here, "late", "quantity, cost") == [(300 * GB, 0), (200 * GB, 0), (100 * GB, 10)]
    raw = here.raw("select * from raw.neon_project_usage order by all")
    receipts = here.raw("select * from raw.loads order by all")
    own = tmp_path / "own.csv"
    own.write_text(OVERRIDES)
    here.settings = replace(here.settings, own_seeds={"seeds.price_overrides": own})
    here.build()
    columns = "meter, plan, billed_quantity, list_unit_price, unit_price, cost, price_certainty"
    compute = [row[1:] for row in parts(here, "org", columns) if row[0] == COMPUTE]
    assert parts(here, "march", "plan, cost") == [("launch", None), ("scale", Decimal("0.3"))]
    scale, launch = Decimal("0.222"), Decimal("0.106")
    assert compute == [
        ("launch", 10, launch, launch, Decimal("1.06"), "certain"),
        ("scale", 10, scale, Decimal("0.2"), 2, "contract"),
        ("scale", 10, scale, scale, Decimal("2.22"), "certain"),
    ]
    sent = "quantity, is_included, tier_floor, cost"
    assert [row for row in parts(here, "p", f"{sent}, meter") if row[-1] == TRANSFER] == [
        (600 * GB, True, None, 0, TRANSFER),
        (100 * GB, False, None, 8, TRANSFER),
        (50 * GB, False, 100, Decimal("2.5"), TRANSFER),
    ]
    assert here.raw("select * from raw.neon_project_usage order by all") == raw
    assert here.raw("select * from raw.loads order by all") == receipts
    # usage that a model left without a row of cost is named
    here.raw("delete from marts.fct_cost_by_day where tier_floor = 100")
    lost = load_models()["reports.cost_conservation"].select()
    (row,) = here.raw(lost)
    assert row[-2:] == (750 * GB, 700 * GB)


INCLUDED = f"""{OVERRIDES.partition(chr(10))[0]}
atlassian_platform,rc,Rovo,rovo_credits,,credit,0.02,,,1000,"user, pooled",cycle,,,,own,
atlassian_platform,rd,Rovo Dev,rovo_dev_credits,,credit,0.02,,,1000,org,cycle,,,,own,
atlassian_platform,bm,Minutes,pipelines_build_minutes,,1000 minutes,8,,,1,workspace,month,1,,,own,
atlassian_platform,bm,M,pipelines_build_minutes,,1000 minutes,8,,,1,workspace,month,1,2026-01-01,,a,
atlassian_platform,as,Steps,automation_steps,,1000 steps,5,,,1,"user, pooled",month,,,,own,
atlassian_platform,nt,Traffic,network_traffic,,GB,0.08,,,100,site,month,,,,own,
neon,nb,Branches,extra_branches_month,launch,branch-month,1.5,,,1,project,month,,2026-08-03,,own,
neon,nb,Branches,extra_branches_month,scale,branch-month,1.5,,,,project,month,,2026-08-03,,own,
neon,nb,Branches,extra_branches_month,enterprise,branch-month,1.5,,,0.125,project,bucket,,,,own,
"""


@pytest.mark.slow
def test_what_a_contract_includes_is_used_up_once(tmp_path: Path, worlds: Worlds) -> None:
    """1,000 credits, or minutes, of a plan that nobody told of: three days of 800 are 1,400 beyond
    them, and no day has 1,000 of its own. They are of whom the contract says, for as long as it
    says: of an organization's two users together, and of a month in which a cycle ends. Whose
    allowance it is has to be known. The report has the same, and nothing that is published.

    A month's allowance is not that of an hour: a day of 10 branches in each hour is 24 beyond the 9
    of these, and uses up none of the 744 branch-hours of the contract that begins on the next; of a
    plan of which nothing is said by the month nobody knows how much is included. What a contract
    includes by the bucket, here 93 branch-hours, is of each hour, also where a day tells of 24."""
    here = opened(tmp_path, worlds, *MONEY, "reports.allowance", is_once=True)
    own = tmp_path / "own.csv"
    own.write_text(INCLUDED)
    here.settings = replace(here.settings, own_seeds={"seeds.price_overrides": own})
    for meter, scope in (
        *(("rovo_credits", "org"), ("pipelines_build_minutes", "workspace:w")),
        *(("automation_steps", "org"), ("network_traffic", "org")),
    ):
        days = (f"2026-11-{day:02}" for day in (5, 6, 7))
        here.write(
            f"{meter}.csv",
            meter,
            *(Line(meter, scope, d, "800", "2026-12-31", resets="2026-12-06") for d in days),
        )
    users = ("user:ann", "user:bob")
    day = "2026-11-05"
    dev = (Line("rovo_dev_credits", user, day, "600", "2026-12-31") for user in users)
    here.write("dev.csv", "dev", *dev)
    assert not here.land().failures
    land(
        here.settings,
        Neon("b", BRANCHES, "2026-08-02", 240, "launch"),
        Neon("b", BRANCHES, "2026-08-03", 900, "launch"),
        Neon("c", BRANCHES, "2026-08-03", 240),
        Neon("by the day", BRANCHES, "2026-08-03", 2400, "enterprise", org="daily"),
        *(
            Neon("by the hour", BRANCHES, f"2026-08-03 {hour}", 100, "enterprise", org="hourly")
            for hour in (10, 11)
        ),
    )
    here.build()
    branches = [parts(here, project, "quantity, is_included, cost is null") for project in "bc"]
    assert branches == [
        [(216, True, False), (24, False, False), (744, True, False), (156, False, False)],
        [(240, False, True)],
    ]
    assert parts(here, "by the day", "quantity, is_included") == [(2232, True), (168, False)]
    assert parts(here, "by the hour", "quantity, is_included") == [(93, True), (7, False)] * 2
    assert parts(here, "automation_steps", "quantity, cost") == [
        (800, 0), (200, 0), (600, 3), (800, 4),
    ]  # fmt: skip
    named = ("rovo_credits", "network_traffic")
    found = {name: parts(here, name, "quantity, cost") for name in named}
    assert found == {
        "rovo_credits": [(800, 0), (800, 0), (200, 0), (600, 12)],
        "network_traffic": [(800, None)] * 3,
    }
    assert parts(here, "dev", "user_id, quantity, cost") == [
        ("ann", 600, 0), ("bob", 400, 0), ("bob", 200, 4),
    ]  # fmt: skip
    assert parts(here, "pipelines_build_minutes", "quantity, cost") == [
        (800, 0), (200, 0), (600, 8), (800, 8),
    ]  # fmt: skip
    # by the cycle, as they renew: the fifth is in the one before; of minutes, by the month
    beyond = "select owner_id, included_quantity, overage_quantity from reports.allowance"
    assert here.read(f"{beyond} where owner_id <> 'b' order by owner_id, period_start") == [
        ("automation_steps", 1000, 1400),
        ("dev", 1000, 200),
        *(("rovo_credits", 1000, over) for over in (0, 600)),
        ("w", 1000, 1400),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("period", ["cycle", "month"])
def test_a_contract_includes_what_it_says_on_its_days(
    period: str, tmp_path: Path, worlds: Worlds
) -> None:
    """500 credits that the vendor shows, and 1,000 of a contract of two days in mid-cycle: of 600 a
    day 100 are beyond the 500, 200 beyond the 1,000, and then all, at the price of each day. By the
    month, the two days have the 1,000, and what was used of the cycle in October stays used."""
    here = opened(tmp_path, worlds, *MONEY)
    here.models = worlds.once(tmp_path, "marts.fct_cost")
    own = tmp_path / "own.csv"
    own.write_text(
        OVERRIDES.partition("\n")[0] + "\natlassian_platform,rd,Rovo Dev,rovo_dev_credits,,credit,"
        f"0.02,,,1000,user,{period},,2026-11-06,2026-11-08,own,\n"
    )
    here.settings = replace(here.settings, own_seeds={"seeds.price_overrides": own})
    days = [f"2026-11-{day:02}" for day in (5, 6, 7, 8)]
    if period == "month":
        days.append("2026-10-31")
    shown: dict[str, Any] = {"included": "500", "resets": "2026-11-20"}
    user = "user:ann"
    dev = (Line("rovo_dev_credits", user, day, "600", "2026-12-31", **shown) for day in days)
    here.write("dev.csv", "dev", *dev)
    assert not here.land().failures
    here.build()
    assert (
        parts(here, "dev", "quantity, cost")
        == {
            "cycle": [(500, 0), (100, 1), (400, 0), (200, 4), (600, 12), (600, 6)],
            "month": [(500, 0), (100, 1), (600, 6), (600, 0), (400, 0), (200, 4), (600, 6)],
        }[period]
    )


@pytest.mark.slow
@pytest.mark.parametrize("owner", ["org", "workspace"])
def test_a_contract_includes_for_whom_it_says(owner: str, tmp_path: Path, worlds: Worlds) -> None:
    """Ten minutes for all repositories of a workspace, of which 800 seconds of one day are more;
    and 10 credits for each site in its cycle. Ten minutes for each exported repository, by the
    cycle in August and by the month in September. The report has the same."""
    here = opened(tmp_path, worlds, *MONEY)
    here.models = worlds.once(tmp_path, "marts.fct_cost", "reports.allowance")
    own = tmp_path / "own.csv"
    minutes = "pipelines_build_minutes"
    repositories = f"atlassian_platform,bm,Minutes,{minutes},,1000 minutes,8,,,"
    own.write_text(
        f"{OVERRIDES.partition(chr(10))[0]}\n"
        f"bitbucket,bm,Minutes,build_seconds_used,,minute,0.6,,,10,{owner},month,,,,own,\n"
        "atlassian_platform,rc,Rovo,rovo_credits,,credit,0.5,,,10,site,cycle,,,,own,\n"
        f"{repositories}0.01,project,cycle,,,2026-09-01,own,\n"
        f"{repositories}0.01,project,month,,2026-09-01,,own,\n"
    )
    here.settings = replace(here.settings, own_seeds={"seeds.price_overrides": own})
    months = (("site:s", "25"), ("site:t", "5"))
    credits = (Line("rovo_credits", site, "2026-08", n, "2026-09-02") for site, n in months)
    here.write("sites.csv", "sites", *credits)
    here.write(
        "repositories.csv",
        "repositories",
        Line(minutes, "repository:v/a", "2026-08", "25", "2026-09-02"),
        Line(minutes, "repository:u/b", "2026-08", "5", "2026-09-02"),
        Line(minutes, "repository:v/a", "2026-09", "30", "2026-10-02"),
    )
    assert not here.land().failures
    land(
        here.settings,
        *(Run("{a}", f"2026-08-0{day}", seconds) for day, seconds in ((1, 500), (2, 100))),
        *(Run("{b}", f"2026-08-0{day}", seconds) for day, seconds in ((1, 300), (3, 60))),
    )
    here.build()
    of_runs = "select project_id, quantity, cost from marts.fct_cost where source = 'bitbucket'"
    assert here.read(f"{of_runs} order by period_start, project_id, cost") == [
        ("{a}", 500, 0), ("{b}", 100, 0), ("{b}", 200, 2), ("{a}", 100, 1),
        ("{b}", 60, Decimal("0.6")),
    ]  # fmt: skip
    assert parts(here, "sites", "site_id, quantity, cost") == [
        ("s", 10, 0), ("s", 15, Decimal("7.5")), ("t", 5, 0),
    ]  # fmt: skip
    assert parts(here, "repositories", "project_id, quantity, cost") == [
        ("u/b", 5, 0), ("v/a", 10, 0), ("v/a", 15, Decimal("0.12")), ("v/a", 10, 0),
        ("v/a", 20, Decimal("0.16")),
    ]  # fmt: skip
    assert here.read(
        "select owner_type, owner_id, used_quantity, included_quantity, first_day_over,"
        " settled_day_count, missing_day_count from reports.allowance"
        " order by owner_id, period_start"
    ) == [
        ("site", "s", 25, 10, None, 0, None),
        ("site", "t", 5, 10, None, 0, None),
        ("project", "u/b", 5, 10, None, 0, None),
        ("project", "v/a", 25, 10, None, 0, None),
        ("project", "v/a", 30, 10, None, 0, None),
        (owner, "{w}", 960, 600, date(2026, 8, 1), 3, 0),
    ]


FITTING = {
    "source": "neon", "sku": "c", "meter": COMPUTE, "billed_unit": "CU-hour", "usd_per_unit": "0.2",
}  # fmt: skip


# each of which a person may well write
UNFITTING: tuple[dict[str, str], ...] = (
    {"source": "Neon "},
    {"meter": "compute"},
    {"billed_unit": "CU-hours"},
    {"sku": ""},
    {"valid_from_date": "2026-08-02", "valid_until_date": "2026-08-01"},
    {"quantity_included": "50"},
    {"quantity_included": "50", "allowed_per": "organization", "period": "month"},
    {"quantity_included": "50", "allowed_per": "org", "period": "monthly"},
    {"quantity_included": "50", "allowed_per": "org", "period": "cycle"},
    {"quantity_included": "-5", "allowed_per": "org", "period": "month"},
    {"quantity_per_block": "0", "allowed_per": "org", "period": "month"},
    {"quantity_floor": "9", "quantity_ceiling": "5", "allowed_per": "org", "period": "month"},
)

# from, up to and until when each tier holds
NO_TIERS: tuple[tuple[tuple[str, str, str], ...], ...] = (
    (("5", "", ""),),
    (("", "5", ""),),
    (("-5", "", ""),),
    (("", "5", ""), ("6", "", "")),
    (("", "5", ""), ("4", "", "")),
    (("", "5", ""), ("5", "9", "")),
    (("", "5", ""), ("5", "9", ""), ("7", "", "")),
    (("", "", ""), ("5", "", "")),
    (("", "", ""), ("0", "", "")),
    (("", "5", "2026-09-01"), ("5", "", "")),
)


def test_a_price_that_fits_nothing_is_refused(tmp_path: Path, worlds: Worlds) -> None:
    """Or a list price would stand where a contract says another; the row is shown. A line of commas
    is no price. Tiers that leave usage out, or charge for it twice, are none."""
    rules = "intermediate.int_price_rules"
    here = opened(tmp_path, worlds, rules, is_once=True)
    own, columns = tmp_path / "own.csv", OVERRIDES.partition("\n")[0].split(",")
    here.settings = replace(here.settings, own_seeds={"seeds.price_overrides": own})

    def build(*rows: dict[str, str]) -> None:
        filled = ([row.get(column, "") for column in columns] for row in rows)
        lines = columns, [""] * len(columns), *filled
        own.write_text("".join(",".join(line) + "\n" for line in lines))
        here.build()

    build(FITTING)
    for wrong in UNFITTING:
        with pytest.raises(CheckFailedError, match=f"{rules}: check .*\n.*price_overrides.csv"):
            build(FITTING | wrong)

    def build_tiers(*tiers: tuple[str, str, str]) -> None:
        names = "quantity_floor", "quantity_ceiling", "valid_until_date"
        per = FITTING | {"allowed_per": "org", "period": "month"}
        build(*(per | dict(zip(names, tier, strict=True)) for tier in tiers))

    # in any order
    build_tiers(("7.5", "", ""), ("0", "5", ""), ("5", "7.5", ""))
    for tiers in NO_TIERS:
        with pytest.raises(CheckFailedError, match=r"overrides\.csv, c: of the tiers of compute"):
            build_tiers(*tiers)


@pytest.mark.slow
def test_a_price_of_a_plan_that_nobody_knows_is_told(tmp_path: Path, worlds: Worlds) -> None:
    """One that the price book has, or under which something was used, is known."""
    here = opened(tmp_path, worlds, "reports.needs_you")
    land(here.settings, Neon("p", COMPUTE, "2026-08-02 05", 3600, "Special"))
    plans = "lunch", "special", "Launch", ""
    own, columns = tmp_path / "own.csv", OVERRIDES.partition("\n")[0].split(",")
    rows = [[(FITTING | {"plan": plan}).get(column, "") for column in columns] for plan in plans]
    own.write_text("".join(",".join(row) + "\n" for row in [columns, *rows]))
    here.settings = replace(here.settings, own_seeds={"seeds.price_overrides": own})
    here.build()
    told = here.read("select subject from reports.needs_you where kind = 'unknown plan'")
    assert told == [("lunch",)]


# known are ids in any case
OWN_IDS = {
    "plans": "source,org_id,meter,plan,user_count\n"
    + "".join(f"atlassian_platform,{org},rovo_credits,Standard,1\n" for org in ("ACME", "Acne")),
    "workspace_orgs": "workspace_uuid,org_id\nW,acme\n{V},acem\n",
}


@pytest.mark.slow
def test_an_organization_that_nobody_knows_is_told(tmp_path: Path, worlds: Worlds) -> None:
    """One that used something is known, in any case; that of a plan of its own source."""
    here = opened(tmp_path, worlds, "reports.needs_you", is_once=True)
    here.write("a.csv", "Acme", Line("rovo_credits", "org", "2026-12", "1", "2026-12-31"))
    assert not here.land().failures
    land(here.settings, Run("{w}", "2026-08-01", 60))
    own = {f"seeds.{seed}": tmp_path / f"{seed}.csv" for seed in OWN_IDS}
    for seed, rows in OWN_IDS.items():
        own[f"seeds.{seed}"].write_text(rows)
    here.settings = replace(here.settings, own_seeds=own)
    here.build()
    told = here.read("select source, subject from reports.needs_you where kind = 'unknown org'")
    assert sorted(told) == [
        ("atlassian_platform", "acem"),
        ("atlassian_platform", "acne"),
        ("bitbucket", "{v}"),
    ]


def test_the_company_works_out_the_same_bill(landed_world: World) -> None:
    """Every project and meter of a month, by a calculator that knows no price book: days, hours,
    branches and remainders, and an org whose plan changes in mid-hour."""
    here, month = landed_world, datetime(2026, 11, 1, tzinfo=UTC)
    held = {w.grain: (w.since, w.until) for w in map(here.reach, GRAINS)}
    expected = neon_bill(here.company, held, month)
    found = here.read(
        "select project_id, meter, sum(cost) from marts.fct_cost where period_start >= ?"
        " group by all having sum(cost) <> 0",
        month,
    )
    assert {(project, meter) for project, meter, _ in found} == expected.keys()
    for project, meter, cost in found:
        assert abs(Fraction(cost) - expected[project, meter]) < Fraction(1, 10**12)
    # and no row of the month is left out of the report, which is in cents
    ((cents, exact),) = here.read(
        "select sum(cost), (select sum(cost) from marts.fct_cost where period_start >= $1)"
        " from reports.monthly_bill where period_month = $1",
        month,
    )
    assert here.read("from reports.owner_conservation") == []
    assert here.read(
        "select sum(cost) from reports.cost_by_owner where period_month = ?", month
    ) == [(exact,)]
    lines = len(expected)
    assert lines > 20
    assert abs(cents - exact) < Decimal("0.005") * lines
