"""What Atlassian's GraphQL gateway answers about Forge usage, and the Arrow tables of raw.forge_*.

Shapes from types that Atlassian publishes on npm (@forge/cli-shared 9.8.0); quantities are decimal
strings and stay exact. Not here: the asking (client.py).
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa

from pipelines.decode import Record, unknown_as_json

FLAT, GROUPED = (
    "DevConsoleAppResourceUsageFlatResponse",
    "DevConsoleAppResourceUsageGroupedResponse",
)
# a coarser answer cannot be told apart by day
RESOLUTIONS = ("ONE_DAY", "ONE_HOUR")


class Group(Record):
    """What one site or environment used in a period."""

    groupBy: str  # noqa: N815  # the gateway's spelling, here and below
    groupValue: str  # noqa: N815
    tokensConsumed: Decimal  # noqa: N815
    tokenUnit: str  # noqa: N815


class Period(Record):
    """What was used in a period: as a whole, or by group."""

    period: str
    resolution: str
    tokensConsumed: Decimal | None = None  # noqa: N815
    tokenUnit: str | None = None  # noqa: N815
    groups: list[Group] | None = None


class Pagination(Record):
    """Which page this is, and how much a page holds; there is no total."""

    page: int
    pageSize: int  # noqa: N815


class Usage(Record):
    """The answer about one resource: flat or grouped, or an error inside a 200."""

    typename: str = msgspec.field(name="__typename")
    resourceUsage: list[Period] | None = None  # noqa: N815
    pagination: Pagination | None = None
    error: Any = None


class Envelope(msgspec.Struct):
    """What stands round it."""

    data: Any = None
    errors: Any = None


_TEXT = pa.string()
_USAGE = [
    ("app_id", _TEXT),
    ("resource", _TEXT),
    ("period", _TEXT),
    ("resolution", _TEXT),
    ("tokens_consumed", pa.decimal128(38, 18)),
    ("token_unit", _TEXT),
    ("bucket_start", pa.timestamp("us", "UTC")),
    ("extra", _TEXT),
]
_SITE, _ENVIRONMENT = ("site_id", _TEXT), ("environment_id", _TEXT)
TABLES: dict[str, pa.Schema] = {
    "forge_app_usage": pa.schema(_USAGE),
    "forge_site_usage": pa.schema([*_USAGE, _SITE]),
    "forge_environment_usage": pa.schema([*_USAGE, _ENVIRONMENT]),
    "forge_site_environment_usage": pa.schema([*_USAGE, _SITE, _ENVIRONMENT]),
}


def day_of(period: str) -> datetime:
    """The UTC day of a period such as 2025-09-01 or 2025-09-01T13:00:00Z; raises ValueError."""
    instant = datetime.fromisoformat(period)
    instant = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)


def usage_table(
    name: str, app_id: str, resource: str, usage: Usage, groups: dict[str, str]
) -> pa.Table:
    """The periods of a page as raw.<name>.

    `groups` has the columns of the group: the one named "" takes the page's own group values.
    """
    schema = TABLES[name]
    rows = [
        {"app_id": app_id, "resource": resource, **groups, **row}
        for row in _rows(usage.resourceUsage or [], grouped_as=_group_column(groups))
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def _group_column(groups: dict[str, str]) -> str | None:
    return next((column for column, value in groups.items() if value == ""), None)


def _rows(periods: Iterable[Period], grouped_as: str | None) -> Iterator[dict[str, Any]]:
    for period in periods:
        head = {
            "period": period.period,
            "resolution": period.resolution,
            "bucket_start": day_of(period.period),
        }
        if grouped_as is None:
            yield head | {
                "tokens_consumed": period.tokensConsumed,
                "token_unit": period.tokenUnit,
                "extra": unknown_as_json(period=period),
            }
        for group in period.groups or []:
            yield head | {
                "tokens_consumed": group.tokensConsumed,
                "token_unit": group.tokenUnit,
                "extra": unknown_as_json(period=period, group=group),
                grouped_as or "": group.groupValue,
            }
