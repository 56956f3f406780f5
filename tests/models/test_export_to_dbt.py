"""The way out: what is written is a dbt project (dbt 1.11 builds the shipped models with it)."""

import json
import re
from pathlib import Path

from dbt_like_sql.engine.models import load_models
from dbt_like_sql.export_to_dbt import export

FILES = {
    "staging/vendor/stg_usage.sql": """-- What raw.usage says.
-- grain: org_id
select
    usage.org_id, -- who used it
    usage.quantity
from raw.usage as usage
where usage.org_id like '{%'
""",
    "reports/large.sql": """-- What seeds.limits forbids.
-- check: quantity > 1
-- expect: no rows
select u.org_id, u.quantity from staging.stg_usage as u, seeds.limits as l
""",
    "seeds/limits.csv": "quantity\n10\n",
}


def written(folder: Path, target: Path) -> dict[str, str]:
    """The files of the dbt project made of these models."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    export(target, folder)
    return {
        path.relative_to(target).as_posix(): path.read_text()
        for path in target.rglob("*")
        if path.is_file()
    }


def test_a_model_keeps_its_text_and_gets_dbts_words(tmp_path: Path) -> None:
    """Tables become ref() and source(), comments stay, and what Jinja would read is quoted."""
    files = written(tmp_path / "models", tmp_path / "dbt")
    assert files["models/staging/vendor/stg_usage.sql"] == (
        "{{ config(materialized='view') }}\n"
        "-- What raw.usage says.\n"
        "-- grain: org_id\n"
        "select\n"
        "    usage.org_id, -- who used it\n"
        "    usage.quantity\n"
        "from {{ source('raw', 'usage') }} as usage\n"
        "where usage.org_id like '{{ '{%' }}'\n"
    )
    large = files["models/reports/large.sql"]
    assert large.startswith("{{ config(materialized='table') }}\n-- What seeds.limits forbids.\n")
    assert "from {{ ref('stg_usage') }} as u, {{ ref('limits') }} as l\n" in large
    assert files["seeds/limits.csv"] == "quantity\n10\n"


def test_promises_and_comments_go_along(tmp_path: Path) -> None:
    """Grain, check and expect are tests; descriptions stand in schema.yml; seeds have types."""
    files = written(tmp_path / "models", tmp_path / "dbt")
    assert files["tests/stg_usage_1.sql"] == (
        "select \"org_id\", count(*) as row_count from {{ ref('stg_usage') }}"
        ' group by "org_id" having count(*) > 1\n'
    )
    assert "where (quantity > 1) is not true" in files["tests/large_1.sql"]
    assert files["tests/large_2.sql"].endswith("\nselect * from {{ ref('large') }}\n")
    models = {model["name"]: model for model in json.loads(files["models/schema.yml"])["models"]}
    assert models["large"]["description"] == "What seeds.limits forbids."
    assert {"name": "org_id", "description": "who used it"} in models["large"]["columns"]
    types = json.loads(files["dbt_project.yml"])["seeds"]["meterhouse"]["limits"]["+column_types"]
    assert types == {"quantity": "DECIMAL(27,9)"}


def test_every_shipped_model_is_a_file_whose_references_exist(tmp_path: Path) -> None:
    """Names are unique without their schema, as dbt wants them."""
    export(tmp_path)
    names = {path.stem for path in tmp_path.glob("models/**/*.sql")}
    assert len(names) == len(load_models())
    known = names | {path.stem for path in tmp_path.glob("seeds/*.csv")}
    assert len(known) == len(names) + len(list(tmp_path.glob("seeds/*.csv")))
    text = "".join(path.read_text() for path in tmp_path.glob("models/**/*.sql"))
    assert set(re.findall(r"\{\{ ref\('(\w+)'\) \}\}", text)) <= known
