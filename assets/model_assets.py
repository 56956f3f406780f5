"""SQL models as assets: one per file in dbt_like_sql/, with its checks, columns and lineage.

Nothing to edit here when a model is added. Marts with a window have daily partitions, the others
none; one run is one transaction over all of them, so that tables never disagree.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import dropwhile
from typing import Any

import dagster as dg

from assets.catalog.checks import check_specs, evaluations, results_of, standing
from assets.catalog.failing import failing_in_words
from assets.catalog.page import PAGE, write
from assets.catalog.partitions import DAYS
from assets.catalog.tables import (
    AS_OF,
    BACKFILL,
    BUILT,
    MODELS,
    column_types,
    model_key,
    preview,
    raw_key,
    table_spec,
    text_of,
)
from assets.retention import meter_families
from assets.runs.building import build
from assets.runs.opening import Row, open_warehouse
from assets.settings import Settings, read_settings
from assets.sources import endpoint_of
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.build_state import BuildReport, ModelBuild, last_built_at
from dbt_like_sql.engine.checks import CheckFailedError
from dbt_like_sql.engine.models import PACKAGE_FOLDER, Model
from dbt_like_sql.engine.seeds import seed_columns, seed_docs, seed_files
from dbt_like_sql.engine.windows import ALL_TIME, Windows
from pipelines.receipts import Connection
from pipelines.windows import floor, next_bucket

FAMILIES = meter_families()
TYPES = column_types(MODELS.values())


def _input_keys(name: str) -> list[dg.AssetKey]:
    """The assets behind a table: a raw table has one per granularity."""
    schema, table = name.split(".")
    if schema != "raw" or table == "loads":
        return [model_key(name)]
    return [raw_key(table, grain) for grain in endpoint_of(table).grains]


def _spec(model: Model) -> dg.AssetSpec:
    types, comments = TYPES[model.name], model.column_docs
    columns = [(c, types[c], _comment(comments.get(c), model.lineage[c])) for c in model.columns]
    return table_spec(
        model.name,
        model.path,
        columns,
        {"dagster/column_lineage": _column_lineage(model)},
        deps=[key for name in model.inputs for key in _input_keys(name)],
        description=f"{model.description}\n\n```sql\n{_without_header(model.sql)}\n```",
        group_name=model.schema,
        kinds={"sql", "view" if model.is_view else "duckdb"},
        tags=_tags(model),
        partitions_def=DAYS if has_days(model) else None,
        skippable=True,
        code_version=model.fingerprint,
    )


def _tags(model: Model) -> dict[str, str]:
    """The vendor whose folder it stands in, and the family of a fact."""
    (_, *folders), name = model.path.relative_to(PACKAGE_FOLDER).parent.parts, model.path.stem
    family = name.removeprefix("fct_")
    return {"vendor": folders[0]} if folders else {"family": family} if family in FAMILIES else {}


def _comment(text: str | None, sources: Sequence[tuple[str, str]]) -> str:
    """What a column is, and of which it is made."""
    made_of = ", ".join(f"`{table}.{column}`" for table, column in sources)
    return "; ".join(filter(None, [text, made_of and f"from {made_of}"]))


def has_days(model: Model) -> bool:
    """Whether its days are told one by one: of what people read most, for each costs an event."""
    return model.window is not None and model.schema == "marts"


def _without_header(sql: str) -> str:
    return "\n".join(dropwhile(lambda line: line.startswith("--"), sql.strip().splitlines()))


def _column_lineage(model: Model) -> dg.TableColumnLineage:
    return dg.TableColumnLineage(
        {
            column: [
                dg.TableColumnDep(key, source_column)
                for table, source_column in sources
                for key in _input_keys(table)
            ]
            for column, sources in model.lineage.items()
        }
    )


@dg.multi_asset(
    name="models",
    specs=[*(_spec(model) for model in MODELS.values()), PAGE],
    check_specs=[spec for model in MODELS.values() for spec in check_specs(model)],
    can_subset=True,
    # no pool: its slot would outlive a run that is killed, and the warehouse's own lock does not
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def models(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Build what is due and the run's days; report on the models that the run selected.

    An event costs Dagster more than its model costs DuckDB, so a whole table that is as before has
    none; and of what was not selected only tables that were written have one, and checks that were
    tried.
    """
    with failing_in_words():
        yield from _built(context, read_settings())


def _built(context: dg.AssetExecutionContext, settings: Settings) -> Iterator[Any]:
    window = context.partition_time_window if context.has_partition_key_range else None
    try:
        report = build(settings, window and window.start, window and window.end)
    except CheckFailedError as failure:
        yield from results_of(evaluations(failure.results), ())
        raise dg.Failure(str(failure)) from None
    selected, known = context.selected_asset_keys, _known(context)
    shown = [
        done
        for done in report.models
        if (key := model_key(done.name)) in selected
        and (key not in known or done.windows or done.action != "unchanged")
    ]
    with open_warehouse(settings) as connection:
        built_at = last_built_at(connection)
        metadata = _metadata(connection, shown, built_at, settings.clock())
        # those of what is shown, too: Dagster takes an older one for not evaluated
        hold = standing(connection).items()
        checks = {key: it for key, it in hold if key.asset_key in metadata}
        checks |= evaluations(report.checks, connection)
    for done in report.models:
        key = model_key(done.name)
        if key in metadata or (key not in selected and done.action != "unchanged"):
            _log_days(context, done, report, settings.clock(), {AS_OF: text_of(built_at)})
        if key in metadata:
            yield dg.MaterializeResult(asset_key=key, metadata=metadata[key])
    yield from results_of(checks, context.selected_asset_check_keys)
    if built_at:
        context.instance.add_run_tags(context.run.run_id, {BUILT: text_of(built_at)})
    if PAGE.key in selected:
        yield write(settings)


def _known(context: dg.AssetExecutionContext) -> set[dg.AssetKey]:
    """The selected whole tables that were materialized before; none in a backfill, which is shown
    as failed where something stays unmaterialized."""
    if BACKFILL in context.run.tags:
        return set()
    whole = {model_key(model.name) for model in MODELS.values() if not has_days(model)}
    return {
        record.asset_entry.asset_key
        for record in context.instance.get_asset_records([*(whole & context.selected_asset_keys)])
        if record.asset_entry.last_materialization
    }


def _metadata(
    connection: Connection, shown: Iterable[ModelBuild], built_at: datetime | None, now: datetime
) -> dict[dg.AssetKey, Row]:
    """What each of these models holds, and what was done to it."""
    return {
        model_key(done.name): {
            AS_OF: text_of(built_at),
            **about_rows(connection, MODELS[done.name], now),
            "rows written": done.rows_written,
            "built": done.action,
            "seconds": round(done.seconds, 3),
        }
        for done in shown
    }


def about_rows(connection: Connection, model: Model, now: datetime) -> Row:
    """How many rows a model has, and some of the latest. Staging is raw, looked at again: counting
    it takes as long as reading all of raw."""
    if model.schema == "staging":
        return {}
    month = floor(floor(now, "monthly") - timedelta(days=1), "monthly")
    dated = "period_date" in model.columns
    latest = f" where period_date >= date '{month:%Y-%m-%d}'" if dated else ""
    rows = preview(connection, f"{model.name}{latest}")
    return {"dagster/row_count": warehouse.count(connection, model.name), "some rows": rows}


def _log_days(
    context: dg.AssetExecutionContext,
    done: ModelBuild,
    report: BuildReport,
    now: datetime,
    metadata: Row,
) -> None:
    """Materialize what the run does not itself: days of a selected model that it was not asked for
    (an export that corrects a day of last month is news of that day), and its days of another."""
    key = model_key(done.name)
    is_selected = key in context.selected_asset_keys
    days: Iterable[str | None] = () if is_selected else (None,)
    if has_days(MODELS[done.name]) and context.has_partition_key_range:
        built = days_of(report.ranges if ALL_TIME in done.windows else done.windows, now)
        asked = {*DAYS.get_partition_keys_in_time_window(context.partition_time_window)}
        days = sorted(built - asked if is_selected else built & asked)
    for day in days:
        context.log_event(dg.AssetMaterialization(key, partition=day, metadata=metadata))


def days_of(windows: Windows, now: datetime) -> set[str]:
    """The partitions of the days that windows cover."""
    first, last = DAYS.start, next_bucket(now, "daily")
    clipped = [
        dg.TimeWindow(max(since, first), min(until, last))
        for since, until in windows
        if since < last and until > first
    ]
    return {day for window in clipped for day in DAYS.get_partition_keys_in_time_window(window)}


# what the runs of sensors report on: what they are made from is built by them too
SHOWN = [model_key(m.name) for m in MODELS.values() if m.schema in ("marts", "reports")]
SHOWN.append(PAGE.key)
SEEDS = [
    table_spec(
        name,
        path,
        [
            (column, kind, seed_docs(name).get(column))
            for column, kind in seed_columns(path).items()
        ],
        description=f"{seed_docs(name)['']}.\n\nRows kept by hand in `{path.name}`.",
        group_name="seeds",
        kinds={"csv"},
    )
    for name, path in seed_files(PACKAGE_FOLDER).items()
]
