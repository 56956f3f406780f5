"""A model's SQL as another engine says it: what sqlglot's translation leaves or gets wrong.

Models are written once, in DuckDB's SQL. Each rewrite here is of a construct with which the plain
translation fails there, or silently means something else; tests/engines runs all of them on both.
What there is no rewrite for has to be written so that it travels (dbt_like_sql/README.md).
"""

from collections.abc import Mapping
from functools import cache, singledispatch

from sqlglot import Dialect, exp, parse_one
from sqlglot.generators.spark import SparkGenerator

_E18 = "1000000000000000000"
SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    # a product of decimals keeps all of its places, or is an error: else it is rounded to six
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
}


def to_spark(sql: str) -> str:
    """The same in Spark's SQL, for a session with SETTINGS."""
    query = parse_one(sql, read="duckdb")
    for select in list(query.find_all(exp.Select)):
        write_out_windows(select)
    for node in reversed(list(query.walk())):  # what is inside first
        node.replace(_in_spark(node))
    return _SparkGenerator(dialect=Dialect.get_or_raise("spark")).generate(query)


class _SparkGenerator(SparkGenerator):
    """Writes QUALIFY as it stands: sqlglot's subquery for it names tables that it cannot see."""

    TRANSFORMS = {  # noqa: RUF012  (as its parent has it)
        kind: how for kind, how in SparkGenerator.TRANSFORMS.items() if kind is not exp.Select
    }


@cache
def _parsed(template: str) -> exp.Expr:
    return parse_one(template, read="spark")


def _spark(template: str, **parts: exp.Expr) -> exp.Expr:
    """An expression of Spark's SQL with these parts in place of `:name`."""
    copies = {name: exp.paren(part.copy()) for name, part in parts.items()}
    return exp.paren(exp.replace_placeholders(_parsed(template).copy(), **copies))


@singledispatch
def _in_spark(node: exp.Expr) -> exp.Expr:
    """What stands in its place; the node itself where it means the same there."""
    return node


@_in_spark.register
def _type(node: exp.DataType) -> exp.Expr:
    """There is no whole number of 128 bits but a decimal."""
    is_hugeint = node.this == exp.DType.INT128
    return exp.DataType.build("decimal(38, 0)") if is_hugeint else node


@_in_spark.register
def _quotient(node: exp.Div) -> exp.Expr:
    """DuckDB divides decimals as floats; Spark would, to as many places as their types leave."""
    return _spark("cast(:a as double) / :b", a=node.this, b=node.expression)


@_in_spark.register
def _whole_quotient(node: exp.IntDiv) -> exp.Expr:
    """DIV answers in 64 bits, wrapped: divided as by hand, what is above 18 digits first. Exact up
    to 9.2e36, which is as many dollars in 18 places as decimal(38, 18) is asked to hold."""
    whole = _spark("cast(:a as decimal(38, 0))", a=node.this)
    below = _spark(f":a % {_E18}", a=whole)
    above = _spark("cast((:a - :b) * 0.000000000000000001 as decimal(38, 0))", a=whole, b=below)
    first = _spark("cast(:a div :b as decimal(38, 0))", a=above, b=node.expression)
    rest = _spark(f"cast(:a % :b as decimal(38, 0)) * {_E18}", a=above, b=node.expression)
    return _spark(
        f":first * {_E18} + (:rest + :below) div :b",
        first=first, rest=rest, below=below, b=node.expression,
    )  # fmt: skip


@_in_spark.register
def _part(node: exp.Extract) -> exp.Expr:
    """Sunday is 0, and not 1; seconds since 1970, or between two instants, have a fraction."""
    part, of = node.name.upper(), node.expression
    if part in ("DOW", "DAYOFWEEK"):
        return _spark("dayofweek(:a) - 1", a=of)
    if part != "EPOCH":
        return node
    if isinstance(of, exp.Sub) and not of.expression.find(exp.Interval):
        micros = _spark("unix_micros(:a) - unix_micros(:b)", a=of.this, b=of.expression)
        return _spark("cast(:a as double) / 1e6", a=micros)
    return _spark("cast(unix_micros(:a) as double) / 1e6", a=of)


@_in_spark.register
def _days_between(node: exp.DateDiff) -> exp.Expr:
    """The midnights between two instants: Spark counts spans of 24 hours."""
    if node.text("unit").upper() != "DAY":
        return node
    since, until = node.expression, node.this
    return _spark("date_diff(cast(:a as date), cast(:b as date))", a=until, b=since)


@_in_spark.register
def _in_utc(node: exp.AtTimeZone) -> exp.Expr:
    """The session is in UTC: to name the zone once more would make it that of its client."""
    is_utc = node.args["zone"].name.upper() == "UTC"
    return exp.paren(node.this.copy()) if is_utc else node


@_in_spark.register
def _value_at_greatest(node: exp.ArgMax) -> exp.Expr:
    """DuckDB passes over rows without a value."""
    order = _spark("case when :a is not null then :b end", a=node.this, b=node.expression)
    node.set("expression", order)
    return node


@_in_spark.register
def _json_list(node: exp.JSONArray) -> exp.Expr:
    """A list as JSON."""
    return exp.func("to_json", exp.func("array", *node.expressions, dialect="spark"))


@_in_spark.register
def _function(node: exp.Anonymous) -> exp.Expr:
    """HASH has 32 bits there; an object as JSON, without the names whose value is null, is a patch
    of nothing with it."""
    if node.name.lower() == "hash":
        return exp.Anonymous(this="xxhash64", expressions=node.expressions)
    if node.name.lower() != "json_merge_patch":
        return node
    _, patch = node.expressions
    parts = [part for pair in patch.expressions for part in (pair.this, pair.expression)]
    return exp.func("to_json", exp.Anonymous(this="named_struct", expressions=parts))


@_in_spark.register
def _cast(node: exp.Cast) -> exp.Expr:
    """In text with all of its places: a decimal that was a float has as many there as it needs. And
    a row of a subquery is no value there."""
    is_decimal = node.to.is_type("decimal") and len(node.to.expressions) == 2
    if is_decimal and isinstance(node.parent, exp.Concat):
        places = "0." + "0" * int(node.to.expressions[1].name)
        return exp.Anonymous(
            this="format_number", expressions=[node.copy(), exp.Literal.string(places)]
        )
    row, select = node.this, node.find_ancestor(exp.Select)
    read = select.args.get("from_") if select and isinstance(row, exp.Column) else None
    if not (read and isinstance(read.this, exp.Subquery) and row.sql() == read.alias_or_name):
        return node
    return _spark(f"to_json(struct({row.name}.*))")


def write_out_windows(select: exp.Select) -> None:
    """Windows are written where they are used: one may not begin with another there."""
    named = {window.name: window for window in select.args.get("windows") or ()}
    select.set("windows", None)
    for window in list(select.find_all(exp.Window)):
        if window.alias in named:
            window.replace(_written_out(window, named))


def _written_out(window: exp.Expr, named: Mapping[str, exp.Expr]) -> exp.Expr:
    whole = window.copy()
    if window.alias:
        base = _written_out(named[window.alias], named)
        for part in ("partition_by", "order", "spec"):
            whole.set(part, whole.args.get(part) or base.args.get(part))
        whole.set("alias", None)
    return whole
