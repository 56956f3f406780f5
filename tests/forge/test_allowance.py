"""Free allowances by month, and what is open: literal rows in, numbers a reader can check out."""

import random
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from assets.settings import Settings, read_settings
from assets.sources import ENDPOINTS
from dbt_like_sql.engine import warehouse
from pipelines.receipts import create_raw_tables
from tests.builds import build
from tests.conftest import USAGE, Worlds

COMPUTE, READS = ("FUNCTION_COMPUTE", "GB-seconds"), ("KVS_READ", "GB")
LATER = datetime(2026, 10, 5, 13, tzinfo=UTC)
Days = dict[date, str]
Rows = list[tuple[Any, ...]]


def midnight(day: date) -> datetime:
    """The first instant of a UTC day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def month(number: int, days: range = range(1, 32)) -> list[date]:
    """Days of a month of 2026."""
    last = monthrange(2026, number)[1]
    return [date(2026, number, day) for day in days if day <= last]


def said(
    app: str, meter: tuple[str, str], asked: list[date], amounts: Days, asked_at: datetime = LATER
) -> tuple[Any, ...]:
    """What Atlassian said of an app on these days, asked at that instant."""
    return app, meter, asked, amounts, asked_at


def what_was_said() -> Iterator[tuple[Any, ...]]:
    """The rows that the tests below are about, app by app."""
    september = month(9)
    yield said("example", COMPUTE, september, dict.fromkeys(september[:25], "10000.000000"))
    yield said("example", READS, september, {september[2]: "0.1", september[8]: "0.05"})
    for number in (6, 7):
        days = month(number)
        yield said("summer", COMPUTE, days, dict.fromkeys(days[:15], "10000"))
    days = month(9, range(1, 11))
    used = dict.fromkeys(days[:9], "12000") | {days[9]: "5000"}
    yield said("open month", COMPUTE, days, used, midnight(days[9]) + timedelta(hours=15))
    first = september[0]
    yield said("unsettled", COMPUTE, [first], {first: "5"}, midnight(first) + timedelta(hours=15))
    yield said("late start", COMPUTE, september[20:], {september[20]: "500"})
    yield said("nothing free", ("LLM_INPUT", "credits"), september, {september[4]: "3"})
    yield said("furlongs", ("KVS_READ", "furlongs"), september, {september[4]: "3"})
    for day, hours in zip(september, (10, 35.999, 36), strict=False):
        yield said("open", COMPUTE, [day], {day: "7"}, midnight(day) + timedelta(hours=hours))
    for amount, hours in (("7", 30), ("9", 40)):
        at = midnight(first) + timedelta(hours=hours)
        yield said("corrected", COMPUTE, [first], {first: amount}, at)
    for seed in range(3):
        yield from at_random(seed)


def at_random(seed: int) -> Iterator[tuple[Any, ...]]:
    """Random days of July to September, asked at random instants."""
    chance = random.Random(seed)
    for number in (7, 8, 9):
        days = month(number, range(chance.randrange(1, 15), chance.randrange(16, 32)))
        asked_at = midnight(days[-1]) + timedelta(hours=chance.randrange(60))
        busy = [day for day in days if chance.random() < 0.8]
        used = {day: f"{chance.randrange(10**11) / 10**6:.6f}" for day in busy}
        yield said(f"random {seed}", COMPUTE, days, used, asked_at)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Settings:
    """Of a warehouse in which all this was landed, with its receipts, and built."""
    folder = tmp_path_factory.mktemp("allowances")
    models = worlds.begin(folder, True, *USAGE)
    found = read_settings({"WAREHOUSE": str(folder / "meterhouse.duckdb")})
    with warehouse.writer(found.warehouse) as connection:
        create_raw_tables(connection, ENDPOINTS)
        for number, answer in enumerate(what_was_said()):
            insert(connection, f"load-{number}", *answer)
    build(found, models)
    return found


def insert(
    connection: duckdb.DuckDBPyConnection,
    load_id: str,
    app: str,
    meter: tuple[str, str],
    asked: list[date],
    amounts: Days,
    asked_at: datetime,
) -> None:
    """Rows of one answer, and its receipt."""
    resource, unit = meter
    for day, amount in amounts.items():
        connection.execute(
            "insert into raw.forge_app_usage by name select ? as app_id, ? as resource,"
            " ? as period, 'ONE_DAY' as resolution, ?::decimal(38, 18) as tokens_consumed,"
            " ? as token_unit, ?::timestamptz as bucket_start, ? as load_id, ? as scope,"
            " now() as landed_at, false as is_withdrawn",
            [app, resource, f"{day}", amount, unit, midnight(day), load_id, f"{app}/{resource}"],
        )
    connection.execute(
        "insert into raw.loads by name select ? as load_id, 'forge' as source,"
        " 'forge_app_usage' as resource, 'daily' as granularity, ? as scope,"
        " ?::timestamptz as window_start, ?::timestamptz as window_end,"
        " ?::timestamptz as asked_at, ? as rows, 1 as pages, true as complete,"
        " now() as landed_at",
        [
            load_id,
            f"{app}/{resource}",
            midnight(asked[0]),
            midnight(asked[-1]) + timedelta(days=1),
            asked_at,
            len(amounts),
        ],
    )


def allowances(settings: Settings, app: str, *columns: str) -> Rows:
    """Columns of an app's rows of reports.allowance, by meter and month."""
    where = " from reports.allowance where source = 'forge' and owner_id = ?"
    where += " order by meter, period_start"
    with warehouse.reader(settings.warehouse) as connection:
        return connection.execute(f"select {', '.join(columns)}{where}", [app]).fetchall()


def compute(settings: Settings, app: str, *columns: str) -> Rows:
    """Columns of an app's rows of marts.fct_compute, by day."""
    where = " from marts.fct_compute where project_id = ? order by period_start"
    with warehouse.reader(settings.warehouse) as connection:
        return connection.execute(f"select {', '.join(columns)}{where}", [app]).fetchall()


def test_the_worked_example_of_atlassians_pricing_page(settings: Settings) -> None:
    """250,000 GB-seconds are 50,000 too many; 0.15 GB of reads 0.05, each from its own day on."""
    columns = ["meter", "used_quantity", "included_quantity", "overage_quantity", "used_share"]
    columns += ["first_day_over", "settled_day_count", "missing_day_count"]
    columns += ["straight_line_quantity", "projected_overage_quantity"]
    computed, reads = allowances(settings, "example", *columns)
    assert computed == (
        "FUNCTION_COMPUTE", 250_000, 200_000, 50_000, 1.25,
        date(2026, 9, 21), 30, 0, 250_000, 50_000,
    )  # fmt: skip
    assert reads[:8] == (
        "KVS_READ", Decimal("0.15"), Decimal("0.1"), Decimal("0.05"), pytest.approx(1.5),
        date(2026, 9, 9), 30, 0,
    )  # fmt: skip
    assert reads[8:] == (pytest.approx(0.15), pytest.approx(0.05))


def test_the_allowance_is_that_of_its_month(settings: Settings) -> None:
    """100,000 GB-seconds in June 2026, 200,000 from July on: the same usage, over and not over."""
    columns = ("month(period_start)", "included_quantity", "overage_quantity", "first_day_over")
    assert allowances(settings, "summer", *columns) == [
        (6, 100_000, 50_000, date(2026, 6, 11)),
        (7, 200_000, 0, None),
    ]


def test_an_open_month_is_projected_from_its_settled_days(settings: Settings) -> None:
    """Nine days of 12,000 make 360,000 in thirty; the tenth is still filling and is no measure."""
    columns = ["used_quantity", "first_day_over", "settled_day_count"]
    columns += ["straight_line_quantity", "projected_overage_quantity"]
    assert allowances(settings, "open month", *columns) == [(113_000, None, 9, 360_000, 160_000)]


def test_a_month_without_a_settled_day_has_no_projection(settings: Settings) -> None:
    """Unknown is not zero, neither for the quantity nor for what would be billed."""
    columns = ("settled_day_count", "straight_line_quantity", "projected_overage_quantity")
    assert allowances(settings, "unsettled", *columns) == [(0, None, None)]


def test_days_that_were_never_asked_for_are_counted(settings: Settings) -> None:
    """A month held from its 21st on: what it used is a lower bound, and twenty days say so."""
    columns = ("used_quantity", "missing_day_count", "settled_day_count", "straight_line_quantity")
    assert allowances(settings, "late start", *columns) == [(500, 20, 10, 1500)]


def test_where_nothing_is_free_the_first_use_is_over(settings: Settings) -> None:
    """Credits of language models: allowance 0, no share of it."""
    columns = ("included_quantity", "overage_quantity", "used_share", "first_day_over")
    assert allowances(settings, "nothing free", *columns) == [(0, 3, None, date(2026, 9, 5))]


def test_another_unit_has_no_allowance(settings: Settings) -> None:
    """Furlongs are not held against GB."""
    assert allowances(settings, "furlongs", "*") == []


@pytest.mark.parametrize("seed", range(3))
def test_any_month_is_as_worked_out_by_hand(settings: Settings, seed: int) -> None:
    """Random days of July to September, asked at random instants: used, first day, projection."""
    expected = []
    for _, _, days, used, asked_at in at_random(seed):
        running, first_over = Decimal(0), None
        for day in days:
            running += Decimal(used.get(day, 0))
            first_over = first_over or (day if running > 200_000 else None)
        settled = [d for d in days if midnight(d) + timedelta(hours=36) <= asked_at]
        rate = sum(Decimal(used.get(day, 0)) for day in settled) / len(settled)
        projected = float(rate * monthrange(2026, days[0].month)[1])
        over = max(running - 200_000, Decimal(0))
        row = (running, over, first_over, len(settled), days[0].day - 1)
        expected.append((*row, pytest.approx(projected), pytest.approx(max(projected - 2e5, 0))))
    columns = ["used_quantity", "overage_quantity", "first_day_over", "settled_day_count"]
    columns += ["missing_day_count", "straight_line_quantity", "projected_overage_quantity"]
    assert allowances(settings, f"random {seed}", *columns) == expected


def test_a_day_is_open_until_noon_of_the_next(settings: Settings) -> None:
    """Asked at 10:00 of the day, seconds before 12:00 UTC of the next, and then: open, open, not.

    Atlassian refreshes a day's usage until 12:00 UTC of the day after.
    """
    rows = compute(settings, "open", "day(period_start)", "is_open")
    assert rows == [(1, True), (2, True), (3, False)]


def test_a_later_word_closes_a_day(settings: Settings) -> None:
    """Asked again when it has settled: the last word, and closed."""
    assert compute(settings, "corrected", "quantity", "is_open") == [(9, False)]
