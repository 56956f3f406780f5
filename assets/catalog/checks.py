"""The promises of models as asset checks: what must hold, and which rows break it."""

import re
from collections.abc import Collection, Iterable, Iterator

import dagster as dg

from assets.catalog.tables import MODELS, PREVIEW_ROWS, model_key, preview
from assets.runs.opening import Row
from dbt_like_sql.dictionary import SAYS
from dbt_like_sql.engine.build_state import Ledger
from dbt_like_sql.engine.checks import CheckResult, breaking, promises
from dbt_like_sql.engine.models import Model
from pipelines.receipts import Connection

Verdicts = dict[dg.AssetCheckKey, dg.AssetCheckEvaluation]
# the longer ones first
SIGNS = {
    **{"<=": " at most ", ">=": " at least ", "<>": " is not ", "!=": " is not "},
    **{"<": " below ", ">": " above ", "=": " is "},
}


def check_name(kind: str, expression: str) -> str:
    """A promise as the name of an asset check: letters, digits and underscores."""
    if kind != "check":
        return {"grain": "grain_is_unique", "expect": "has_no_rows"}[kind]
    for sign, word in SIGNS.items():
        expression = expression.replace(sign, word)
    return re.sub(r"[^a-z0-9]+", "_", expression.lower()).strip("_")[:100]


def check_specs(model: Model) -> Iterator[dg.AssetCheckSpec]:
    """The checks of a model; what must hold of reports is that a row is there once."""
    for kind, expression in promises(model):
        yield dg.AssetCheckSpec(
            check_name(kind, expression),
            asset=model_key(model.name),
            description=f"{SAYS[kind].format(expression)}\n\n{_sql(model, kind, expression)}",
            blocking=model.schema != "reports" or kind == "grain",
        )


def _sql(model: Model, kind: str, expression: str) -> str:
    return f"```sql\n{breaking(model, kind, expression, model.name)}\n```"


def evaluations(results: Iterable[CheckResult], connection: Connection | None = None) -> Verdicts:
    """What became of each check; rows are looked up where a build stands, and told as it found them
    where it was undone (no connection)."""
    found = {}
    for result in results:
        model, about = MODELS[result.model], Row()
        if not result.passed:
            promise = model, result.kind, result.expression
            failing = f"({breaking(*promise, model.name)})"
            rows = preview(connection, failing) if connection else None
            about[f"up to {PREVIEW_ROWS} rows"] = rows or "\n".join(result.samples)
            about["SQL"] = dg.MetadataValue.md(_sql(*promise))
        key = dg.AssetCheckKey(model_key(model.name), check_name(result.kind, result.expression))
        is_report = model.schema == "reports"
        found[key] = dg.AssetCheckEvaluation(
            *key,
            passed=result.passed,
            severity=dg.AssetCheckSeverity.WARN if is_report else dg.AssetCheckSeverity.ERROR,
            description=result.sentence,
            metadata={"failing rows": result.failing_rows, **about},
        )
    return found


def standing(connection: Connection) -> Verdicts:
    """How every check stands after the last build: what is not remembered as failed holds."""
    failed, results = Ledger(connection).failed, list[CheckResult]()
    for model in MODELS.values():
        of_model = {(it.kind, it.expression): it for it in failed.get(model.name, [])}
        for kind, text in promises(model):
            holds = CheckResult(model.name, text, kind, passed=True, failing_rows=0)
            results.append(of_model.get((kind, text), holds))
    return evaluations(results, connection)


def results_of(
    found: Verdicts, asked: Collection[dg.AssetCheckKey]
) -> Iterator[dg.AssetCheckEvaluation | dg.AssetCheckResult]:
    """What a step yields: results of the checks that a person asked for (what was not tried holds
    as before, for no row differs); of others, what was tried."""
    of_others = found.keys() - {*asked}
    yield from (found[key] for key in of_others)
    for key in asked:
        its = found.get(key, dg.AssetCheckEvaluation(*key, passed=True))
        yield dg.AssetCheckResult(
            asset_key=its.asset_key,
            check_name=its.check_name,
            passed=its.passed,
            severity=its.severity,
            description=its.description,
            metadata=its.metadata,
        )
