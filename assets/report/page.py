"""From the read copy to one HTML file, or to the rows that it shows."""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from assets.runs.opening import Row, rows_of
from pipelines.receipts import Connection

HERE = Path(__file__).parent
# from here on eight digits are less than cents
MILLION = 1_000_000
QUERIES = {path.stem: path for path in sorted((HERE / "queries").glob("*.sql"))}


@dataclass(frozen=True)
class Span:
    """A UTC month and the one before, up to the same day of each while the month is under way.

    `today` is the day up to which weeks are counted: of a month that is over, the one after it.
    """

    month: date
    until: date
    month_before: date
    until_before: date
    today: date

    @classmethod
    def of(cls, month: date | None, now: datetime) -> "Span":
        """That of a month, or of the one that is under way at an instant (UTC)."""
        month = (month or now.date()).replace(day=1)
        after = (month + timedelta(days=31)).replace(day=1)
        before = (month - timedelta(days=1)).replace(day=1)
        today = min(now.date(), after)
        if today == after:
            return cls(month, after, before, month, today)
        until = today + timedelta(days=1)
        return cls(month, until, before, min(before + (until - month), month), today)

    def fill(self, sql: str) -> str:
        """A query with these days in the place of $month, $until and the others."""
        for name in sorted(self.__dataclass_fields__, key=len, reverse=True):
            sql = sql.replace(f"${name}", f"date '{getattr(self, name)}'")
        return sql


def answers(connection: Connection, span: Span) -> dict[str, list[Row]]:
    """What each query answers, by its name."""
    return {name: rows_of(connection, sql) for name, sql in _filled(span).items()}


def columns(connection: Connection, span: Span) -> dict[str, list[str]]:
    """The columns of each, also of what has no row."""
    return {
        name: [column for column, *_ in connection.execute(f"describe {sql}").fetchall()]
        for name, sql in _filled(span).items()
    }


def _filled(span: Span) -> dict[str, str]:
    return {n: span.fill(path.read_text(encoding="utf-8")) for n, path in QUERIES.items()}


def render(connection: Connection, span: Span, built_at: datetime) -> str:
    """The page of a month, as HTML; `built_at` is when the read copy was written."""
    data = {
        "builtAt": built_at.strftime("%Y-%m-%d %H:%MZ"),
        "span": {name: getattr(span, name) for name in span.__dataclass_fields__},
        "rows": _short(answers(connection, span)),
        "sql": _filled(span),
    }
    # JSON has no word for a day; a name may hold what ends a script
    text = json.dumps(data, default=str, separators=(",", ":")).replace("<", "\\u003c")
    page = (HERE / "page.html").read_text(encoding="utf-8")
    for name in ("page.css", "echarts.common.min.js", "page.js"):
        page = page.replace(f"{{{{{name}}}}}", (HERE / name).read_text(encoding="utf-8"))
    return page.replace("{{data}}", text)


def _short(value: Any) -> Any:
    """The same with numbers of eight digits, or up to the cent: half of the size."""
    if isinstance(value, float | Decimal):
        number = float(value)
        return round(number, 2) if abs(number) >= MILLION else float(f"{number:.8g}")
    if isinstance(value, dict):
        return {name: _short(each) for name, each in value.items()}
    return [_short(each) for each in value] if isinstance(value, list) else value
