# ruff: noqa: S608  (conditions and names are our own, of rules.csv and the contract)
"""What a line, and all lines of a file together, have to keep to: rules.csv, tried in SQL.

A rule is a condition that is wrong of a line, or of a line beside the others of its scope (`file`);
what is blank, or could not be read, meets none. Days beside a month of the same scope are no
problem: they are two resolutions of one thing.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import compress

import duckdb
import pyarrow as pa

from pipelines.atlassian_usage.files.contract import KEY, rows_of
from pipelines.atlassian_usage.files.problems import LISTED, Problem
from pipelines.log import literal

_RULES = rows_of("rules.csv")
# one scope in whatever letters; none where a part of it, but for the app, could not be read
_SCOPE = [f"lower({name})" if name != "app" else "lower(coalesce(app, ''))" for name in KEY]
_KNOWN = " and ".join(f"{part} is not null" for part in (*_SCOPE, "period_start", "period_end"))
_BESIDE_OTHERS = f"""
    select
        line, granularity, period_start, period_end, lag(line) over scope as before,
        lag(period_start) over scope as start_before, lag(period_end) over scope as end_before,
        max(period_end) over earlier as furthest,
        arg_max(line, (period_end, period_start, line)) over earlier as reaching
    from line
    where {_KNOWN} and line not in ({{wrong}})
    window
        scope as (partition by {", ".join(_SCOPE)} order by period_start, period_end, line),
        earlier as (scope rows between unbounded preceding and 1 preceding)
"""


def check(table: pa.Table, now: datetime, problems: list[Problem]) -> None:
    """Note what lines say that cannot be, though each of their values could, and then, of lines of
    which nothing is wrong so far, what they say together.

    `table` has beside the contract's columns the `known` unit of its usage type and the `line`.
    """
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("told", table)
        connection.execute(f"create view line as select *, {literal(now)} as now from told")
        problems += _broken(connection, "line")
        wrong = ", ".join(["0", *(str(problem.line) for problem in problems if problem.line)])
        connection.execute(f"create table file as {_BESIDE_OTHERS.format(wrong=wrong)}")
        problems += _broken(connection, "file")


def _broken(connection: duckdb.DuckDBPyConnection, of: str) -> Iterator[Problem]:
    rules = [rule for rule in _RULES if rule[0] == of]
    # all of them at once: a file breaks none, as a rule
    tried = ", ".join(f"bool_or({wrong})" for _, _, wrong, _ in rules)
    (are_broken,) = connection.execute(f"select {tried} from {of}").fetchall()
    for _, column, wrong, reason in compress(rules, are_broken):
        lines = connection.execute(f"from {of} where {wrong} order by line limit {LISTED + 1}")
        names = [name for name, *_ in lines.description or ()]
        for row in lines.fetchall():
            line = dict(zip(names, row, strict=True))
            yield Problem(reason.format(**line), line["line"], column)
