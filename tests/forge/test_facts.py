"""Forge facts are what the company's apps used, to the last digit, however they were loaded."""

import random
import signal
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.windows import Window
from tests.clock import TODAY
from tests.conftest import Open, World, Worlds
from tests.forge.until_killed import load_until_killed
from tests.forge.world import (
    APP,
    CUBE,
    ENVIRONMENT,
    HELD,
    SITE,
    SMALL,
    age,
    due,
    facts,
    land,
    last_days,
    load,
)
from tests.processes import ended, start
from tests.sandbox.desk import Fault
from tests.sandbox.forge_apps import RESOURCES, UNKNOWN_UNIT, FactKey

REPORTS = ("marts.dim_site", "reports.forge_environments", "reports.unmapped_meters")
FAMILIES = {
    "compute": {"FUNCTION_COMPUTE", "SQL_COMPUTE", "CONTAINER_COMPUTE", "CONTAINER_MEMORY"},
    "storage": {"SQL_STORAGE"},
    "transfer": {"KVS_READ", "KVS_WRITE", "LOGS_WRITE"},
    "credits": {"LLM_INPUT", "LLM_OUTPUT"},
    "operations": {"SQL_REQUESTS", "OS_REQUESTS"},
}


@pytest.fixture
def here(tmp_path: Path, worlds: Worlds) -> Iterator[World]:
    """A world into whose warehouse all that is due at Forge has been loaded and built."""
    with worlds.opened(tmp_path, "forge", load, True, REPORTS, **SMALL | {"apps": 2}) as opened:
        yield opened


def test_a_cold_load_gives_the_answer_key_and_a_second_asks_nothing(here: World) -> None:
    """60 days of two apps: every fact is the company's, none besides; then no request."""
    expected = here.company.forge.expected_facts(*HELD)
    assert facts(here) == expected
    assert len(expected) > 2_000
    assert {key[1] is None for key in expected} == {True, False}
    result = due(here)
    assert (result["asked"], result["requests"], result["failures"]) == ([], 0, [])
    assert here.sandbox.forge.requests == []
    here.build()
    assert facts(here) == expected


def test_the_sum_is_the_flat_total(here: World) -> None:
    """sum(quantity) of each app and meter is what the gateway said of the app as a whole."""
    since, until = HELD
    apps = here.company.forge
    sums: Counter[tuple[str, str]] = Counter()
    for (app, _, _, meter, _), quantity in facts(here).items():
        sums[app, meter] += quantity  # type: ignore[assignment]
    days = [(since + timedelta(days=n)).date() for n in range((until - since).days)]
    for app in apps.app_ids:
        for meter in RESOURCES:
            assert sums[app, meter] == sum(apps.amount(app, meter, day) for day in days)
    sql = "select app_id, resource, sum(tokens_consumed) from raw.forge_app_usage group by all"
    said = here.raw(sql)
    assert dict(sums) == {(app, meter): quantity for app, meter, quantity in said}


def test_each_family_has_its_meters_in_atlassians_units(here: World) -> None:
    """Compute, storage, transfer, credits, operations: no meter in two of them or in none."""
    found = {
        family: here.read(
            f"select distinct meter, unit from marts.fct_{family} where source = 'forge'"  # noqa: S608
        )
        for family in FAMILIES
    }
    used = {key[3] for key in facts(here)}
    for family, meters in FAMILIES.items():
        assert {meter for meter, _ in found[family]} == meters & used
    units = {meter: unit for rows in found.values() for meter, unit in rows}
    assert units == {meter: here.company.forge.unit(meter) for meter in used}
    assert here.read("select * from reports.unmapped_meters") == []


def test_environments_sum_to_the_flat_total(here: World) -> None:
    """reports.forge_environments: each environment's own, and nothing that none accounts for."""
    since, until = HELD
    apps = here.company.forge
    expected: dict[tuple[str, str, str, datetime], Decimal] = defaultdict(Decimal)
    for n in range((until - since).days):
        day = since + timedelta(days=n)
        for app in apps.app_ids:
            for meter in RESOURCES:
                for (_, environment), steps in apps.cells(app, meter, day).items():
                    expected[app, environment, meter, day] += apps.decimal(meter, steps)
    rows = here.read(
        "select app_id, environment_id, meter, period_start, quantity"
        " from reports.forge_environments"
    )
    assert {(*key,): quantity for *key, quantity in rows} == expected
    assert len(rows) == len(expected)


def test_sites_are_named_by_the_seed_alone(here: World) -> None:
    """Cloud id and product are those in the ARI; a host name is a row of seeds/names.csv."""
    used = {key[1] for key in facts(here)} - {None}
    rows = here.read("select source, site_id, cloud_id, product, site_name from marts.dim_site")
    assert {row[1] for row in rows} == used
    for source, site, cloud_id, product, site_name in rows:
        assert (source, site_name) == ("forge", None)
        assert site == f"ari:cloud:{product}::site/{cloud_id}"
        assert product in ("jira", "confluence")


def test_what_atlassian_corrects_or_withdraws_reaches_the_facts(here: World) -> None:
    """A day of the trailing window goes up, another app's goes away: the next run has both.

    And a site that was given a name in the seed has it.
    """
    apps, day = here.company.forge, TODAY - timedelta(days=3)
    before, (first, second) = facts(here), apps.app_ids
    site = next(key[1] for key in before if key[0] == first and key[4] == day and key[1])
    environment = apps.environment_ids(first)[0]
    apps.restate(first, "FUNCTION_COMPUTE", day.date(), site, environment, Decimal("12.345678"))
    apps.withdraw(second, "KVS_READ", day.date())
    cloud_id = site.split("/")[-1]
    here.raw("insert into seeds.names values ('site', ?, 'acme.atlassian.net')", cloud_id)
    age(here)
    assert due(here)["failures"] == []
    here.build()
    after = facts(here)
    assert after == apps.expected_facts(*HELD)
    key = (first, site, None, "FUNCTION_COMPUTE", day)
    assert after[key] - before[key] == Decimal("12.345678")
    gone = before.keys() - after.keys()
    assert {(app, meter, start) for app, _, _, meter, start in gone} == {(second, "KVS_READ", day)}
    named = here.read("select distinct cloud_id from marts.dim_site where site_name is not null")
    assert named == [(cloud_id,)]


@pytest.mark.slow  # by default tests/test_any_sequence.py has a sequence
@pytest.mark.parametrize("seed", range(20))
def test_any_order_gives_the_answer_key(world: Open, seed: int) -> None:
    """35 days cut at random, asked and built in a random order: the same facts."""
    here = world(**SMALL | {"seed": seed}, facts_alone=True)
    chance, whole = random.Random(seed), last_days(35)
    cut = whole.since + timedelta(days=chance.randrange(3, 33))
    todo = [
        (table, window)
        for table in (APP, SITE)
        for window in (replace(whole, until=cut), replace(whole, since=cut))
    ]
    chance.shuffle(todo)
    for place, (table, window) in enumerate(todo):
        assert land(here, window, [table])[0].failures == []
        if place == 1 and seed % 2:
            here.build()
    here.build()
    assert facts(here) == here.company.forge.expected_facts(whole.since, whole.until)


CUBE_WINDOW = last_days(2)


def load_cube(here: World) -> None:
    """Two days by site and environment, built, of one resource in a unit that nobody knows; of a
    second app by site, and by environment, without the totals."""
    here.company.forge.unknown_unit = "KVS_READ"
    first, second = here.company.forge.app_ids
    for app, tables in ((first, [APP, SITE, ENVIRONMENT, CUBE]), (second, [SITE, ENVIRONMENT])):
        here.settings = here.settings_with(FORGE_APP_IDS=app, FORGE_SITES_BY_ENVIRONMENT="yes")
        for landing in land(here, CUBE_WINDOW, tables):
            assert landing.failures == []
    here.build()


@pytest.fixture
def cube(tmp_path: Path, worlds: Worlds) -> Iterator[World]:
    """A world of which this is loaded."""
    with worlds.opened(tmp_path, "cube", load_cube, True, REPORTS, **SMALL | {"apps": 2}) as opened:
        yield opened


@pytest.mark.slow
def test_sites_by_environment(cube: World) -> None:
    """The cube: a row for each environment of a site, and the rest of the flat total."""
    since, until = CUBE_WINDOW.since, CUBE_WINDOW.until
    first, _ = cube.company.forge.app_ids
    of_both = cube.company.forge.expected_facts(since, until, cube=True)
    expected = {key: quantity for key, quantity in of_both.items() if key[0] == first}
    assert facts(cube) == expected
    assert any(key[2] for key in expected)


@pytest.mark.slow
def test_sites_without_the_total_are_no_fact(cube: World) -> None:
    """Nobody knows what the whole is: unknown, until the total is asked for (see any order)."""
    first, second = cube.company.forge.app_ids
    for table in (SITE, ENVIRONMENT):
        landed = f"select count(*) > 0 from raw.{table} where app_id = ?"  # noqa: S608
        assert cube.raw(landed, second) == [(True,)]
    assert {key[0] for key in facts(cube)} == {first}
    shown = cube.read("select distinct app_id from reports.forge_environments")
    assert shown == [(first,)]


@pytest.mark.slow
def test_an_unknown_unit_is_in_the_fact_and_is_reported(cube: World) -> None:
    """In Atlassian's unit, converted to nothing; every other check holds."""
    report = cube.build()
    assert [check.model for check in report.failed_checks] == ["reports.unmapped_meters"]
    units = cube.read("select distinct unit from marts.fct_transfer where meter = 'KVS_READ'")
    assert units == [(UNKNOWN_UNIT,)]
    unmapped = cube.read("select source, meter, unit, what_is_unknown from reports.unmapped_meters")
    assert unmapped == [("forge", "KVS_READ", UNKNOWN_UNIT, "unit")]


@pytest.mark.slow
def test_environments_that_are_not_held_are_asked_for(world: Open) -> None:
    """Sites by environment alone: which environments there are is one request more a resource."""
    here, window = world(**SMALL), last_days(1)
    here.settings = here.settings_with(FORGE_SITES_BY_ENVIRONMENT="yes")
    (landing,) = land(here, window, [CUBE])
    assert landing.failures == []
    rows = here.raw(
        "select app_id, site_id, environment_id, resource, bucket_start, tokens_consumed"
        " from raw.forge_site_environment_usage"
    )
    expected = here.company.forge.expected_facts(window.since, window.until, cube=True)
    assert {(*key,): quantity for *key, quantity in rows} == {
        key: quantity for key, quantity in expected.items() if key[1]
    }
    asked = Counter(request.variables["resource"] for request in here.sandbox.forge.requests)
    (app,) = here.company.forge.app_ids
    used = {
        meter: {environment for _, environment in here.company.forge.cells(app, meter, TODAY)}
        for meter in RESOURCES
    }
    assert asked == {meter: 1 + len(used[meter]) for meter in RESOURCES}


@pytest.mark.slow  # by default tests/neon/test_exactness.py has such an org
def test_an_app_that_fails_is_no_fact_beside_one_that_lands(world: Open) -> None:
    """One resource of one app fails: all else is there, and the next run asks for it alone."""
    here, window = world(**SMALL | {"apps": 2}, facts_alone=True), last_days(1)
    here.sandbox.forge.faults.append(Fault("/graphql", "null_answer", skip=15))
    (landing,) = land(here, window, [APP])
    assert len(landing.failures) == 1
    assert len(landing.receipts) == 23
    failed = here.sandbox.forge.requests[15].variables
    land(here, window, [SITE])
    here.build()
    expected = here.company.forge.expected_facts(window.since, window.until)
    assert facts(here) == {
        key: quantity for key, quantity in expected.items() if key[3] != failed["resource"]
        or failed["appId"].split("/")[-1] != key[0]
    }  # fmt: skip
    here.sandbox.forge.requests.clear()
    land(here, window, [APP])
    assert [request.variables for request in here.sandbox.forge.requests] == [failed]


@pytest.mark.slow  # by default tests/neon/test_exactness.py kills loads
@pytest.mark.parametrize("point", ["before receipts", "while asking"])
def test_what_was_killed_goes_on(world: Open, point: str) -> None:
    """SIGKILL at the fifth of twelve resources: four have receipts, and eight are asked for."""
    here, window = world(**SMALL, facts_alone=True), last_days(1)
    process = start(load_until_killed, here.environment, point, window, here.clock.lent())
    assert ended(process) == -signal.SIGKILL
    assert here.raw("select count(*) from raw.loads where complete") == [(4,)]
    here.sandbox.forge.requests.clear()
    land(here, window)
    assert len(here.sandbox.forge.requests) == 8 + 12
    here.build()
    assert facts(here) == here.company.forge.expected_facts(window.since, window.until)


@pytest.mark.slow
def test_beyond_60_days_what_is_not_answered_is_unknown(world: Open) -> None:
    """An old month is held from what was answered; when it is answered no more, it stays."""
    here, until = world(**SMALL, facts_alone=True), TODAY - timedelta(days=100)
    apps, window = here.company.forge, Window("daily", until - timedelta(days=30), until)
    (app,) = apps.app_ids
    (landing,) = land(here, window, [APP])
    assert any("is unknown, not zero" in note for note in landing.notes)
    held = {receipt.scope for receipt in landing.receipts}
    assert held == {f"{app}/{resource}" for resource in RESOURCES if resource != apps.unused[app]}
    here.build()
    before, totals = facts(here), Counter[FactKey]()
    for (id, _, _, meter, day), amount in apps.expected_facts(window.since, until).items():
        totals[id, None, None, meter, day] += amount  # type: ignore[assignment]
    assert before == totals
    for n in range(30):
        apps.withdraw(app, "KVS_READ", (window.since + timedelta(days=n)).date())
    changed = next(key for key in before if key[3] == "SQL_REQUESTS")
    site, environment = next(iter(apps.cells(app, "SQL_REQUESTS", changed[4])))
    apps.restate(app, "SQL_REQUESTS", changed[4].date(), site, environment, Decimal(5))
    age(here)
    land(here, window, [APP])
    here.build()
    assert facts(here) == before | {changed: before[changed] + 5}
