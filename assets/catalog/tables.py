"""What Dagster shows of a table: its key, its partitions, what it holds and as of when."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Any

import dagster as dg
import duckdb

from assets.sources import ENDPOINTS
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.models import PACKAGE_FOLDER, SCHEMAS, Model
from dbt_like_sql.engine.seeds import seed_columns, seed_files
from pipelines import receipts
from pipelines.endpoint import SNAPSHOT
from pipelines.windows import Window, floor

Row = dict[str, Any]
# in the metadata of every materialization, and in the tags of a run that built
AS_OF, BUILT = "as of", "meterhouse/built"


def raw_key(table: str, grain: str) -> dg.AssetKey:
    """raw/<table> for names, raw/<table>_<grain> for what is partitioned."""
    return dg.AssetKey(["raw", table if grain == SNAPSHOT else f"{table}_{grain}"])


def model_key(name: str) -> dg.AssetKey:
    """marts.fct_compute -> marts/fct_compute."""
    return dg.AssetKey(name.split("."))


def partition_key(grain: str, start: datetime) -> str:
    """How Dagster names the partition of the bucket that starts here."""
    return start.strftime("%Y-%m-%d-%H:%M" if grain == "hourly" else "%Y-%m-%d")


def whole_partitions(
    grain: str, window: Window, of_scopes: Sequence[Collection[datetime]]
) -> dict[str, set[datetime]]:
    """The partitions of a window all of whose buckets each scope holds, with these buckets."""
    whole = {}
    for start, group in groupby(window.buckets(), partial(floor, grain=grain)):
        buckets = {*group}
        if of_scopes and all(buckets <= {*of_scope} for of_scope in of_scopes):
            whole[partition_key(grain, start)] = buckets
    return whole


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


def as_of(instant: datetime | None) -> Row:
    """By which instant of the warehouse an event is told; none where nothing says it."""
    return {AS_OF: dg.MetadataValue.timestamp(instant)} if instant else {}


def table_spec(
    table: str, columns: dg.TableSchema, metadata: Row | None = None, **shown: Any
) -> dg.AssetSpec:
    """What Dagster shows of a table of the warehouse: schema.table is schema/table."""
    about = {"dagster/table_name": table, "dagster/column_schema": columns, **(metadata or {})}
    key = shown.pop("key", table.split("."))
    return dg.AssetSpec(key, owners=["team:usage-data"], metadata=about, **shown)
