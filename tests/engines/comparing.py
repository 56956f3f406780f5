# ruff: noqa: S608  (names come from our own model files)
"""Rows of two engines side by side, as DuckDB compares them: `except all`, both ways."""

from collections.abc import Iterable
from pathlib import Path

import duckdb

# decimals that were worked out as floats: of these 15 digits are right, on each engine
FLOATS = {
    "marts.usage_by_day": {"quantity"},
    "marts.usage_daily": {"quantity"},
    "marts.usage_monthly": {"quantity"},
    "reports.forecast_history": {
        *("straight_line_quantity", "straight_line_cost", "last_7_days_quantity"),
        "last_7_days_cost",
    },
    "reports.forecast": {
        *("straight_line_quantity", "straight_line_cost", "last_7_days_quantity"),
        "last_7_days_cost",
    },
}
# texts with numbers of more digits than a float has, where the sandbox has values beyond 2**53
FLOATS_IN_TEXT = {"reports.anomalies": {"explanation"}}


def verdict(connection: duckdb.DuckDBPyConnection, name: str, files: Path) -> str:
    """`equal`, or how many rows of this model each side has that the other has not.

    Types are DuckDB's: other engines have no instant with a zone, and none of them HUGEINT.
    """
    columns = connection.execute(f"describe {name}").fetchall()
    shown = ", ".join(_shown(name, column, kind) for column, kind, *_ in columns)
    ours = f"select {shown} from {name}"
    theirs = f"select {shown} from read_parquet('{files}/*.parquet')"
    ((missing, more),) = connection.execute(
        f"select (select count(*) from ({ours} except all {theirs})),"
        f" (select count(*) from ({theirs} except all {ours}))"
    ).fetchall()
    return f"wrong: {missing} rows missing, {more} more" if missing or more else "equal"


def _shown(name: str, column: str, kind: str) -> str:
    value = f'cast("{column}" as {kind})'
    if kind == "DOUBLE" or column in FLOATS.get(name, ()):
        # times pi: what ends in a 5 would be rounded either way
        value = f"format('{{:.10e}}', round(cast({value} as double) * pi(), 12))"
    elif column in FLOATS_IN_TEXT.get(name, ()):
        value = f"regexp_replace({value}, '(\\d{{12}})\\d+\\.\\d+', '\\1', 'g')"
    return f'{value} as "{column}"'


def unequal(verdicts: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Those that are not equal, and why."""
    return {name: found for name, found in verdicts if found != "equal"}
