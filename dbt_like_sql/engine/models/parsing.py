"""What one model file says: its header, its SELECT, what its columns mean, what it asks the clock.

Nothing here knows other files: whether inputs exist is decided in project.py.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sqlglot import Dialect, Token, TokenType, exp
from sqlglot.errors import ParseError, TokenError

from dbt_like_sql.engine.models.model import Model, ModelError

_DUCKDB = Dialect.get_or_raise("duckdb")
_HEADER_WORD = re.compile(r"([a-z]+):(?:\s+(.*))?$")
_TRAILING_COMMENT = re.compile(r"[^\S\n]*--[^\S\n]?(.*)")
# each word of a header, and what it may say; () is anything
HEADER_WORDS: dict[str, tuple[str, ...]] = {
    "grain": (),
    "check": (),
    "expect": ("no rows",),
    "window": (),
    "materialized": ("view", "table"),
}
_NOW = {"current_timestamp", "now", "get_current_timestamp", "transaction_timestamp"}
_TODAY = {"current_date", "today"}
# these follow the time zone of the session, as a build must not
_LOCAL = {"current_time", "get_current_time", "localtime", "localtimestamp"}
_LOCAL |= {"current_localtime", "current_localtimestamp"}
_CLOCK_NODES: dict[type[exp.Expr], str] = {
    exp.CurrentTimestamp: "current_timestamp",
    exp.CurrentDate: "current_date",
    exp.CurrentTime: "current_time",
    exp.Localtime: "localtime",
    exp.Localtimestamp: "localtimestamp",
}
BY_MONTH = ", by month"
_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE}
_ENDS = "FROM WHERE GROUP_BY HAVING QUALIFY ORDER_BY LIMIT UNION EXCEPT INTERSECT SEMICOLON"
_AFTER_COLUMNS = {TokenType[name] for name in _ENDS.split()}


@dataclass(frozen=True)
class Header:
    """The comment lines at the top of a model: by word all that it says, and on which line."""

    description: str
    words: dict[str, dict[str, int]]

    def says(self, word: str) -> str | None:
        """What a word that is written once says; None where it is not written."""
        return next(iter(self.words[word]), None)


def parse_header(path: Path, sql: str) -> Header:
    """What the top of a model says; ModelError for a header word that there is not."""
    words: dict[str, dict[str, int]] = {word: {} for word in HEADER_WORDS}
    prose = []
    for number, line in enumerate(sql.splitlines(), start=1):
        if line.strip() and not line.startswith("--"):
            break
        text = line[2:].strip()
        if found := _HEADER_WORD.match(text):
            word, value = found[1], (found[2] or "").strip()
            if problem := _word_problem(words, word, value):
                raise ModelError(path, number, problem)
            if word == "check":
                _parse(path, f"select {value}", number)
            words[word][value] = number
        elif line.strip():
            prose.append(text)
    paragraphs = re.split(r"\n\n+", "\n".join(prose).strip("\n"))
    return Header("\n".join(" ".join(p.split("\n")) for p in paragraphs), words)


def _word_problem(words: dict[str, dict[str, int]], word: str, value: str) -> str | None:
    if word not in words:
        return f"unknown header word `{word}:`; there are {', '.join(words)}"
    if not value or (word != "check" and words[word]):
        return f"`{word}:` must be written once and say something"
    if word == "window" and "," in value.removesuffix(BY_MONTH):
        return f"`window:` is `window: column`, or `window: column{BY_MONTH}`"
    if not HEADER_WORDS[word] or value in HEADER_WORDS[word]:
        return None
    may_be = " or ".join(f"`{word}: {each}`" for each in HEADER_WORDS[word])
    return f"`{word}:` is {may_be}, or is left out"


@dataclass(frozen=True)
class Statement:
    """The one SELECT of a model: its syntax tree, and its tokens, which know comments."""

    query: exp.Query
    tokens: Sequence[Token]


@lru_cache(maxsize=512)
def parse_statement(path: Path, sql: str) -> Statement:
    """The one SELECT of a model; ModelError where it is none, or does not name its columns.

    Kept for as long as the text is the same: a file takes 10 ms of CPU to parse.
    """
    tokens, parsed = _parse(path, sql)
    statements = [statement for statement in parsed if statement is not None]
    if len(statements) != 1:
        ends = [at for at, token in enumerate(tokens) if token.token_type == TokenType.SEMICOLON]
        line = tokens[ends[0] + 1].line if statements else 1
        message = f"a model is one SELECT, here are {len(statements)} statements"
        raise ModelError(path, line, message)
    query = statements[0]
    if not isinstance(query, exp.Query):
        raise ModelError(path, tokens[0].line, "a model is a SELECT, nothing else")
    _check_columns(path, tokens, query)
    return Statement(query, tokens)


def query_of(model: Model) -> exp.Query:
    """A model's syntax tree."""
    return parse_statement(model.path, model.sql).query


def normalised(sql: str, tokens: Sequence[Token]) -> str:
    """The text without comments and layout: the same for as long as the same is computed."""
    words = (token for token in tokens if token.token_type != TokenType.SEMICOLON)
    return " ".join(sql[token.start : token.end + 1] for token in words)


def _parse(
    path: Path, sql: str, line: int = 0
) -> tuple[Sequence[Token], Sequence[exp.Expr | None]]:
    try:
        tokens = _DUCKDB.tokenize(sql)
        return tokens, _DUCKDB.parser().parse(tokens, sql)
    except ParseError as error:
        found = error.errors[0]
        raise ModelError(path, line or found["line"] or 1, found["description"] or "") from error
    except TokenError as error:
        raise ModelError(path, line or 1, str(error)) from error


def _check_columns(path: Path, tokens: Sequence[Token], query: exp.Query) -> None:
    line = next((token.line for token, _ in _projection_ends(tokens)), 1)
    names = query.named_selects
    if query.is_star or "*" in names:
        raise ModelError(path, line, "name every output column: no `*` in the final select")
    if "" in names:
        at = names.index("") + 1
        raise ModelError(path, line, f"output column {at} has no name: write `as ...`")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ModelError(path, line, f"two output columns are called {twice[0]}")


def column_docs(sql: str, statement: Statement) -> dict[str, str]:
    """The trailing `-- comment` of each output column, found by its place in the text.

    The comment stands after the column or its comma, on the same line; lines below it that hold
    only a comment starting in the same place go on with it. Of a union, the first SELECT counts.
    """
    names = statement.query.named_selects
    ends = list(_projection_ends(statement.tokens))
    if len(ends) != len(names):
        return {}
    documented = {
        name: _comment_at(sql, comma.end if comma else last.end) or _comment_at(sql, last.end)
        for name, (last, comma) in zip(names, ends, strict=True)
    }
    return {name: text for name, text in documented.items() if text}


def _projection_ends(tokens: Sequence[Token]) -> Iterator[tuple[Token, Token | None]]:
    """Last token and comma of each output column of the outermost (first) SELECT."""
    depth, selecting, previous = 0, False, None
    for token in tokens:
        kind = token.token_type
        depth += (kind in _OPENING) - (kind in _CLOSING)
        if selecting and depth == 0 and previous is not None:
            # `is distinct from` is no FROM clause
            distinct_from = kind == TokenType.FROM and previous.token_type == TokenType.DISTINCT
            if kind == TokenType.COMMA:
                yield previous, token
            elif kind in _AFTER_COLUMNS and not distinct_from:
                break
        selecting = selecting or (depth == 0 and kind == TokenType.SELECT)
        previous = token
    if selecting and previous is not None and previous.token_type != TokenType.COMMA:
        yield previous, None


def _comment_at(sql: str, end: int) -> str:
    found = _TRAILING_COMMENT.match(sql, end + 1)
    if not found:
        return ""
    indent = found.start() + found[0].index("--") - (sql.rfind("\n", 0, found.start()) + 1)
    texts = [found[1].strip()]
    for line in sql[found.end() :].splitlines()[1:]:
        if line.find("--") != indent or line[:indent].strip():
            break
        texts.append(line[indent + 2 :].strip())
    return " ".join(texts)


def named_tables(query: exp.Expr) -> Iterator[exp.Table]:
    """Every `schema.table` a query names; bare names and table functions are left out."""
    for table in query.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier) and table.db:
            yield table


def table_name(table: exp.Table) -> str:
    """`schema.table` as models are named."""
    return f"{table.db}.{table.name}"


def rendered(query: exp.Query, windows: Mapping[str, str] | None = None) -> str:
    """A query as text, with `$now` and `$today` where it asks for the time.

    `windows`: the column by which each of these inputs is filtered, as `IN_WINDOW("column")`.
    """
    query = query.copy()
    for node in list(query.walk()):
        asked = _asked_of_clock(node)
        if asked in _NOW | _TODAY:
            node.replace(exp.Placeholder(this="now" if asked in _NOW else "today"))
    for table in list(named_tables(query)):
        if column := (windows or {}).get(table_name(table)):
            table.replace(_filtered(table, f'IN_WINDOW("{column}")'))
    return query.sql(dialect="duckdb", comments=False, copy=False)


def _filtered(table: exp.Table, where: str) -> exp.Subquery:
    bare = exp.table_(table.name, db=table.db)
    subquery = exp.select("*").from_(bare).where(where, dialect="duckdb").subquery()
    subquery.set(
        "alias", table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name))
    )
    for part in ("joins", "laterals", "pivots", "sample"):
        subquery.set(part, table.args.get(part))
    return subquery


def check_clock(path: Path, statement: Statement, *, may_ask: bool) -> None:
    """A build has one clock; what is not built anew by every build cannot follow it."""
    words = _NOW | _TODAY | _LOCAL
    asked = {_asked_of_clock(node) for node in statement.query.walk()} & words
    line = next((t.line for t in statement.tokens if t.text.lower() in words), 1)
    if asked & _LOCAL:
        message = f"{min(asked & _LOCAL)} follows a time zone: write current_timestamp"
        raise ModelError(path, line, message)
    if asked and not may_ask:
        message = "views and models with a `window:` may not ask for the time; filter their readers"
        raise ModelError(path, line, message)


def _asked_of_clock(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return node.name.lower()
    return _CLOCK_NODES.get(type(node), "")
