"""meta.builds: what was built of which SELECT, up to which receipt; in the build's transaction."""

from collections.abc import Collection, Iterable
from datetime import datetime

import duckdb


class Ledger:
    """The last build, one row per model and seed; read once, written as the build goes on."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        connection.execute("create schema if not exists meta")
        connection.execute(
            "create table if not exists meta.builds (model varchar,"
            " fingerprint varchar, built_at timestamptz, through_landed_at timestamptz)"
        )
        rows = connection.execute(
            "select model, fingerprint, through_landed_at from meta.builds"
        ).fetchall()
        self.fingerprints: dict[str, str] = {name: fingerprint for name, fingerprint, _ in rows}
        self.through: dict[str, datetime | None] = {name: through for name, _, through in rows}
        self.noted: dict[str, str] = {}
        self.standing: dict[str, str] = {
            f"{schema}.{table}": kind
            for schema, table, kind in connection.execute(
                "select table_schema, table_name, table_type from information_schema.tables"
                " where table_catalog = current_database()"
            ).fetchall()
        }

    def built_through(self, names: Iterable[str]) -> datetime | None:
        """Instant up to which every receipt is in every table; None when nothing is known."""
        known = [self.through[name] for name in names if name in self.through]
        instants = [instant for instant in known if instant is not None]
        return min(instants) if instants and len(instants) == len(known) else None

    def is_stale(self, name: str, fingerprint: str) -> bool:
        """It does not stand, or stands for another SELECT or seed file."""
        return name not in self.standing or self.fingerprints.get(name) != fingerprint

    def note(self, name: str, fingerprint: str) -> None:
        """This one is now built, of this fingerprint; `save` writes it down."""
        self.noted[name] = fingerprint

    def save(self, landed_at: datetime | None) -> None:
        """Write down all that was noted, built up to the receipt that landed at that instant.

        One statement for all: a keyed upsert for each model cost 10 ms.
        """
        if self.noted:
            names = list(self.noted)
            self.connection.execute(
                "delete from meta.builds where model in (from unnest($1))", [names]
            )
            self.connection.execute(
                "insert into meta.builds select unnest($1), unnest($2), now(), $3",
                [names, list(self.noted.values()), landed_at],
            )

    def drop_others(self, names: Collection[str]) -> None:
        """Remove what earlier builds made and no file makes any more."""
        for name in self.fingerprints.keys() - set(names):
            self.drop(name)
            self.connection.execute("delete from meta.builds where model = $1", [name])

    def drop_unless(self, name: str, kind: str) -> None:
        """Remove a table where a view will stand."""
        if self.standing.get(name) not in (None, kind):
            self.drop(name)

    def drop(self, name: str) -> None:
        """Remove a table or view, whichever stands."""
        if name in self.standing:
            kind = "view" if self.standing[name] == "VIEW" else "table"
            self.connection.execute(f"drop {kind} {name}")
