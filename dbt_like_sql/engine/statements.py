# ruff: noqa: S608  (names come from our own model files; DuckDB takes no name as a parameter)
"""The SQL that runs for a model, as text: nothing here touches a warehouse."""

from collections.abc import Mapping
from datetime import UTC, datetime

import sqlglot
from sqlglot import exp

from dbt_like_sql.engine.models import Model, clock_type, named_tables, table_name
from dbt_like_sql.engine.windows import ALL_TIME, EVERYTHING, Window, asked_window, condition


def select(
    models: Mapping[str, Model],
    model: Model,
    window: Window = ALL_TIME,
    now: datetime | None = None,
) -> str:
    """The model's SELECT over one window; over all of time it is the SELECT as written.

    `now` is the answer wherever it asks for the time; without it the question stays.

    The window is a filter on each windowed input and again round the output: DuckDB does not push
    the outer one through casts (a day took 280 ms with it alone, 10 ms with the inner one).
    """
    if window == ALL_TIME or model.window is None:
        return _at(model.query, now).sql(dialect="duckdb", comments=False)
    filtered = _filter_inputs(models, model, window).sql(dialect="duckdb", comments=False)
    return f"select * from ({filtered}) as built where {condition(model.window, (window,))}"


def insert(models: Mapping[str, Model], model: Model, window: Window = ALL_TIME) -> str:
    """The statement that fills one window of a table; answers the number of rows."""
    return f"insert into {model.name} {select(models, model, window)}"


def delete(model: Model, window: Window) -> str:
    """The statement that empties one window of a table (by the window, never by new rows' keys)."""
    return f"delete from {model.name} where {condition(model.window or '', (window,))}"


def create_view(model: Model) -> str:
    """The statement that makes a view."""
    query = model.query.sql(dialect="duckdb", comments=False)
    return f"create or replace view {model.name} as {query}"


def show_sql(
    models: Mapping[str, Model],
    name: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> str:
    """What a build runs for one model over `[since, until)` (neither: all of time), formatted."""
    model = models[name]
    (window,) = asked_window(since, until) or EVERYTHING
    if model.is_view:
        statements = [create_view(model)]
    elif model.is_windowed_table:
        statements = [delete(model, window), insert(models, model, window)]
    else:
        statements = [f"delete from {name}", insert(models, model)]
    pretty = [
        sqlglot.parse_one(sql, read="duckdb").sql("duckdb", pretty=True) for sql in statements
    ]
    return ";\n\n".join(pretty) + ";\n"


def _at(query: exp.Query, now: datetime | None) -> exp.Query:
    """The same query about another time than that of the machine; a day is that of UTC."""
    if now is None:
        return query
    utc, query = now.astimezone(UTC), query.copy()
    times = {"TIMESTAMPTZ": utc.isoformat(sep=" "), "DATE": f"{utc:%Y-%m-%d}"}
    for node in list(query.walk()):
        if kind := clock_type(node):
            node.replace(exp.cast(exp.Literal.string(times[kind]), kind))
    return query


def _filter_inputs(models: Mapping[str, Model], model: Model, window: Window) -> exp.Query:
    query = model.query.copy()
    for table in list(named_tables(query)):
        given = models.get(table_name(table))
        if given is not None and given.window is not None:
            table.replace(_filtered(table, condition(given.window, (window,))))
    return query


def _filtered(table: exp.Table, where: str) -> exp.Subquery:
    bare = exp.table_(table.name, db=table.db)
    subquery = exp.select("*").from_(bare).where(where, dialect="duckdb").subquery()
    subquery.set(
        "alias", table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name))
    )
    for part in ("joins", "laterals", "pivots", "sample"):
        subquery.set(part, table.args.get(part))
    return subquery
