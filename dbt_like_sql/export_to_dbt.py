"""The way out: every model and seed as a dbt project, for whoever wants macros or environments.

`python -m dbt_like_sql.export_to_dbt FOLDER`. What dbt has no word for is left behind: windows, so
that every table is built whole, and the clock that is handed in.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from dbt_like_sql.engine.checks import promises
from dbt_like_sql.engine.lineage import column_documentation
from dbt_like_sql.engine.models import (
    PACKAGE_FOLDER,
    SCHEMAS,
    Model,
    load_models,
)
from dbt_like_sql.engine.models.parsing import named_tables, query_of, table_name
from dbt_like_sql.engine.seeds import seed_columns, seed_files

# dbt would put staging into main_staging
_SCHEMA_MACRO = """{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
"""


def export(target: Path, folder: Path = PACKAGE_FOLDER) -> None:
    """Write the models of `folder` as a dbt project into `target`; what else is there stays."""
    models, seeds = load_models(folder), seed_files(folder)
    documented = column_documentation(models)
    for model in models.values():
        kind = "view" if model.is_view else "table"
        path = target / "models" / model.path.relative_to(folder)
        _write(path, f"{{{{ config(materialized='{kind}') }}}}\n{_with_refs(model)}")
        for number, promise in enumerate(promises(model), start=1):
            path = target / "tests" / f"{model.table}_{number}.sql"
            _write(path, _rows_that_break(model, *promise))
    for path in seeds.values():
        _write(target / "seeds" / path.name, path.read_text(encoding="utf-8"))
    raw = {name for model in models.values() for name in model.inputs if name.startswith("raw.")}
    tables = [{"name": name.removeprefix("raw.")} for name in sorted(raw)]
    described = [_described(model, documented[model.name]) for model in models.values()]
    _write_yaml(target / "models/schema.yml", version=2, models=described)
    _write_yaml(target / "models/sources.yml", sources=[{"name": "raw", "tables": tables}])
    _write_yaml(target / "dbt_project.yml", **_project(seeds))
    database = {"type": "duckdb", "path": "meterhouse.duckdb", "settings": {"TimeZone": "UTC"}}
    outputs = {"target": "warehouse", "outputs": {"warehouse": database}}
    _write_yaml(target / "profiles.yml", meterhouse=outputs)
    _write(target / "macros/generate_schema_name.sql", _SCHEMA_MACRO)


def _with_refs(model: Model) -> str:
    """The text as it stands, comments and all, with dbt's words where a table is named."""
    tables = {table.args["db"].meta["start"]: table for table in named_tables(query_of(model))}
    text, at = "", 0
    for start, table in sorted(tables.items()):
        text += _plain(model.sql[at:start]) + _reference(table_name(table))
        at = table.this.meta["end"] + 1
    return text + _plain(model.sql[at:])


def _plain(sql: str) -> str:
    """Jinja takes {% for its own, in a string and in a comment too."""
    return re.sub(r"\{[{%#]", r"{{ '\g<0>' }}", sql)


def _reference(name: str) -> str:
    schema, table = name.split(".")
    return f"{{{{ source('raw', '{table}') }}}}" if schema == "raw" else f"{{{{ ref('{table}') }}}}"


def _rows_that_break(model: Model, kind: str, expression: str) -> str:
    rows = f"select * from {_reference(model.name)}"  # noqa: S608  (our own files)
    if kind == "grain":
        return f"{rows} qualify count(*) over (partition by {expression}) > 1\n"
    severity = "{{ config(severity='warn') }}\n" if model.schema == "reports" else ""
    return severity + (
        f"{rows}\n" if kind == "expect" else f"{rows} where ({expression}) is not true\n"
    )


def _described(model: Model, columns: dict[str, str]) -> dict[str, Any]:
    named = [{"name": name, "description": text} for name, text in columns.items()]
    return {"name": model.table, "description": model.description, "columns": named}


def _project(seeds: dict[str, Path]) -> dict[str, Any]:
    types = {path.stem: {"+column_types": seed_columns(path)} for path in seeds.values()}
    return {
        "name": "meterhouse",
        "version": "1.0",
        "profile": "meterhouse",
        "models": {"meterhouse": {schema: {"+schema": schema} for schema in SCHEMAS}},
        "seeds": {"meterhouse": {"+schema": "seeds", **types}},
    }


def _write_yaml(path: Path, **content: Any) -> None:
    _write(path, json.dumps(content, indent=2) + "\n")  # JSON is YAML


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    export(Path(sys.argv[1]))
