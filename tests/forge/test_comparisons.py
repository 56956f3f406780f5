"""What Atlassian says of the parts of a Forge app is compared with what it says of the whole."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from assets.settings import Settings, read_settings
from pipelines.forge.records import TABLES
from pipelines.windows import Window
from tests.builds import build
from tests.conftest import Worlds, land_tables
from tests.forge.world import APP, CUBE, ENVIRONMENT, SITE
from tests.reading import rows

DAYS = [datetime(2026, 11, day, tzinfo=UTC) for day in (2, 3, 4, 5)]
# each day's amount by site and environment; a site that is not named is in the app's total alone
TOLD: dict[str, list[tuple[int, str | None, str | None, str]]] = {
    APP: [(0, None, None, "5"), (1, None, None, "5"), (2, None, None, "4"), (3, None, None, "5")],
    # of the second day no environment was answered, and of the third too little
    ENVIRONMENT: [
        (0, None, "production", "3"),
        (0, None, "staging", "2"),
        (2, None, "staging", "1"),
    ],
    SITE: [
        (0, "site", None, "4"),
        (1, "site", None, "4"),
        (2, "site", None, "4"),
    ],
    CUBE: [
        (0, "site", "production", "3"),
        (0, "site", "staging", "1"),
        (2, "site", "staging", "4"),
    ],
}


# usage that was taken back, and parts that are more than their total
ODD: dict[str, list[tuple[int, str | None, str | None, str]]] = {
    APP: [(0, None, None, "-5"), (1, None, None, "5")],
    SITE: [(0, "site", None, "-5"), (1, "site", None, "7")],
}


def page(app: str, table: str, amounts: list[tuple[int, str | None, str | None, str]]) -> pa.Table:
    """What is told of an app, as it lands."""
    rows = [
        {"app_id": app, "resource": "KVS_READ", "token_unit": "GB", "resolution": "ONE_DAY"}
        | {"period": f"{DAYS[n]:%Y-%m-%d}", "bucket_start": DAYS[n]}
        | {"tokens_consumed": Decimal(amount)}
        | ({"site_id": site} if table in (SITE, CUBE) else {})
        | ({"environment_id": environment} if table in (ENVIRONMENT, CUBE) else {})
        for n, site, environment, amount in amounts
    ]
    return pa.Table.from_pylist(rows, TABLES[table])


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Settings:
    """A warehouse in which both apps landed and were built, two days later."""
    folder = tmp_path_factory.mktemp("comparisons")
    models = worlds.begin_facts(folder, "reports.reconciliation")
    environment = {"WAREHOUSE": str(folder / "meterhouse.duckdb")}
    settings = read_settings(environment, lambda: datetime(2026, 11, 6, tzinfo=UTC))
    for table in TOLD:
        apps = {"app": (TOLD, DAYS[-1])} | ({"odd": (ODD, DAYS[1])} if table in ODD else {})
        answers = []
        for app, (told, last) in apps.items():
            window = Window("daily", DAYS[0], last + timedelta(days=1))
            answers.append((f"{app}/KVS_READ", window, page(app, table, told[table])))
        land_tables(settings, table, *answers)
    build(settings, models)
    return settings


@pytest.mark.slow
def test_parts_that_are_missing_show_also_where_none_was_answered(settings: Settings) -> None:
    """A receipt of parts says that they were asked: if none was told of a day that has a total, the
    difference is that total. Days that are not settled are not compared."""
    found = rows(
        settings.warehouse,
        "select comparison, day(period_start), fact_quantity, other_quantity, is_within_tolerance"
        " from reports.reconciliation where project_id = 'app' order by all",
    )
    assert found == [
        ("environments", 2, 5, 5, True),
        ("environments", 3, 5, 0, False),
        ("environments", 4, 4, 1, False),
        ("environments of sites", 2, 4, 4, True),
        ("environments of sites", 3, 4, 0, False),
        ("environments of sites", 4, 4, 4, True),
    ]


@pytest.mark.slow
def test_a_day_that_is_negative_in_all_groupings_is_no_part_above_its_whole(
    settings: Settings,
) -> None:
    """Atlassian may take usage back: the fact is what it says. Parts that are more than their total
    are named all the same."""
    facts = rows(
        settings.warehouse,
        "select site_id, cast(period_start as date)::varchar, quantity from marts.fct_transfer"
        " where project_id = 'odd' order by all",
    )
    named = rows(
        settings.warehouse,
        "select cast(period_start as date)::varchar from reports.reconciliation"
        " where comparison = 'parts above whole' and project_id = 'odd'",
    )
    assert facts == [
        ("site", "2026-11-02", -5),
        ("site", "2026-11-03", 7),
        (None, "2026-11-03", -2),
    ]
    assert named == [("2026-11-03",)]
