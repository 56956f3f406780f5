# ruff: noqa: S608  (names come from our own model files; DuckDB takes no name as a parameter)
"""Build every model that is due, with its checks, in one transaction.

What is due follows from the receipts that landed since the last build (windows.py) and from models
whose SELECT changed; there is no look-back and no option to build a part.
"""

import contextlib
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import duckdb

from dbt_like_sql.engine import statements
from dbt_like_sql.engine.build_state import BuildReport, Ledger, ModelBuild
from dbt_like_sql.engine.checks import CheckFailedError, CheckResult, evaluate
from dbt_like_sql.engine.lineage import column_documentation
from dbt_like_sql.engine.models import PACKAGE_FOLDER, SCHEMAS, Model, load_models, output_columns
from dbt_like_sql.engine.seeds import content_hash, load_seed, seed_files
from dbt_like_sql.engine.statements import show_sql
from dbt_like_sql.engine.warehouse import comment_on, count
from dbt_like_sql.engine.windows import (
    ALL_TIME,
    EVERYTHING,
    Window,
    Windows,
    asked_window,
    coalesce,
    days_that_differ,
    due_windows,
)

__all__ = ["BuildReport", "CheckFailedError", "ModelBuild", "build", "show_sql"]


def build(
    connection: duckdb.DuckDBPyConnection,
    since: datetime | None = None,
    until: datetime | None = None,
    folder: Path = PACKAGE_FOLDER,
    on_built: Callable[[ModelBuild], None] | None = None,
    *,
    now: datetime,
) -> BuildReport:
    """Build what is due, and the days of `[since, until)` where given, or nothing at all.

    `connection` is the open writer (warehouse.writer) with raw.loads in it. `now` is the time for
    every model that asks for it: the machine's clock is not looked at. `on_built` hears of each
    model as it is done, before the commit. Raises ModelError for a file that is wrong and
    CheckFailedError for a promise that does not hold; then, and after any other error, the
    warehouse is as it was.
    """
    models = load_models(folder)
    asked = asked_window(since, until)
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("begin")
    try:
        told = on_built or (lambda _: None)
        report = _Build(connection, models, folder, asked, told, now).run()
        connection.execute("commit")
    except BaseException:
        # a commit that failed has already ended the transaction
        with contextlib.suppress(duckdb.TransactionException):
            connection.execute("rollback")
        raise
    return report


class _Build:
    """One build, inside its transaction."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        models: dict[str, Model],
        folder: Path,
        asked: Windows,
        on_built: Callable[[ModelBuild], None],
        now: datetime,
    ) -> None:
        for schema in (*SCHEMAS, "seeds"):
            connection.execute(f"create schema if not exists {schema}")
        self.connection, self.models, self.on_built = connection, models, on_built
        self.now = now
        self.ledger = Ledger(connection)
        through = self.ledger.built_through(models)
        self.seeds = seed_files(folder)
        self.landed_at = _newest_receipt(connection)
        self.news = self.landed_at is not None and (through is None or self.landed_at > through)
        due = due_windows(connection, through) if self.news else ()
        self.due = coalesce((*due, *asked))
        self.changed: set[str] = set()
        # days beyond self.due on which an input differs: per input and window column of its reader
        self.differing: dict[str, dict[str, Windows] | Windows] = {}
        self.docs: dict[str, dict[str, str]] = {}
        self.checks: list[CheckResult] = []

    def run(self) -> BuildReport:
        """Seeds, then every model in order with its checks, then the ledger."""
        self.ledger.drop_others(self.models.keys() | self.seeds.keys())
        for name, path in self.seeds.items():
            fingerprint = content_hash(path)
            if self.ledger.is_stale(name, fingerprint):
                load_seed(self.connection, name, path)
                self.ledger.note(name, fingerprint)
        built = tuple(map(self._one, self.models.values()))
        self.ledger.save(self.landed_at, self.now)
        self.connection.execute("drop table if exists temp.computed")
        return BuildReport(self.due, built, tuple(self.checks))

    def _one(self, model: Model) -> ModelBuild:
        started = time.monotonic()
        stale = self.ledger.is_stale(model.name, model.fingerprint)
        try:
            action, rows, windows = self._make(model, stale)
        except duckdb.Error as error:
            error.add_note(f"while building {model.name} ({model.path})")
            raise
        self._check(model, action, windows)
        if stale or self.news or action != "unchanged":
            self.ledger.note(model.name, model.fingerprint)
        total = None if model.is_view else count(self.connection, model.name)
        built = ModelBuild(model.name, action, rows, total, time.monotonic() - started, windows)
        self.on_built(built)
        return built

    def _make(self, model: Model, stale: bool) -> tuple[str, int, Windows]:
        if model.is_view:
            return self._make_view(model, stale)
        if model.is_windowed_table:
            return self._make_windows(model, stale)
        return self._make_whole(model, stale)

    def _make_view(self, model: Model, stale: bool) -> tuple[str, int, Windows]:
        if self._has_news(model) or stale:
            self.changed.add(model.name)
        self.differing[model.name] = EVERYTHING if stale else self._view_differs(model)
        if not stale:
            # its rows are others than before, though nothing was made
            changed = model.name in self.changed
            windows = coalesce((*self.due, *self.differing[model.name]))
            return "unchanged", 0, windows if changed and model.window else ()
        self.ledger.drop_unless(model.name, "VIEW")
        self.connection.execute(statements.create_view(model))
        self._comment(model, "view")
        return "view", 0, EVERYTHING

    def _view_differs(self, model: Model) -> Windows:
        inputs = self._days_of_inputs(model)
        # rows of raw.loads speak of the days that are due; of other raw rows only a window tells
        other = [name for name in model.inputs if name.startswith("raw.") and name != "raw.loads"]
        undated = self.news and other and model.window is None
        return EVERYTHING if undated else inputs

    def _make_windows(self, model: Model, stale: bool) -> tuple[str, int, Windows]:
        windows = coalesce((*self.due, *self._days_of_inputs(model)))
        if not stale and not windows:
            return "unchanged", 0, ()
        ddl, recreated = self._table(model, stale)
        if recreated:
            windows = EVERYTHING
            self._create(model, ddl)
        rows = 0
        for window in windows:
            if not recreated:
                self.connection.execute(statements.delete(model, window))
            rows += self._inserted(statements.insert(self.models, model, window))
        self.changed.add(model.name)
        self.differing[model.name] = windows
        return ("all" if ALL_TIME in windows else "windows"), rows, windows

    def _make_whole(self, model: Model, stale: bool) -> tuple[str, int, Windows]:
        if not (stale or model.reads_clock or self._has_news(model)):
            return "unchanged", 0, ()
        ddl, recreated = self._table(model, stale)
        self.connection.execute(f"create or replace temp table computed ({ddl})")
        query = statements.select(self.models, model, now=self.now)
        rows = self._inserted(f"insert into temp.computed {query}")
        if recreated:
            self._create(model, ddl)
            self.differing[model.name] = EVERYTHING
        elif not self._differs(model):
            return "unchanged", 0, ()
        else:
            self.differing[model.name] = self._differing_days(model)
            self.connection.execute(f"delete from {model.name}")
        self.connection.execute(f"insert into {model.name} from temp.computed")
        self.changed.add(model.name)
        return "whole", rows, EVERYTHING

    def _has_news(self, model: Model) -> bool:
        """An input holds other rows than at the last build."""
        return any(
            name in self.changed or (name.startswith("raw.") and self.news) for name in model.inputs
        )

    def _days_of_inputs(self, model: Model) -> Windows:
        """Days beyond the due ones on which some input of this model differs."""
        found: list[Window] = []
        for name in model.inputs:
            days = self.differing.get(name, ())
            if isinstance(days, dict):  # a whole table: told by day only in its reader's column
                days = days.get(model.window or "", EVERYTHING)
            found += days
        return coalesce(found)

    def _differs(self, model: Model) -> bool:
        row = self.connection.execute(
            f"select exists (from {model.name} except all from temp.computed)"
            f" or exists (from temp.computed except all from {model.name})"
        ).fetchone()
        return bool(row and row[0])

    def _differing_days(self, model: Model) -> dict[str, Windows]:
        readers = [m for m in self.models.values() if model.name in m.inputs and m.window]
        columns = {m.window for m in readers if m.window} & set(output_columns(model))
        table = (model.name, "temp.computed")
        return {c: days_that_differ(self.connection, *table, c) for c in columns}

    def _table(self, model: Model, stale: bool) -> tuple[str, bool]:
        """DDL of the columns, and whether the table has to be made anew."""
        query = statements.select(self.models, model)
        columns = [(name, kind) for name, kind, *_ in self._rows(f"describe {query}")]
        if not stale:
            stale = columns != [
                (name, kind) for name, kind, *_ in self._rows(f"describe {model.name}")
            ]
        return ", ".join(f'"{name}" {kind}' for name, kind in columns), stale

    def _create(self, model: Model, ddl: str) -> None:
        """Explicit columns: after an empty CTAS, DuckDB 2.0.0 loses sight of inserted rows."""
        self.ledger.drop(model.name)
        self.connection.execute(f"create table {model.name} ({ddl})")
        self._comment(model, "table")

    def _comment(self, model: Model, kind: str) -> None:
        self.docs = self.docs or column_documentation(self.models)
        comment_on(self.connection, kind, model.name, model.description)
        for column, text in self.docs[model.name].items():
            comment_on(self.connection, "column", f'{model.name}."{column}"', text)

    def _check(self, model: Model, action: str, windows: Windows) -> None:
        # a report shows its trouble at every build, also where nothing about it changed
        is_report = model.schema == "reports"
        if model.is_view:
            windows = windows if model.window else EVERYTHING
            idle = model.name not in self.changed or not windows
        else:
            idle = action == "unchanged" and not is_report
        if idle:
            return
        everything = is_report or not windows
        results = evaluate(self.connection, model, EVERYTHING if everything else windows)
        self.checks += results
        if any(not r.passed and (r.kind == "grain" or not is_report) for r in results):
            raise CheckFailedError(results)

    def _rows(self, sql: str) -> list[tuple[str, ...]]:
        return self.connection.execute(sql).fetchall()

    def _inserted(self, sql: str) -> int:
        row = self.connection.execute(sql).fetchone()
        return int(row[0]) if row else 0


def _newest_receipt(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    row = connection.execute("select max(landed_at) from raw.loads").fetchone()
    return row[0] if row else None
