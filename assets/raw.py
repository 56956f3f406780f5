"""Raw assets: one per vendor call and granularity, partitioned as the vendor is asked.

Not here: how to ask (pipelines/) and what can be asked (calls.py).
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import dagster as dg
import pyarrow as pa

from assets import asking_forge, asking_platform_usage, partitions
from assets.calls import CALLS, call_of, is_wanted, land, landed_buckets, missing_settings
from assets.due import is_retired
from assets.settings import read_settings
from assets.vendors import SNAPSHOT, Call, Vendors
from assets.vendors import open_warehouse as open_for_writing
from pipelines import load
from pipelines.http import VendorError
from pipelines.load import Landing, Piece
from pipelines.windows import Window, next_bucket

OWNERS = ["team:usage-data"]
# a line per asset and process on everybody's terminal; the version of dagster is pinned
warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)

PARTITIONS = {
    "hourly": dg.HourlyPartitionsDefinition("2026-06-01-00:00", end_offset=1),
    "daily": dg.DailyPartitionsDefinition("2026-01-01", end_offset=1),
    "monthly": dg.MonthlyPartitionsDefinition("2025-01-01", end_offset=1),
}
# exports are made by people: every month, and a few days' grace
FILES_STALE_AFTER = timedelta(days=35)
STALE_AFTER = {
    "hourly": timedelta(hours=3),
    "daily": timedelta(hours=36),
    "monthly": timedelta(days=35),
    SNAPSHOT: timedelta(hours=36),
}


@dg.resource(
    description="Clients of the vendors whose settings are there, shared by a run's assets."
)
def vendors_resource(_: dg.InitResourceContext) -> Iterator[Vendors]:
    """Vendors for the length of a run; settings are read when it starts."""
    with Vendors(read_settings()) as vendors:
        yield vendors


def raw_key(table: str, granularity: str) -> dg.AssetKey:
    """raw/<table> for snapshots, raw/<table>_<granularity> for partitioned calls."""
    return dg.AssetKey(["raw", table if granularity == SNAPSHOT else f"{table}_{granularity}"])


def _needed(call: Call, granularity: str) -> dg.AssetKey:
    """A call's asset at this granularity, or that of its names."""
    return raw_key(call.table, granularity if granularity in call.granularities else SNAPSHOT)


def _column_schema(schema: pa.Schema) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                field.name,
                str(field.type),
                (field.metadata or {}).get(b"help", b"").decode() or None,
            )
            for field in schema
        ]
    )


def raw_asset(call: Call, granularity: str) -> dg.AssetsDefinition:
    """The asset of one call at one granularity."""
    partitioned = granularity != SNAPSHOT

    @dg.asset(
        key=raw_key(call.table, granularity),
        description=f"{call.description}\n\n`{call.request}`, appended to `raw.{call.table}`.",
        group_name=call.source,
        owners=OWNERS,
        kinds={"dlt", "duckdb"},
        tags={"grain": granularity},
        deps=[_needed(call_of(table), granularity) for table in call.needs],
        partitions_def=PARTITIONS[granularity] if partitioned else None,
        # what is out of the vendor's reach is not asked for, so no run is longer than one walk
        backfill_policy=dg.BackfillPolicy.single_run() if partitioned else None,
        freshness_policy=_freshness(call, granularity),
        output_required=False,
        metadata={
            "dagster/table_name": f"raw.{call.table}",
            "dagster/column_schema": _column_schema(call.schema),
            "vendor call": call.request,
        },
    )
    def asset(
        context: dg.AssetExecutionContext, vendors: dg.ResourceParam[Vendors]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        missing = missing_settings(vendors.settings, call)
        if missing:
            context.log.warning(f"{call.source} is skipped: {missing}")
        elif not is_wanted(vendors.settings, call):
            context.log.info("The settings do not ask for this one.")
        elif partitioned:
            yield from _land_partitions(context, vendors, call, granularity)
        else:
            landing, requests = _land(context, vendors, call, None)
            if landing.receipts:
                yield dg.MaterializeResult(metadata=_metadata(vendors, landing, requests))

    return asset


def _freshness(call: Call, granularity: str) -> dg.FreshnessPolicy | None:
    """When the asset is stale; never, where nothing but a backfill fills it."""
    if granularity in call.only_backfilled:
        return None
    if call == asking_platform_usage.FILES:
        # of which usage type an export is late, reports.export_freshness says
        return dg.FreshnessPolicy.time_window(
            fail_window=2 * FILES_STALE_AFTER, warn_window=FILES_STALE_AFTER
        )
    return dg.FreshnessPolicy.time_window(fail_window=STALE_AFTER[granularity])


def _land(
    context: dg.AssetExecutionContext, vendors: Vendors, call: Call, window: Window | None
) -> tuple[Landing, int]:
    """Land one window; a scope that failed fails the asset after the others have landed."""
    before = vendors.requests_sent
    try:
        landing = land(vendors, call, window, shown=partial(_said_to, context, vendors, call))
    except VendorError as error:  # nothing can be asked: the organizations could not be listed
        raise dg.Failure(str(error)) from None
    for note in landing.notes:
        context.log.warning(note)
    if landing.failures:
        landed = ", ".join(_scopes(landing)) or "none"
        reasons = "\n".join(dict.fromkeys(str(failure) for failure in landing.failures))
        raise dg.Failure(f"{reasons}\nScopes that landed in this run: {landed}.")
    return landing, vendors.requests_sent - before


def _said_to(
    context: dg.AssetExecutionContext, vendors: Vendors, call: Call, count: int
) -> Callable[[Piece], None]:
    if call in asking_forge.CALLS:
        context.log.info(asking_forge.forecast(vendors.settings, count))
    return lambda piece: context.log.debug(f"asked: {piece.scope}, {piece.window}")


def _land_partitions(
    context: dg.AssetExecutionContext, vendors: Vendors, call: Call, granularity: str
) -> Iterator[dg.MaterializeResult[Any]]:
    """One walk for all partitions of the run; those out of reach are said so, and stay empty."""
    now = datetime.now(UTC)
    asked = context.partition_time_window
    since, until = asked.start.astimezone(UTC), asked.end.astimezone(UTC)
    window = Window(granularity, since, until)
    in_receipts = replace(window, grain=call.receipts_at(granularity))
    reach = partitions.clip_to_reach(call.table, in_receipts, now)
    _say_out_of_reach(context, call, window, reach)
    if reach is None or _known_as_retired(context, vendors, call, now):
        return
    landing, requests = _land(context, vendors, call, reach)
    rows, metadata = _rows_by_bucket(vendors, call, landing), _metadata(vendors, landing, requests)
    with open_for_writing(vendors.settings) as connection:
        held = set(landed_buckets(connection, vendors.settings, call, reach, landing))
    asked_for, by_key = reach.buckets(), dict[str, int]()
    for start in window.buckets():
        end = next_bucket(start, granularity)
        within = [bucket for bucket in asked_for if start <= bucket < end]
        if within and held.issuperset(within):
            by_key[partition_key(granularity, start)] = sum(rows.get(s, 0) for s in within)
    if len(by_key) == len(window.buckets()):
        for key, count in by_key.items():
            context.add_asset_metadata({"dagster/partition_row_count": count}, partition_key=key)
        yield dg.MaterializeResult(metadata=metadata)
        return
    # only what landed turns green: without an output, Dagster marks just what is logged here
    for key, count in by_key.items():
        counted = metadata | {"dagster/partition_row_count": count}
        context.log_event(
            dg.AssetMaterialization(context.asset_key, partition=key, metadata=counted)
        )


def _scopes(landing: Landing) -> list[str]:
    return sorted({receipt.scope for receipt in landing.receipts})


def _known_as_retired(
    context: dg.AssetExecutionContext, vendors: Vendors, call: Call, now: datetime
) -> bool:
    """A call that the vendor has taken away is asked once a day, not at every tick."""
    with open_for_writing(vendors.settings) as connection:
        retired = is_retired(connection, call, now)
    if retired:
        context.log.info(f"{call.request} was answered as retired today; it is not asked again")
    return retired


def _say_out_of_reach(
    context: dg.AssetExecutionContext, call: Call, window: Window, reach: Window | None
) -> None:
    old = [start for start in window.buckets() if reach is None or start < reach.since]
    if old:
        text = partitions.out_of_reach(call.table, window.grain, old[0])
        context.log.warning(f"{len(old)} partitions stay empty. {text}")
    for start in old:
        text = partitions.out_of_reach(call.table, window.grain, start)
        context.log_event(
            dg.AssetObservation(
                context.asset_key,
                description=text,
                partition=partition_key(window.grain, start),
                metadata={"out of reach": text},
            )
        )


def _rows_by_bucket(vendors: Vendors, call: Call, landing: Landing) -> dict[datetime, int]:
    with open_for_writing(vendors.settings) as connection:
        load.create_raw_tables(connection, {call.table: call.schema})
        counts = connection.execute(
            f"select bucket_start, count(*) from raw.{landing.table} "  # noqa: S608
            "where load_id = ? group by bucket_start",
            [landing.load_id],
        ).fetchall()
    return dict(counts)


def partition_key(granularity: str, start: datetime) -> str:
    """How Dagster names the partition of the bucket that starts here."""
    return start.strftime("%Y-%m-%d-%H:%M" if granularity == "hourly" else "%Y-%m-%d")


def _metadata(vendors: Vendors, landing: Landing, requests: int) -> dict[str, Any]:
    with open_for_writing(vendors.settings) as connection:
        (total,) = connection.execute(
            f"select count(*) from raw.{landing.table}"  # noqa: S608
        ).fetchone() or (0,)
    return {
        "dagster/row_count": total,
        "rows landed": landing.rows,
        "requests sent": requests,
        "pages": sum(receipt.pages for receipt in landing.receipts),
        "scopes": ", ".join(_scopes(landing)),
        "load id": landing.load_id,
    }


RAW_ASSETS = [
    raw_asset(call, granularity)
    for call in CALLS
    if call.part_of is None
    for granularity in call.granularities
]
# tables that another asset fills
PARTS = [
    dg.AssetSpec(
        raw_key(call.table, SNAPSHOT),
        description=call.description,
        group_name=call.source,
        owners=OWNERS,
        kinds={"dlt", "duckdb"},
        metadata={
            "dagster/table_name": f"raw.{call.table}",
            "dagster/column_schema": _column_schema(call.schema),
        },
        deps=[raw_key(call.part_of, SNAPSHOT)],
    )
    for call in CALLS
    if call.part_of
]
RECEIPTS = dg.AssetSpec(
    dg.AssetKey(["raw", "loads"]),
    description=(
        "One receipt per scope of every load, written after its last row: what was asked, for "
        "which window, when. Rows without a receipt count for nothing; facts follow receipts."
    ),
    group_name="receipts",
    owners=OWNERS,
    kinds={"duckdb"},
    metadata={
        "dagster/table_name": "raw.loads",
        "dagster/column_schema": _column_schema(load.RECEIPTS),
    },
    deps=[asset.key for asset in RAW_ASSETS],
)
