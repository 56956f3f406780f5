"""Allowances of every vendor: literal lines in, and numbers that a reader can check in the head."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.atlassian_usage.folder import Exports, Line
from tests.builds import keep_models
from tests.conftest import USAGE, World, Worlds
from tests.landed import Neon, land

COLUMNS = (
    "used_quantity, included_quantity, used_share, overage_quantity, first_day_over,"
    " settled_day_count, missing_day_count, straight_line_quantity, last_7_days_quantity,"
    " projected_overage_quantity, exhausted_on"
)
Rows = list[tuple[Any, ...]]


def day(number: int) -> str:
    """A day of November 2026."""
    return f"2026-11-{number:02}"


def rovo(period: str, quantity: str, at: str, scope: str = "org", **more: Any) -> Line:
    """Credits, of the organization and 900 of them included unless it is said otherwise."""
    return Line("rovo_credits", scope, period, quantity, at, **{"included": "900"} | more)


def minutes(scope: str, period: str, quantity: str, at: str) -> Line:
    """Pipelines minutes, of which 500 are included."""
    return Line("pipelines_build_minutes", scope, period, quantity, at, included="500")


def lines() -> dict[str, tuple[Line, ...]]:
    """The organizations that the tests below are about, a file each."""
    at = "2026-11-11T09:00"
    return {
        # ten days of 20 and 40, and the morning of the eleventh
        "by day": (
            *(rovo(day(n), "20", at) for n in range(1, 6)),
            *(rovo(day(n), "40", at) for n in range(6, 11)),
            rovo(day(11), "5", at),
        ),
        "over": tuple(rovo(day(n), "100", at) for n in range(1, 11)),
        "gap": tuple(rovo(day(n), "20", at) for n in (1, 2, 3, 5, 6, 10)),
        # of 900 at least 800, in a month that is over, and in the days before today
        "ended gap": tuple(rovo(f"2026-10-{n}", "80", "2026-11-01") for n in range(11, 21)),
        "late gap": tuple(rovo(day(n), "80", "2026-11-21") for n in range(11, 21)),
        "over by month": (rovo("2026-11", "1000", "2026-11-07T06:00"),),
        # a week of 20, and more than all of the month on the morning after it
        "burst": (
            *(rovo(day(n), "20", "2026-11-08T09:00") for n in range(1, 8)),
            rovo(day(8), "1000", "2026-11-08T09:00"),
        ),
        "first morning": (rovo(day(1), "20", "2026-11-01T09:00"),),
        # six days and six hours of thirty
        "by month": (rovo("2026-11", "250", "2026-11-07T06:00", limit="300", forecast="1234.5"),),
        # 250 in 6.25 days, as the page shows it: so far, since the reset
        "by reading": (rovo("2026-11-07T06:00", "250", "2026-11-07T06:00"),),
        "cycle": (
            *(rovo(day(n), "10", at, resets="2026-11-15") for n in range(1, 11)),
            rovo(day(16), "50", "2026-11-17", resets="2026-12-15"),
        ),
        "cycle by month": (rovo("2026-10-15/2026-11-15", "620", "2026-11-15"),),
        # the cycle and all of its days, none of which shows when it renews
        "cycle by day": (
            rovo("2026-10-15/2026-11-15", "930", "2026-11-16"),
            *(
                rovo(f"{date(2026, 10, 15) + timedelta(days=n)}", "30", "2026-11-16", included=None)
                for n in range(31)
            ),
        ),
        "users too": (
            *(rovo(day(n), "30", at) for n in range(1, 11)),
            Line("rovo_credits", "user:ann", "2026-11", "100", at),
        ),
        "apps": (
            rovo("2026-10", "100", "2026-11-01", app="Rovo"),
            rovo("2026-10", "200", "2026-11-01", app="Jira"),
        ),
        "said twice": (
            rovo("2026-10", "450", "2026-11-01"),
            rovo("2026-10", "450", "2026-11-02", app="", included="1000"),
        ),
        "gauge": (
            *(
                Line("indexed_objects", "org", f"{day(n)}T06:30", q, day(n), included="1000",
                     resets="2026-11-20")
                for n, q in ((3, "1200"), (9, "800"))
            ),
        ),
        "one by month": (
            *(minutes("workspace:a", day(n), "10", at) for n in range(1, 11)),
            minutes("workspace:b", "2026-11", "600", "2026-11-07T06:00"),
        ),
        "a day off": (
            *(rovo(day(n), "20", at, scope="user:ann") for n in (1, 2, 4)),
            *(rovo(day(n), "20", at, scope="user:bob") for n in (1, 2, 3, 4)),
        ),
        "late user": (
            rovo("2026-11", "250", "2026-11-07T06:00"),
            Line("rovo_credits", "user:ann", "2026-11", "100", "2026-11-20"),
        ),
        "site": (
            Line("rovo_credits", "site:s", "2026-10", "2500", "2026-11-01", included="2000"),
            Line("rovo_credits", "user:ann", "2026-10", "10", "2026-11-01"),
        ),
        "not shown again": (
            rovo("2026-10", "100", "2026-10-20"),
            rovo("2026-10", "120", "2026-10-22", included=None),
        ),
        "annual": tuple(rovo(day(n), "10", at, resets="2027-06-01") for n in range(1, 11)),
        "twin 1": (
            Line("rovo_dev_credits", "user:cem", "2026-10", "100", "2026-11-01", included="2000"),
        ),
        "twin 2": (
            Line("rovo_dev_credits", "user:cem", "2026-10", "300", "2026-11-01", included="350"),
        ),
        "outdone": (
            rovo("2026-10-01", "1.5", "2026-11-02"),
            Line("rovo_credits", "user:ann", "2026-10", "640", "2026-11-02"),
            Line("rovo_credits", "user:bob", "2026-10-01", "1", "2026-11-02"),
        ),
        "month end": tuple(
            rovo(f"2026-{n}", "10", "2026-04-02", resets="2026-03-31")
            for n in ("02-28", *(f"03-{m:02}" for m in range(1, 31)))
        ),
        "owners": (
            Line("rovo_dev_credits", "user:ann", "2026-10", "1500", "2026-11-01", included="2000"),
            Line("rovo_dev_credits", "user:bob", "2026-10", "2500", "2026-11-01", included="2000"),
            Line("pipelines_build_minutes", "workspace:w", "2026-10", "70", "2026-11-01",
                 included="50"),
        ),
        "planned": (
            rovo("2026-10", "320", "2026-11-01", included=None),
            Line("pipelines_build_minutes", "workspace:w", "2026-10", "70", "2026-11-01"),
        ),
        "shown": (rovo("2026-10", "320", "2026-11-01"),),
    }  # fmt: skip


PLANS = """\
source,org_id,meter,plan,user_count
atlassian_platform,planned,rovo_credits,Standard,100
atlassian_platform,planned,rovo_credits,premium,10
atlassian_platform,shown,rovo_credits,Standard,100
atlassian_platform,planned,pipelines_build_minutes,Standard,
"""


NAMES = """\
kind,id,name
user,ann,Sam
user,bob,Sam
org,owners,Sam
org,planned,Planned
"""


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Exports:
    """A warehouse in which all this was landed and built."""
    folder = tmp_path_factory.mktemp("exports")
    here = Exports.in_folder(folder, worlds.begin(folder, True, *USAGE))
    here.settings = replace(here.settings, clock=lambda: datetime(2026, 11, 22, tzinfo=UTC))
    own = {f"seeds.{name}": folder / f"{name}.csv" for name in ("plans", "names")}
    own["seeds.plans"].write_text(PLANS)
    own["seeds.names"].write_text(NAMES)
    here.settings = replace(here.settings, own_seeds=own)
    for org_id, said in lines().items():
        if org_id in ("said twice", "not shown again"):
            here.write(f"{org_id} first.csv", org_id, said[0])
            said = said[1:]
        here.write(f"{org_id}.csv", org_id, *said)
    assert not here.land().failures
    here.build()
    return here


def allowances(exports: Exports, org_id: str, columns: str = COLUMNS) -> Rows:
    """Columns of an organization's rows, by owner and period."""
    return exports.read(
        f"select {columns} from reports.allowance where org_id = ?"  # noqa: S608  # our own text
        " order by owner_type, owner_id, period_start",
        org_id,
    )


def test_days_that_are_over_are_projected_to_the_reset(exports: Exports) -> None:
    """300 in ten days are 900 in thirty, which is just enough; the last seven days are faster, and
    the morning of the eleventh is used, and no measure."""
    in_7_days = 300 + (2 * 20 + 5 * 40) / 7 * 20
    assert allowances(exports, "by day") == [
        (305, 900, pytest.approx(305 / 900), 0, None, 10, 0, 900, pytest.approx(in_7_days), 0, None)
    ]


def test_what_is_used_up_is_dated_by_its_days(exports: Exports) -> None:
    """Of 100 a day, 900 last for nine; the tenth is over."""
    assert allowances(exports, "over") == [
        (1000, 900, pytest.approx(10 / 9), 100, date(2026, 11, 10), 10, 0, 3000, 3000, 2100,
         date(2026, 11, 10))
    ]  # fmt: skip


def test_days_that_nobody_exported_are_counted(exports: Exports) -> None:
    """Four of ten: unknown, not zero; the six that are known make thirty of the same."""
    assert allowances(exports, "gap") == [
        (120, 900, pytest.approx(120 / 900), 0, None, 6, 4, 600, None, 0, None)
    ]


def test_no_day_of_exhaustion_is_told_that_nobody_knows(exports: Exports) -> None:
    """800 of 900 and unknown days: in a month that is over they may have been zero, and in this one
    ten days of 80 would be 2,400 of thirty, used up on a day that passed with 100 to spare. Of more
    than all, told by the month, the day is not known."""
    told = "used_quantity, straight_line_quantity, first_day_over, exhausted_on"
    assert allowances(exports, "ended gap", told) == [(800, 2480, None, None)]
    assert allowances(exports, "late gap", told) == [(800, 2400, None, date(2026, 11, 21))]
    assert allowances(exports, "over by month", told) == [(1000, 4800, None, None)]


def test_no_period_ends_below_what_is_used_by_now(exports: Exports) -> None:
    """140 on seven days are 600 on thirty, and 1,140 are used."""
    assert allowances(exports, "burst") == [
        (1140, 900, pytest.approx(1140 / 900), 240, date(2026, 11, 8), 7, 0, 1140, 1140, 240,
         date(2026, 11, 8)),
    ]  # fmt: skip


def test_before_a_day_is_over_nothing_is_projected(exports: Exports) -> None:
    """Unknown is not zero, neither for the quantity nor for what would be over."""
    assert allowances(exports, "first morning") == [
        (20, 900, pytest.approx(20 / 900), 0, None, 0, 0, None, None, None, None)
    ]


def test_a_month_is_projected_from_the_hour_it_was_read(exports: Exports) -> None:
    """250 in 6.25 days are 1,200 in thirty: 300 over, used up after 22.5 days; and what the page
    said itself of its cap and its forecast."""
    assert allowances(exports, "by month") == [
        (250, 900, pytest.approx(250 / 900), 0, None, 0, None, 1200, None, 300, date(2026, 11, 23))
    ]
    said = "extra_usage_limit, vendor_forecast_quantity"
    assert allowances(exports, "by month", said) == [(300, Decimal("1234.5"))]


def test_a_reading_of_a_counter_is_projected_like_a_month(exports: Exports) -> None:
    """What was used so far is no level at which it stays: a gauge is."""
    assert allowances(exports, "by reading") == [
        (250, 900, pytest.approx(250 / 900), 0, None, 0, None, 1200, None, 300, date(2026, 11, 23))
    ]


def test_days_count_from_reset_to_reset(exports: Exports) -> None:
    """Not by calendar months: ten days of the cycle that ends on the 15th, one of the next."""
    period = "cast(period_start as date), cast(resets_at as date), used_quantity"
    october, november, december = date(2026, 10, 15), date(2026, 11, 15), date(2026, 12, 15)
    assert allowances(exports, "cycle", period) == [
        (october, november, 100),
        (november, december, 50),
    ]
    straight = "straight_line_quantity, missing_day_count"
    assert allowances(exports, "cycle", straight) == [(310, 17), (1500, 1)]


def test_a_month_that_was_exported_is_its_own_period(exports: Exports) -> None:
    """A billing cycle of 31 days, read at its end."""
    period = "cast(period_start as date), cast(resets_at as date), straight_line_quantity"
    assert allowances(exports, "cycle by month", period) == [
        (date(2026, 10, 15), date(2026, 11, 15), 620)
    ]


def test_days_of_an_exported_cycle_count_against_its_allowance(exports: Exports) -> None:
    """31 days of 30 are more than the 900 that the line of the cycle shows, on the last of them."""
    columns = "period_start::date, resets_at::date, used_quantity, overage_quantity, first_day_over"
    assert allowances(exports, "cycle by day", columns) == [
        (date(2026, 10, 15), date(2026, 11, 15), 930, 30, date(2026, 11, 14))
    ]


def test_users_by_the_month_do_not_hide_the_days_of_their_organization(exports: Exports) -> None:
    """The facts are by user then, and the projections still by the day."""
    assert exports.facts("users too") == [("", "2026-11", "200"), ("ann", "2026-11", "100")]
    assert allowances(exports, "users too") == [
        (300, 900, pytest.approx(1 / 3), 0, None, 10, 0, 900, 900, 0, None)
    ]


def test_an_owner_is_told_by_its_own_lines(exports: Exports) -> None:
    """Workspace a by the day says nothing of b, of which 600 in 6.25 days are 2,880; but on a day
    of which only bob was exported, ann used nothing."""
    found = allowances(
        exports, "one by month", "owner_id, settled_day_count, straight_line_quantity"
    )
    assert found == [("a", 10, 300), ("b", 0, 2880)]
    found = allowances(exports, "a day off", "owner_id, settled_day_count, straight_line_quantity")
    assert found == [("ann", 4, 450), ("bob", 4, 600)]


def test_a_part_that_is_read_later_does_not_slow_its_whole_down(exports: Exports) -> None:
    """250 on the seventh are 1,200 at the end, whatever is known of ann on the twentieth."""
    found = allowances(exports, "late user", "used_quantity, straight_line_quantity")
    assert found == [(250, 1200)]


def test_an_allowance_is_there_whichever_split_is_the_fact(exports: Exports) -> None:
    """Users are the fact, and the site is over its own allowance all the same."""
    assert exports.facts("site") == [("ann", "2026-10", "10")]
    found = allowances(exports, "site", "owner_id, used_quantity, overage_quantity")
    assert found == [("s", 2500, 500)]


def test_an_allowance_that_is_not_shown_again_stays(exports: Exports) -> None:
    """The later export is of the usage."""
    found = allowances(exports, "not shown again", "used_quantity, included_quantity")
    assert found == [(120, 900)]


def test_a_reset_in_another_month_gives_the_day_of_the_month(exports: Exports) -> None:
    """June 2027 says that months begin on the first."""
    period = "cast(period_start as date), cast(resets_at as date), used_quantity"
    assert allowances(exports, "annual", period) == [(date(2026, 11, 1), date(2026, 12, 1), 100)]


def test_a_user_of_two_organizations_has_two_allowances(exports: Exports) -> None:
    """Atlassian's accounts are the same everywhere."""
    found = [allowances(exports, org, "used_quantity, included_quantity, owner_id")
             for org in ("twin 1", "twin 2")]  # fmt: skip
    assert found == [[(100, 2000, "cem")], [(300, 350, "cem")]]


def test_days_that_do_not_count_are_no_measure(exports: Exports) -> None:
    """One day of the organization is less than ann alone used: its total is what the users used."""
    columns = "owner_type, used_quantity, settled_day_count, straight_line_quantity"
    assert allowances(exports, "outdone", columns) == [("org", 641, 0, 641)]


def test_a_reset_on_the_last_day_of_a_month_is_on_that_of_each(exports: Exports) -> None:
    """From the 28th of February to the 31st of March are 31 days."""
    period = "cast(period_start as date), cast(resets_at as date), used_quantity"
    period += ", settled_day_count, missing_day_count"
    assert allowances(exports, "month end", period) == [
        (date(2026, 2, 28), date(2026, 3, 31), 310, 31, 0)
    ]


def test_apps_share_the_allowance_of_their_scope(exports: Exports) -> None:
    """300 of 900, though each of the two rows says 900."""
    used = "used_quantity, included_quantity"
    assert allowances(exports, "apps", used) == [(300, 900)]


def test_the_allowance_is_that_of_the_latest_export(exports: Exports) -> None:
    """Which said 1,000."""
    used = "used_quantity, included_quantity"
    assert allowances(exports, "said twice", used) == [(450, 1000)]


def test_a_gauge_is_at_its_last_reading_and_nowhere_else(exports: Exports) -> None:
    """Of a calendar month, whatever the page says of a reset: no pace, no day of exhaustion."""
    assert allowances(exports, "gauge") == [(800, 1000, 0.8, 0, None, 0, None, 800, None, 0, None)]


def test_allowances_are_of_users_and_workspaces_too(exports: Exports) -> None:
    """Rovo Dev credits are not pooled: bob is over, whatever ann has left."""
    found = allowances(exports, "owners", "owner_type, owner_id, overage_quantity")
    assert found == [("user", "ann", 0), ("user", "bob", 500), ("workspace", "w", 20)]


def test_owners_of_one_name_are_told_apart(exports: Exports) -> None:
    """Two users called Sam have their ids beside it; an organization of that name is another
    thing, and what nobody named is its id."""
    name = "owner_id, owner_name"
    assert allowances(exports, "owners", name) == [
        ("ann", "Sam (ann)"),
        ("bob", "Sam (bob)"),
        ("w", "w"),
    ]
    assert allowances(exports, "planned", name) == [("planned", "Planned"), ("w", "w")]


def test_plans_give_the_allowance_that_no_export_shows(exports: Exports) -> None:
    """100 users of Standard and 10 of Premium fill one pool; of a workspace it is that of its plan;
    and what an export shows counts before both."""
    found = [allowances(exports, org, "owner_id, included_quantity")
             for org in ("planned", "shown")]  # fmt: skip
    assert found == [[("planned", 100 * 25 + 10 * 70), ("w", 2500)], [("shown", 900)]]


@pytest.mark.slow
def test_neons_egress_is_held_against_the_allowance_of_each_project(
    landed_world: World, tmp_path: Path, worlds: Worlds
) -> None:
    """This month, by the plan of the org: what the company's projects sent, day by day. Months
    before a plan changed are under theirs, whether or not anybody lists organizations."""
    here = landed_world
    here.models = worlds.models(True, "reports.allowance")
    keep_models(here.models, tmp_path / "meterhouse.duckdb")
    meter, gb = "public_network_transfer_bytes", 10**9
    sent = (("08-05", 600, "launch"), ("09-02", 1, "launch"), ("09-05", 600, "agent"))
    land(
        here.settings,
        *(Neon("p", meter, f"2026-{at}", n * gb, plan, org="moved") for at, n, plan in sent),
    )
    here.build()
    moved = here.read(
        "select included_quantity, overage_quantity from reports.allowance"
        " where org_id = 'moved' order by period_start"
    )
    assert moved == [(500 * gb, 100 * gb), (100 * gb, 501 * gb)]
    month = here.company.now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    today = here.company.now.replace(hour=0, minute=0, second=0, microsecond=0)
    facts = here.expected()
    used: dict[str, int] = {}
    for (_, project, _, metric, _, start), quantity in facts.items():
        if metric == meter and start.astimezone(UTC) >= month:
            used[project] = used.get(project, 0) + quantity
    rows = here.read(
        """
        select owner_id, used_quantity, included_quantity, settled_day_count, missing_day_count
        from reports.allowance
        where meter = ? and owner_type = 'project' and period_start = ? and org_id <> 'moved'
        """,
        meter,
        month,
    )
    plans = {org.id: org.plan_at(here.company.now) for org in here.company.orgs.values()}
    allowed = {"launch": 500 * 10**9, "scale": 500 * 10**9, "agent": 100 * 10**9}
    expected = {
        project.id: allowed[plans[project.org_id]]
        for project in here.company.projects.values()
        if project.id in used and plans[project.org_id] in allowed
    }
    assert expected
    assert {owner: included for owner, _, included, *_ in rows} == expected
    assert all(quantity == used[owner] for owner, quantity, *_ in rows)
    days = (today - month) // timedelta(days=1)
    assert {(settled, missing) for *_, settled, missing in rows} == {(days, 0)}
