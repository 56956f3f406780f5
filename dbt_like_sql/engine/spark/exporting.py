# ruff: noqa: S608  (names come from the catalogue of our own warehouse)
"""What landed, copied to where a cluster reads it: a Parquet file for each table and day."""

from datetime import timedelta
from pathlib import Path

import duckdb

from dbt_like_sql.engine.words import in_place_of, literal

_RECEIPTS = "loads"
# before all days: the columns of a table, or the receipts, which are few
_NO_DAY = "0000-00-00.parquet"


def export(landed: duckdb.DuckDBPyConnection, folder: Path) -> Path:
    """Copy what landed since the last time into `folder`; the folder of this warehouse in it.

    `landed` is the open writer. A file is what landed on one day: raw.* is only added to, but for
    receipts, which are few and copied whole.
    """
    ((number,),) = landed.execute("select cast(id as varchar) from meta.warehouse").fetchall()
    target = folder / str(number)
    tables = landed.execute(
        "select table_name, md5(string_agg(column_name || data_type, ',' order by column_index))"
        " from duckdb_columns() where database_name = current_database() and schema_name = 'raw'"
        " group by all having bool_or(column_name = 'landed_at')"
    ).fetchall()
    for table, columns in tables:
        _export_table(landed, table, target / "raw" / table / columns[:8])
    return target


def _export_table(landed: duckdb.DuckDBPyConnection, table: str, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    copied, all_of_it = sorted(file.stem for file in target.glob("*.parquet")), target / _NO_DAY
    if table == _RECEIPTS:
        write(landed, f"from raw.{table}", all_of_it)
        return
    if not copied:
        write(landed, f"from raw.{table} limit 0", all_of_it)
    # the instant itself is compared: what landed before is found without reading it
    newest = f"timestamptz '{copied[-1]} 00:00:00+00'" if len(copied) > 1 else "'-infinity'"
    days = f"select distinct date_trunc('day', landed_at) from raw.{table}"
    for (day,) in landed.execute(f"{days} where landed_at >= {newest} order by all").fetchall():
        of_day = f"landed_at >= {literal(day)} and landed_at < {literal(day + timedelta(days=1))}"
        write(landed, f"from raw.{table} where {of_day}", target / f"{day:%Y-%m-%d}.parquet")


def write(connection: duckdb.DuckDBPyConnection, rows: str, file: Path) -> None:
    """Write these rows to a Parquet file, in one step."""
    with in_place_of(file) as draft:
        connection.execute(f"copy ({rows}) to {literal(str(draft))} (format parquet)")
