"""A session on a Spark cluster, through Spark Connect, which takes DuckDB's SQL too."""

import socket
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dbt_like_sql.engine.models import SCHEMAS
from dbt_like_sql.engine.spark.dialect import SETTINGS, to_spark
from dbt_like_sql.engine.warehouse import WarehouseError

STAYS = "What landed is untouched; tables before it in this build are new, those after it are not."


class _Answer:
    """The rows of a query, as DuckDB's client gives them; asked for once they are fetched."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All of them."""
        return [tuple(row.values()) for row in self.frame.toArrow().to_pylist()]


class Spark:
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


def claim(spark: Spark, remote: str) -> None:
    """Make the schemas; refuse those that somebody else made, for tables in them are replaced."""
    there = {schema for schema, *_ in spark.run("show schemas").fetchall()}
    ours = ("meterhouse", "raw", "temp", "seeds", *SCHEMAS)
    if "meterhouse" not in there and (taken := there & {*ours}):
        text = f"{shown(remote)} has a schema {min(taken)} that is not ours: give meterhouse a"
        raise WarehouseError(f"{text} catalog of its own. Nothing was changed.")
    for schema in ours:
        spark.run(f"create schema if not exists {schema}")


@contextmanager
def session(remote: str) -> Iterator[Spark]:
    """A session on a cluster, in which translated SQL means what it meant."""
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of pandas 3
            from pyspark.sql.connect.session import SparkSession
    except ImportError:
        text = "to build on Spark needs its client: pip install 'meterhouse[spark]'"
        raise WarehouseError(text) from None
    check_that_it_answers(remote)
    with in_words(shown(remote)):
        opened = SparkSession.builder.remote(remote).create()
        try:
            # of a table the days that are written, and not all of it
            dynamic = {"spark.sql.sources.partitionOverwriteMode": "dynamic"}
            for name, value in (SETTINGS | dynamic).items():
                opened.conf.set(name, value)
            yield Spark(opened)
        finally:
            opened.stop()


def shown(remote: str) -> str:
    """An address without what follows its host: a token may be in that."""
    return remote.partition(";")[0].rstrip("/")


def check_that_it_answers(remote: str) -> None:
    """Its client would ask again for ten minutes, and say nothing."""
    address = urlsplit(shown(remote))
    try:
        socket.create_connection((address.hostname or "", address.port or 15002), 10).close()
    except (OSError, ValueError) as error:
        text = f"no cluster answers at {shown(remote)}: {error}. See to SPARK_REMOTE; nothing was"
        raise WarehouseError(f"{text} changed.") from None


@contextmanager
def in_words(what: str) -> Iterator[None]:
    """What a cluster cannot do is a WarehouseError of one sentence."""
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        said = str(error).strip().splitlines()[0].rstrip(".")
        text = f"Spark ({what}): {said}. {STAYS} Mend it, and build again: it goes on there."
        raise WarehouseError(text) from None


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
