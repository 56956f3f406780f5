# ruff: noqa: S608  (names come from our own model files; DuckDB takes no name as a parameter)
"""meta.builds: what was built of which SELECT, up to which receipt; what is due; what a build did.

Written in the build's own transaction. Not here: the building (runner.py).
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import duckdb

from dbt_like_sql.engine.checks import CheckResult
from dbt_like_sql.engine.models import PACKAGE_FOLDER, Model, load_models
from dbt_like_sql.engine.seeds import NONE, Own
from dbt_like_sql.engine.warehouse import literal, models_file
from dbt_like_sql.engine.windows import Windows, due_windows

_TABLES = {
    "builds": "model varchar, fingerprint varchar, built_at timestamptz,"
    " through_landed_at timestamptz",
    "failed_checks": "model varchar, expression varchar, kind varchar, failing_rows bigint,"
    " samples varchar[]",
    # what builds changed and no publish has taken over; what the read copy was when it was ours
    "unpublished": "name varchar, rows_where varchar",
    "published": "bytes bigint, modified_ns bigint",
}


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make meta.* where it is not there yet."""
    connection.execute("create schema if not exists meta")
    for table, columns in _TABLES.items():
        connection.execute(f"create table if not exists meta.{table} ({columns})")


@dataclass(frozen=True)
class ModelBuild:
    """What happened to one model.

    action: `view` (made again), `whole` (table replaced), `windows` (these windows replaced), `all`
    (a windowed table over all of time) or `unchanged`. `windows` are those in which its rows may
    be others than before, also of a view that was not made again. `rows_total` is None for views,
    and where nothing was due at all.
    """

    name: str
    action: str
    rows_written: int
    rows_total: int | None
    seconds: float
    windows: Windows = ()


@dataclass(frozen=True)
class BuildReport:
    """One committed build: the windows due or asked for, and what became of each model."""

    ranges: Windows
    models: tuple[ModelBuild, ...]
    checks: tuple[CheckResult, ...]

    @property
    def failed_checks(self) -> tuple[CheckResult, ...]:
        """Checks on reports that found something to show; any other failure raises."""
        return tuple(check for check in self.checks if not check.passed)


class Built(NamedTuple):
    """The last build of a model or seed: of which SELECT or file, up to which receipt, and when."""

    fingerprint: str
    through: datetime | None
    at: datetime


def publish_later(
    connection: duckdb.DuckDBPyConnection, name: str, rows_where: str = "true"
) -> None:
    """The next publish takes over these rows of a table or view; `true` is all that it is."""
    values = f"{literal(name)}, {literal(rows_where)}"
    connection.execute(f"insert into meta.unpublished values ({values})")


class Ledger:
    """The last build, one row per model and seed; read once, written as the build goes on.

    `landed_at`: the newest receipt. `failed`: the checks of each report that found something when
    they were last tried.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        create_tables(connection)
        rows = connection.execute(
            "select model, fingerprint, through_landed_at, built_at from meta.builds"
        ).fetchall()
        self.built = {name: Built(*about) for name, *about in rows}
        self.failed: dict[str, list[CheckResult]] = {}
        failed = connection.execute("from meta.failed_checks").fetchall()
        for name, expression, kind, count, samples in failed:
            found = CheckResult(name, expression, kind, False, count, tuple(samples))
            self.failed.setdefault(name, []).append(found)
        ((self.landed_at,),) = connection.execute("select max(landed_at) from raw.loads").fetchall()
        self.noted: dict[str, str] = {}
        self.standing: dict[str, str] = {
            f"{schema}.{table}": "view" if kind == "VIEW" else "table"
            for schema, table, kind in connection.execute(
                "select table_schema, table_name, table_type from information_schema.tables"
                " where table_catalog = current_database()"
            ).fetchall()
        }

    def built_through(self, names: Iterable[str]) -> datetime | None:
        """Instant up to which every receipt is in every table; None when nothing is known."""
        known = [self.built[name].through for name in names if name in self.built]
        instants = [instant for instant in known if instant is not None]
        return min(instants) if instants and len(instants) == len(known) else None

    def has_news(self, names: Iterable[str]) -> bool:
        """A receipt landed that is not in every table."""
        through = self.built_through(names)
        return self.landed_at is not None and (through is None or self.landed_at > through)

    def is_stale(self, name: str, fingerprint: str) -> bool:
        """It does not stand, or stands for another SELECT or seed file."""
        built = self.built.get(name)
        return name not in self.standing or not built or built.fingerprint != fingerprint

    def is_later(self, model: Model, now: datetime) -> bool:
        """It follows the time, and its hour or day is over since it was last worked out."""
        built = self.built.get(model.name)
        return model.moment(built.at if built else None) != model.moment(now)

    def note(self, name: str, fingerprint: str) -> None:
        """This one is now built, of this fingerprint; `save` writes it down."""
        self.noted[name] = fingerprint

    def save(self, now: datetime) -> None:
        """Write down all that was noted, built up to the newest receipt.

        One statement for all: a keyed upsert for each model cost 10 ms.
        """
        if not self.noted:
            return
        instants = f"{literal(now)}, {literal(self.landed_at)}"
        rows = [f"({literal(n)}, {literal(f)}, {instants})" for n, f in self.noted.items()]
        names = ", ".join(map(literal, self.noted))
        self.connection.execute(f"delete from meta.builds where model in ({names})")
        self.connection.execute(f"insert into meta.builds values {', '.join(rows)}")

    def remember(self, name: str, failed: list[CheckResult]) -> None:
        """These checks of a report found something, and no others; told until it is built again."""
        if name in self.failed:
            self._forget("failed_checks", name)
        for check in failed:
            texts = ", ".join(map(literal, (name, check.expression, check.kind)))
            found = f"{check.failing_rows}, [{', '.join(map(literal, check.samples))}]"
            self.connection.execute(f"insert into meta.failed_checks values ({texts}, {found})")

    def drop_others(self, names: Collection[str]) -> None:
        """Remove what earlier builds made and no file makes any more."""
        for name in self.built.keys() - set(names):
            self.drop(name)
            publish_later(self.connection, name)
            self._forget("builds", name)
            self._forget("failed_checks", name)

    def _forget(self, table: str, name: str) -> None:
        self.connection.execute(f"delete from meta.{table} where model = {literal(name)}")

    def drop(self, name: str) -> None:
        """Remove a table or view, whichever stands."""
        if name in self.standing:
            self.connection.execute(f"drop {self.standing[name]} {name}")


@dataclass(frozen=True)
class Due:
    """Days that a build would cover. `token` differs whenever what is due differs."""

    windows: Windows
    token: str


def due(
    connection: duckdb.DuckDBPyConnection, folder: Path = PACKAGE_FOLDER, own_seeds: Own = NONE
) -> Due | None:
    """What a build would cover now; None when every receipt is in every table.

    `connection` is the open writer (warehouse.writer) with raw.loads in it.
    """
    models = load_models(folder, models_file(connection), own_seeds)
    ledger = Ledger(connection)
    stale = any(ledger.is_stale(model.name, model.fingerprint) for model in models.values())
    landed_at = ledger.landed_at
    if landed_at is None or not (stale or ledger.has_news(models)):
        return None
    windows = due_windows(connection, None if stale else ledger.built_through(models))
    # the newest receipt, and what the models are: a model's fingerprint covers its inputs'
    prints = hashlib.sha256("".join(m.fingerprint for m in models.values()).encode())
    return Due(windows, f"{landed_at:%Y-%m-%dT%H:%M:%S.%f} {prints.hexdigest()[:12]}")


def last_built_at(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    """When a build last made or checked a model; None before the first one."""
    create_tables(connection)
    ((built_at,),) = connection.execute("select max(built_at) from meta.builds").fetchall()
    return built_at  # type: ignore[no-any-return]
