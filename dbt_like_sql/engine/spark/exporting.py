"""What landed, copied to where a cluster reads it: a Parquet file for each table and day."""

from pathlib import Path

import duckdb

from dbt_like_sql.engine.warehouse import literal

_RECEIPTS = "loads"


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
    first = max((file.stem for file in target.glob("*.parquet")), default="")
    if table == _RECEIPTS or not first:
        rows = f"from raw.{table}" + ("" if table == _RECEIPTS else " limit 0")
        write(landed, rows, target / "0000-00-00.parquet")
    if table == _RECEIPTS:
        return
    day = "strftime(landed_at at time zone 'UTC', '%Y-%m-%d')"
    since = f"from raw.{table} where {day} >= {literal(first)}"
    for (text,) in landed.execute(f"select distinct {day} {since} order by all").fetchall():
        write(landed, f"from raw.{table} where {day} = '{text}'", target / f"{text}.parquet")


def write(connection: duckdb.DuckDBPyConnection, rows: str, file: Path) -> None:
    """Write these rows to a Parquet file, in one step."""
    draft = file.with_suffix(".draft")
    connection.execute(f"copy ({rows}) to {literal(str(draft))} (format parquet)")
    draft.replace(file)
