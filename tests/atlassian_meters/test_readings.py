"""What readings of the meters API come to: literal readings, literal facts; nobody is asked."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pyarrow as pa
import pytest

from assets.settings import Settings
from assets.sources import endpoint_of
from pipelines.windows import Window, floor
from tests import reading
from tests.atlassian_usage.folder import Exports, Line, facts_of
from tests.clock import NOW
from tests.conftest import USAGE, Worlds, land_tables
from tests.neon.teller import at

READINGS = endpoint_of("platform_readings")
CREDITS, OBJECTS = ("rovo_credits", "credits"), ("indexed_objects", "objects")
OCTOBER = ("2026-10-15", "2026-11-15")
AT_EIGHT = ("2026-10-15T08:00", "2026-11-15T08:00")
# organization, meter and unit, when it was read, the total, the cycle, and of which account
Reading = tuple[str, tuple[str, str], str, int | Decimal, tuple[str, str], str | None]
TOLD: list[Reading] = [
    ("org", CREDITS, "2026-10-20T16:00", 100, OCTOBER, None),
    ("org", CREDITS, "2026-10-20T16:00", 50, OCTOBER, "ann"),
    ("org", CREDITS, "2026-10-30T16:00", 130, OCTOBER, None),
    ("org", CREDITS, "2026-10-30T16:00", 60, OCTOBER, "ann"),
    ("early", CREDITS, "2026-10-20T16:00", 100, OCTOBER, None),
    ("early", CREDITS, "2026-10-30T16:00", 7, ("2026-10-28", "2026-11-28"), None),
    # it is said to have begun before the day that was said before
    ("moved", CREDITS, "2026-10-20T16:00", 100, OCTOBER, None),
    ("moved", CREDITS, "2026-10-30T16:00", 130, ("2026-10-10", "2026-11-10"), None),
    # in one cycle, and in two months, which are its cycles
    ("gauge", OBJECTS, "2026-10-20T16:00", 100, OCTOBER, None),
    ("gauge", OBJECTS, "2026-10-30T16:00", 120, OCTOBER, None),
    ("gauge", OBJECTS, "2026-11-02T16:00", 90, OCTOBER, None),
    # beside exports: ten a day
    *(("days", CREDITS, f"2026-10-{15 + n}T16:00", 10 * n + 10, OCTOBER, None) for n in range(6)),
    ("users", CREDITS, "2026-10-16T16:00", 20, OCTOBER, None),
    ("users", CREDITS, "2026-10-17T16:00", 30, OCTOBER, None),
    ("months", CREDITS, "2026-11-05T16:00", 220, OCTOBER, None),
    ("renewed", CREDITS, "2026-11-14T16:00", 300, AT_EIGHT, None),
    ("renewed", CREDITS, "2026-11-15T07:00", 310, AT_EIGHT, None),
    ("turn", CREDITS, "2026-10-16T16:00", 20, OCTOBER, None),
    ("turn", CREDITS, "2026-11-03T16:00", 60, OCTOBER, None),
    # read on after the month was exported, which was over then
    *(
        ("over", CREDITS, f"2026-{day}T16:00", used, OCTOBER, None)
        for day, used in (("10-16", 20), ("10-31", 100), ("11-03", 130), ("11-05", 150))
    ),
    # the last day of the month and the next one are told at once
    *(
        ("seam", CREDITS, f"2026-{day}T16:00", used, OCTOBER, None)
        for day, used in (("10-16", 20), ("10-30", 90), ("11-01", 130), ("11-02", 150))
    ),
    # ann was in error on the second day
    *(("late", CREDITS, f"2026-10-{15 + n}T16:00", 10 * n + 10, OCTOBER, None) for n in range(4)),
    *(
        ("late", CREDITS, f"2026-10-{day}T16:00", used, OCTOBER, "ann")
        for day, used in ((15, 8), (17, 24), (18, 30))
    ),
    ("again", CREDITS, "2026-10-15T16:00", 10, OCTOBER, None),
    ("again", CREDITS, "2026-10-16T11:00", 18, OCTOBER, None),
    ("again", CREDITS, "2026-10-16T11:00", 5, OCTOBER, "ann"),
]
# all is read again in the afternoon, when an account is in error, or a cycle has ended
AGAIN: list[Reading] = [
    ("again", CREDITS, "2026-10-16T13:00", 20, OCTOBER, None),
    ("renewed", CREDITS, "2026-11-15T16:00", 4, (AT_EIGHT[1], "2026-12-15T08:00"), None),
]
CREDITS_LINE = partial(Line, CREDITS[0])
EXPORTED = {
    # before the last reading, of days that were read
    "days": [
        CREDITS_LINE("org", f"2026-10-{day}", "11", "2026-10-19T09:00") for day in (15, 16, 17)
    ],
    # by user and day, of days that the organization's first reading tells of at once
    "users": [
        CREDITS_LINE("user:ann", f"2026-10-{day}", "4", "2026-11-20") for day in (15, 16, 17)
    ],
    # by calendar months, after the last reading: its first is of both
    "months": [CREDITS_LINE("org", f"2026-{month}", "300", "2026-11-20") for month in (10, 11)],
    # by a calendar month that was over
    "over": [CREDITS_LINE("org", "2026-10", "300", "2026-11-02")],
    "seam": [CREDITS_LINE("org", "2026-10", "300", "2026-11-02")],
    # by a calendar month into which the cycle goes on, and by user and day before it
    "turn": [
        CREDITS_LINE("org", "2026-11", "70", "2026-11-20"),
        *(CREDITS_LINE("user:ann", f"2026-10-{day}", "4", "2026-11-20") for day in (15, 16)),
    ],
}


def page(reading: Reading) -> pa.Table:
    """A reading as it lands."""
    org_id, (usage_type, unit), read_at, used, (start, end), account = reading
    row = {
        "org_id": org_id, "usage_type": usage_type, "unit": unit, "account_id": account,
        "bucket_start": floor(at(read_at), "daily"), "read_at": at(read_at), "used": Decimal(used),
        "cycle_start": at(start), "cycle_end": at(end), "is_partial": False, "meter_id": "m",
        "allowance_quantity": Decimal(1000),
    }  # fmt: skip
    return pa.Table.from_pylist([row], READINGS.schema)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Settings:
    """A warehouse in which all of it was read, day by day, and built."""
    folder = tmp_path_factory.mktemp("readings")
    models = worlds.begin(folder, True, *USAGE)
    here = Exports.in_folder(folder, models)
    found = here.settings = replace(here.settings, clock=lambda: NOW)
    for tellings in (TOLD, AGAIN):
        of_days: dict[tuple[datetime, str], list[pa.Table]] = {}
        for told in tellings:
            of_days.setdefault((floor(at(told[2]), "daily"), told[0]), []).append(page(told))
        answers = [
            (org_id, Window("daily", day, day + timedelta(days=1)), pa.concat_tables(pages))
            for (day, org_id), pages in of_days.items()
        ]
        land_tables(found, READINGS.table, *answers)
    for org_id, lines in EXPORTED.items():
        here.write(f"{org_id}.csv", org_id, *lines)
    assert not here.land().failures
    here.build()
    return found


def read(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    """Rows of the read copy."""
    return reading.rows(settings.warehouse, sql)


@pytest.mark.slow
def test_a_gauge_is_its_last_reading_of_the_month(settings: Settings) -> None:
    """What stands at an instant has no growth, and no cycle: a row for each UTC month."""
    rows = "select strftime(period_start, '%Y-%m'), granularity, quantity, unit"
    assert read(settings, f"{rows} from marts.fct_operations order by 1") == [
        ("2026-10", "monthly", 120, "objects"),
        ("2026-11", "monthly", 90, "objects"),
    ]


def test_the_last_reading_of_a_cycle_is_the_sum_of_its_facts(settings: Settings) -> None:
    """Of the organization and of each account, also where the renewal came early, or the cycle is
    said to have begun on another day than before."""
    found = read(
        settings,
        "select org_id, project_id, strftime(period_start, '%m-%d'), fact_quantity, other_quantity,"
        " is_within_tolerance from reports.reconciliation"
        " where comparison = 'last reading of a cycle' order by all",
    )
    assert found == [
        ("again", "user:ann", "10-15", 5, 5, True),
        ("again", None, "10-15", 20, 20, True),
        ("early", None, "10-15", 100, 100, True),
        ("early", None, "10-28", 7, 7, True),
        ("gauge", None, "10-01", 120, 120, True),
        ("gauge", None, "11-01", 90, 90, True),
        ("late", "user:ann", "10-15", 30, 30, True),
        ("late", None, "10-15", 40, 40, True),
        ("moved", None, "10-10", 130, 130, True),
        ("org", "user:ann", "10-15", 60, 60, True),
        ("org", None, "10-15", 130, 130, True),
        ("renewed", None, "10-15", 310, 310, True),
        ("renewed", None, "11-15", 4, 4, True),
    ]


def test_days_that_were_exported_earlier_take_none_of_the_readings_away(settings: Settings) -> None:
    """Of three days there are an export and, later, readings of six: these count, all of them."""
    assert facts_of(settings, "days") == [("", f"2026-10-{15 + n}", "10") for n in range(6)]


def test_days_of_a_user_are_parts_of_the_days_that_a_first_reading_tells_of(
    settings: Settings,
) -> None:
    """Of the organization's 20 credits of two days ann used 8, and of the third's 10 she used 4."""
    assert facts_of(settings, "users") == [
        ("", "2026-10-15/2026-10-17", "12"),
        ("", "2026-10-17", "6"),
        ("ann", "2026-10-15/2026-10-17", "8"),
        ("ann", "2026-10-17", "4"),
    ]


def test_a_first_reading_that_tells_of_two_exported_months_is_not_counted_beside_them(
    settings: Settings,
) -> None:
    """Its cycle is none that counts, as it lies across the months that were exported later."""
    assert facts_of(settings, "months") == [("", "2026-10", "300"), ("", "2026-11", "300")]


def test_a_first_reading_of_days_before_the_exported_month_stands(settings: Settings) -> None:
    """Its cycle does not count, as it goes on into that month: these days do, and ann's in them."""
    assert facts_of(settings, "turn") == [
        ("", "2026-10-15/2026-10-17", "12"),
        ("", "2026-11", "70"),
        ("ann", "2026-10-15/2026-10-17", "8"),
    ]


def test_a_cycle_that_is_still_read_takes_no_month_away(settings: Settings) -> None:
    """October was exported when it was over, and no later reading tells of its first half; what the
    cycle grew by in November is counted beside it."""
    assert facts_of(settings, "over") == [
        ("", "2026-10", "300"),
        ("", "2026-11-03", "30"),
        ("", "2026-11-05", "20"),
    ]


def test_what_is_told_at_once_of_a_month_and_after_it_is_not_counted_twice(
    settings: Settings,
) -> None:
    """The 40 of October 31 and November 1: how much of it the exported month has nobody can say."""
    assert facts_of(settings, "seam") == [("", "2026-10", "300"), ("", "2026-11-02", "20")]


def test_what_is_in_no_fact_is_named_with_its_days(settings: Settings) -> None:
    """Told at once of an exported month and of days beside it; what the months hold is not."""
    found = read(
        settings,
        "select org_id, strftime(period_start, '%m-%d'), strftime(period_end, '%m-%d'),"
        " difference, is_within_tolerance from reports.reconciliation"
        " where comparison = 'told in no fact' order by all",
    )
    assert found == [
        ("seam", "10-31", "11-02", 40, False),
        ("turn", "10-17", "11-04", 40, False),
    ]


def test_an_account_in_error_when_all_is_read_again_is_of_the_same_day(settings: Settings) -> None:
    """It was read before noon, and the organization again after noon."""
    assert facts_of(settings, "again") == [
        ("", "2026-10-15", "10"), ("", "2026-10-16", "5"), ("ann", "2026-10-16", "5"),
    ]  # fmt: skip


def test_what_a_reading_tells_of_days_before_it_is_projected_as_of_them_all(
    settings: Settings,
) -> None:
    """The organization was read every day: 30 on three that are over are 310 on 31. Of ann, who was
    not read on the second, 30 up to the hour are no more than that on four days, either."""
    ann = 30 * 31 / (3 + 16 / 24)
    found = read(
        settings,
        "select owner_id, used_quantity, straight_line_quantity, missing_day_count"
        " from reports.allowance where org_id = 'late' order by owner_id",
    )
    assert found == [("ann", 30, pytest.approx(ann), None), ("late", 40, 310, 0)]


def test_two_cycles_that_meet_on_a_day_are_both_read_on_it(settings: Settings) -> None:
    """An hour before the renewal and eight hours after it: what the first of them told stays."""
    assert facts_of(settings, "renewed") == [
        ("", "2026-10-15/2026-11-15", "310"),
        ("", "2026-11-15", "4"),
    ]


def test_a_day_below_its_accounts_is_no_failure(settings: Settings) -> None:
    """What ann used on the day on which she was in error is of the next: the organization has 6 too
    little there, and had them the day before."""
    rest = [quantity for who, _, quantity in facts_of(settings, "late") if not who]
    assert rest == ["2", "10", "-6", "4"]
    failed = "from reports.reconciliation where org_id = 'late' and not is_within_tolerance"
    assert read(settings, failed) == []
