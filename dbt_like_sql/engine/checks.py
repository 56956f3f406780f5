# ruff: noqa: S608  (names and checks come from our own model files; DuckDB takes no name as a parameter)
"""What a model promises about its rows, tried on the rows it has: `grain:` and `check:`."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import duckdb

from dbt_like_sql.engine.models import Model
from dbt_like_sql.engine.windows import EVERYTHING, Windows, condition

_SAMPLES = 3


@dataclass(frozen=True)
class CheckResult:
    """One promise of one model: kind is `grain` or `check`; up to three rows that break it."""

    model: str
    expression: str
    kind: str
    passed: bool
    failing_rows: int
    samples: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        if self.passed:
            return f"{self.model}: {self.kind} `{self.expression}` holds"
        what = "is shared by" if self.kind == "grain" else "is not true for"
        rows = "row" if self.failing_rows == 1 else "rows"
        sample = "".join(f"\n    {row}" for row in self.samples)
        count = f"{self.failing_rows} {rows}"
        return f"{self.model}: {self.kind} `{self.expression}` {what} {count}{sample}"


class CheckFailedError(RuntimeError):
    """A promise that must hold does not: the build was rolled back. `results`: that model's."""

    def __init__(self, results: Sequence[CheckResult]) -> None:
        failed = "\n".join(str(result) for result in results if not result.passed)
        super().__init__(f"{failed}\nNothing was changed: the tables of the last build stand.")
        self.results = tuple(results)


def evaluate(
    connection: duckdb.DuckDBPyConnection, model: Model, windows: Windows = EVERYTHING
) -> list[CheckResult]:
    """Grain and checks of a model on its rows in these windows (without a `window:`, on all)."""
    where = condition(model.window, windows) if model.window else "true"
    results = [_grain(connection, model, where)] if model.grain else []
    if model.is_windowed_table:  # a row of no window would never be deleted or built again
        results.append(_check(connection, model, f"{model.window} is not null", "true"))
    return results + [_check(connection, model, check, where) for check in model.checks]


def _grain(connection: duckdb.DuckDBPyConnection, model: Model, where: str) -> CheckResult:
    columns = ", ".join(f'"{column}"' for column in model.grain)
    if model.window not in model.grain:  # its rows may repeat in another window
        where = "true"
    repeated = (
        f"select {columns}, count(*) as row_count from {model.name} where {where}"
        f" group by {columns} having count(*) > 1"
    )
    return _result(
        connection, model, ("grain", ", ".join(model.grain)), "sum(row_count)", f"({repeated})"
    )


def _check(
    connection: duckdb.DuckDBPyConnection, model: Model, check: str, where: str
) -> CheckResult:
    failing = f"(select * from {model.name} where ({where}) and ({check}) is not true)"
    return _result(connection, model, ("check", check), "count(*)", failing)


def _result(
    connection: duckdb.DuckDBPyConnection,
    model: Model,
    promise: tuple[str, str],
    count: str,
    failing: str,
) -> CheckResult:
    kind, expression = promise
    try:
        row = connection.execute(f"select {count} from {failing} as failing").fetchone()
        rows = int(row[0] or 0) if row else 0
        samples = _samples(connection, failing) if rows else ()
    except duckdb.Error as error:
        error.add_note(f"while trying {kind} `{expression}` of {model.path}")
        raise
    return CheckResult(model.name, expression, kind, rows == 0, rows, samples)


def _samples(connection: duckdb.DuckDBPyConnection, failing: str) -> tuple[str, ...]:
    rows = connection.execute(
        f"select cast(failing as varchar) from {failing} as failing order by all limit {_SAMPLES}"
    ).fetchall()
    return tuple(text for (text,) in rows)
