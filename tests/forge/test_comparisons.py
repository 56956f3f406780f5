"""What Atlassian says of the parts of a Forge app is compared with what it says of the whole."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from assets.settings import read_settings
from dbt_like_sql.engine import warehouse
from pipelines.forge.records import TABLES
from pipelines.windows import Window
from tests.builds import build
from tests.conftest import USAGE, Worlds, land_tables
from tests.forge.world import APP, CUBE, ENVIRONMENT, SITE

SCOPE = "app/KVS_READ"
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


def test_parts_that_are_missing_show_also_where_none_was_answered(
    tmp_path: Path, worlds: Worlds
) -> None:
    """A receipt of parts says that they were asked: if none was told of a day that has a total, the
    difference is that total. Days that are not settled are not compared."""
    models = worlds.begin(tmp_path, True, *USAGE)
    warehouse_file = {"WAREHOUSE": str(tmp_path / "meterhouse.duckdb")}
    settings = read_settings(warehouse_file, lambda: datetime(2026, 11, 6, tzinfo=UTC))
    window = Window("daily", DAYS[0], DAYS[-1] + timedelta(days=1))
    for table, amounts in TOLD.items():
        rows = [
            {"app_id": "app", "resource": "KVS_READ", "token_unit": "GB", "resolution": "ONE_DAY"}
            | {"period": f"{DAYS[n]:%Y-%m-%d}", "bucket_start": DAYS[n]}
            | {"tokens_consumed": Decimal(amount)}
            | ({"site_id": site} if table in (SITE, CUBE) else {})
            | ({"environment_id": environment} if table in (ENVIRONMENT, CUBE) else {})
            for n, site, environment, amount in amounts
        ]
        page = pa.Table.from_pylist(rows, TABLES[table])
        land_tables(settings, table, (SCOPE, window, page))
    build(settings, models)
    with warehouse.reader(settings.warehouse) as connection:
        found = connection.execute("""
            select comparison, day(period_start), fact_quantity, other_quantity, is_within_tolerance
            from reports.reconciliation order by all
        """).fetchall()
    assert found == [
        ("environments", 2, 5, 5, True),
        ("environments", 3, 5, 0, False),
        ("environments", 4, 4, 1, False),
        ("environments of sites", 2, 4, 4, True),
        ("environments of sites", 3, 4, 0, False),
        ("environments of sites", 4, 4, 4, True),
    ]
