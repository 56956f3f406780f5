"""What Atlassian's GraphQL gateway answers about Forge usage, and the Arrow tables of raw.forge_*.

Shapes from types that Atlassian publishes on npm (@forge/cli-shared 9.8.0); quantities are decimal
strings and stay exact. Not here: the asking (client.py).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import msgspec
import pyarrow as pa

from pipelines.decode import INSTANT, TEXT, Record, quantity, unknown_as_json
from pipelines.windows import floor

# a coarser answer cannot be told apart by day
Resolution: TypeAlias = Literal["ONE_DAY", "ONE_HOUR"]
# an empty one may be either, whatever was asked for
Shape: TypeAlias = Literal[
    "DevConsoleAppResourceUsageFlatResponse", "DevConsoleAppResourceUsageGroupedResponse"
]


class Group(Record):
    """What one site or environment used in a period."""

    groupBy: str  # noqa: N815  # the gateway's spelling, here and below
    groupValue: str  # noqa: N815
    tokensConsumed: Any  # noqa: N815
    tokenUnit: str  # noqa: N815


class Period(Record):
    """What was used in a period, as a whole."""

    period: str
    resolution: Resolution
    tokensConsumed: Any  # noqa: N815
    tokenUnit: str  # noqa: N815


class GroupedPeriod(Record):
    """What was used in a period, by group."""

    period: str
    resolution: Resolution
    groups: list[Group]


class Pagination(Record):
    """Which page this is, and how much a page holds; there is no total."""

    page: int
    pageSize: int  # noqa: N815


class Usage(Record):
    """The answer about one resource."""

    typename: Shape = msgspec.field(name="__typename")
    resourceUsage: list[Any]  # noqa: N815
    pagination: Pagination | None = None
    error: None = None


class FlatUsage(Usage):
    """As a whole."""

    resourceUsage: list[Period]  # noqa: N815


class GroupedUsage(Usage):
    """By group."""

    resourceUsage: list[GroupedPeriod]  # noqa: N815


class Envelope(msgspec.Struct):
    """What stands round it."""

    data: Any = None
    errors: Any = None


TOKENS = pa.decimal128(38, 18)
_USAGE = {
    **{"app_id": TEXT, "resource": TEXT, "period": TEXT, "resolution": TEXT},
    **{"tokens_consumed": TOKENS, "token_unit": TEXT},
    **{"bucket_start": INSTANT, "extra": TEXT},
}
_SITE, _ENVIRONMENT = {"site_id": TEXT}, {"environment_id": TEXT}
TABLES: dict[str, pa.Schema] = {
    "forge_app_usage": pa.schema(_USAGE),
    "forge_site_usage": pa.schema(_USAGE | _SITE),
    "forge_environment_usage": pa.schema(_USAGE | _ENVIRONMENT),
    "forge_site_environment_usage": pa.schema(_USAGE | _SITE | _ENVIRONMENT),
}


def day_of(period: str, grain: str = "daily") -> datetime:
    """The UTC day, or hour, of a period such as 2025-09-01 or 2025-09-01T13:00:00Z; raises
    ValueError."""
    instant = datetime.fromisoformat(period)
    return floor(instant if instant.tzinfo else instant.replace(tzinfo=UTC), grain)


def usage_table(
    name: str, owner: dict[str, str], usage: Usage, group: str | None, refused: dict[datetime, str]
) -> pa.Table:
    """The periods of a page as raw.<name>; `group`: the column of the groups' values, if any.

    `refused` takes the days with a quantity that cannot be, and why: nothing of these counts.
    """
    rows = []
    for row in (row for period in usage.resourceUsage for row in _rows(period, group)):
        if group and row[group] == "":  # of no site or environment: the total has it
            continue
        try:
            tokens = quantity(row["tokens_consumed"], TOKENS.scale)
            rows.append(owner | row | {"tokens_consumed": tokens})
        except ValueError as why:
            refused[row["bucket_start"]] = str(why)
    return pa.Table.from_pylist(rows, schema=TABLES[name])


def _rows(period: Period | GroupedPeriod, group_column: str | None) -> Iterator[dict[str, Any]]:
    for part in period.groups if isinstance(period, GroupedPeriod) else [period]:
        group = {"group": part} if isinstance(part, Group) else {}
        yield {
            "period": period.period,
            "resolution": period.resolution,
            "bucket_start": day_of(period.period),
            "tokens_consumed": part.tokensConsumed,
            "token_unit": part.tokenUnit,
            "extra": unknown_as_json(period=period, **group),
            **({group_column: part.groupValue} if group_column and isinstance(part, Group) else {}),
        }
