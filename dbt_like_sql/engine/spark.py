# ruff: noqa: S608  (names come from our own model files)
"""Build the models on a Spark cluster, through Spark Connect, as Parquet tables that it keeps.

Answers land in the warehouse as ever, and are copied to a folder that the cluster reads. The name
of a model is a view there; its rows are in a table of the schema `meterhouse`, a partition for each
UTC day where it has a window, and days that are due are overwritten. Which days are due, in what
order and what is tried of them is as in any build (runner.py). Not here: what SQL becomes
(dialects.py). Plain Parquet has no transaction: a build that breaks off leaves some tables of
before, and the next one goes on; docs/scaling-spark.md says what readers see until then.
"""

import secrets
import socket
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import msgspec

from dbt_like_sql.engine.build_state import BuildReport, Ledger
from dbt_like_sql.engine.checks import CheckFailedError, CheckResult
from dbt_like_sql.engine.dialects import SPARK_SETTINGS, to_spark
from dbt_like_sql.engine.models import PACKAGE_FOLDER, SCHEMAS, Model, load_models
from dbt_like_sql.engine.runner import Build
from dbt_like_sql.engine.seeds import NONE, Own, content_hash, load_seed, seed_docs, seed_files
from dbt_like_sql.engine.warehouse import WarehouseError, literal, turn
from dbt_like_sql.engine.windows import EVERYTHING, Window, Windows, asked_window, coalesce

_RECEIPTS = "loads"
_STAYS = "What landed is untouched; tables before it in this build are new, those after it are not."
_DAY = "utc_day"
Differing = dict[str, Windows] | Windows


def export(landed: duckdb.DuckDBPyConnection, folder: Path) -> Path:
    """Copy what landed since the last time into `folder`; the folder of this warehouse in it.

    `landed` is the open writer. A file is what landed on one day: raw.* is only added to, but for
    receipts, which are few and copied whole.
    """
    ((number,),) = landed.execute("select cast(id as varchar) from meta.warehouse").fetchall()
    target = folder / str(number)
    tables = landed.execute(
        "select table_name, md5(string_agg(column_name || data_type, ',' order by column_index))"
        " from duckdb_columns() where database_name = current_database() and schema_name = 'raw'"
        " group by all having bool_or(column_name = 'landed_at')"
    ).fetchall()
    for table, columns in tables:
        _export_table(landed, table, target / "raw" / table / columns[:8])
    return target


def _export_table(landed: duckdb.DuckDBPyConnection, table: str, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    first = max((file.stem for file in target.glob("*.parquet")), default="")
    if table == _RECEIPTS or not first:
        rows = f"from raw.{table}" + ("" if table == _RECEIPTS else " limit 0")
        _write(landed, rows, target / "0000-00-00.parquet")
    if table == _RECEIPTS:
        return
    day = "strftime(landed_at at time zone 'UTC', '%Y-%m-%d')"
    since = f"from raw.{table} where {day} >= {literal(first)}"
    for (text,) in landed.execute(f"select distinct {day} {since} order by all").fetchall():
        _write(landed, f"from raw.{table} where {day} = '{text}'", target / f"{text}.parquet")


def _write(connection: duckdb.DuckDBPyConnection, rows: str, file: Path) -> None:
    draft = file.with_suffix(".draft")
    connection.execute(f"copy ({rows}) to {literal(str(draft))} (format parquet)")
    draft.replace(file)


@dataclass
class _State:
    """What stands on the cluster: beside what was exported, and written whenever it differs.

    `differing`: rows that differ since the last build that was completed; `tables`: those behind
    the views. Where it is lost, the next build makes everything anew.
    """

    fingerprints: dict[str, str] = field(default_factory=dict)
    through: dict[str, datetime | None] = field(default_factory=dict)
    built_at: dict[str, datetime] = field(default_factory=dict)
    failed: dict[str, list[CheckResult]] = field(default_factory=dict)
    differing: dict[str, Differing] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)


class _Ledger(Ledger):
    """The last build on the cluster, in a file beside what was exported."""

    def __init__(self, spark: "_Spark", file: Path) -> None:
        self.spark, self.file, self.state = spark, file, _State()
        with suppress(OSError, msgspec.DecodeError):
            self.state = msgspec.json.decode(file.read_bytes(), type=_State)
        state = self.state
        self.fingerprints, self.through, self.built_at = (
            state.fingerprints, state.through, state.built_at,
        )  # fmt: skip
        self.failed, self.noted = state.failed, {}
        ((self.landed_at,),) = spark.execute("select max(landed_at) from raw.loads").fetchall()
        self.standing = {
            f"{schema}.{name}": "view"
            for schema in {name.split(".")[0] for name in self.fingerprints}
            for _, name, *_ in spark.run(f"show tables in {schema}").fetchall()
        }

    def write(self) -> None:
        """Write it down, in one step."""
        draft = Path(f"{self.file}.draft")
        draft.write_bytes(msgspec.json.encode(self.state))
        draft.replace(self.file)

    def save(self, now: datetime) -> None:
        """All of it is built up to the newest receipt."""
        self.fingerprints |= self.noted
        self.through |= dict.fromkeys(self.noted, self.landed_at)
        self.built_at |= dict.fromkeys(self.noted, now)
        self.state.differing.clear()
        self.write()

    def remember(self, name: str, failed: list[CheckResult]) -> None:
        """These checks of a report found something, and no others."""
        self.failed[name] = failed

    def drop_others(self, names: Collection[str]) -> None:
        """Remove what no file makes any more, and tables that no view shows since a build ago."""
        state = self.state
        for name in self.fingerprints.keys() - set(names):
            self.spark.run(f"drop view if exists {name}")
            for part in (state.fingerprints, state.through, state.built_at, state.tables):
                part.pop(name, None)
        for _, table, *_ in self.spark.run("show tables in meterhouse").fetchall():
            if f"meterhouse.{table}" not in state.tables.values():
                self.spark.run(f"drop table meterhouse.{table}")


class _Build(Build):
    """A build whose statements a cluster runs."""

    connection: "_Spark"
    ledger: _Ledger
    folder: Path

    def go_on(self) -> None:
        """What differed when a build broke off differs still for those that read it."""
        self.differing |= self.ledger.state.differing
        self.changed |= self.differing.keys()

    def _make(self, model: Model, stale: bool) -> tuple[str, int, Windows]:
        with _in_words(f"while building {model.name} ({model.path})"):
            return super()._make(model, stale)

    def _check(self, model: Model, windows: Windows) -> None:
        try:
            super()._check(model, windows)
        except CheckFailedError as failed:
            raise CheckFailedError(failed.results, _STAYS) from None

    def _parts(self) -> Windows:
        """As one: the cluster has memory enough."""
        return EVERYTHING

    def _total(self, model: Model) -> None:
        """Not counted: a job for every table that nothing happened to."""

    def _changed(self, model: Model, differing: Differing) -> None:
        """Noted before it is written: a build that is killed after that does not see it again."""
        noted = self.ledger.state.differing
        super()._changed(model, _both(noted.get(model.name, ()), differing))
        noted[model.name] = self.differing[model.name]
        self.ledger.write()

    def _create(self, model: Model, query: str) -> int:
        name, select = model.name, to_spark(query)
        if not model.is_view:
            table = f"meterhouse.{model.schema}__{model.table}__{secrets.token_hex(4)}"
            parted = f"partitioned by ({_DAY})" if model.window else ""
            rows = _with_day(model, f"({select}) as built")
            self.connection.run(f"create table {table} using parquet {parted} as {rows}")
            self.ledger.state.tables[name] = table
            self.ledger.write()
            select = f"select {_list(model.columns)} from {table}"
        docs = {"": model.description, **model.column_docs}
        self.connection.make_view(name, select, model.columns, docs)
        return 0 if model.is_view else self._count(self.ledger.state.tables[name])

    def _create_in_parts(self, model: Model) -> int:
        return self._create(model, model.select())

    def _replace(self, model: Model, window: Window) -> int:
        rows = self._keep("computed", model.select(window))
        self._overwrite(model, (window,))
        return rows

    def _overwrite(self, model: Model, windows: Windows) -> None:
        if model.window is None:  # beside what is read meanwhile
            self._create(model, "select * from temp.computed")
            return
        table, run = self.ledger.state.tables[model.name], self.connection.run
        rows = _with_day(model, "temp.computed")
        run(f"insert overwrite {table} {rows}")
        kept = {day for (day,) in run(f"select distinct {_DAY} from ({rows})").fetchall()}
        for (partition,) in run(f"show partitions {table}").fetchall():
            with suppress(ValueError):  # of no day
                day = date.fromisoformat(partition.partition("=")[2])
                if day not in kept and any(w.since.date() <= day < w.until.date() for w in windows):
                    run(f"alter table {table} drop partition ({_DAY} = date '{day}')")

    def _keep(self, table: str, query: str) -> int:
        self.connection.run(f"drop table if exists temp.{table}")
        self.connection.run(f"create table temp.{table} using parquet as {to_spark(query)}")
        return self._count(f"temp.{table}")

    def _count(self, table: str) -> int:
        ((rows,),) = self.connection.run(f"select count(*) from {table}").fetchall()
        return int(rows)

    def _load_seed(self, name: str, path: Path) -> None:
        target = self.folder / "seeds" / f"{name}.{content_hash(path)[:8]}"
        target.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as memory:
            memory.execute("set TimeZone = 'UTC'; create schema seeds")
            load_seed(memory, name, path)
            _write(memory, f"from {name}", target / "rows.parquet")
        self.connection.show_files(name, target, seed_docs(name).get("", ""))

    def _publish_later(self, name: str, where: str = "true") -> None:
        """Its readers read what was written."""


class _Answer:
    """The rows of a query, as DuckDB's client gives them; asked for once they are fetched."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All of them."""
        return [tuple(row.values()) for row in self.frame.toArrow().to_pylist()]

    def fetchone(self) -> tuple[Any, ...] | None:
        """The first."""
        return next(iter(self.fetchall()), None)


class _Spark:
    """A session on a cluster."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def execute(self, sql: str) -> _Answer:
        """Run a statement of DuckDB's SQL."""
        return self.run(to_spark(sql))

    def run(self, sql: str) -> _Answer:
        """Run a statement of Spark's."""
        return _Answer(self.session.sql(sql))

    def make_view(
        self, name: str, query: str, columns: Collection[str], docs: Mapping[str, str]
    ) -> None:
        """Make a view in place of the one of this name, with what it and its columns are."""
        named = ", ".join(f"`{c}` comment {_text(docs.get(c, ''))}" for c in columns)
        about = _text(docs.get("", ""))
        self.run(f"create or replace view {name} ({named}) comment {about} as {query}")

    def show_files(self, name: str, folder: Path, about: str) -> None:
        """Make a table of the files in a folder, in place of the one of this name."""
        self.run(f"drop table if exists {name}")
        self.run(f"create table {name} using parquet comment {_text(about)} location '{folder}'")


def build(
    opened: Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]],
    shared: Path,
    remote: str,
    since: datetime | None = None,
    until: datetime | None = None,
    folder: Path = PACKAGE_FOLDER,
    *,
    now: datetime,
    own_seeds: Own = NONE,
) -> BuildReport:
    """Build on the cluster at `remote` (sc://host:15002) what is due, and [since, until) besides.

    `opened` opens the warehouse, for as long as it takes to copy what is new of it into `shared`.
    Raises WarehouseError where the cluster cannot do it, and CheckFailedError.
    """
    models = load_models(folder, shared / "models.json", own_seeds)
    seeds, asked = seed_files(folder, own_seeds), asked_window(since, until)
    advice = "Let the other build on the cluster finish."
    with turn(shared / "lock", str(shared), advice, 600), session(remote) as spark:
        with opened() as landed:
            exported = export(landed, shared)
        _claim(spark, remote)
        for table in sorted((exported / "raw").iterdir()):
            newest = max(table.iterdir(), key=lambda path: path.stat().st_mtime)
            spark.show_files(f"raw.{table.name}", newest, "")
        this = _Build(spark, _Ledger(spark, exported / "state.json"), models, seeds, asked, now)
        this.folder = exported
        this.go_on()
        return this.run()


def _claim(spark: _Spark, remote: str) -> None:
    """Make the schemas; refuse those that somebody else made, for tables in them are replaced."""
    there = {schema for schema, *_ in spark.run("show schemas").fetchall()}
    ours = ("meterhouse", "raw", "temp", "seeds", *SCHEMAS)
    if "meterhouse" not in there and (taken := there & {*ours}):
        text = f"{remote} has a schema {min(taken)} that is not ours: give meterhouse a catalog"
        raise WarehouseError(f"{text} of its own. Nothing was changed.")
    for schema in ours:
        spark.run(f"create schema if not exists {schema}")


@contextmanager
def session(remote: str) -> Iterator[_Spark]:
    """A session on a cluster, in which translated SQL means what it meant."""
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of pandas 3
            from pyspark.sql.connect.session import SparkSession
    except ImportError:
        text = "to build on Spark needs its client: pip install 'meterhouse[spark]'"
        raise WarehouseError(text) from None
    _check_that_it_answers(remote)
    with _in_words(remote):
        opened = SparkSession.builder.remote(remote).create()
        try:
            # of a table the days that are written, and not all of it
            dynamic = {"spark.sql.sources.partitionOverwriteMode": "dynamic"}
            for name, value in (SPARK_SETTINGS | dynamic).items():
                opened.conf.set(name, value)
            yield _Spark(opened)
        finally:
            opened.stop()


def _check_that_it_answers(remote: str) -> None:
    """Its client would ask again for ten minutes, and say nothing."""
    address = urlsplit(remote)
    try:
        socket.create_connection((address.hostname or "", address.port or 15002), 10).close()
    except OSError as error:
        text = f"no cluster answers at {remote}: {error}. See to SPARK_REMOTE; nothing was changed."
        raise WarehouseError(text) from None


@contextmanager
def _in_words(what: str) -> Iterator[None]:
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        said = str(error).strip().splitlines()[0].rstrip(".")
        text = f"Spark ({what}): {said}. {_STAYS} Mend it, and build again: it goes on there."
        raise WarehouseError(text) from None


def _both(held: Differing, found: Differing) -> Differing:
    if isinstance(held, dict) and isinstance(found, dict):
        return {c: coalesce((*held.get(c, ()), *days)) for c, days in found.items()}
    if isinstance(held, dict) or isinstance(found, dict):
        return found if isinstance(found, dict) and not held else held
    return coalesce((*held, *found))


def _with_day(model: Model, rows: str) -> str:
    """The rows of a table with the partition of each, where it has a window."""
    day = f", cast(`{model.window}` as date) as {_DAY}" if model.window else ""
    spread = f" distribute by {_DAY}" if model.window else ""
    return f"select {_list(model.columns)}{day} from {rows}{spread}"


def _list(columns: Collection[str]) -> str:
    return ", ".join(f"`{column}`" for column in columns)


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
