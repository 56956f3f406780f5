"""What stands on a cluster: what was built of which SELECT, and what a build has changed so far."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from dbt_like_sql.engine.build_state import Built, Ledger
from dbt_like_sql.engine.checks import CheckResult
from dbt_like_sql.engine.spark.session import Spark
from dbt_like_sql.engine.windows import Windows
from dbt_like_sql.engine.words import in_place_of

Differing = dict[str, Windows] | Windows


@dataclass
class State:
    """What stands on the cluster: beside what was exported, and written whenever it differs.

    `differing`: rows that differ since the last build that was completed; `tables`: those behind
    the views. Where it is lost, the next build makes everything anew.
    """

    built: dict[str, Built] = field(default_factory=dict)
    failed: dict[str, list[CheckResult]] = field(default_factory=dict)
    differing: dict[str, Differing] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)


class SparkLedger(Ledger):
    """The last build on the cluster, in a file beside what was exported."""

    def __init__(self, spark: Spark, file: Path) -> None:
        self.spark, self.file, self.state = spark, file, State()
        with suppress(OSError, msgspec.DecodeError):
            self.state = msgspec.json.decode(file.read_bytes(), type=State)
        self.built, self.failed, self.noted = self.state.built, self.state.failed, {}
        ((self.landed_at,),) = spark.execute("select max(landed_at) from raw.loads").fetchall()
        self.standing = {
            f"{schema}.{name}": "view"
            for schema in {name.split(".")[0] for name in self.built}
            for _, name, *_ in spark.run(f"show tables in {schema}").fetchall()
        }

    def write(self) -> None:
        """Write it down, in one step."""
        with in_place_of(self.file) as draft:
            draft.write_bytes(msgspec.json.encode(self.state))

    def save(self, now: datetime) -> None:
        """All of it is built up to the newest receipt."""
        self.built |= {name: Built(of, self.landed_at, now) for name, of in self.noted.items()}
        self.state.differing.clear()
        self.write()

    def remember(self, name: str, failed: list[CheckResult]) -> None:
        """These checks of a report found something, and no others."""
        self.failed[name] = failed

    def drop_others(self, names: Collection[str]) -> None:
        """Remove what no file makes any more, and tables that no view shows since a build ago."""
        state = self.state
        for name in self.built.keys() - set(names):
            self.spark.run(f"drop view if exists {name}")
            del self.built[name]
            state.tables.pop(name, None)
        for _, table, *_ in self.spark.run("show tables in meterhouse").fetchall():
            if f"meterhouse.{table}" not in state.tables.values():
                self.spark.run(f"drop table meterhouse.{table}")
