# ruff: noqa: S608  (names come from our own model files; DuckDB takes no name as a parameter)
"""Build every model that is due, with its checks, in one transaction.

What is due follows from the receipts that landed since the last build (windows.py) and from models
whose SELECT changed; there is no look-back and no option to build a part.
"""

import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from dbt_like_sql.engine.build_state import BuildReport, Ledger, ModelBuild, publish_later
from dbt_like_sql.engine.checks import CheckFailedError, CheckResult, evaluate
from dbt_like_sql.engine.models import PACKAGE_FOLDER, SCHEMAS, Model, load_models
from dbt_like_sql.engine.seeds import NONE, Own, load_seed, seed_files, seed_hash
from dbt_like_sql.engine.warehouse import comment_on, count, models_file, transaction
from dbt_like_sql.engine.windows import (
    ALL_TIME,
    EVERYTHING,
    Window,
    Windows,
    asked_window,
    coalesce,
    condition,
    days_of,
    due_windows,
    parts,
    together,
    whole_months,
)

__all__ = ["BuildReport", "CheckFailedError", "ModelBuild", "build", "idle", "show_sql"]


def build(
    connection: duckdb.DuckDBPyConnection,
    since: datetime | None = None,
    until: datetime | None = None,
    folder: Path = PACKAGE_FOLDER,
    *,
    now: datetime,
    own_seeds: Own = NONE,
) -> BuildReport:
    """Build what is due, and the days of `[since, until)` where given, or nothing at all.

    `connection` is the open writer (warehouse.writer) with raw.loads in it. `now` is the time for
    every model that asks for it: the machine's clock is not looked at. Raises ModelError for a file
    that is wrong and CheckFailedError for a promise that does not hold; then, and after any other
    error, the warehouse is as it was.
    """
    models = load_models(folder, models_file(connection), own_seeds)
    asked = asked_window(since, until)
    connection.execute("set TimeZone = 'UTC'")
    with transaction(connection):
        ledger, seeds = Ledger(connection), seed_files(folder, own_seeds)
        return Build(connection, ledger, models, seeds, asked, now).run()


class Build:
    """One build, inside its transaction. What writes is in methods of its own, which another
    engine has in other words (spark/)."""

    def __init__(
        self,
        connection: Any,
        ledger: Ledger,
        models: dict[str, Model],
        seeds: dict[str, Path],
        asked: Windows,
        now: datetime,
    ) -> None:
        for schema in (*SCHEMAS, "seeds"):
            connection.execute(f"create schema if not exists {schema}")
        self.connection, self.models, self.seeds, self.now = connection, models, seeds, now
        self.ledger = ledger
        self.news = self.ledger.has_news(models)
        due = due_windows(connection, self.ledger.built_through(models)) if self.news else ()
        self.due = coalesce((*due, *asked))
        self.changed: set[str] = set()
        # days beyond self.due on which an input differs: per input and window column of its reader
        self.differing: dict[str, dict[str, Windows] | Windows] = {}
        self.checks: list[CheckResult] = []

    def run(self) -> BuildReport:
        """Seeds, then every model in order with its checks, then the ledger."""
        self.ledger.drop_others(self.models.keys() | self.seeds.keys())
        for name, path in self.seeds.items():
            fingerprint = seed_hash(path)
            if self.ledger.is_stale(name, fingerprint):
                self._load_seed(name, path)
                self.ledger.note(name, fingerprint)
        built = tuple(map(self._one, self.models.values()))
        self.ledger.save(self.now)
        for table in ("computed", "difference"):
            self.connection.execute(f"drop table if exists temp.{table}")
        return BuildReport(self.due, built, tuple(self.checks))

    def _one(self, model: Model) -> ModelBuild:
        started = time.monotonic()
        stale = self.ledger.is_stale(model.name, model.fingerprint)
        try:
            action, rows, windows = self._make(model, stale)
        except duckdb.Error as error:
            error.add_note(f"while building {model.name} ({model.path})")
            raise
        self._check(model, windows)
        where = condition(model.window, windows) if model.window else "true"
        if where and model.name in self.changed:
            self._publish_later(model.name, where)
        if stale or self.news or action != "unchanged":
            self.ledger.note(model.name, model.fingerprint)
        took = time.monotonic() - started
        return ModelBuild(model.name, action, rows, self._total(model), took, windows)

    def _total(self, model: Model) -> int | None:
        return None if model.is_view else count(self.connection, model.name)

    def _make(self, model: Model, stale: bool) -> tuple[str, int, Windows]:
        if model.is_view:
            return self._make_view(model, stale)
        if model.is_windowed_table:
            return self._make_windows(model, stale)
        return self._make_whole(model, stale)

    def _make_view(self, model: Model, stale: bool) -> tuple[str, int, Windows]:
        if stale:
            self._create(model, model.select())
            self._changed(model, EVERYTHING)
            return "view", 0, EVERYTHING
        self.differing[model.name] = self._view_differs(model)
        if not self._has_news(model):
            return "unchanged", 0, ()
        # its rows are others than before, though nothing was made
        self.changed.add(model.name)
        windows = coalesce((*self.due, *self.differing[model.name]))
        windows = whole_months(windows) if model.by_month else windows
        return "unchanged", 0, windows if model.window else ()

    def _view_differs(self, model: Model) -> Windows:
        inputs = self._days_of_inputs(model)
        # rows of raw.loads speak of the days that are due; of other raw rows only a window tells
        other = [name for name in model.inputs if name.startswith("raw.") and name != "raw.loads"]
        undated = self.news and other and model.window is None
        return EVERYTHING if undated else inputs

    def _make_windows(self, model: Model, stale: bool) -> tuple[str, int, Windows]:
        windows = EVERYTHING if stale else coalesce((*self.due, *self._days_of_inputs(model)))
        if not windows:
            return "unchanged", 0, ()
        if model.by_month and not stale:
            return self._make_anew(model, whole_months(windows))
        if stale:
            rows = self._create_in_parts(model)
        else:
            rows = sum(self._replace(model, near) for near in together(windows))
        self._changed(model, windows)
        return ("all" if ALL_TIME in windows else "windows"), rows, windows

    def _create_in_parts(self, model: Model) -> int:
        """For the memory that it takes; and so a day that is replaced later is in one part of the
        file, and not in all of them."""
        first, *others = self._parts()
        rows = self._create(model, _rows(model, (first,)))
        return rows + sum(self._written(_insert(model, (part,))) for part in others)

    def _replace(self, model: Model, windows: Windows) -> int:
        self.connection.execute(_delete(model, windows))
        return self._written(_insert(model, windows))

    def _make_whole(self, model: Model, stale: bool) -> tuple[str, int, Windows]:
        is_later = self.ledger.is_later(model, self.now)
        if not (stale or is_later or self._has_news(model)):
            return "unchanged", 0, ()
        self.ledger.note(model.name, model.fingerprint)  # of this time, though nothing may differ
        if stale:
            rows = self._create(model, model.select(now=self.now))
            self._changed(model, EVERYTHING)
            return "whole", rows, EVERYTHING
        return self._make_anew(model, EVERYTHING)

    def _make_anew(self, model: Model, windows: Windows) -> tuple[str, int, Windows]:
        """Work out all of these windows, and write them where they differ."""
        where = condition(model.window or "", windows)
        selects = (model.select(near, self.now) for near in together(windows))
        query = " union all ".join(f"({select})" for select in selects)
        rows = self._keep("computed", query)
        if not self._differs(model, where):
            return "unchanged", 0, ()
        self._changed(model, self._differing_days(model))
        self._overwrite(model, windows)
        return ("whole" if ALL_TIME in windows else "windows"), rows, windows

    def _overwrite(self, model: Model, windows: Windows) -> None:
        """Put what was computed in place of what stands in these windows."""
        where = condition(model.window or "", windows)
        self.connection.execute(f"delete from {model.name} where {where}")
        self.connection.execute(f"insert into {model.name} from temp.computed")

    def _keep(self, table: str, query: str) -> int:
        """Keep the rows of a query for a moment as temp.`table`; their number."""
        return self._written(f"create or replace temp table {table} as {query}")

    def _load_seed(self, name: str, path: Path) -> None:
        load_seed(self.connection, name, path)
        self._publish_later(name)

    def _publish_later(self, name: str, where: str = "true") -> None:
        publish_later(self.connection, name, where)

    def _parts(self) -> Windows:
        """All of time, in parts of one or more months of what was ever asked for."""
        ((since, until, rows),) = self.connection.execute(
            "select min(window_start), max(window_end), cast(sum(rows) as bigint) from raw.loads"
        ).fetchall()
        return parts(since, until, rows) if since else EVERYTHING

    def _changed(self, model: Model, differing: dict[str, Windows] | Windows) -> None:
        self.changed.add(model.name)
        self.differing[model.name] = differing

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

    def _differs(self, model: Model, where: str) -> bool:
        # each row counted once on either side: a sixth of the CPU of two `except all`
        sides = (
            f'select *, 1 as "+-" from {model.name} where {where}'
            " union all select *, -1 from temp.computed"
        )
        counted = f'select * exclude ("+-"), sum("+-") as "+-" from ({sides}) group by all'
        differs = f'{counted} having sum("+-") <> 0'
        return self._keep("difference", differs) > 0

    def _differing_days(self, model: Model) -> dict[str, Windows] | Windows:
        """The days of the rows that differ; of a table without any, per column of its readers."""
        if model.window:
            return days_of(self.connection, "temp.difference", model.window)
        readers = [m for m in self.models.values() if model.name in m.inputs and m.window]
        columns = {m.window for m in readers if m.window} & set(model.columns)
        return {column: days_of(self.connection, "temp.difference", column) for column in columns}

    def _create(self, model: Model, query: str) -> int:
        """Make it in place of what stands under its name; the number of its rows."""
        kind = "view" if model.is_view else "table"
        self.ledger.drop(model.name)
        # nothing is inserted in this transaction: after an empty CTAS, DuckDB 2.0.0 loses such rows
        rows = self._written(f"create {kind} {model.name} as {query}")
        comment_on(self.connection, kind, model.name, model.description, model.column_docs)
        return rows

    def _check(self, model: Model, windows: Windows) -> None:
        """Try its promises where its rows may be others than at the last build.

        A report shows its trouble at every build: what was found last is told again.
        """
        is_report = model.schema == "reports"
        if model.name not in self.changed:
            self.checks += self.ledger.failed.get(model.name, [])
            return
        if model.window is None:
            windows = EVERYTHING
        elif ALL_TIME in windows:
            windows = self._parts()
        results = evaluate(self.connection, model, windows) if windows else []
        failed = [result for result in results if not result.passed]
        self.checks += results
        self.ledger.remember(model.name, failed)
        if any(result.kind == "grain" or not is_report for result in failed):
            raise CheckFailedError(results)

    def _written(self, sql: str) -> int:
        row = self.connection.execute(sql).fetchone()
        return int(row[0]) if row else 0


def _delete(model: Model, windows: Windows) -> str:
    """By the window, never by new rows' keys: what is gone has none."""
    return f"delete from {model.name} where {condition(model.window or '', windows)}"


def _insert(model: Model, windows: Windows) -> str:
    return f"insert into {model.name} {_rows(model, windows)}"


def _rows(model: Model, windows: Windows) -> str:
    """In the order of time: rows of one time stand together then, in less than half the room."""
    return f'from ({model.select(windows)}) order by "{model.window}"'


def idle(
    connection: duckdb.DuckDBPyConnection,
    folder: Path = PACKAGE_FOLDER,
    *,
    now: datetime,
    own_seeds: Own = NONE,
) -> BuildReport | None:
    """The report of a build now, where it would make nothing; None where something is due."""
    models = load_models(folder, models_file(connection), own_seeds)
    ledger, seeds = Ledger(connection), seed_files(folder, own_seeds)
    prints = {name: model.fingerprint for name, model in models.items()}
    prints |= {name: seed_hash(path) for name, path in seeds.items()}
    built = {name: about.fingerprint for name, about in ledger.built.items()}
    is_other = built != prints or not ledger.standing.keys() >= prints.keys()
    is_later = any(ledger.is_later(model, now) for model in models.values())
    if is_other or is_later or ledger.has_news(models):
        return None
    failed = [check for checks in ledger.failed.values() for check in checks]
    unchanged = tuple(ModelBuild(name, "unchanged", 0, None, 0.0) for name in models)
    return BuildReport((), unchanged, tuple(failed))


def show_sql(
    models: Mapping[str, Model],
    name: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> str:
    """What a build runs for one model over `[since, until)` (neither: all of time), formatted."""
    from sqlglot import parse_one

    model = models[name]
    windows = asked_window(since, until) or EVERYTHING
    if model.is_view:
        statements = [f"create or replace view {name} as {model.select()}"]
    elif model.is_windowed_table:
        statements = [_delete(model, windows), _insert(model, windows)]
    else:
        statements = [f"delete from {name}", f"insert into {name} {model.select()}"]
    pretty = [parse_one(sql, read="duckdb").sql("duckdb", pretty=True) for sql in statements]
    return ";\n\n".join(pretty) + ";\n"
