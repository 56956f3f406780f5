"""The report as a file, as CSVs, or served on loopback and renewed by each build."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb

from assets.report.page import HERE, Span, answers, columns, render
from assets.settings import Settings
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.lakes.address import beside
from dbt_like_sql.engine.warehouse import WarehouseError
from dbt_like_sql.engine.words import in_place_of

# in a page that is served: it asks whether there was a build, and then loads itself again
RENEWS = (HERE / "renews.html").read_text(encoding="utf-8")
METERS = [
    *("source", "org", "project", "owner", "meter", "unit"),
    *("quantity", "quantity_before", "cost_usd", "cost_usd_before"),
]


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """in_place_of, of a file that a person names. Raises WarehouseError if it cannot be."""
    with warehouse.in_words(path, "Name another place with --to; what stood there is as it was."):
        path.parent.mkdir(parents=True, exist_ok=True)
        with in_place_of(path) as draft:
            yield draft


def write_page(settings: Settings, month: date | None, to: Path) -> Path:
    """Write the page of a month (None: of the one under way) to a file, and give its path.

    Raises WarehouseError where nothing can be read or written.
    """
    html = page_of(settings, month)
    with whole(to) as draft:
        draft.write_text(html, encoding="utf-8")
    return to


def renew_page(settings: Settings) -> None:
    """Write the page beside the warehouse again, where there is one and readers see a later build:
    whoever was to write it was killed, or does not know of that build."""
    to = beside(settings.warehouse).with_suffix(".report.html")
    if to.is_file() and to.stat().st_mtime < _built(settings):
        write_page(settings, None, to)


def page_of(settings: Settings, month: date | None) -> str:
    """The page of a month, from what readers see now."""
    with _readers(settings, month) as (connection, span, built_at):
        return render(connection, span, built_at)


def write_csvs(settings: Settings, month: date | None, to: Path) -> Path:
    """Write each table of the page into a folder of CSVs, and give its path."""
    with _readers(settings, month) as (connection, span, _):
        tables, heads = answers(connection, span), columns(connection, span)
    tables["meters"], heads["meters"] = [*_by_meter(tables.pop("things"))], METERS
    for name, rows in tables.items():
        with (
            whole(to / f"{name}.csv") as draft,
            draft.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.DictWriter(file, heads[name])
            writer.writeheader()
            writer.writerows(rows)
    return to


def _by_meter(things: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A row per thing and meter, of the month and of the one before."""
    for thing in things:
        for meter in thing["meters"]:
            told = (*(thing[name] for name in METERS[:4]), meter["meter"], meter["unit"])
            yield dict(zip(METERS, (*told, *meter["q"][:2], *meter["c"][:2]), strict=True))


def serve(settings: Settings, month: date | None, port: int, say: Callable[[str], object]) -> None:
    """Show the page on loopback until Ctrl-C; 0 takes a port that is free.

    Raises WarehouseError where nothing can be read, OSError where the port is taken.
    """

    @lru_cache(maxsize=1)
    def page(built: float) -> bytes:
        return (page_of(settings, month) + RENEWS.replace("{{built}}", f"{built}")).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("ETag", f'"{_built(settings)}"')
            self.end_headers()

        def do_GET(self) -> None:
            html = page(_built(settings))
            self.do_HEAD()
            self.wfile.write(html)

        def log_message(self, *_: object) -> None:
            """Nobody needs to know that a page was looked at."""

    page(_built(settings))  # what is wrong is said before anything is served
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        say(f"http://127.0.0.1:{server.server_port}  (until Ctrl-C)")
        server.serve_forever()


@contextmanager
def _readers(
    settings: Settings, month: date | None
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Span, datetime]]:
    """What readers see, the span of a month, and when what they see was written."""
    with warehouse.reader(settings.warehouse) as connection:
        span = Span.of(month, settings.clock())
        known = (
            "from marts.usage_by_day where period_date >= $month and period_date < $until limit 1"
        )
        if month and not connection.execute(span.fill(known)).fetchall():
            raise WarehouseError(f"nothing is known of {month:%Y-%m}: no page was written")
        yield connection, span, datetime.fromtimestamp(_built(settings), UTC)


def _built(settings: Settings) -> float:
    """When what readers see was written, in seconds since 1970; 0: nothing was."""
    return warehouse.written_at(settings.warehouse)
