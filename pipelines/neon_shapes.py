"""What Neon's answers look like, and how they become the Arrow tables of raw.neon_*.

Shapes from Neon's OpenAPI 2.7.3 and recorded answers; a field that is not documented lands in
`extra`. Not here: the calls themselves (neon.py).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.decode import Record, unknown_as_json
from pipelines.windows import Window

PERSONAL_DATA = frozenset({"created_by", "owner", "owner_id"})
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class Metric(Record):
    """One metric of one timeframe."""

    metric_name: str
    value: Decimal


class Bucket(Record):
    """One timeframe of one billing period."""

    timeframe_start: Instant
    timeframe_end: Instant | None = None
    metrics: list[Metric] = msgspec.field(default_factory=list)


class Period(Record):
    """One billing period of the org; a plan change inside a timeframe puts it under two."""

    period_id: str
    period_plan: str | None = None
    period_start: Instant | None = None
    period_end: Instant | None = None
    consumption: list[Bucket] = msgspec.field(default_factory=list)


class ProjectUsage(Record):
    """What one project used; no periods: an idle project."""

    project_id: str
    periods: list[Period]


class BranchUsage(ProjectUsage):
    """What one branch used."""

    branch_id: str


class Organization(Record):
    """An organization."""

    id: str
    name: str | None = None
    handle: str | None = None
    plan: str | None = None
    created_at: Instant | None = None
    updated_at: Instant | None = None


class Project(Record):
    """A live project, as listed."""

    id: str
    org_id: str | None = None
    name: str | None = None
    region_id: str | None = None
    pg_version: int | None = None
    history_retention_seconds: int | None = None
    synthetic_storage_size: Decimal | None = None
    created_at: Instant | None = None
    updated_at: Instant | None = None
    deleted_at: Instant | None = None


class Branch(Record):
    """A live branch, as listed."""

    id: str
    project_id: str
    parent_id: str | None = None
    name: str | None = None
    current_state: str | None = None
    logical_size: Decimal | None = None
    default: bool | None = None
    protected: bool | None = None
    created_at: Instant | None = None
    updated_at: Instant | None = None
    expires_at: Instant | None = None


class Cursors(msgspec.Struct):
    """`cursor` everywhere but in the list of branches, which says `next`."""

    cursor: str | None = None
    next: str | None = None


class Envelope(msgspec.Struct):
    """Just enough of a page to ask for the next one before this one is read."""

    pagination: Cursors | None = None


class Page(Record, kw_only=True):
    """A page of some call; its cursor is read through Envelope."""

    pagination: dict[str, Any] | None = None

    def items(self) -> Sequence[Any]:
        """What the page lists."""
        raise NotImplementedError


class ProjectUsagePage(Page):
    """GET /consumption_history/v2/projects."""

    projects: list[ProjectUsage]

    def items(self) -> Sequence[Any]:  # noqa: D102
        return self.projects


class BranchUsagePage(Page):
    """GET /consumption_history/v2/branches."""

    branches: list[BranchUsage]

    def items(self) -> Sequence[Any]:  # noqa: D102
        return self.branches


class AccountUsagePage(Page):
    """GET /consumption_history/account, removed on 2026-06-01."""

    periods: list[Period]

    def items(self) -> Sequence[Any]:  # noqa: D102
        return self.periods


class ProjectsPage(Page):
    """GET /projects."""

    projects: list[Project]
    unavailable_project_ids: list[str] = msgspec.field(default_factory=list)

    def items(self) -> Sequence[Any]:  # noqa: D102
        return self.projects


class BranchesPage(Page):
    """GET /projects/{id}/branches."""

    branches: list[Branch]

    def items(self) -> Sequence[Any]:  # noqa: D102
        return self.branches


class OrganizationsPage(Page):
    """GET /users/me/organizations."""

    organizations: list[Organization]


_TEXT, _INSTANT, _NUMBER = pa.string(), pa.timestamp("us", "UTC"), pa.decimal128(38, 9)
_PERIOD_COLUMNS = [
    ("period_id", _TEXT),
    ("period_plan", _TEXT),
    ("period_start", _INSTANT),
    ("period_end", _INSTANT),
    ("timeframe_start", _INSTANT),
    ("timeframe_end", _INSTANT),
    ("metric_name", _TEXT),
    ("value", _NUMBER),
    ("extra", _TEXT),
    ("org_id", _TEXT),
    ("granularity", _TEXT),
    ("bucket_start", _INSTANT),
]
_NAMES = [("created_at", _INSTANT), ("updated_at", _INSTANT), ("extra", _TEXT)]
TABLES: dict[str, pa.Schema] = {
    "neon_project_usage": pa.schema([("project_id", _TEXT), *_PERIOD_COLUMNS]),
    "neon_branch_usage": pa.schema([("project_id", _TEXT), ("branch_id", _TEXT), *_PERIOD_COLUMNS]),
    "neon_account_usage": pa.schema(_PERIOD_COLUMNS),
    "neon_organizations": pa.schema(
        [("org_id", _TEXT), ("name", _TEXT), ("handle", _TEXT), ("plan", _TEXT), *_NAMES]
    ),
    "neon_projects": pa.schema(
        [
            ("org_id", _TEXT),
            ("project_id", _TEXT),
            ("name", _TEXT),
            ("region_id", _TEXT),
            ("pg_version", pa.int32()),
            ("history_retention_seconds", pa.int64()),
            ("synthetic_storage_size", _NUMBER),
            ("deleted_at", _INSTANT),
            *_NAMES,
        ]
    ),
    "neon_branches": pa.schema(
        [
            ("org_id", _TEXT),
            ("project_id", _TEXT),
            ("branch_id", _TEXT),
            ("parent_id", _TEXT),
            ("name", _TEXT),
            ("current_state", _TEXT),
            ("logical_size", _NUMBER),
            ("is_default", pa.bool_()),
            ("is_protected", pa.bool_()),
            ("expires_at", _INSTANT),
            *_NAMES,
        ]
    ),
}


def usage_rows(subject: Record, periods: Iterable[Period]) -> Iterator[tuple[Any, ...]]:
    """One row per period, timeframe and metric, in the order of the period columns."""
    for period in periods:
        head = (period.period_id, period.period_plan, period.period_start, period.period_end)
        for bucket in period.consumption:
            frame = (bucket.timeframe_start, bucket.timeframe_end)
            for metric in bucket.metrics:
                extra = unknown_as_json(
                    subject=subject, period=period, timeframe=bucket, metric=metric
                )
                yield (*head, *frame, metric.metric_name, metric.value, extra)


def legacy_rows(periods: Iterable[Period]) -> Iterator[tuple[Any, ...]]:
    """The legacy answer has a column per metric: every numeric column of a timeframe is one."""
    for period in periods:
        for bucket in period.consumption:
            bucket.metrics = [
                Metric(metric_name=name, value=Decimal(value))
                for name, value in bucket.unknown_fields.items()
                if isinstance(value, int | Decimal) and not isinstance(value, bool)
            ]
            bucket.unknown_fields = {}
        yield from usage_rows(period, [period])


def usage_table(
    name: str, rows: Iterable[tuple[Any, ...]], org_id: str, window: Window
) -> pa.Table:
    """Rows of `usage_rows` (after their ids) as raw.<name>; values stay exact decimals."""
    schema = TABLES[name]
    listed = schema.names[:-3]
    columns = list(zip(*rows, strict=True)) or [()] * len(listed)
    table = pa.table(
        {
            name: pa.array(column, schema.field(name).type)
            for name, column in zip(listed, columns, strict=True)
        }
    )
    # timeframes are aligned in every recorded answer, but a period that starts in one may clip it
    start = pc.floor_temporal(table["timeframe_start"], unit=window.bucket_unit)
    table = table.append_column("org_id", pa.repeat(org_id, len(table)))
    table = table.append_column("granularity", pa.repeat(window.grain, len(table)))
    return table.append_column("bucket_start", start).cast(schema)


def named_table(
    name: str, records: Sequence[Record], renamed: dict[str, str], org_id: str | None = None
) -> pa.Table:
    """Records as raw.<name>, personal data left out."""
    schema = TABLES[name]
    rows = []
    for record in records:
        for field in PERSONAL_DATA & record.unknown_fields.keys():
            del record.unknown_fields[field]
        fields = {renamed.get(k, k): v for k, v in msgspec.structs.asdict(record).items()}
        row = (
            fields
            | {"extra": unknown_as_json(item=record)}
            | ({"org_id": org_id} if org_id else {})
        )
        rows.append([row.get(column) for column in schema.names])
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table(
        [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)],
        schema=schema,
    )
