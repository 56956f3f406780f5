"""Every model file of a folder, read, checked against the others and put in order.

`staging/neon/stg_x.sql` is the view staging.stg_x: the first folder is the schema, those below it
are for people. Files in the other folders are tables. Each may say `materialized:` otherwise.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from sqlglot import exp

import dbt_like_sql.engine.models.parsing as parsing
from dbt_like_sql.engine.models.model import Model, ModelError
from dbt_like_sql.engine.models.parsing import Header, named_tables, query_of, table_name


def read_models(texts: Iterable[tuple[str, Path, str]], seeds: Set[str]) -> Iterator[Model]:
    """The models in files of (schema, path, text), inputs before readers, beside these seeds; each
    with a fingerprint of itself alone. Raises ModelError, which names file and line."""
    found = {f"{schema}.{path.stem}": _read(path, schema, sql) for schema, path, sql in texts}
    for model in found.values():
        _check_inputs(model, known=found.keys() | seeds)
    windows = {name: model.window for name, model in found.items() if model.window}
    for name in _in_order(found):
        model = found[name]
        by_window = model.is_windowed_table or model.by_month
        windowed = parsing.rendered(query_of(model), windows) if by_window else ""
        keeps_grain = model.is_view and _keeps_grain(model, found)
        own = _fingerprint(model)
        yield replace(model, fingerprint=own, windowed=windowed, keeps_grain=keeps_grain)


def _read(path: Path, schema: str, sql: str) -> Model:
    header, statement = parsing.parse_header(path, sql), parsing.parse_statement(path, sql)
    query = statement.query
    window, by_month, _ = (header.says("window") or "").partition(parsing.BY_MONTH)
    usual = "view" if schema == "staging" else "table"
    model = Model(
        name=f"{schema}.{path.stem}",
        schema=schema,
        table=path.stem,
        path=path,
        sql=sql,
        description=header.description,
        grain=tuple(name.strip() for names in header.words["grain"] for name in names.split(",")),
        checks=tuple(header.words["check"]),
        window=window or None,
        by_month=by_month != "",
        is_view=(header.says("materialized") or usual) == "view",
        expects_no_rows=header.says("expect") is not None,
        inputs=tuple(sorted({table_name(table) for table in named_tables(query)})),
        columns=tuple(query.named_selects),
        column_docs=parsing.column_docs(sql, statement),
        fingerprint=parsing.normalised(sql, statement.tokens),
        whole=parsing.rendered(query),
    )
    _check_header(model, header)
    parsing.check_clock(path, statement, may_ask=not (model.is_view or model.window))
    return model


def _keeps_grain(model: Model, models: Mapping[str, Model]) -> bool:
    query = query_of(model)
    read = models.get(model.inputs[0]) if len(model.inputs) == 1 else None
    if not read or not isinstance(query, exp.Select):
        return False
    makes_rows = query.find(exp.Join, exp.Lateral, exp.UDTF, exp.SetOperation)
    passed_on = {select.name for select in query.selects if isinstance(select, exp.Column)}
    return not makes_rows and {*read.grain} == {*model.grain} <= passed_on


def _check_header(model: Model, header: Header) -> None:
    for word, names in (("grain", model.grain), ("window", (model.window,))):
        for name in names:
            if name is not None and name not in model.columns:
                message = f"`{word}:` names {name}, which is no output column"
                raise ModelError(model.path, min(header.words[word].values()), message)


def _check_inputs(model: Model, known: set[str]) -> None:
    ctes = {cte.alias for cte in query_of(model).find_all(exp.CTE)}
    for table in query_of(model).find_all(exp.Table):
        is_named = isinstance(table.this, exp.Identifier)
        if is_named and (problem := _input_problem(model, table, known, ctes)):
            raise ModelError(model.path, _line(table.this), problem)
    for column in query_of(model).find_all(exp.Column):
        if f"{column.args.get('db') or ''}.{column.table}" in known:
            # the windowed input becomes a subquery, which has an alias and no schema
            message = f"write {column.table}.{column.name}, without the schema"
            raise ModelError(model.path, _line(column.this), message)


def _input_problem(model: Model, table: exp.Table, known: set[str], ctes: set[str]) -> str | None:
    name = table_name(table)
    if not table.db:
        bare = f"{table.name} is no CTE; tables are written schema.table"
        return None if table.name in ctes else bare
    if table.db == "raw":
        wrong = f"only staging may read raw.*, not {model.name}"
        return None if model.schema == "staging" else wrong
    return None if name in known and not table.catalog else f"there is no table {name}"


def _line(identifier: exp.Expr) -> int:
    return int(identifier.meta.get("line", 1))


def _in_order(models: Mapping[str, Model]) -> list[str]:
    graph = {name: [i for i in model.inputs if i in models] for name, model in models.items()}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        names: list[str] = error.args[1]
        model, circle = models[names[-1]], " reads ".join(reversed(names))
        read = [table for table in named_tables(query_of(model)) if table_name(table) in names]
        message = f"models read each other in a circle: {circle}"
        raise ModelError(model.path, _line(read[0].this), message) from None


def _fingerprint(model: Model) -> str:
    parts = [
        model.fingerprint,  # as yet the text of its SELECT
        *(f"grain {column}" for column in model.grain),
        *(f"check {check}" for check in model.checks),
        f"window {model.window}, by month {model.by_month}",
        f"view {model.is_view}, no rows {model.expects_no_rows}",
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
