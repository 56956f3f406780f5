"""SQL models as assets: one per file in dbt_like_sql/, with its checks, columns and lineage.

Nothing to edit here when a model is added. Marts with a window have daily partitions, the others
none; one run is one transaction over all of them, so that tables never disagree.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import dropwhile
from typing import Any

import dagster as dg

from assets.catalog.tables import BUILT, as_of, column_types, model_key, raw_key, table_spec
from assets.loading import Row, build, open_warehouse
from assets.raw_assets import failing_in_words
from assets.settings import Settings, read_settings, warehouse_path
from assets.sources import endpoint_of
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.build_state import BuildReport, ModelBuild, last_built_at
from dbt_like_sql.engine.checks import CheckFailedError, CheckResult, promises
from dbt_like_sql.engine.models import PACKAGE_FOLDER, Model, load_models
from dbt_like_sql.engine.seeds import seed_columns, seed_files
from dbt_like_sql.engine.windows import ALL_TIME, Windows
from pipelines.receipts import Connection
from pipelines.windows import next_bucket

BACKFILL = "dagster/backfill"
DAYS = dg.DailyPartitionsDefinition("2025-01-01", end_offset=1)
MODELS = load_models(keep_in=warehouse.models_beside(warehouse_path()))
TYPES = column_types(MODELS.values())
SIGNS = {"<=": " at most ", ">=": " at least ", "<>": " is not ", "!=": " is not "} | {
    "<": " below ",
    ">": " above ",
    "=": " is ",
}


def _input_keys(name: str) -> list[dg.AssetKey]:
    """The assets behind a table: a raw table has one per granularity."""
    schema, table = name.split(".")
    if schema != "raw" or table == "loads":
        return [model_key(name)]
    return [raw_key(table, grain) for grain in endpoint_of(table).grains]


def _spec(model: Model) -> dg.AssetSpec:
    return table_spec(
        model.name,
        _column_schema(model),
        {"dagster/column_lineage": _column_lineage(model)},
        deps=[key for name in model.inputs for key in _input_keys(name)],
        description=f"{model.description}\n\n```sql\n{_without_header(model.sql)}\n```",
        group_name=model.schema,
        kinds={"sql", "view" if model.is_view else "duckdb"},
        partitions_def=DAYS if has_days(model) else None,
        skippable=True,
        code_version=model.fingerprint,
    )


def has_days(model: Model) -> bool:
    """Whether its days are told one by one: of what people read most, for each costs an event."""
    return model.window is not None and model.schema == "marts"


def _without_header(sql: str) -> str:
    return "\n".join(dropwhile(lambda line: line.startswith("--"), sql.strip().splitlines()))


def _column_schema(model: Model) -> dg.TableSchema:
    documented, types = model.column_docs, TYPES[model.name]
    return dg.TableSchema(
        [dg.TableColumn(name, types[name], documented.get(name)) for name in model.columns]
    )


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


def check_name(kind: str, expression: str) -> str:
    """A promise as the name of an asset check: letters, digits and underscores."""
    if kind != "check":
        return {"grain": "grain_is_unique", "expect": "has_no_rows"}[kind]
    for sign, word in SIGNS.items():
        expression = expression.replace(sign, word)
    return re.sub(r"[^a-z0-9]+", "_", expression.lower()).strip("_")[:100]


def _check_specs(model: Model) -> list[dg.AssetCheckSpec]:
    must_hold = model.schema != "reports"
    says = {"grain": "One row per ", "check": "Every row: ", "expect": "There should be "}
    return [
        dg.AssetCheckSpec(
            check_name(kind, expression),
            asset=model_key(model.name),
            description=says[kind] + expression,
            blocking=must_hold or kind == "grain",
        )
        for kind, expression in promises(model)
    ]


@dg.multi_asset(
    name="models",
    specs=[_spec(model) for model in MODELS.values()],
    check_specs=[spec for model in MODELS.values() for spec in _check_specs(model)],
    can_subset=True,
    # no pool: its slot would outlive a run that is killed, and the warehouse's own lock does not
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def models(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Build what is due and the run's days; report on the models that the run selected.

    An event costs Dagster more than its model costs DuckDB, so a whole table that is as before has
    none; and of what was not selected only tables that were written have one.
    """
    since = until = None
    if context.has_partition_key_range:
        window = context.partition_time_window
        since, until = window.start, window.end
    settings = read_settings()
    with failing_in_words():
        yield from _built(context, settings, since, until)


def _built(
    context: dg.AssetExecutionContext,
    settings: Settings,
    since: datetime | None,
    until: datetime | None,
) -> Iterator[Any]:
    try:
        report = build(settings, since, until)
    except CheckFailedError as failure:
        yield from _check_events(context, failure.results)
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
        metadata = _metadata(connection, shown, built_at)
    for done in report.models:
        key = model_key(done.name)
        if key in metadata or (key not in selected and done.action != "unchanged"):
            _log_days(context, done, report, settings.clock(), as_of(built_at))
        if key in metadata:
            yield dg.MaterializeResult(asset_key=key, metadata=metadata[key])
    yield from _check_events(context, report.checks)
    if built_at:
        context.instance.add_run_tags(context.run.run_id, {BUILT: built_at.isoformat()})


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
    connection: Connection, shown: Iterable[ModelBuild], built_at: datetime | None
) -> dict[dg.AssetKey, Row]:
    """What each of these models holds, and what was done to it."""
    # staging is raw, looked at again: counting it takes as long as reading all of raw
    counts = {
        done.name: {"dagster/row_count": warehouse.count(connection, done.name)}
        for done in shown
        if MODELS[done.name].schema != "staging"
    }
    return {
        model_key(done.name): {
            **as_of(built_at),
            **counts.get(done.name, {}),
            "rows written": done.rows_written,
            "built": done.action,
            "seconds": round(done.seconds, 3),
        }
        for done in shown
    }


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


def _check_events(
    context: dg.AssetExecutionContext, results: Iterable[CheckResult]
) -> Iterator[dg.AssetCheckResult]:
    """Of checks that the run selected; of others, those that do not hold."""
    for result in results:
        key = dg.AssetCheckKey(model_key(result.model), check_name(result.kind, result.expression))
        is_report = result.model.startswith("reports.")
        severity = dg.AssetCheckSeverity.WARN if is_report else dg.AssetCheckSeverity.ERROR
        about = {"failing rows": result.failing_rows}
        if key in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(
                passed=result.passed,
                asset_key=key.asset_key,
                check_name=key.name,
                severity=severity,
                metadata=about,
            )
        elif not result.passed:
            failed = dg.AssetCheckEvaluation(
                key.asset_key, key.name, passed=False, severity=severity, metadata=about
            )
            context.log_event(failed)


# what the runs of sensors report on: what they are made from is built by them too
SHOWN = [model_key(m.name) for m in MODELS.values() if m.schema in ("marts", "reports")]
SEEDS = [
    table_spec(
        name,
        dg.TableSchema([dg.TableColumn(*column) for column in seed_columns(path).items()]),
        description=f"Rows kept by hand in `dbt_like_sql/seeds/{path.name}`.",
        group_name="seeds",
        kinds={"csv"},
    )
    for name, path in seed_files(PACKAGE_FOLDER).items()
]
