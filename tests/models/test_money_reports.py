"""What changed the bill, and where it will end: literal usage in, numbers of a pencil out."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.atlassian_usage.folder import Exports, Line
from tests.conftest import Worlds, copy_warehouse
from tests.landed import Names, Neon, Receipt, Roots, land, receive
from tests.models.test_cost import COMPUTE, GB, OVERRIDES, ROOT, TRANSFER, opened

Rows = list[tuple[Any, ...]]


def opened_at(now: str, folder: Path, worlds: Worlds) -> Exports:
    """A warehouse in which nothing was loaded, at an hour."""
    here = opened(folder, worlds)
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    return replace(here, settings=replace(here.settings, clock=lambda: at))


def compute(project: str, at: str, hours: int, **more: Any) -> Neon:
    """So many CU-hours on Launch, of 10.6 cents each."""
    return Neon(project, COMPUTE, at, hours * 3600, "launch", **more)


# in the letters of another line
RENAMED = (
    OVERRIDES.partition("\n")[0]
    + """
neon,own-compute,compute,compute_unit_seconds,,CU-hour,0.106,,,,,,,2026-07-10,,contract,
"""
)


@pytest.mark.slow
def test_what_changed_the_bill(tmp_path: Path, worlds: Worlds) -> None:
    """Up to yesterday against as many days of the month before: +$2.12 of p and -$1.06 of q are
    two thirds and one third of what changed. July, of which four days are known, against a June
    that is known whole is no comparison, and says so. What is sold under another name from the 10th
    of July on is another thing from then on."""
    here = opened_at("2026-08-11T09:00", tmp_path, worlds)
    drivers_of = ("reports.cost_drivers", "reports.complete_days", "reports.last_30_days")
    here.models = worlds.once(tmp_path, *drivers_of)
    own = tmp_path / "own.csv"
    own.write_text(RENAMED)
    here.settings = replace(here.settings, own_seeds={"seeds.price_overrides": own})
    land(
        here.settings,
        compute("p", "2026-07-05", 10),
        compute("p", "2026-08-05", 30, branch="main"),
        compute("p", "2026-08-05", 30),
        compute("idle", "2026-08-05", 0),
        compute("q", "2026-07-02", 10),
        compute("q", "2026-07-11", 100),
        compute("q", "2026-08-11", 1000),
        compute("r", "2026-06", 20),
    )
    # a day on which nothing was used is known, too; of the last one an hour is
    for grain, since, until in (
        ("daily", "2026-07-03", "2026-07-04"),
        ("daily", "2026-08-06", "2026-08-07"),
        ("hourly", "2026-08-10T05", "2026-08-10T06"),
    ):
        idle = Receipt("neon_project_usage", grain, "2026-08-11T08:00", since, until)
        receive(here.settings, idle)
    here.build()

    def drivers(comparison: str, dimension: str) -> Rows:
        return here.read(
            "select thing_id, cost, cost_before, change, round(change_share, 3), change_rank,"
            " is_comparable from reports.cost_drivers"
            " where comparison = $1 and dimension = $2 order by change_rank, thing_id",
            comparison,
            dimension,
        )

    up, down = Decimal("2.12"), Decimal("-1.06")
    assert drivers("month to date", "project") == [
        ("p", Decimal("3.18"), Decimal("1.06"), up, 0.667, 1, True),
        ("q", 0, Decimal("1.06"), down, 0.333, 2, True),
    ]
    assert drivers("month to date", "branch") == [
        ("main", Decimal("3.18"), 0, Decimal("3.18"), 0.6, 1, True),
        (None, 0, Decimal("2.12"), Decimal("-2.12"), 0.4, 2, True),
    ]
    (of_owner,) = drivers("month to date", "owner")
    assert of_owner[:4] == ("unassigned", Decimal("3.18"), Decimal("2.12"), Decimal("1.06"))
    assert drivers("last month", "project") == [
        ("q", Decimal("11.66"), 0, Decimal("11.66"), 0.786, 1, False),
        ("r", 0, Decimal("2.12"), Decimal("-2.12"), 0.143, 2, False),
        ("p", Decimal("1.06"), 0, Decimal("1.06"), 0.071, 3, False),
    ]
    assert drivers("last month", "sku") == [
        ("own-compute", Decimal("10.6"), 0, Decimal("10.6"), 1, 1, False),
        ("neon-compute", Decimal("2.12"), Decimal("2.12"), 0, 0, 2, False),
    ]
    known = "select distinct day_count, day_count_before from reports.cost_drivers"
    assert here.read(f"{known} where comparison = 'last month'") == [(4, 30)]
    complete = "select source, complete_since_date, scope_count from reports.complete_days"
    assert here.read(complete) == [("neon", date(2026, 8, 11), 1)]
    of_30_days = "select project_id, billed_quantity, cost from reports.last_30_days where cost > 0"
    assert here.read(f"{of_30_days} order by 1") == [("p", 30, Decimal("3.18")), ("q", 1000, 106)]


@pytest.mark.slow
def test_a_month_is_of_the_last_30_days_where_most_of_it_is(tmp_path: Path, worlds: Worlds) -> None:
    """On 15 December these begin on 16 November, after half of it; the day before with its 15th."""
    here = opened(tmp_path, worlds, "reports.last_30_days")
    land(here.settings, compute("p", "2026-11", 10), asked_at="2026-12-05")
    for day, found in ((14, [(10,)]), (15, [])):
        clock = partial(datetime, 2026, 12, day, 12, tzinfo=UTC)
        here.settings = replace(here.settings, clock=clock)
        here.build()
        assert here.read("select billed_quantity from reports.last_30_days") == found


@pytest.mark.slow
def test_a_day_of_which_parts_alone_were_asked_is_not_told(tmp_path: Path, worlds: Worlds) -> None:
    """What the branches used on the 2nd is known, and what their project did is not; on the 3rd
    nothing was used."""
    here = opened(tmp_path, worlds, "reports.told_days")
    land(here.settings, compute("p", "2026-08-01", 1))
    for table, day in (("branch", 2), ("project", 3)):
        since, until = f"2026-08-0{day}", f"2026-08-0{day + 1}"
        receipt = Receipt(f"neon_{table}_usage", "daily", "2026-08-11", since, until)
        receive(here.settings, receipt)
    here.build()
    told = "select period_date from reports.told_days order by 1"
    assert here.read(told) == [(date(2026, 8, 1),), (date(2026, 8, 3),)]


@pytest.mark.slow
def test_of_readings_those_of_the_last_month_count(tmp_path: Path, worlds: Worlds) -> None:
    """A workspace stores 120 GB, and the organization 60 more, of which the next reading tells
    nothing: 120 in all, and not 180. What was stored no more is not stored now either."""
    here = opened_at("2026-08-11T09:00", tmp_path, worlds)
    for read, total in (("2026-07-31T06:00", "180"), ("2026-08-05T06:00", "120")):
        scopes = (("org", total), ("workspace:w", "120"))
        lines = (Line("large_file_storage", scope, read, stored, read) for scope, stored in scopes)
        here.write(f"{read[:10]}.csv", "org", *lines)
    assert not here.land().failures
    here.build()
    for report in ("last_30_days", "storage_now"):
        assert here.read(f"select quantity from reports.{report}") == [(120,)]  # noqa: S608


TUESDAYS = ("06-30", "07-07", "07-14", "07-21", "07-28", "08-04")
INVOICES = """\
source,org,month,invoice_line,quantity,amount_usd,invoice_id
neon,invoiced,2026-07,compute,6,0.70,INV-1
neon,invoiced,2026-07,Compute,4,0.40,INV-2
neon,invoiced,2026-07,Tax,,0.20,INV-1
"""


def coming() -> Iterator[Neon]:
    """Days of a month that is not over."""
    for day, hours in {1: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 9: 10}.items():
        yield compute("p", f"2026-08-{day:02}", hours, org="coming")


def growing() -> Iterator[Neon]:
    """A settled day, and a day of which one hour is known; and one without the other."""
    yield compute("p", "2026-08-01", 1, org="growing")
    yield compute("p", "2026-08-10 05", 100, org="growing")
    yield compute("p", "2026-08-10 05", 100, org="begun")


def over() -> Iterator[Neon]:
    """A month of which all days are known, and the first days of the one before."""
    for day in range(1, 32):
        yield compute("p", f"2026-07-{day:02}", 10 if day == 31 else 1, org="over")
    for day in range(1, 9):
        yield compute("p", f"2026-06-{day:02}", 1, org="over")


def judged() -> Iterator[Neon]:
    """Tuesdays of some projects."""
    hours = {
        "varies": (10, 12, 8, 10, 11, 20),
        "steady": (10, 10, 10, 10, 10, 14),
        "gone": (10, 10, 10, 10, 10, 0),
        "new": (0, 0, 0, 10, 10, 90),
    }
    for name, values in hours.items():
        for day, used in zip(TUESDAYS, values, strict=True):
            if used:
                yield compute(name, f"2026-{day}", used, org="judged")
    for day in TUESDAYS:
        yield Neon("tiny", COMPUTE, f"2026-{day}", 600 if day == "08-04" else 60, org="judged")
    yield compute("gone", "2026-08-03", 10, org="judged")
    # a day that is known, and not whole yet, is not judged
    yield compute("gone", "2026-08-10 05", 1, org="judged")


def stored() -> Iterator[Neon]:
    """3 GB on the day of a new plan, told by the day or by the hour."""
    day, gb_hours = "2026-08-09", GB // 744 + 1
    for plan in ("launch", "scale"):
        yield Neon("p", ROOT, day, 36 * gb_hours, plan, org="daily")
    for plan, hours in (("launch", range(13)), ("scale", range(12, 24))):
        for hour in hours:
            value = 3 * gb_hours // (2 if hour == 12 else 1)
            yield Neon("p", ROOT, f"{day} {hour:02}", value, plan, org="hourly")


def open_day() -> Iterator[Neon]:
    """A GB of each of two projects, and more of one in an hour of the next day."""
    gb_hours = GB // 744 + 1
    for project in ("p", "q"):
        yield Neon(project, ROOT, "2026-08-09", 24 * gb_hours, org="open")
    yield Neon("p", ROOT, "2026-08-10 05", 9 * gb_hours, org="open")


def ended() -> Iterator[Neon]:
    """A GB of a project up to the end of July: one org goes on with another, one computes."""
    for day in ("2026-07-31", "2026-08-01"):
        for org in ("goes on", "gone"):
            yield compute("p", day, 1, org=org)
        yield Neon("p", ROOT, day, 24 * (GB // 744 + 1), org="goes on")
    for org in ("goes on", "gone"):
        yield Neon("q", "child_branch_bytes_month", "2026-07-31", 24 * (GB // 744 + 1), org=org)


def invoiced() -> Iterator[Neon]:
    """A month of which there is an invoice, and a day of one of which there is none."""
    for n in range(100):
        yield Neon(f"p{n}", COMPUTE, "2026-07-05", 360, "launch", org="invoiced")
    yield Neon("p", ROOT, "2026-07-01", 2 * GB, org="invoiced")
    yield Neon("p", TRANSFER, "2026-07-01", 2 * GB, "business", org="invoiced")
    yield compute("p", "2026-08-01", 10, org="invoiced")


def listed() -> Iterator[Names]:
    """A project that a list lacks, after one that broke off; and an organization that two accounts
    saw, of which one asked no more."""
    yield Names({"p": "Shop"}, "2026-08-01", "listed")
    yield Names({}, "2026-08-03", "listed", is_complete=False)
    yield Names({"p": "Shop"}, "2026-08-05", "listed", is_gone=True)
    yield Names({"seen": "Old"}, "2026-08-02", account="a")
    yield Names({"seen": "New"}, "2026-08-04", account="b")
    yield Names({"seen": "New"}, "2026-08-06", account="b", is_gone=True)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Exports:
    """A warehouse of all these organizations, with an invoice of one of them, built once."""
    folder = tmp_path_factory.mktemp("told")
    here = opened_at("2026-08-11T09:00", folder, worlds)
    (folder / "invoices.csv").write_text(INVOICES)
    own = {"seeds.invoices": folder / "invoices.csv", "seeds.names": folder / "names.csv"}
    own["seeds.names"].write_text("kind,id,name\nproject,gone,Twin\nproject,varies,Twin\n")
    here.settings = replace(here.settings, own_seeds=own)
    for org, read in (("read", "2026-06-30T09:00"), ("forgotten", "2026-06-08T09:00")):
        here.write(f"{org}.csv", org, Line("large_file_storage", "workspace:w", read, "7", read))
    read = "2026-08-11"
    days = [Line("rovo_credits", "org", f"2026-08-0{day}", "10", read) for day in range(1, 6)]
    cycle = Line("rovo_credits", "org", "2026-08-06/2026-09-06", "50", read)
    here.write("renewed.csv", "renewed", *days, cycle)
    assert not here.land().failures
    settled = (*over(), *judged(), *stored(), *open_day(), *ended(), *invoiced())
    roots = Roots({"daily": 3 * GB, "hourly": 3 * GB})
    land(here.settings, *coming(), *growing(), *settled, *listed(), roots)
    land(here.settings, compute("p", "2026-08", 10, org="by month"), asked_at="2026-08-11")
    usage = "neon_project_usage"
    receive(
        here.settings,
        Receipt(usage, "daily", "2026-08-10", "2026-08-08", "2026-08-09", "coming"),
        Receipt(usage, "daily", "2026-08-10T20:00", "2026-08-10", "2026-08-11", "coming"),
    )
    here.build()
    return here


def test_where_the_month_will_end(told: Exports) -> None:
    """16 hours on 8 settled days, one of them without usage, are 62 on 31; 15 on the last 7 of them
    make 16 + 23 * 15 / 7. The 2nd, which nobody asked about, and the 10th, which was asked before
    its end, are open: they count as the others do, and not as 0."""
    ((found, known, open_days, coming),) = told.read(
        "select [quantity / 3600, straight_line_quantity / 3600, last_7_days_quantity / 3600,"
        " cost, straight_line_cost, last_7_days_cost], known_day_count, open_day_count,"
        " coming_day_count from reports.forecast where org_id = 'coming'"
    )
    week = 16 + 23 * 15 / 7
    assert found == pytest.approx([16, 62, week, 16 * 0.106, 62 * 0.106, week * 0.106])
    assert (known, open_days, coming) == (8, 2, 21)


def test_a_month_never_ends_below_what_is_spent(told: Exports) -> None:
    """An hour on the one settled day makes 31, and 101 are used by now: $10.706."""
    assert told.read(
        "select quantity / 3600, straight_line_quantity / 3600, straight_line_cost,"
        " last_7_days_cost from reports.forecast where org_id = 'growing'"
    ) == [(1, 101, Decimal("10.706"), None)]


def test_a_month_of_no_settled_day_ends_where_it_is(told: Exports) -> None:
    """Of its 10 days that are over none is known, nor any of the last 7."""
    assert told.read(
        "select quantity, cost, straight_line_quantity / 3600, straight_line_cost,"
        " last_7_days_quantity, last_7_days_cost, known_day_count, open_day_count, coming_day_count"
        " from reports.forecast where org_id = 'begun'"
    ) == [(None, None, 100, Decimal("10.6"), None, None, 0, 10, 21)]


def test_a_month_that_is_told_whole_goes_on_as_up_to_its_reading(told: Exports) -> None:
    """10 hours on 10 of 31 days are 31; no day of it is known."""
    assert told.read(
        "select quantity / 3600, straight_line_quantity / 3600, last_7_days_quantity / 3600,"
        " straight_line_cost, known_day_count from reports.forecast where org_id = 'by month'"
    ) == [(10, 31, 31, Decimal("3.286"), None)]


def test_a_month_of_days_and_a_cycle_goes_on_as_one(told: Exports) -> None:
    """50 credits on 5 days and 50 on the first 5 of the cycle after them are 310 on 31."""
    assert told.read(
        "select quantity, straight_line_quantity, last_7_days_quantity, known_day_count"
        " from reports.forecast where org_id = 'renewed'"
    ) == [(100, 310, 310, None)]


ERRORS = (
    "select strftime(period_date, '%m-%d') as day, known_day_count,"
    " straight_line_error, last_7_days_error, straight_line_cost_error"
    " from reports.forecast_history where org_id = 'over'"
    " and day in ('06-08', '07-06', '07-15', '07-31') order by day"
)


def test_every_forecast_is_kept_with_its_error(told: Exports) -> None:
    """An hour a day, and ten on the last of July, are 40: whoever went on as before said 31, which
    is 0.225 too low."""
    low = pytest.approx(31 / 40 - 1)
    assert told.read(ERRORS) == [
        ("06-08", 8, None, None, None),
        ("07-06", 6, low, None, low),
        ("07-15", 15, low, low, low),
        ("07-31", 31, 0, 0, pytest.approx(0)),
    ]


@pytest.mark.slow  # by default test_runner.py has models of months that are built by window
def test_a_correction_of_a_day_corrects_the_forecasts_of_its_month(
    told: Exports, tmp_path: Path, worlds: Worlds
) -> None:
    """And of no other month."""
    here = opened_at("2026-08-11T09:00", tmp_path, worlds)
    here.settings = replace(here.settings, own_seeds=told.settings.own_seeds)
    copy_warehouse(told.folder.parent, tmp_path)
    land(here.settings, compute("p", "2026-07-31", 1, org="over"))
    report = here.build()
    assert [row[2] for row in here.read(ERRORS)][1:] == [pytest.approx(0)] * 3
    (history,) = (m for m in report.models if m.name == "reports.forecast_history")
    assert {(w.since.month, w.until.month) for w in history.windows} == {(7, 8)}


def test_a_day_that_is_out_of_line(told: Exports) -> None:
    """20 hours where Tuesdays were 8 to 12: the median is 10, the median distance from it 1, which
    makes 10 / 1.4826 spreads. What hardly varies has a tenth of its median for a spread: 14 for 10
    is 4 of them, and none at all is 10. What is tiny, or new, says nothing. Of two projects of one
    name the sentence has the id."""
    columns = "project_id, quantity / 3600, usual_quantity / 3600, usual_distance / 3600, score"
    judged = "from reports.anomalies where org_id = 'judged' order by project_id"
    assert told.read(f"select {columns} {judged}") == [
        ("gone", 0, 10, 0, -10),
        ("varies", 20, 10, 1, pytest.approx(10 / 1.4826)),
    ]
    assert told.read(f"select explanation {judged}")[1] == (
        "compute_unit_seconds of Twin (varies) was 72000.00 CU-seconds on Tuesday, 2026-08-04,"
        " where 36000.00 is the median of 5 such weekdays before",
    )


def test_what_is_stored_on_the_day_of_a_new_plan(told: Exports) -> None:
    """A GB for an hour is a 744th of a GB-month: 3 GB all day long, under two plans of which each
    tells its part of the day, or of hours of which one is cut in two."""
    assert told.read(
        "select org_id, round(quantity, 5), unit from reports.storage_now"
        " where org_id in ('daily', 'hourly') order by 1"
    ) == [("daily", 3, "GB"), ("hourly", 3, "GB")]


def test_a_day_under_two_plans_has_24_hours(told: Exports) -> None:
    """3 GB are stored in a root branch of 3 GB: a 744th of each byte in every hour."""
    assert told.read(
        "select org_id, round(bytes_per_stored_byte_hour * 744, 5), looks_like"
        " from reports.unit_calibration order by 1"
    ) == [("daily", 1, "byte-months"), ("hourly", 1, "byte-months")]


def test_what_is_listed_no_more_was_last_seen_in_a_list(told: Exports) -> None:
    """And not when a list broke off; an organization is as the last account saw it, and there as
    long as one does not say otherwise."""
    columns = "strftime(first_seen_at, '%m-%d'), strftime(last_seen_at, '%m-%d'), is_deleted"
    assert told.read(
        f"select project_name as name, {columns} from marts.dim_project where org_id = 'listed'"  # noqa: S608
        f" union all select org_name, {columns} from marts.dim_org where org_id = 'seen'"
        " order by name desc"
    ) == [("Shop", "08-01", "08-01", True), ("New", "08-02", "08-04", False)]


def test_what_is_stored_is_that_of_the_last_whole_day(told: Exports) -> None:
    """Of both projects, though a later hour of one is known."""
    assert told.read(
        "select project_id, round(quantity, 5), as_of_date from reports.storage_now"
        " where org_id = 'open' order by 1"
    ) == [("p", 1, date(2026, 8, 9)), ("q", 1, date(2026, 8, 9))]


def test_what_was_stored_up_to_the_end_of_a_month_is_stored_no_more(told: Exports) -> None:
    """The next month has no row of its meter, not even a zero, and its days are known."""
    assert told.read(
        "select project_id, meter, round(quantity, 5), as_of_date from reports.storage_now"
        " where org_id in ('goes on', 'gone')"
    ) == [("p", ROOT, 1, date(2026, 8, 1))]


def test_what_was_read_is_stored_for_62_days(told: Exports) -> None:
    """From the day on which it was read, and not from the first of its month."""
    assert told.read(
        "select org_id, quantity, unit, as_of_date from reports.storage_now"
        " where meter = 'large_file_storage'"
    ) == [("read", 7, "GB", date(2026, 6, 1))]


def test_an_invoice_is_compared_line_by_line(told: Exports) -> None:
    """10 hours of July, a tenth in each of 100 projects, are $1.06 here, and not 100 cents that
    were rounded, and $1.10 there, on two invoices; tax is there alone, storage here alone, and so
    is what was sent under a plan of which nobody knows how much is charged for. What no invoice
    is of (August, another organization) is not compared."""
    assert told.read(
        "select invoice_line, invoice_id, invoiced_quantity, estimated_quantity, invoiced_usd,"
        " estimated_usd, difference_usd, round(difference_share, 4), found_in"
        " from reports.invoice_reconciliation order by 1"
    ) == [
        ("Compute", "INV-1, INV-2", 10, 10, Decimal("1.10"), Decimal("1.06"), Decimal("-0.04"),
         -0.0364, "both"),
        ("Root storage", None, None, 2, None, Decimal("0.70"), Decimal("0.70"), None,
         "worked out alone"),
        ("Tax", "INV-1", None, None, Decimal("0.20"), None, Decimal("-0.20"), -1,
         "on the invoice alone"),
        (TRANSFER, None, None, None, None, None, 0, None, "worked out alone"),
    ]  # fmt: skip


@pytest.mark.slow
def test_an_invoice_that_cannot_be_read_is_named(tmp_path: Path, worlds: Worlds) -> None:
    """A month in words, a line without an amount, and one that was pasted twice. What is spelled in
    two ways here is one line, of $2.12, beside one amount."""
    here = opened(tmp_path, worlds, "reports.invoice_reconciliation", is_once=True)
    own = {"seeds.invoices": tmp_path / "invoices.csv", "seeds.price_overrides": tmp_path / "p.csv"}
    here.settings = replace(here.settings, own_seeds=own)
    own["seeds.price_overrides"].write_text(RENAMED)
    own["seeds.invoices"].write_text(
        INVOICES.partition("\n")[0] + "\nneon,org,2026-07-01,Compute,,2.00,I\n"
        "neon,org,July 2026,Compute,,2.00,I\nneon,org,2026-08,Compute,,,I\n"
        + "neon,org,2026-07,Tax,,0.20,I\n"
        * 2
    )
    land(here.settings, compute("p", "2026-07-09", 10), compute("p", "2026-07-10", 10))
    failed = here.build().failed_checks
    assert [(it.expression.split()[0], it.failing_rows) for it in failed] == [
        ("period_month", 1), ("invoiced_usd", 1), ("not", 1),
    ]  # fmt: skip
    assert here.read(
        "select invoice_line, invoiced_usd, estimated_usd, is_repeated"
        " from reports.invoice_reconciliation where period_month = '2026-07-01' order by 1"
    ) == [
        ("Compute", 2, Decimal("2.12"), False),
        ("Tax", Decimal("0.40"), None, True),
    ]


OWNERS = """\
priority,source,org,project,branch,site,user,valid_from_date,valid_until_date,team,customer,product,environment,split_by
1,,,p,,,,,,web,,,,
1,,,q,,,,,,data,,,,
2,,,,,,,,,shared,,,,even
"""
BUDGETS = """\
budget,source,org,project,team,customer,amount_usd,thresholds,valid_from_date,valid_until_date
all,,,,,,20,0.5; 0.8; 1.0,,2027-01-01
web,,,,WEB,,15,0.8;1,2026-08-01,
shop,neon,org,Sh?p*,,,100,,,
apps,forge,,,,,10,80%;,,
bare,forge,,,,,,,,
hundreds,forge,,,,,10,80,,
later,,,,,,1,0.8,2026-09-01,
web,,,,web,,14,0.8,,
web,,,,web,,15.5,0.8,,
"""


@pytest.mark.slow
def test_a_budget_that_is_spent_to_the_last_digit_is_passed(tmp_path: Path, worlds: Worlds) -> None:
    """2.5 hours at 22.2 cents are 55.5 cents, though of 100 and of 8,900 seconds neither is a
    decimal number."""
    here = opened(tmp_path, worlds, "reports.budgets")
    clock, own = partial(datetime, 2026, 8, 11, tzinfo=UTC), tmp_path / "own.csv"
    own.write_text(f"{BUDGETS.splitlines()[0]}\nall,,,,,,0.555,,,\n")
    own_seeds = {"seeds.monthly_budgets": own}
    here.settings = replace(here.settings, own_seeds=own_seeds, clock=clock)
    parts = (
        Neon("p", COMPUTE, "2026-08-01", 9000),
        Neon("p", COMPUTE, "2026-08-01", 8900, branch="a"),
    )
    land(here.settings, *parts)
    here.build()
    assert here.read("select passed_threshold from reports.budgets") == [(1,)]


@pytest.mark.slow
def test_a_budget_tells_which_threshold_is_passed(tmp_path: Path, worlds: Worlds) -> None:
    """Ten days of 10, 5 and 4 hours are $20.14 of $20. Web has half of what is shared, and will
    have spent 31 / 10 of its $12.72; the shop is found by its name; apps have used nothing.
    One that is spent is a failure, and so is one without an amount, and a threshold that is no
    number, or a share in hundreds."""
    here = opened_at("2026-08-11T09:00", tmp_path, worlds)
    own = {"seeds.owners": OWNERS, "seeds.monthly_budgets": BUDGETS}
    files = {seed: tmp_path / f"{seed}.csv" for seed in own}
    for seed, rows in own.items():
        files[seed].write_text(rows)
    here.settings = replace(here.settings, own_seeds=files)
    land(
        here.settings,
        Names({"p": "sh\xf6p"}),
        *(compute(project, f"2026-08-{day:02}", n) for project, n in
          (("p", 10), ("q", 5), ("s", 4)) for day in range(1, 11)),
        compute("p", "2026-07-05", 1000),
    )  # fmt: skip
    failed = here.build().failed_checks
    assert [(it.model, it.failing_rows) for it in failed] == [
        *([("reports.budgets", 1)] * 2), ("reports.budgets", 2),
    ]  # fmt: skip
    assert here.read(
        "select budget, scope, cost, round(spent_share, 3), forecast_cost, passed_threshold,"
        " forecast_threshold from reports.budgets where scope is distinct from 'team=web'"
        " order by budget"
    ) == [
        ("all", None, Decimal("20.14"), 1.007, Decimal("62.43"), 1, 1),
        *((name, "source=forge", *[None] * 5) for name in ("apps", "bare", "hundreds")),
        ("shop", "source=neon, org=org, project=Sh?p*", Decimal("10.60"), 0.106, Decimal("32.86"),
         None, None),
        ("web", "team=WEB", Decimal("12.72"), 0.848, Decimal("39.43"), 0.8, 1),
    ]  # fmt: skip
    told = (
        "select subject, what, is_failure from reports.needs_you where kind = 'budget' order by 1"
    )
    assert here.read(told) == [
        ("all", "all: 101 % of it is spent", True),
        ("web team=WEB", "web team=WEB: 85 % of it is spent", False),
        # two amounts of one budget are one cause
        ("web team=web", "web team=web: 82 % of it is spent", False),
    ]
