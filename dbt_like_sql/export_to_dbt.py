"""The way out: every model and seed as a dbt project, for whoever wants macros or environments.

`python -m dbt_like_sql.export_to_dbt FOLDER`. What dbt has no word for is left behind: windows, so
that every table is built whole, and the clock that is handed in.
"""

import json
import re
import sys
from pathlib import Path

from dbt_like_sql.engine.checks import breaking, promises
from dbt_like_sql.engine.models import PACKAGE_FOLDER, SCHEMAS, Model, load_models
from dbt_like_sql.engine.seeds import seed_columns, seed_files

# dbt would put staging into main_staging
_SCHEMA_MACRO = """{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
"""


def export(target: Path, folder: Path = PACKAGE_FOLDER) -> None:
    """Write the models of `folder` as a dbt project into `target`; what else is there stays."""
    models, seeds = load_models(folder), seed_files(folder)
    for model in models.values():
        kind = "view" if model.is_view else "table"
        text = f"{{{{ config(materialized='{kind}') }}}}\n{_with_refs(model)}"
        _write(target / "models" / model.path.relative_to(folder), text)
        for number, promise in enumerate(promises(model), start=1):
            path = target / "tests" / f"{model.table}_{number}.sql"
            _write(path, _rows_that_break(model, *promise))
    for path in seeds.values():
        _write(target / "seeds" / path.name, path.read_text(encoding="utf-8"))
    _write(target / "macros" / "generate_schema_name.sql", _SCHEMA_MACRO)
    for name, content in _settings(models, seeds).items():
        _write(target / name, json.dumps(content, indent=2) + "\n")  # JSON is YAML


def _with_refs(model: Model) -> str:
    """The text as it stands, comments and all, with dbt's words where a table is named."""
    # Jinja takes {% for its own, in a string and in a comment too
    text = re.sub(r"\{[{%#]", r"{{ '\g<0>' }}", model.sql)
    return re.sub(
        r"--.*|'.*?'|\w+\.\w+",
        lambda found: _reference(found[0]) if found[0] in model.inputs else found[0],
        text,
    )


def _reference(name: str) -> str:
    schema, table = name.split(".")
    return f"{{{{ source('raw', '{table}') }}}}" if schema == "raw" else f"{{{{ ref('{table}') }}}}"


def _rows_that_break(model: Model, kind: str, expression: str) -> str:
    is_shown = model.schema == "reports" and kind != "grain"
    severity = "{{ config(severity='warn') }}\n" if is_shown else ""
    return f"{severity}{breaking(model, kind, expression, _reference(model.name))}\n"


def _settings(models: dict[str, Model], seeds: dict[str, Path]) -> dict[str, object]:
    """What stands beside the SQL: names, types, documentation, and where the warehouse is."""
    raw = {name for model in models.values() for name in model.inputs if name.startswith("raw.")}
    tables = [{"name": name.removeprefix("raw.")} for name in sorted(raw)]
    described = [
        {
            "name": model.table,
            "description": model.description,
            "columns": [
                {"name": name, "description": text} for name, text in model.column_docs.items()
            ],
        }
        for model in models.values()
    ]
    types = {path.stem: {"+column_types": seed_columns(path)} for path in seeds.values()}
    project = {
        "name": "meterhouse",
        "version": "1.0",
        "profile": "meterhouse",
        "models": {"meterhouse": {schema: {"+schema": schema} for schema in SCHEMAS}},
        "seeds": {"meterhouse": {"+schema": "seeds", **types}},
    }
    database = {"type": "duckdb", "path": "meterhouse.duckdb", "settings": {"TimeZone": "UTC"}}
    outputs = {"target": "warehouse", "outputs": {"warehouse": database}}
    return {
        "models/schema.yml": {"version": 2, "models": described},
        "models/sources.yml": {"sources": [{"name": "raw", "tables": tables}]},
        "dbt_project.yml": project,
        "profiles.yml": {"meterhouse": outputs},
    }


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    export(Path(sys.argv[1]))
