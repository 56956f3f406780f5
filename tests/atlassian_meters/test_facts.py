"""Facts of readings are what accounts and organizations used, whenever they were read."""

import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from assets.runs import planning
from assets.runs.loading import Loader
from assets.sources import endpoint_of
from pipelines.windows import Window, floor
from tests.atlassian_meters.test_readings import CREDITS, page
from tests.atlassian_usage.folder import Line
from tests.conftest import USAGE, Open, World, Worlds, land_tables, open_world
from tests.sandbox.atlassian_meters import AtlassianMeters, MeteredOrg
from tests.sandbox.platform_exports import write_rows

READINGS = endpoint_of("platform_readings")
FIRST = datetime(2026, 9, 20, 16, tzinfo=UTC)
# organization, account, start of the cycle
Sums = dict[tuple[str, str | None, datetime], Decimal]


def orgs_of(here: World) -> list[MeteredOrg]:
    """The stand-in's organizations."""
    meters = here.sandbox.vendors["meters"]
    assert isinstance(meters, AtlassianMeters)
    return [*meters.orgs.values()]


def read(here: World, at: datetime) -> None:
    """Read every meter at an instant."""
    here.company.now = at
    with Loader(here.settings) as loader, loader.at_once():
        window = planning.everything_in_reach("platform_readings", "daily", here.settings.clock())
        assert not loader.load_window(READINGS, window).failures


def sums(here: World) -> Sums:
    """Facts by organization, account and cycle."""
    found: Sums = defaultdict(Decimal)
    cycles = {org.id: org for org in orgs_of(here)}
    rows = here.read(
        "select org_id, user_id, period_start, quantity from marts.fct_credits"
        " where source = 'atlassian_platform' and meter = 'rovo_credits'"
    )
    for org_id, user, start, quantity in rows:
        found[org_id, user, cycles[org_id].cycle_of(start.astimezone(UTC))[0]] += quantity
    return {key: quantity for key, quantity in found.items() if quantity}


def used(here: World, readings: Iterable[datetime]) -> Sums:
    """The truth at the last of these instants in each cycle."""
    found: Sums = {}
    for org in orgs_of(here):
        last = {org.cycle_of(at)[0]: at for at in sorted(readings)}
        for cycle, at in last.items():
            of_accounts = {account: org.used(account, at) for account in org.account_ids}
            found |= {(org.id, account, cycle): total for account, total in of_accounts.items()}
            found[org.id, None, cycle] = org.total(at) - sum(of_accounts.values())
    return {key: quantity for key, quantity in found.items() if quantity}


@pytest.mark.slow  # by default test_readings.py has renewals, errors and cycles that move
@pytest.mark.parametrize("seed", range(10))
def test_three_cycles_whatever_days_were_missed(world: Open, seed: int) -> None:
    """Renewals between readings, an account that leaves, one in error, a total that falls, a cycle
    that is said to have begun on another day: what was used is the last total of each cycle, by
    account, and the rest is nobody's."""
    here, chance = world(meters_accounts=5, facts_alone=True), random.Random(seed)
    org = orgs_of(here)[0]
    days = sorted(chance.sample(range(85), 7 if seed == 0 else 40))
    instants = [FIRST + timedelta(days=day, hours=chance.randrange(-15, 8)) for day in days]
    org.left[org.account_ids[0]] = instants[3] - timedelta(minutes=1)
    corrected = org.account_ids[1], org.cycle_of(instants[5])[0]
    org.corrections[corrected] = (instants[5], min(Decimal(3), org.used(corrected[0], instants[5])))
    for number, at in enumerate(instants):
        # in error now and then, but for the last reading of a cycle
        is_last = at == max(each for each in instants if org.cycle_of(each) == org.cycle_of(at))
        org.failing = set() if is_last else {chance.choice(org.account_ids[1:])}
        # a total that falls and a cycle that moves at once cannot be told from a renewal
        is_corrected = org.cycle_of(at)[0] == corrected[1]
        org.begins_later = timedelta(days=0 if is_corrected else chance.choice([0, 0, 1, 2]))
        read(here, at)
        if number == 4:
            here.build()
    here.build()
    left, at_last = org.account_ids[0], used(here, instants)
    # of its last cycle what it used after the last reading before it left is nobody's
    found, cycle = sums(here), org.cycle_of(instants[3])[0]
    for sums_of in (found, at_last):
        nobodys = sums_of.pop((org.id, None, cycle), Decimal())
        sums_of["whole", None, cycle] = nobodys + sums_of.pop((org.id, left, cycle), Decimal())
    assert found == at_last


def test_growth_is_of_the_day_and_the_first_reading_of_all_days_before(world: Open) -> None:
    """Read on three afternoons, and once just after midnight, which is of the day before. The
    allowance is what the API says: used since the renewal, with the limit and the pay-as-you-go
    setting of the organization."""
    here = world(meters_accounts=1, facts_alone=True, reports=USAGE)
    org = orgs_of(here)[1]
    instants = [
        datetime(2026, 11, 5, 16, tzinfo=UTC),
        datetime(2026, 11, 7, 16, tzinfo=UTC),
        datetime(2026, 11, 9, 0, 20, tzinfo=UTC),
    ]
    for at in instants:
        read(here, at)
    here.build()
    found = here.read(
        "select period_start, period_end, quantity from marts.fct_credits"
        " where org_id = ? and user_id = ? order by 1",
        org.id,
        org.account_ids[0],
    )
    totals = [org.used(org.account_ids[0], at) for at in instants]
    assert [(s.astimezone(UTC).day, e.astimezone(UTC).day, q) for s, e, q in found] == [
        (3, 6, totals[0]),
        (7, 8, totals[1] - totals[0]),
        (8, 9, totals[2] - totals[1]),
    ]
    org = orgs_of(here)[0]
    allowed = here.read(
        "select period_start, resets_at, used_quantity, included_quantity, extra_usage_limit,"
        " pay_as_you_go from reports.allowance where owner_id = ? and owner_type = 'org'",
        org.id,
    )
    total = org.total(instants[-1])
    assert allowed == [(*org.cycle_of(instants[-1]), total, 25_000, 40_000, "true")]
    assert here.read("from reports.export_freshness") == []


def answer(org: MeteredOrg, at: datetime) -> tuple[str, Window, pa.Table]:
    """What an organization and its accounts are told to have used at an instant, as it lands."""
    used = [(None, org.total(at)), *((each, org.used(each, at)) for each in org.account_ids)]
    cycle = [f"{end:%Y-%m-%d}" for end in org.cycle_of(at)]
    readings = [
        page((org.id, CREDITS, f"{at:%Y-%m-%dT%H:%M}", total, (cycle[0], cycle[1]), account))
        for account, total in used
    ]
    day = floor(at, "daily")
    return org.id, Window("daily", day, day + timedelta(days=1)), pa.concat_tables(readings)


@pytest.mark.slow
def test_days_that_nobody_read_share_the_growth_that_the_next_reading_tells(
    tmp_path: Path, worlds: Worlds
) -> None:
    """The fact is on the day of the later reading. What is projected, and what is usual, is of all
    days that it tells of in its month, alike."""
    models = worlds.once(tmp_path, "reports.told_days", "reports.forecast_history")
    with open_world(tmp_path, models=models, meters_accounts=1) as here:
        see_days_that_nobody_read(here)


def see_days_that_nobody_read(here: World) -> None:
    """Of an organization whose cycle renews on the 3rd."""
    org = orgs_of(here)[1]
    read_on = [datetime(2026, 10, day, 16, tzinfo=UTC) for day in (28, 29)]
    read_on += [datetime(2026, 11, day, 16, tzinfo=UTC) for day in (1, 2, 4, 5, 10, 11, 18, 19)]
    land_tables(here.settings, READINGS.table, *(answer(org, at) for at in read_on))
    here.build()
    used = {(at.month, at.day): org.total(at) for at in read_on}
    of_a_day = (used[11, 10] - used[11, 5]) / 5
    found = here.read(
        "select period_date, quantity, known_day_count from reports.forecast_history"
        " where org_id = ? and period_date >= '2026-11-01' order by 1",
        org.id,
    )
    # 30 and 31 October are of another month; of the 2nd nobody knows how it ended
    whole = used[11, 1] - used[10, 29]
    november = [(date(2026, 11, 1), whole, 1)]
    whole += used[11, 5] - used[11, 4]
    november += [(date(2026, 11, 5 + day), whole + of_a_day * day, 2 + day) for day in range(6)]
    assert found[:-8] == november
    # a seventh has no end: a day has one to nine places, of each account and of what no account
    # has, and the last day what the others leave
    whole = used[11, 11] - used[11, 4] + used[11, 1] - used[10, 29]
    growth, (_, since, until, _) = used[11, 18] - used[11, 11], read_on[-4:]
    parts = [org.used(each, until) - org.used(each, since) for each in org.account_ids]
    share = sum(round(part / 7, 9) for part in (*parts, growth - sum(parts)))
    assert found[-8:] == [
        *((date(2026, 11, 11 + n), whole + share * n, 8 + n) for n in range(7)),
        (date(2026, 11, 18), whole + growth, 15),
    ]
    told = here.read(
        "select period_date from reports.told_days where source = 'atlassian_platform'"
        " and not is_month and period_date >= '2026-11-05' order by 1"
    )
    assert [at.day for (at,) in told] == [*range(5, 20)]


def export(here: World, org: MeteredOrg, at: datetime, exported_at: datetime) -> None:
    """What an admin exports of the cycle of an instant."""
    start, end = org.cycle_of(at)
    told = end - timedelta(seconds=1)
    period, read_on = f"{start:%Y-%m-%d}/{end:%Y-%m-%d}", f"{exported_at:%Y-%m-%dT%H:%M}"
    scopes = {"org": org.total(told)}
    scopes |= {f"user:{account}": org.used(account, told) for account in org.account_ids}
    lines = [
        Line("rovo_credits", scope, period, f"{total}", read_on) for scope, total in scopes.items()
    ]
    write_rows(here.exports / "late.csv", [line.row(org.id) for line in lines], "csv")


@pytest.mark.slow
def test_a_late_export_closes_a_cycle_and_the_next_goes_on(world: Open, tmp_path: Path) -> None:
    """Exported after its end it counts, whole and by account; before it the readings do. It was
    exported once, and is not to be exported again, as readings still tell it."""
    reports, exports = ["reports.export_freshness"], tmp_path / "exports"
    here = world(meters_accounts=3, facts_alone=True, reports=reports, platform_usage_dir=exports)
    here.exports.mkdir()
    org = orgs_of(here)[0]
    instants = [datetime(2026, 10, day, 16, tzinfo=UTC) for day in (16, 20, 30)]
    instants += [datetime(2026, 11, 17, 16, tzinfo=UTC)]
    land_tables(here.settings, READINGS.table, *(answer(org, at) for at in instants))
    exported_at = instants[3] - timedelta(days=10)
    export(here, org, instants[0], exported_at)
    here.land("platform_usage", None)
    here.build()
    start, end = org.cycle_of(instants[0])
    found = sums(here)
    for account in org.account_ids:
        assert found[org.id, account, start] == org.used(account, end - timedelta(seconds=1))
        assert found[org.id, account, end] == org.used(account, instants[3])
    whole = sum(quantity for key, quantity in found.items() if key[::2] == (org.id, start))
    assert whole == org.total(end - timedelta(seconds=1))
    here.company.now = exported_at + timedelta(days=37)
    here.build()
    columns = "org_id, last_exported_at, age_days, is_stale"
    exported = here.read(f"select {columns} from reports.export_freshness")  # noqa: S608  # ours
    assert exported == [(org.id, exported_at, 37, False)]
