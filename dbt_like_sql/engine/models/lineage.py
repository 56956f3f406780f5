"""Which columns of its inputs each column of a model is made from, and what it therefore means.

The only place that calls sqlglot's lineage, whose signature moves between versions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope
from sqlglot.schema import MappingSchema

from dbt_like_sql.engine.models.model import Model, Source
from dbt_like_sql.engine.models.parsing import query_of, table_name
from dbt_like_sql.engine.seeds import seed_columns

# names as they are written: FOCUS has capitals
_DIALECT = "duckdb, normalization_strategy=case_sensitive"


def traced(models: Mapping[str, Model], seeds: Mapping[str, Path]) -> Iterator[Model]:
    """The models, inputs before readers, with the lineage of their columns and what these mean.

    A column means what its own comment says, else what the one column does that it passes on: a
    cast passes on; anything computed does not, nor a union of columns documented differently.
    """
    names = _nested(models, seeds)
    documented: dict[str, dict[str, str]] = {}
    for name, model in models.items():
        nodes = _nodes(model, names)
        docs = documented[name] = dict(model.column_docs)
        for column, node in nodes.items():
            if column not in docs and node and (text := _inherited(node, documented)):
                docs[column] = text
        sources = {column: _sources(node) for column, node in nodes.items()}
        yield replace(model, column_docs=docs, lineage=sources)


def _nodes(model: Model, names: MappingSchema) -> dict[str, Node | None]:
    """Per output column the top of its lineage: the query is qualified once for all of them."""
    unknown: dict[str, Node | None] = dict.fromkeys(model.columns)
    try:
        query = qualify(
            query_of(model).copy(),
            schema=names,
            dialect=_DIALECT,
            validate_qualify_columns=False,
            identify=False,
        )
        nodes = lineage(
            None,
            query,
            schema=names,
            dialect=_DIALECT,
            scope=build_scope(query),
            copy=False,
            trim_selects=False,
        )
    except (SqlglotError, ValueError):
        return unknown
    return unknown | {column: node for column, node in nodes.items() if column in unknown}


def _sources(node: Node | None) -> tuple[Source, ...]:
    found = {source for leaf in node.walk() for source in _source(leaf)} if node else set()
    return tuple(sorted(found))


def _source(node: Node) -> Iterator[Source]:
    column, table = node.name.rsplit(".", 1)[-1].strip('"'), node.expression
    if isinstance(table, exp.Star) and column != "*":
        table = _starred(node) or table
    if isinstance(table, exp.Table) and table.db and column != "*":
        yield table_name(table), column


def _starred(node: Node) -> exp.Table | None:
    """The table behind a `*` of which no columns are known (raw.*), if it can be one only."""
    selects = node.source.selects if isinstance(node.source, exp.Select) else []
    stars = {
        select.table if isinstance(select, exp.Column) else ""
        for select in selects
        if select.is_star
    }
    inputs = [
        given.expression for given in node.downstream if isinstance(given.expression, exp.Table)
    ]
    if stars == {""}:
        return inputs[0] if len(inputs) == len(node.downstream) == 1 else None
    named = [table for table in inputs if table.alias_or_name in stars]
    return named[0] if len(stars) == len(named) == 1 else None


def _inherited(node: Node, documented: Mapping[str, Mapping[str, str]]) -> str | None:
    texts: set[str | None] = set()
    for step in node.walk():
        expression = step.expression.unalias()
        while isinstance(expression, exp.Cast):
            expression = expression.this
        if sources := list(_source(step)):
            texts |= {documented.get(table, {}).get(column) for table, column in sources}
        elif not isinstance(expression, exp.Column):
            return None
    return texts.pop() if len(texts) == 1 else None


def _nested(models: Mapping[str, Model], seeds: Mapping[str, Path]) -> MappingSchema:
    columns = {name: [*seed_columns(path)] for name, path in seeds.items()}
    columns |= {name: [*model.columns] for name, model in models.items()}
    nested: dict[str, dict[str, dict[str, str]]] = {}
    for name, named in columns.items():
        of_schema, table = name.split(".", 1)
        nested.setdefault(of_schema, {})[table] = dict.fromkeys(named, "unknown")
    # normalised names once for all models: it is a third of the time otherwise
    return MappingSchema(dict(nested), dialect=_DIALECT, normalize=False)
