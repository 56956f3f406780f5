"""What Neon's answers look like, and how they become the Arrow tables of raw.neon_*.

Shapes from Neon's OpenAPI 2.7.3 and recorded answers; a field that is not documented lands in
`extra`. Not here: the calls themselves (client.py).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, TypeAlias

import msgspec
import pyarrow as pa
from msgspec.structs import asdict

from pipelines.decode import (
    INSTANT,
    NUMBER,
    TEXT,
    Instant,
    Record,
    quantity,
    schema_of,
    unknown_as_json,
)
from pipelines.windows import Window, floor, next_bucket


class Metric(Record):
    """One metric of one timeframe."""

    metric_name: str
    value: Any  # a number: one that is none refuses its bucket alone


class Bucket(Record):
    """One timeframe of one billing period; no metrics: nothing was used."""

    timeframe_start: Instant
    timeframe_end: Instant | None = None
    metrics: list[Metric] | None = None


class Period(Record, kw_only=True):
    """One billing period of the org; a plan change inside a timeframe puts it under two."""

    period_id: str
    period_plan: str | None = None
    period_start: Instant | None = None
    period_end: Instant | None = None
    consumption: list[Bucket] | None


class Usage(Record):
    """What something used; no periods, as an empty list or null: it is idle."""

    periods: list[Period] | None


class ProjectUsage(Usage):
    """What one project used."""

    project_id: str


class BranchUsage(ProjectUsage):
    """What one branch used."""

    branch_id: str


# what used something, in which billing period and timeframe
_Frame: TypeAlias = tuple[Usage, Period, Bucket]


class Organization(Record):
    """An organization."""

    org_id: str = msgspec.field(name="id")
    name: str | None = None
    handle: str | None = None
    plan: str | None = None
    created_at: Instant | None = None
    updated_at: Instant | None = None


class Project(Record, kw_only=True):
    """A live project, as listed."""

    org_id: str | None = None
    project_id: str = msgspec.field(name="id")
    name: str | None = None
    region_id: str | None = None
    pg_version: Annotated[int, msgspec.Meta(extra={"column": pa.int32()})] | None = None
    history_retention_seconds: int | None = None
    synthetic_storage_size: Any = None
    deleted_at: Instant | None = None
    created_at: Instant | None = None
    updated_at: Instant | None = None


class Branch(Record):
    """A live branch, as listed."""

    project_id: str
    branch_id: str = msgspec.field(name="id")
    parent_id: str | None = None
    name: str | None = None
    current_state: str | None = None
    logical_size: Any = None
    is_default: bool | None = msgspec.field(name="default", default=None)
    is_protected: bool | None = msgspec.field(name="protected", default=None)
    expires_at: Instant | None = None
    created_at: Instant | None = None
    updated_at: Instant | None = None


class Cursors(msgspec.Struct):
    """`cursor` everywhere but in the list of branches, which says `next`."""

    cursor: str | None = None
    next: str | None = None


# what is said of pages; the list of branches tells its order, too
PAGING = ("cursor", "next", "sort_by", "sort_order")


class Envelope(msgspec.Struct):
    """Just enough of a page to ask for the next one before this one is read."""

    pagination: Cursors | None = None


class Page(Record, kw_only=True):
    """A page of some call, with what it lists; its cursor is read through Envelope."""

    items: list[Any]
    pagination: dict[str, Any] | None = None

    @property
    def odd_fields(self) -> dict[str, Any]:
        """What it says, of itself and of pages, that is not known here."""
        paging = (self.pagination or {}).items()
        odd = {f"pagination.{name}": value for name, value in paging if name not in PAGING}
        return self.unknown_fields | odd


class ProjectUsagePage(Page):
    """GET /consumption_history/v2/projects."""

    items: list[ProjectUsage] = msgspec.field(name="projects")


class BranchUsagePage(Page):
    """GET /consumption_history/v2/branches."""

    items: list[BranchUsage] = msgspec.field(name="branches")


class AccountUsagePage(Page):
    """GET /consumption_history/account, removed on 2026-06-01."""

    items: list[Period] = msgspec.field(name="periods")


class ProjectsPage(Page):
    """GET /projects."""

    items: list[Project] = msgspec.field(name="projects")
    unavailable_project_ids: list[str] = msgspec.field(default_factory=list)
    applications: Any = None
    integrations: Any = None


class BranchesPage(Page):
    """GET /projects/{id}/branches."""

    items: list[Branch] = msgspec.field(name="branches")
    annotations: Any = None


class OrganizationsPage(Page):
    """GET /users/me/organizations, which has one page by its documentation."""

    items: list[Organization] = msgspec.field(name="organizations")


_PERIOD_COLUMNS = {
    **{"period_id": TEXT, "period_plan": TEXT, "period_start": INSTANT, "period_end": INSTANT},
    **{"timeframe_start": INSTANT, "timeframe_end": INSTANT, "metric_name": TEXT, "value": NUMBER},
    **{"extra": TEXT, "org_id": TEXT, "granularity": TEXT, "bucket_start": INSTANT},
}
TABLES: dict[str, pa.Schema] = {
    "neon_project_usage": pa.schema({"project_id": TEXT} | _PERIOD_COLUMNS),
    "neon_branch_usage": pa.schema({"project_id": TEXT, "branch_id": TEXT} | _PERIOD_COLUMNS),
    "neon_account_usage": pa.schema(_PERIOD_COLUMNS),
    "neon_organizations": schema_of(Organization),
    "neon_projects": schema_of(Project),
    "neon_branches": schema_of(Branch, org_id=TEXT),
}


def account_usage(periods: list[Period]) -> Usage:
    """The legacy answer has a column per metric: every column of a timeframe is one, and what is
    no number refuses its bucket."""
    for bucket in (bucket for period in periods for bucket in period.consumption or []):
        bucket.metrics = [
            Metric(metric_name=name, value=value if type(value) in (int, Decimal) else "NaN")
            for name, value in bucket.unknown_fields.items()
        ]
        bucket.unknown_fields = {}
    return Usage(periods=periods)


def usage_table(
    name: str, subjects: Iterable[Usage], org_id: str, window: Window, refused: dict[datetime, str]
) -> pa.Table:
    """What projects, branches or an account used as raw.<name>; values stay exact decimals.

    A row per period, timeframe and metric. What is the same for all metrics of a timeframe is a row
    once, and then taken for each: rows of Python objects for all metrics cost three times as much.
    A timeframe outside the window is a ValueError. `refused` takes the buckets with a value that
    cannot be, and why: nothing of these counts.
    """
    frames = [
        (subject, period, bucket)
        for subject in subjects
        for period in subject.periods or []
        for bucket in period.consumption or []
    ]
    if not any(bucket.metrics for _, _, bucket in frames):
        _nothing_was_used(frames)
    _leave_out_what_cannot_be(frames, window, refused)
    told = [bucket.metrics or [] for _, _, bucket in frames]
    metrics = [metric for some in told for metric in some]
    of_metrics = {
        "metric_name": [metric.metric_name for metric in metrics],
        "value": [metric.value for metric in metrics],
        "extra": list(_extras(frames)),
    }
    schema = TABLES[name]
    of_frames = pa.schema(field for field in schema if field.name not in of_metrics)
    table = pa.Table.from_pylist(list(_rows(frames, org_id, window)), schema=of_frames)
    of_metric = [number for number, some in enumerate(told) for _ in some]
    table = table.take(pa.array(of_metric, pa.int32()))
    for column, values in of_metrics.items():
        table = table.append_column(column, pa.array(values, schema.field(column).type))
    return table.select(schema.names)


def _nothing_was_used(frames: Iterable[_Frame]) -> None:
    """A ValueError where that is not what is said: there are no metrics, under this name."""
    strange = {
        name for *_, bucket in frames if bucket.metrics is None for name in bucket.unknown_fields
    }
    if strange:
        raise ValueError(f"no timeframe has metrics, but {', '.join(sorted(strange))}")


def _leave_out_what_cannot_be(
    frames: Iterable[_Frame], window: Window, refused: dict[datetime, str]
) -> None:
    for subject, _, bucket in frames:
        kept = []
        for metric in bucket.metrics or []:
            try:
                metric.value = quantity(metric.value)
                kept.append(metric)
            except ValueError as why:
                whose = getattr(subject, "branch_id", getattr(subject, "project_id", "account"))
                bucket_start = _bucket_of(bucket.timeframe_start, window)
                refused[bucket_start] = f"{metric.metric_name} {why} ({whose})"
        bucket.metrics = kept


def _rows(frames: Sequence[_Frame], org_id: str, window: Window) -> Iterator[dict[str, Any]]:
    """What is the same for all metrics of a timeframe, for each of them."""
    spans = {(bucket.timeframe_start, bucket.timeframe_end) for _, _, bucket in frames}
    buckets = {start: _bucket_of(start, window, end) for start, end in spans}
    for subject, period, bucket in frames:
        yield {
            **asdict(subject),
            **asdict(period),
            **asdict(bucket),
            "org_id": org_id,
            "granularity": window.grain,
            "bucket_start": buckets[bucket.timeframe_start],
        }


def _extras(frames: Iterable[_Frame]) -> Iterator[str | None]:
    """What was said beyond the known fields, for each metric; rarely anything."""
    for subject, period, bucket in frames:
        has_extra = any(record.unknown_fields for record in (subject, period, bucket))
        for metric in bucket.metrics or []:
            yield (
                unknown_as_json(subject=subject, period=period, timeframe=bucket, metric=metric)
                if has_extra or metric.unknown_fields
                else None
            )


def _bucket_of(instant: datetime, window: Window, end: datetime | None = None) -> datetime:
    """The bucket of a timeframe; a billing period that starts in a bucket may clip it. One that
    ends after its bucket is of another grain than was asked for."""
    try:
        bucket = floor(instant, window.grain)
    except OverflowError:
        bucket = None
    if bucket is None or not window.since <= bucket < window.until:
        raise ValueError(f"a timeframe starts at {instant}, which was not asked for")
    if end and not instant <= end <= next_bucket(bucket, window.grain):
        raise ValueError(f"a timeframe from {instant} to {end}, and {window.grain} was asked for")
    return bucket
