# ruff: noqa: S608  (names and checks come from our own model files; DuckDB takes no name as a parameter)
"""What a model promises of its rows, tried on those it has: `grain:`, `check:`, `expect:`."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import duckdb

from dbt_like_sql.engine.models import Model
from dbt_like_sql.engine.windows import EVERYTHING, Windows, condition, together

_SAMPLES = 3
_STANDS = "Nothing was changed: the tables of the last build stand."


@dataclass(frozen=True)
class CheckResult:
    """One promise of one model: kind is a word of its header; up to three rows that break it."""

    model: str
    expression: str
    kind: str
    passed: bool
    failing_rows: int
    samples: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return self.sentence + "".join(f"\n    {row}" for row in self.samples)

    @property
    def sentence(self) -> str:
        """What was found, on one line."""
        if self.passed:
            return f"{self.model}: {self.kind} `{self.expression}` holds"
        count = f"{self.failing_rows} {'row' if self.failing_rows == 1 else 'rows'}"
        if self.kind == "expect":
            return f"{self.model}: {count} where there should be none"
        what = "is shared by" if self.kind == "grain" else "is not true for"
        return f"{self.model}: {self.kind} `{self.expression}` {what} {count}"


class CheckFailedError(RuntimeError):
    """A promise that must hold does not: the build was rolled back. `results`: that model's."""

    def __init__(self, results: Sequence[CheckResult], stands: str = _STANDS) -> None:
        failed = "\n".join(str(result) for result in results if not result.passed)
        super().__init__(f"{failed}\n{stands}")
        self.results = tuple(results)


def promises(model: Model) -> list[tuple[str, str]]:
    """(kind, expression) of everything that a model's header promises."""
    return [
        *([("grain", ", ".join(model.grain))] if model.grain else []),
        *(("check", check) for check in model.checks),
        *([("expect", "no rows")] if model.expects_no_rows else []),
    ]


def breaking(model: Model, kind: str, expression: str, rows: str) -> str:
    """A query of those of these rows, a table or a subquery, that break a promise of a model."""
    if kind == "grain":
        columns = _grain(model)
        repeated = f"select {columns}, count(*) as row_count from {rows}"
        return f"{repeated} group by {columns} having count(*) > 1"
    where = f" where ({expression}) is not true" if kind == "check" else ""
    return f"select * from {rows}{where}"


def evaluate(
    connection: duckdb.DuckDBPyConnection, model: Model, windows: Windows = EVERYTHING
) -> list[CheckResult]:
    """A model's promises on its rows in these windows (without a `window:`, on all).

    A grain is tried part after part, for the memory that it takes. A report shows all of its
    trouble, so what it checks is checked on every row.
    """
    whole = within = [model.name]
    if model.window and model.schema != "reports":
        within = [_rows_in(model, windows)]
    of_grain = whole
    if model.window in model.grain:  # else its rows may repeat in another window
        of_grain = [_part_of(model, near) for near in together(windows)] or whole
    tried = [(it, of_grain if it[0] == "grain" else within) for it in promises(model)]
    if model.is_windowed_table:  # a row of no window would never be deleted or built again
        tried.append((("check", f"{model.window} is not null"), whole))
    return [_try(connection, model, promise, parts) for promise, parts in tried]


def _part_of(model: Model, windows: Windows) -> str:
    # DuckDB does not push the filter on a month through a view that makes months of days
    by_itself = model.is_view and model.by_month
    return f"({model.select(windows)})" if by_itself else _rows_in(model, windows)


def _rows_in(model: Model, windows: Windows) -> str:
    return f"(select * from {model.name} where {condition(model.window or '', windows)})"


def _try(
    connection: duckdb.DuckDBPyConnection, model: Model, promise: tuple[str, str], parts: list[str]
) -> CheckResult:
    kind, expression = promise
    failing_rows, samples = 0, tuple[str, ...]()
    if kind == "grain" and model.keeps_grain:
        return CheckResult(model.name, expression, kind, True, 0)
    count = "sum(row_count)" if kind == "grain" else "count(*)"
    for part in parts:
        failing = breaking(model, kind, expression, part)
        try:
            if kind == "grain" and not _may_repeat(connection, _grain(model), part):
                continue
            ((rows,),) = connection.execute(f"select {count} from ({failing})").fetchall()
            samples = samples or (_samples(connection, failing) if rows else ())
        except duckdb.Error as error:
            error.add_note(f"while trying {kind} `{expression}` of {model.path}")
            raise
        failing_rows += int(rows or 0)
    return CheckResult(model.name, expression, kind, failing_rows == 0, failing_rows, samples)


def _may_repeat(connection: duckdb.DuckDBPyConnection, columns: str, part: str) -> bool:
    """Two rows have one hash, for half the CPU and memory of telling which."""
    ((found,),) = connection.execute(
        f"select count(*) > count(distinct hash({columns})) from {part}"
    ).fetchall()
    return bool(found)


def _grain(model: Model) -> str:
    return ", ".join(f'"{column}"' for column in model.grain)


def _samples(connection: duckdb.DuckDBPyConnection, failing: str) -> tuple[str, ...]:
    rows = connection.execute(
        f"select cast(failing as varchar) from ({failing}) as failing order by all limit {_SAMPLES}"
    ).fetchall()
    return tuple(text for (text,) in rows)
