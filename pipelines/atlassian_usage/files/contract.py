"""What a platform usage file has to say: the columns of contract 1, and what people may call them.

The aliases are what an admin may call things; none of them is Atlassian's own format.
"""

import re
from dataclasses import dataclass

import pyarrow as pa

VERSION = "1"


@dataclass(frozen=True)
class Column:
    """One column of the contract; `kind` picks its reader in values.py."""

    name: str
    kind: str
    help: str
    required: bool = True
    choices: tuple[str, ...] = ()


# no comma, semicolon or quote in the help: it stands in the comment lines of the CSV template
COLUMNS = (
    Column("contract_version", "choice", "always 1", choices=(VERSION,)),
    Column("org_id", "id", "the organization's id as in admin.atlassian.com/o/ORG_ID"),
    Column("usage_type", "name", "what was used: rovo_credits or indexed_objects and so on"),
    Column("app", "text", "the app or product that used it", required=False),
    Column(
        "scope_type",
        "choice",
        "who used it: org or site or workspace or user or repository",
        choices=("org", "site", "workspace", "user", "repository"),
    ),
    Column(
        "scope_id",
        "id",
        "whose usage: an id (of an org: org_id) or for a repository workspace/repo-slug",
    ),
    Column("period_start", "instant", "first day in UTC (of a snapshot: the instant)"),
    Column("period_end", "instant", "first day AFTER the period: 2026-12-01 for November"),
    Column(
        "granularity",
        "choice",
        "day or month or snapshot (a reading: period_start and period_end are when it was read)",
        choices=("day", "month", "snapshot"),
    ),
    Column("quantity", "number", "a plain number like 1234.56"),
    Column("unit", "text", "credits or objects or minutes or GB or slots or steps"),
    Column(
        "included_quantity", "number", "the allowance of the scope in the same unit", required=False
    ),
    Column("extra_usage_limit", "number", "the cap on usage beyond it", required=False),
    Column("forecast_quantity", "number", "what the page forecasts for the period", required=False),
    Column("allowance_reset_at", "instant", "when the allowance starts anew", required=False),
    Column("is_final", "flag", "true once it cannot change any more: else false", required=False),
    Column("exported_at", "instant", "when this was read off the page in UTC"),
    Column("exported_by", "text", "who did that", required=False),
    Column(
        "source",
        "choice",
        "ui_export or manual or bitbucket_api or billing_invoice",
        choices=("ui_export", "manual", "bitbucket_api", "billing_invoice"),
    ),
)
BY_NAME = {column.name: column for column in COLUMNS}
# two lines with the same values of these say the same thing twice
KEY = ("org_id", "usage_type", "app", "scope_type", "scope_id", "granularity")

# the unit of each usage type that is known; the set of types is open, an unknown one lands as it is
UNITS = {
    "rovo_credits": "credits",
    "rovo_dev_credits": "credits",
    "indexed_objects": "objects",
    "pipelines_build_minutes": "minutes",
    "large_file_storage": "GB",
    "network_traffic": "GB",
    "packages_storage": "GB",
    "runners": "slots",
    "automation_steps": "steps",
}

HEADER_ALIASES = {
    "contract_version": "version",
    "org_id": "org, organization, organisation, organization id, organisation id",
    "usage_type": "type, meter, metric",
    "app": "apps, product, product name, app name",
    "scope_type": "scope kind, scope level",
    "scope_id": "scope",
    # no "end date" or "to": what people write there is mostly the last day, not the one after it
    "period_start": "start, start date, period begin",
    "period_end": "period end exclusive",
    "granularity": "resolution, interval",
    "quantity": "used, usage, usage quantity, current usage, amount",
    "unit": "units, unit of measure",
    "included_quantity": "included, included usage, included credits, allowance",
    "extra_usage_limit": "limit, usage limit, cap",
    "forecast_quantity": "forecast, forecasted usage, forecast usage",
    "allowance_reset_at": "resets on, resets at, reset date, allowance refresh date",
    "is_final": "final",
    "exported_at": "exported on, export date, read at",
    "exported_by": "exporter, read by",
}
USAGE_TYPE_ALIASES = {
    "rovo_credits": "rovo, rovo credit",
    "rovo_dev_credits": "rovo dev, rovo dev credit, rovodev credits, rovodev ai credit",
    "indexed_objects": "indexed object, objects indexed",
    "pipelines_build_minutes": "pipelines minutes, build minutes, bitbucket pipelines minutes,"
    "bitbucket pipelines, bitbucket pipelines build minutes, pipelines build minute",
    "large_file_storage": "lfs, git lfs, lfs storage, git large file storage",
    "network_traffic": "traffic, bitbucket network traffic",
    "packages_storage": "package storage, bitbucket packages storage, packages",
    "runners": "runner, self hosted runners",
    "automation_steps": "automation step, automation",
}
UNIT_ALIASES = {
    "credits": "credit",
    "objects": "object, indexed objects",
    "minutes": "minute, min, mins, build minutes",
    "GB": "gigabyte, gigabytes",
    "slots": "slot, build slots, runners, runner",
    "steps": "step, automation steps",
}

_ARROW = {
    "instant": pa.timestamp("us", "UTC"),
    "number": pa.decimal128(38, 9),
    "flag": pa.bool_(),
}
# of raw.platform_usage
SCHEMA = pa.schema(
    [
        *(
            pa.field(c.name, _ARROW.get(c.kind, pa.string()), metadata={"help": c.help})
            for c in COLUMNS
        ),
        pa.field("file_name", pa.string(), metadata={"help": "where it was in the folder"}),
        pa.field("file_sha256", pa.string(), metadata={"help": "the file's content"}),
        pa.field("line", pa.int32(), metadata={"help": "line or row; from 1"}),
    ]
)


def fold(text: str) -> str:
    """A name without its case, and with one underscore for spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]+", "_", text.strip().casefold()).strip("_")


def _inverted(aliases: dict[str, str]) -> dict[str, str]:
    """{folded alias: name}, and every name under itself."""
    named = {fold(name): name for name in aliases}
    return named | {fold(alias): n for n, many in aliases.items() for alias in many.split(",")}


_HEADERS = {name: name for name in BY_NAME} | _inverted(HEADER_ALIASES)
_USAGE_TYPES = _inverted(USAGE_TYPE_ALIASES)
_UNITS = _inverted(UNIT_ALIASES)


def column_called(header: str) -> str | None:
    """The contract's name for a column that an admin calls `header`."""
    return _HEADERS.get(fold(header))


def usage_type_called(text: str) -> str:
    """The contract's name for a usage type; an unknown one is only folded."""
    return _USAGE_TYPES.get(fold(text), fold(text))


def unit_called(text: str) -> str:
    """The contract's name for a unit; an unknown one stays as it is."""
    return _UNITS.get(fold(text), text)
