"""What Dagster shows of a table: its key, where it is written, its columns, its first rows."""

import re
import warnings
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from assets.runs.opening import Row
from assets.settings import read_one, warehouse_at
from assets.sources import ENDPOINTS
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.models import PACKAGE_FOLDER, SCHEMAS, Model, load_models
from dbt_like_sql.engine.seeds import seed_columns, seed_files
from pipelines import receipts
from pipelines.endpoint import SNAPSHOT
from pipelines.receipts import Connection

# a line per asset and process on everybody's terminal; the version of dagster is pinned
warnings.filterwarnings("ignore", "Class `(LocalFile)?CodeReference", dg.BetaWarning)

# in the metadata of every materialization: an instant of the warehouse, UTC
AS_OF = "as of"
# in the tags of a run: the backfill that it is of; and where it built, as of when
BACKFILL = "dagster/backfill"
BUILT = "meterhouse/built"
MODELS = load_models(keep_in=warehouse.models_beside(warehouse_at()))
OWNERS = read_one("asset_owners")
PREVIEW_ROWS, LONGEST_SHOWN = 5, 60
# names are the vendors': <b> in one is shown, and a bar ends no cell
MARKUP = re.compile(r"[\\`*\[\]<>|~&]|(?<!\w)_|_(?!\w)")


def raw_key(table: str, grain: str) -> dg.AssetKey:
    """raw/<table> for names, raw/<table>_<grain> for what is partitioned."""
    return dg.AssetKey(["raw", table if grain == SNAPSHOT else f"{table}_{grain}"])


def model_key(name: str) -> dg.AssetKey:
    """marts.fct_compute -> marts/fct_compute."""
    return dg.AssetKey(name.split("."))


def column_types(models: Iterable[Model]) -> dict[str, dict[str, str]]:
    """`{schema.table: {column: type}}` of all that models make, before anything is built: an empty
    warehouse in memory is asked."""
    with duckdb.connect() as connection:
        for schema in (*SCHEMAS, "seeds"):
            connection.execute(f"create schema {schema}")
        receipts.create_raw_tables(connection, ENDPOINTS)
        for name, path in seed_files(PACKAGE_FOLDER).items():
            columns = ", ".join(f'"{c}" {kind}' for c, kind in seed_columns(path).items())
            connection.execute(f"create table {name} ({columns})")
        for model in models:
            rows = model.select(now=datetime.now(UTC))
            connection.execute(f"create table {model.name} as from ({rows}) limit 0")
        return warehouse.describe(connection)


def text_of(instant: datetime | None) -> str:
    """An instant as text that sorts."""
    return instant.astimezone(UTC).isoformat() if instant else ""


def table_spec(
    table: str,
    code: Path,
    columns: Iterable[tuple[str, str, str | None]],
    metadata: Row | None = None,
    **shown: Any,
) -> dg.AssetSpec:
    """What Dagster shows of a table of the warehouse: schema.table is schema/table.

    `columns`: name, type and comment; `code`: the file that says what is in it.
    """
    file = dg.LocalFileCodeReference(file_path=str(code), label=code.name)
    about = {
        "dagster/table_name": table,
        "dagster/column_schema": dg.TableSchema([dg.TableColumn(*column) for column in columns]),
        "dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[file]),
        **(metadata or {}),
    }
    key, tags = shown.pop("key", model_key(table)), shown.pop("tags", {})
    tags = {"layer": table.partition(".")[0], **tags}
    return dg.AssetSpec(key, owners=OWNERS, metadata=about, tags=tags, **shown)


def preview(connection: Connection, rows: str) -> dg.MetadataValue[Any]:
    """The first rows of a table or a query, for people to look at."""
    found = connection.execute(f"from {rows} limit {PREVIEW_ROWS}")
    head = [column for column, *_ in found.description or ()]
    lines = [head, ["---"] * len(head), *found.fetchall()]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines))


def _cell(value: Any) -> str:
    text = "" if value is None else f"{value}"
    if isinstance(value, datetime):
        text = f"{value:%Y-%m-%d %H:%MZ}"
    text = text.replace("\n", " ")
    text = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
    return MARKUP.sub(r"\\\g<0>", text)
