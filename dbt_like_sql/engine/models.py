"""Every model: one plain SELECT per file, read, checked against the others and put in order.

`staging/neon/stg_x.sql` is the view staging.stg_x: the first folder is the schema, those below it
are for people. Files in the other folders are tables, unless they say `materialized: view`.
README.md beside this folder has the format; building them is runner.py.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from sqlglot import exp

from dbt_like_sql.engine.parsing import (
    ModelError,
    Statement,
    column_docs,
    normalised,
    parse_header,
    parse_statement,
)
from dbt_like_sql.engine.seeds import content_hash, seed_files

__all__ = ["PACKAGE_FOLDER", "SCHEMAS", "Model", "ModelError", "load_models", "output_columns"]

PACKAGE_FOLDER = Path(__file__).parents[1]
SCHEMAS = ("staging", "intermediate", "marts", "reports")
_NOW = {"current_timestamp", "now", "get_current_timestamp", "transaction_timestamp"}
_TODAY = {"current_date", "today"}
# these follow the time zone of the session, as a build must not
_LOCAL = {"current_time", "get_current_time", "localtime", "localtimestamp"}
_LOCAL |= {"current_localtime", "current_localtimestamp"}
_CLOCK_NODES: dict[type[exp.Expr], str] = {
    exp.CurrentTimestamp: "current_timestamp",
    exp.CurrentDate: "current_date",
    exp.CurrentTime: "current_time",
    exp.Localtime: "localtime",
    exp.Localtimestamp: "localtimestamp",
}


@dataclass(frozen=True)
class Model:
    """One model: what its file says, what it reads and a fingerprint of what it computes.

    `window` is the column by which a table is built a window at a time and a view is filtered.
    `expects_no_rows`: each row that it holds is trouble.
    `fingerprint` covers the SELECT, the header words, the input models and seeds; not comments.
    """

    name: str
    schema: str
    table: str
    path: Path
    sql: str
    description: str
    grain: tuple[str, ...]
    checks: tuple[str, ...]
    window: str | None
    is_view: bool
    expects_no_rows: bool
    inputs: tuple[str, ...]
    column_docs: Mapping[str, str]
    fingerprint: str
    query: exp.Query = field(repr=False, compare=False)
    lines: Mapping[str, int] = field(repr=False, compare=False, default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder that its schema's folder is in, however deep below that the file is."""
        return next(path.parent for path in self.path.parents if path.name == self.schema)

    @property
    def is_windowed_table(self) -> bool:
        """Built a window at a time; every other table is built whole."""
        return self.window is not None and not self.is_view

    @cached_property
    def reads_clock(self) -> bool:
        """The SELECT asks what time it is, so its rows change though no input does."""
        return any(clock_type(node) for node in self.query.walk())


def load_models(folder: Path = PACKAGE_FOLDER) -> dict[str, Model]:
    """All models below `folder`, by name, inputs before readers; ModelError names file and line."""
    found = {
        f"{schema}.{path.stem}": _read(path, schema, path.read_text(encoding="utf-8"))
        for schema in SCHEMAS
        for path in sorted((folder / schema).rglob("*.sql"))
    }
    seeds = seed_files(folder)
    for model in found.values():
        _check_inputs(model, known=found.keys() | seeds.keys())
    prints = {name: content_hash(path) for name, path in seeds.items()}
    ordered: dict[str, Model] = {}
    for name in _in_order(found):
        model = found[name]
        prints[name] = _fingerprint(model, prints)
        ordered[name] = replace(model, fingerprint=prints[name])
    return ordered


def output_columns(model: Model) -> list[str]:
    """Names of a model's columns, in order; known without a warehouse."""
    return list(model.query.named_selects)


@lru_cache(maxsize=512)
def _read(path: Path, schema: str, sql: str) -> Model:
    """Kept for as long as the text is the same: a file takes 20 ms of CPU to parse."""
    header, statement = parse_header(path, sql), parse_statement(path, sql)
    query = statement.query
    model = Model(
        name=f"{schema}.{path.stem}",
        schema=schema,
        table=path.stem,
        path=path,
        sql=sql,
        description=header.description,
        grain=header.grain,
        checks=header.checks,
        window=header.window,
        is_view=schema == "staging" or header.materialized == "view",
        expects_no_rows=header.expect is not None,
        inputs=tuple(sorted({table_name(table) for table in named_tables(query)})),
        column_docs=column_docs(sql, statement),
        fingerprint=normalised(sql, statement.tokens),
        query=query,
        lines=header.lines,
    )
    _check_header(model)
    _check_clock(model, statement)
    return model


def named_tables(query: exp.Expr) -> Iterator[exp.Table]:
    """Every `schema.table` a query names; bare names and table functions are left out."""
    for table in query.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier) and table.db:
            yield table


def table_name(table: exp.Table) -> str:
    """`schema.table` as models are named."""
    return f"{table.db}.{table.name}"


def clock_type(node: exp.Expr) -> str | None:
    """What a node that asks for the time is answered with: TIMESTAMPTZ, DATE; None for others."""
    asked = _asked_of_clock(node)
    return "TIMESTAMPTZ" if asked in _NOW else "DATE" if asked in _TODAY else None


def _asked_of_clock(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return node.name.lower()
    return _CLOCK_NODES.get(type(node), "")


def _check_header(model: Model) -> None:
    columns = output_columns(model)
    for word, names in (("grain", model.grain), ("window", (model.window,))):
        for name in names:
            if name is not None and name not in columns:
                message = f"`{word}:` names {name}, which is no output column"
                raise ModelError(model.path, model.lines[word], message)


def _check_clock(model: Model, statement: Statement) -> None:
    """A build has one clock; what is not built anew by every build cannot follow it."""
    asked = {_asked_of_clock(node) for node in model.query.walk()} & (_NOW | _TODAY | _LOCAL)
    if not asked:
        return
    words = _NOW | _TODAY | _LOCAL
    line = next((t.line for t in statement.tokens if t.text.lower() in words), 1)
    if asked & _LOCAL:
        message = f"{min(asked & _LOCAL)} follows a time zone: write current_timestamp"
        raise ModelError(model.path, line, message)
    if model.is_view or model.window:
        message = "views and models with a `window:` may not ask for the time; filter their readers"
        raise ModelError(model.path, line, message)


def _check_inputs(model: Model, known: set[str]) -> None:
    ctes = {cte.alias for cte in model.query.find_all(exp.CTE)}
    for table in model.query.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            continue
        if problem := _input_problem(model, table, known, ctes):
            raise ModelError(model.path, _line(table.this), problem)
    for column in model.query.find_all(exp.Column):
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
        line = next(
            _line(table.this) for table in named_tables(model.query) if table_name(table) in names
        )
        raise ModelError(
            model.path, line, f"models read each other in a circle: {circle}"
        ) from None


def _fingerprint(model: Model, prints: Mapping[str, str]) -> str:
    parts = [
        model.fingerprint,  # as yet the text of its SELECT
        *(f"grain {column}" for column in model.grain),
        *(f"check {check}" for check in model.checks),
        f"window {model.window}",
        f"view {model.is_view}, no rows {model.expects_no_rows}",
        *(f"{name} {prints.get(name, '')}" for name in model.inputs),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
