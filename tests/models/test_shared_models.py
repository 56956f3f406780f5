"""What all vendors share: it names none of them, and its keys tell everything apart."""

import csv
from collections.abc import Iterator

import duckdb
import pytest
from sqlglot import exp

from dbt_like_sql.engine.models import PACKAGE_FOLDER, Model, load_models
from dbt_like_sql.engine.models.parsing import query_of

MODELS = load_models()
# where the vendors' rows are put together, or one vendor's are shown
UNIONS = {
    "intermediate.int_allowance_draws",
    "intermediate.int_allowance_usage",
    "intermediate.int_allowances",
    "intermediate.int_usage",
    "marts.dim_branch",
    "marts.dim_org",
    "marts.dim_project",
    "marts.dim_site",
    "reports.needs_you",
    "reports.reconciliation",
    "staging.stg_loads__usage",
}
KEYS = {
    "intermediate.int_allowance_usage": "allowance_key",
    "intermediate.int_usage_by_day": "series_key",
    "staging.stg_loads__usage": "thing_key",
}
# null, nothing, and what a key is made with
ODD = (None, "", "-", "=", "|", "a", "a|", "|a", "a|=a", "a||-")


def vendors() -> set[str]:
    """Every source and resource that seeds/retention.csv names."""
    with (PACKAGE_FOLDER / "seeds" / "retention.csv").open(encoding="utf-8", newline="") as file:
        return {row[name] for row in csv.DictReader(file) for name in ("source", "resource")}


def in_no_folder() -> Iterator[Model]:
    """Models in no vendor's folder."""
    for model in MODELS.values():
        if model.path.parent == PACKAGE_FOLDER / model.schema:
            yield model


def shared() -> Iterator[Model]:
    """Those of them that are not unions."""
    return (model for model in in_no_folder() if model.name not in UNIONS)


def test_shared_models_name_no_vendor() -> None:
    """What differs by vendor is a row of a seed, or the vendor's own model."""
    named = {
        model.name: texts
        for model in shared()
        if (texts := {t.this for t in query_of(model).find_all(exp.Literal)} & vendors())
    }
    assert named == {}


def test_shared_models_read_no_vendors_model() -> None:
    """But for the unions: another vendor is one more branch of those, and changes no other."""
    read = {
        model.name: tables & MODELS.keys() - {model.name for model in in_no_folder()}
        for model in shared()
        for tables in [{f"{t.db}.{t.name}" for t in query_of(model).find_all(exp.Table)}]
    }
    assert {name: models for name, models in read.items() if models} == {}


def test_what_is_built_by_the_day_reads_no_rows_of_months() -> None:
    """A day's window holds a month's row on the first alone: the other days would miss it."""
    of_months = {
        name for name, model in MODELS.items() if model.window in {"month_start", "period_month"}
    }
    read = {
        model.name: of_months & {*model.inputs}
        for model in MODELS.values()
        if model.is_windowed_table and not model.by_month
    }
    assert len(of_months) > 1
    assert {name: inputs for name, inputs in read.items() if inputs} == {}


def test_readers_find_months_and_days_as_dates() -> None:
    """An instant is another day west of UTC: whoever asks for '2026-10-01' would find nothing."""
    published = [model for model in MODELS.values() if model.schema in {"marts", "reports"}]
    instants = {
        f"{model.name}.{column}"
        for model in published
        for column in {"day_start", "month_start"} & {*model.columns}
        if "period_date" not in model.columns
    }
    assert instants == {"reports.cost_conservation.day_start"}  # which should be empty


@pytest.mark.parametrize(("name", "key"), KEYS.items())
def test_no_two_things_have_one_key(name: str, key: str) -> None:
    """Whatever an id is made of, null is not '', and no part runs into the next."""
    made = next(part for part in query_of(MODELS[name]).selects if part.alias == key).this.copy()
    used = list(made.find_all(exp.Column))
    parts = list(dict.fromkeys(column.name for column in used))
    assert len(parts) >= 6
    for column in used:
        column.replace(exp.column(column.name))
    # three neighbours take every odd value, the others are as they are
    for at in range(len(parts) - 2):
        query = exp.select(f"count(distinct {made.sql('duckdb')})", "count(*)")
        query = query.from_("(select 1) as one")
        for place, part in enumerate(parts):
            values = ODD if at <= place < at + 3 else ("a",)
            listed = exp.convert(list(values)).sql("duckdb")
            query = query.join(f"(select unnest({listed}) as {part})", join_type="cross")
        with duckdb.connect() as connection:
            (found,) = connection.execute(query.sql("duckdb")).fetchall()
        assert found == (len(ODD) ** 3, len(ODD) ** 3)


def test_a_meter_has_one_row_of_each_unit() -> None:
    """Reports and documented queries join facts to seeds.meters on source, meter and unit."""
    with (PACKAGE_FOLDER / "seeds" / "meters.csv").open(encoding="utf-8", newline="") as file:
        keys = [(row["source"], row["meter"], row["unit"]) for row in csv.DictReader(file)]
    assert len(keys) == len(set(keys)) > 0
