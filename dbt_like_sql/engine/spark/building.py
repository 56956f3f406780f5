# ruff: noqa: S608  (names come from our own model files)
"""Build the models on a Spark cluster, through Spark Connect, as Parquet tables that it keeps.

Answers land in the warehouse as ever, and are copied to a folder that the cluster reads. The name
of a model is a view there; its rows are in a table of the schema `meterhouse`, a partition for each
UTC day where it has a window, and days that are due are overwritten. Which days are due, in what
order and what is tried of them is as in any build (runner.py). Not here: what SQL becomes
(dialect.py). Plain Parquet has no transaction: a build that breaks off leaves some tables of
before, and the next one goes on; docs/scaling-spark.md says what readers see until then.
"""

import secrets
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, suppress
from datetime import date, datetime
from pathlib import Path

import duckdb

from dbt_like_sql.engine.build_state import BuildReport
from dbt_like_sql.engine.checks import CheckFailedError
from dbt_like_sql.engine.models import PACKAGE_FOLDER, Model, load_models
from dbt_like_sql.engine.runner import Build
from dbt_like_sql.engine.seeds import NONE, Own, load_seed, seed_docs, seed_files, seed_hash
from dbt_like_sql.engine.spark.dialect import to_spark
from dbt_like_sql.engine.spark.exporting import export, write
from dbt_like_sql.engine.spark.ledger import Differing, SparkLedger
from dbt_like_sql.engine.spark.session import STAYS, Spark, claim, in_words, session
from dbt_like_sql.engine.warehouse import turn
from dbt_like_sql.engine.windows import EVERYTHING, Windows, asked_window, coalesce

_DAY = "utc_day"


class _Build(Build):
    """A build whose statements a cluster runs."""

    connection: Spark
    ledger: SparkLedger
    folder: Path

    def _make(self, model: Model, stale: bool) -> tuple[str, int, Windows]:
        with in_words(f"while building {model.name} ({model.path})"):
            return super()._make(model, stale)

    def _check(self, model: Model, windows: Windows) -> None:
        try:
            super()._check(model, windows)
        except CheckFailedError as failed:
            raise CheckFailedError(failed.results, STAYS) from None

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

    def _replace(self, model: Model, windows: Windows) -> int:
        rows = self._keep("computed", model.select(windows))
        self._overwrite(model, windows)
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
        target = self.folder / "seeds" / f"{name}.{seed_hash(path)[:8]}"
        target.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as memory:
            memory.execute("set TimeZone = 'UTC'; create schema seeds")
            load_seed(memory, name, path)
            write(memory, f"from {name}", target / "rows.parquet")
        self.connection.show_files(name, target, seed_docs(name).get("", ""))

    def _publish_later(self, name: str, where: str = "true") -> None:
        """Its readers read what was written."""


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
        claim(spark, remote)
        for table in sorted((exported / "raw").iterdir()):
            newest = max(table.iterdir(), key=lambda path: path.stat().st_mtime)
            spark.show_files(f"raw.{table.name}", newest, "")
        this = _Build(spark, SparkLedger(spark, exported / "state.json"), models, seeds, asked, now)
        this.folder = exported
        # what differed when a build broke off differs still for those that read it
        this.differing |= this.ledger.state.differing
        this.changed |= this.differing.keys()
        return this.run()


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
