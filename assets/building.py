"""Building the models and publishing the read copy: shared by Dagster and the terminal."""

from datetime import UTC, datetime

from assets.calls import RAW_TABLES
from assets.settings import Settings
from assets.vendors import open_warehouse
from dbt_like_sql.engine import runner, warehouse
from pipelines.load import create_raw_tables


def build(
    settings: Settings, since: datetime | None = None, until: datetime | None = None
) -> runner.BuildReport:
    """Build what is due (and [since, until) besides), in one transaction, and publish it."""
    with open_warehouse(settings) as connection:
        create_raw_tables(connection, RAW_TABLES)
        report = runner.build(connection, since, until, now=datetime.now(UTC))
        warehouse.publish(connection, settings.warehouse)
    return report
