"""Raw assets: one per endpoint and grain, partitioned as the vendor is asked.

A step loads all that a source tells at a grain, so that a scope which fails keeps nothing else of
the run from being asked.

Not here: how a vendor is asked (pipelines/) and how that is run (runs/).
"""

import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import dagster as dg

import pipelines
from assets.catalog.failing import failing_in_words
from assets.catalog.partitions import KINDS, first_partition, partition_key, whole_partitions
from assets.catalog.tables import AS_OF, BACKFILL, raw_key, table_spec, text_of
from assets.retention import retention
from assets.runs import planning
from assets.runs.loading import Loader, forecast
from assets.runs.opening import Row
from assets.settings import origins, read_settings
from assets.sources import ENDPOINTS, SOURCES, endpoint_of, source_of
from dbt_like_sql.engine import warehouse
from pipelines import log, receipts
from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.receipts import Connection
from pipelines.settings import settings_of
from pipelines.source import LoadResult, Slice, Source, reasons
from pipelines.windows import Window

# a line per asset and process on everybody's terminal; the version of dagster is pinned
warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)

# scopes that are named
SHOWN = 10
VENDORS = Path(pipelines.__file__).parent


def where_set() -> Iterator[str]:
    """The settings of every vendor, as rows of a table in Markdown, and where each is set: never to
    what."""
    found = origins()
    for source in SOURCES:
        for about in settings_of(source.settings).values():
            where = "default" if about.default else "not set"
            for name in [it for it in found if it.split("__")[0] == about.name] or [about.name]:
                yield f"| {source.title} | `{name}` | {found.get(name, where)} |"


@dg.resource(
    description="Loads endpoints whose settings are there; clients are shared by a run's assets. "
    "As it was when this was loaded (a run reads it again):\n\n"
    + "\n".join(["| vendor | setting | from |", "| --- | --- | --- |", *where_set()])
)
def loader_resource(context: dg.InitResourceContext) -> Iterator[Callable[[], Loader]]:
    """A loader for the length of a run. Its first step reads the settings: that a resource failed
    is told in stacks, and taken for a run that was killed."""
    with ExitStack() as stack:
        yield cache(lambda: stack.enter_context(Loader(read_settings(), _wanted_at(context))))


def _wanted_at(context: dg.InitResourceContext) -> datetime | None:
    """When a person or a schedule asked for this run, which may have waited in a queue since. A run
    of a backfill is made up to half a minute after that, and another may have ended by then."""
    run, instance = context.run, context.instance
    if run is None or instance is None:
        return None
    backfill = instance.get_backfill(run.tags[BACKFILL]) if BACKFILL in run.tags else None
    if backfill:
        return datetime.fromtimestamp(backfill.backfill_timestamp, UTC)
    record = instance.get_run_record_by_id(run.run_id)
    return record.create_timestamp if record else None


def _columns(
    columns: log.Columns, about: Mapping[str, str]
) -> Iterator[tuple[str, str, str | None]]:
    return ((name, kind, about.get(name)) for name, kind in columns.items())


def _when(endpoint: Endpoint, grain: str) -> str:
    """When it is asked for, and how far back."""
    title, table = source_of(endpoint).title, endpoint.table
    if endpoint.part_of:
        return f"Loaded with `raw.{endpoint.part_of}`."
    if endpoint.any_time:
        return "Loaded when a file comes or changes."
    if grain == SNAPSHOT:
        return "Listed once a day."
    if grain in endpoint.only_backfilled:
        return f"Never due: a partition to backfill {endpoint.grains[0]} usage by."
    often = "every hour" if grain == "hourly" else "once a day"
    kept = planning.kept_for(endpoint, grain)
    if retention(table, grain).beyond_reach == "refused":
        return f"Asked {often}; {title} keeps {kept}."
    return f"Asked {often}, for {kept} at most; what is older, when it is backfilled."


def _spec(
    endpoint: Endpoint, grain: str, partitions: dg.PartitionsDefinition[str] | None = None
) -> dg.AssetSpec:
    """The asset of one endpoint at one grain; it follows from its inputs' of that grain, or names.

    Nothing is sure to land: a source may lack its settings, a window may be out of reach.
    """
    inputs = map(endpoint_of, [endpoint.part_of] if endpoint.part_of else endpoint.needs)
    source = source_of(endpoint)
    return table_spec(
        f"raw.{endpoint.table}",
        VENDORS / source.name / "slices.py",
        _columns(log.columns_of_log(endpoint), log.about_columns(endpoint)),
        {"vendor call": endpoint.request},
        key=raw_key(endpoint.table, grain),
        description=f"{_when(endpoint, grain)}\n\n{endpoint.description}\n\n"
        f"`{endpoint.request}`: what changed is appended to `raw.{endpoint.table}`.",
        group_name=f"raw_{source.name}",
        kinds={"dlt", "duckdb"},
        tags={"vendor": source.name, "family": endpoint.source, "grain": grain},
        deps=[raw_key(e.table, grain if grain in e.grains else SNAPSHOT) for e in inputs],
        partitions_def=partitions,
        freshness_policy=_freshness(endpoint, grain),
        skippable=True,
    )


def raw_assets(
    source: Source[Any], grain: str, endpoints: Sequence[Endpoint]
) -> dg.AssetsDefinition:
    """Loads what a source tells at one grain."""
    partitions = None
    if grain in KINDS:
        first = min(first_partition(endpoint, grain) for endpoint in endpoints)
        partitions = KINDS[grain](first, end_offset=1)

    @dg.multi_asset(
        specs=[_spec(endpoint, grain, partitions) for endpoint in endpoints],
        name=f"{source.name}_{grain}",
        can_subset=True,
        # what is out of the vendor's reach is not asked for, so no run is longer than one walk
        backfill_policy=dg.BackfillPolicy.single_run() if partitions else None,
    )
    def assets(
        context: dg.AssetExecutionContext, loader: dg.ResourceParam[Callable[[], Loader]]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with failing_in_words():
            opened = loader()
        if missing := opened.settings.missing.get(source.name):
            context.log.warning(f"{source.name} is skipped: {missing}")
            return
        load, whole = _load_partitions if partitions else _load_names, LoadResult()
        for endpoint in endpoints:
            if raw_key(endpoint.table, grain) not in context.selected_asset_keys:
                continue
            if not opened.settings.is_wanted(source, endpoint):
                context.log.info(f"The settings do not ask for {endpoint.table}.")
                continue
            with failing_in_words():
                result = yield from load(context, opened, endpoint, grain)
            for note in result.notes:
                context.log.warning(note)
            whole.add(result)
        if whole.failures:  # after the others have landed
            landed = _some_of(whole.landed_scopes) or "none"
            said = "\n".join(reasons(whole.failures))
            raise dg.Failure(f"{said}\nScopes that landed in this run: {landed}.")

    return assets


def _freshness(endpoint: Endpoint, grain: str) -> dg.FreshnessPolicy | None:
    """When the asset is stale, by when it was written: of names, which are as of their listing. Of
    usage a check says (catalog/freshness.py).

    What people export is late before it is missing: of which, reports.export_freshness says.
    """
    if grain != SNAPSHOT or endpoint.part_of:
        return None
    stale_after = retention(endpoint.table, grain).stale_after
    if endpoint.any_time:
        return dg.FreshnessPolicy.time_window(fail_window=2 * stale_after, warn_window=stale_after)
    return dg.FreshnessPolicy.time_window(fail_window=stale_after)


def _progress(
    context: dg.AssetExecutionContext, endpoint: Endpoint, slice_count: int, minutes: float
) -> Callable[[Slice], None]:
    if slice_count:
        context.log.info(forecast(endpoint, slice_count, minutes))
    return lambda asked: context.log.debug(f"asked: {asked.scope}, {asked.window}")


Loading: TypeAlias = Generator[dg.MaterializeResult[Any], None, LoadResult]


def _load_names(
    context: dg.AssetExecutionContext, loader: Loader, endpoint: Endpoint, grain: str
) -> Loading:
    with loader.turn(source_of(endpoint).name):
        loader.look()  # once a day: what has ended is written down
        result = loader.load_names(endpoint, partial(_progress, context, endpoint))
    if result.receipts and not result.failures:
        with loader.open_warehouse() as connection:
            metadata = _metadata(connection, endpoint, grain, result)
        key = raw_key(endpoint.table, grain)
        yield dg.MaterializeResult(asset_key=key, metadata=metadata)
    return result


def _load_partitions(
    context: dg.AssetExecutionContext, loader: Loader, endpoint: Endpoint, grain: str
) -> Loading:
    """One walk for all partitions of the run; those out of reach are said so, and stay empty."""
    asked, key = context.partition_time_window, raw_key(endpoint.table, grain)
    window = Window(grain, asked.start.astimezone(UTC), asked.end.astimezone(UTC))
    reach = planning.within_reach(endpoint, window, loader.settings.clock())
    _say_out_of_reach(context, endpoint, window, reach, loader.settings.clock())
    if reach is None:
        return LoadResult()
    with loader.turn(source_of(endpoint).name):
        result = loader.load_window(endpoint, reach, partial(_progress, context, endpoint))
    if result.failures:
        return result
    with loader.open_warehouse() as connection:
        metadata = _metadata(connection, endpoint, grain, result)
        landed = whole_partitions(connection, endpoint, grain, reach, result.scopes)
    if len(landed) == len(window.buckets()):
        for partition, count in landed.items():
            counted = {"dagster/partition_row_count": count}
            context.add_asset_metadata(counted, asset_key=key, partition_key=partition)
        yield dg.MaterializeResult(asset_key=key, metadata=metadata)
        return result
    # only what landed turns green: without an output, Dagster marks just what is logged here
    for partition, count in landed.items():
        counted = metadata | {"dagster/partition_row_count": count}
        context.log_event(dg.AssetMaterialization(key, partition=partition, metadata=counted))
    return result


def _say_out_of_reach(
    context: dg.AssetExecutionContext,
    endpoint: Endpoint,
    window: Window,
    reach: Window | None,
    now: datetime,
) -> None:
    beyond = [start for start in window.buckets() if reach is None or start < reach.since]
    texts = [planning.out_of_reach(endpoint, window.grain, start, now) for start in beyond]
    if texts:
        context.log.warning(f"{len(texts)} partitions stay empty. {texts[0]}")
    for start, text in zip(beyond, texts, strict=True):
        context.log_event(
            dg.AssetObservation(
                raw_key(endpoint.table, window.grain),
                description=text,
                partition=partition_key(window.grain, start),
                metadata={"out of reach": text},
            )
        )


def _metadata(connection: Connection, endpoint: Endpoint, grain: str, result: LoadResult) -> Row:
    receipts.create_raw_tables(connection, [endpoint])
    of_grain = f" where granularity = '{grain}'" if endpoint.tells_grain else ""
    return {
        AS_OF: text_of(receipts.last_landed(connection, endpoint.table)),
        "dagster/row_count": warehouse.count(connection, f"raw.{endpoint.table}{of_grain}"),
        "rows landed": result.rows,
        "requests sent": result.requests,
        "pages": sum(receipt.pages for receipt in result.receipts),
        "scopes": _some_of(result.landed_scopes),
        "load id": ", ".join(result.load_ids),
    }


def _some_of(scopes: list[str]) -> str:
    more = [f"and {len(scopes) - SHOWN} more"] if len(scopes) > SHOWN else []
    return ", ".join([*scopes[:SHOWN], *more])


# what is loaded in one step
STEPS = [
    (source, grain, endpoints)
    for source in SOURCES
    for grain in (*KINDS, SNAPSHOT)
    if (endpoints := [e for e in source.endpoints if grain in e.grains and not e.part_of])
]
RAW_ASSETS = [raw_assets(*step) for step in STEPS]
# tables that another asset fills
PARTS = [_spec(endpoint, SNAPSHOT) for endpoint in ENDPOINTS if endpoint.part_of]
RECEIPTS = table_spec(
    "raw.loads",
    Path(receipts.__file__),
    _columns(receipts.COLUMNS, log.about_receipts()),
    description=(
        "One receipt per scope of every load, written together with what changed: what was asked, "
        "for which window, when. A bucket without a receipt is unknown; facts follow receipts."
    ),
    group_name="raw_receipts",
    kinds={"duckdb"},
    deps=[key for assets in RAW_ASSETS for key in assets.keys],
)
