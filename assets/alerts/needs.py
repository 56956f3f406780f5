"""What needs somebody now: rows of reports.needs_you, and what only this moment tells.

That is a build that failed, a warehouse that does not open, a source that has become late since the
last build, settings that cannot be used. Not here: who is told, and how it is shown.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from assets.runs.building import last_build
from assets.runs.opening import Row, rows_of
from assets.settings import Settings
from assets.sources import ENDPOINTS, SOURCES, source_of
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.checks import evaluate
from dbt_like_sql.engine.lakes.address import Warehouse
from dbt_like_sql.engine.models import load_models
from pipelines.receipts import Connection
from pipelines.windows import GRAINS

NEEDS_YOU = "reports.needs_you"
# of these families nothing may come any more
RETIRED = {e.source for e in ENDPOINTS} - {e.source for e in ENDPOINTS if not e.retired_on}
READERS = "Readers see the build before it"


class Needs:
    """What is known of a warehouse now, whoever writes it meanwhile.

    `sources` are rows of reports.freshness, their age and verdict those of the clock of now, or
    "not set up"; `found` are rows as in reports.needs_you.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.now, path = settings, settings.clock(), settings.warehouse
        self.last_build, self.holder = last_build(path), warehouse.holder(path)
        with warehouse.reader(path) as connection:
            fresh = rows_of(connection, "select * from reports.freshness order by source, verdict")
            found = rows_of(connection, f"from {NEEDS_YOU} order by too_late_at, since_at, subject")
            found += _failed_checks(connection, path)
        self.sources = [
            row | {"verdict": self._verdict(row), "age_hours": self._age_hours(row)}
            for row in fresh
        ]
        told = {row["source"]: row for row in found if row["kind"] == "late"}
        self.found = [*self._builds(), *self._settings(), *self._late(told), *found]

    def lacking(self, family: str) -> str:
        """The settings without which nothing of a family is asked for; '' where it is."""
        sources = {source_of(e).name for e in ENDPOINTS if e.source == family}
        missing = [why for name, why in self.settings.missing.items() if name in sources]
        return "; ".join(missing) if len(missing) == len(sources) else ""

    def _verdict(self, row: Row) -> str:
        if row["verdict"] == "never loaded" and self.lacking(row["source"]):
            return "not set up"
        is_late = row["verdict"] == "ok" and row["late_at"] and row["late_at"] <= self.now
        return "late" if is_late else str(row["verdict"])

    def _age_hours(self, row: Row) -> float | None:
        _, until = told_until(row)
        return (self.now - until) / timedelta(hours=1) if until else None

    def _builds(self) -> Iterator[Row]:
        last = self.last_build
        if why := warehouse.damage(self.settings.warehouse):
            yield need("unreadable", None, "warehouse", why, f"{READERS}.")
        if failure := last.get("failure"):
            todo = f"{READERS}: mend that, and run `meterhouse build`."
            yield need("failed build", None, "", failure, todo, last["ended_at"])
        elif last and not ("ended_at" in last or self.holder):
            todo = f"{READERS}: run `meterhouse build`."
            yield need("failed build", None, "", "it was killed", todo, last["started_at"])

    def _settings(self) -> Iterator[Row]:
        for name, wrong in self.settings.wrong.items():
            for text in wrong:
                yield need("setting", name, text.partition(" ")[0], text, "Correct it.")

    def _late(self, told: Mapping[str, Row]) -> Iterator[Row]:
        set_up = [source for source in SOURCES if self.settings.accounts[source.name]]
        asked = {e.source for source in set_up for e in source.endpoints if e.is_windowed}
        for row in self.sources:
            source, lacking = row["source"], self.lacking(row["source"])
            todo = f"{lacking}: set it again." if lacking else "Run `meterhouse run`."
            if lacking and source in told:
                told[source]["what_to_do"] = todo
            if row["verdict"] == "late" and source not in told:
                what = "nothing newer was told, nor built"
                yield need("late", source, source, what, todo, row["late_at"])
            if row["verdict"] == "never loaded" and source in asked - RETIRED:
                yield need("never loaded", source, source, "it is set up", todo)


def told_until(row: Row) -> tuple[str, datetime | None]:
    """Of a row of reports.freshness, its finest grain and up to when that is held; of files, which
    have no grain, when they last brought something."""
    grain = next((grain for grain in GRAINS if row[f"{grain}_until"]), "")
    return grain, row[f"{grain}_until"] if grain else row["listed_at"]


def need(
    kind: str, source: str | None, subject: str, what: str, todo: str, since: datetime | None = None
) -> Row:
    """What reports.needs_you cannot know, as a row of it."""
    about = {"kind": kind, "source": source, "subject": subject, "is_failure": True}
    return {**about, "what": what, "since_at": since, "too_late_at": None, "what_to_do": todo}


def _failed_checks(connection: Connection, path: Warehouse) -> Iterator[Row]:
    """What does not hold of the reports that reports.needs_you does not read itself."""
    models = load_models(keep_in=warehouse.models_beside(path))
    told = {NEEDS_YOU, *models[NEEDS_YOU].inputs}
    for model in models.values():
        if model.schema == "reports" and model.name not in told:
            rows_of(connection, f"from {model.name} limit 0")  # of another version: it says so
            for result in evaluate(connection, model):
                if not result.passed:
                    todo = f"Look at {model.name}."
                    about = f"{model.name} {result.expression}"
                    yield need("failed check", None, about, result.sentence, todo)
