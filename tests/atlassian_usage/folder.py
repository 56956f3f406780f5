"""A folder of exports of literal lines, and a warehouse of its own: no vendor has to answer."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from assets.runs.loading import Loader
from assets.settings import Settings, read_settings
from assets.sources import endpoint_of
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.models import PACKAGE_FOLDER
from dbt_like_sql.engine.runner import BuildReport
from pipelines.source import LoadResult
from tests import builds, reading
from tests.sandbox.atlassian_usage import UNITS
from tests.sandbox.platform_exports import Row, write_rows

FACTS = """
    select org_id, meter, concat_ws(' ', site_id, project_id, user_id) as who,
        period_start, period_end, quantity, unit, granularity
    from (
        from marts.fct_compute union all from marts.fct_storage union all from marts.fct_credits
        union all from marts.fct_transfer union all from marts.fct_operations
    )
    where source = 'atlassian_platform'
"""
# who ('' where nobody is named), period, quantity
Fact = tuple[str, str, str]


@dataclass(frozen=True)
class Line:
    """A line of an export: '2026-01-05' is a day, '2026-01' a month, '.../...' a cycle."""

    usage_type: str
    scope: str
    period: str
    quantity: str
    at: str
    app: str | None = None
    is_final: bool = False
    included: str | None = None
    limit: str | None = None
    forecast: str | None = None
    resets: str | None = None

    def row(self, org_id: str) -> Row:
        """The line as the contract has it; `scope` is org, or a type and an id: user:ann."""
        granularity, since, until = _period(self.period)
        scope_type, _, scope_id = self.scope.partition(":")
        return {
            "contract_version": 1,
            "org_id": org_id,
            "usage_type": self.usage_type,
            "app": self.app,
            "scope_type": scope_type,
            "scope_id": scope_id or org_id,
            "period_start": since,
            "period_end": until,
            "granularity": granularity,
            "quantity": Decimal(self.quantity),
            "unit": UNITS[self.usage_type],
            "included_quantity": self.included,
            "extra_usage_limit": self.limit,
            "forecast_quantity": self.forecast,
            "allowance_reset_at": self.resets,
            "is_final": self.is_final,
            "exported_at": self.at,
            "source": "manual",
        }


@dataclass
class Exports:
    """A folder of exports, and what comes of it."""

    folder: Path
    settings: Settings
    models: Path = PACKAGE_FOLDER

    @classmethod
    def in_folder(cls, folder: Path, models: Path = PACKAGE_FOLDER) -> "Exports":
        """An empty folder of exports below `folder`, and a warehouse beside it."""
        exports = folder / "exports"
        exports.mkdir()
        environment = {
            "WAREHOUSE": str(folder / "meterhouse.duckdb"),
            "XDG_STATE_HOME": str(folder / "state"),
            "PLATFORM_USAGE_DIR": str(exports),
        }
        return cls(exports, read_settings(environment), models)

    def write(self, name: str, org_id: str, *lines: Line) -> Path:
        """An export of these lines; the ending of its name is its format."""
        rows = [line.row(org_id) for line in lines]
        fmt: Any = name.rpartition(".")[2]
        return write_rows(self.folder / name, rows, fmt)

    def land(self) -> LoadResult:
        """Load what is new in the folder, in one opening of the warehouse."""
        with Loader(self.settings) as loader, loader.at_once():
            return loader.load_names(endpoint_of("platform_usage"))

    def build(self) -> BuildReport:
        """Build what is due, and publish it."""
        return builds.build(self.settings, self.models)

    def read(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of the read copy."""
        return read(self.settings, sql, *parameters)

    def raw(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of the warehouse itself."""
        with warehouse.writer(self.settings.warehouse) as connection:
            return connection.execute(sql, list(parameters)).fetchall()

    def facts(self, org_id: str) -> list[Fact]:
        """The facts of an organization."""
        return facts_of(self.settings, org_id)


def read(settings: Settings, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Rows of the read copy."""
    return reading.rows(settings.warehouse, sql, *parameters)


def facts_of(settings: Settings, org_id: str) -> list[Fact]:
    """The facts of an organization, written as the lines of exports are."""
    found = read(settings, f"from ({FACTS}) where org_id = ?", org_id)
    return sorted(
        (
            who,
            _shown(since.astimezone(UTC), until.astimezone(UTC)),
            f"{quantity:f}".rstrip("0").rstrip("."),
        )
        for _, _, who, since, until, quantity, *_ in found
    )


def _period(text: str) -> tuple[str, str, str]:
    """Granularity, first instant, first instant after it."""
    if "/" in text:
        since, _, until = text.partition("/")
        return "month", since, until
    if len(text) == len("2026-01"):
        start = datetime.fromisoformat(f"{text}-01")
        return "month", f"{text}-01", f"{start + timedelta(days=31):%Y-%m}-01"
    if "T" in text:
        return "snapshot", text, text
    return "day", text, f"{datetime.fromisoformat(text) + timedelta(days=1):%Y-%m-%d}"


def _shown(since: datetime, until: datetime) -> str:
    if until - since == timedelta(days=1):
        return f"{since:%Y-%m-%d}"
    if (since.day, until) == (1, (since + timedelta(days=31)).replace(day=1)):
        return f"{since:%Y-%m}"
    return f"{since:%Y-%m-%d}/{until:%Y-%m-%d}"
