"""`meterhouse status`: whether all is well, by the clock of now, and what needs somebody.

That are rows of reports.needs_you, and what only this moment tells: a build that failed, a source
that has become late since the last build, settings that cannot be used.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from assets.loading import LastBuild, Row, rows_of
from assets.settings import Settings
from assets.sources import ENDPOINTS, SOURCES, source_of
from assets.terminal.console import Report
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.checks import evaluate
from dbt_like_sql.engine.models import load_models
from pipelines.receipts import Connection
from pipelines.source import VendorError

NEEDS_YOU = "reports.needs_you"
# of these families nothing may come any more
RETIRED = {e.source for e in ENDPOINTS} - {e.source for e in ENDPOINTS if not e.retired_on}
OPEN_BUILD = "Readers see the build before it"


class Status:
    """What is known of a warehouse now. `things` are rows as reports.needs_you has them."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.now, path = settings, settings.clock(), settings.warehouse
        self.last_build, self.holder = LastBuild.read(path), holder(path)
        with warehouse.reader(path) as connection:
            known = rows_of(connection, "select * from reports.freshness order by source, verdict")
            self.held = rows_of(connection, "select * from reports.held order by all")
            found = rows_of(connection, f"from {NEEDS_YOU} order by too_late_at, since_at, subject")
            found += _failed_checks(connection, path)
        self.sources = [row | {"verdict": self._verdict(row)} for row in known]
        self.things = [*self._of_this_moment({row["subject"] for row in found}), *found]
        self.requests_left = dict(_requests_left(settings))

    def _verdict(self, row: Row) -> str:
        if row["verdict"] == "never loaded" and _lacking(self.settings, row["source"]):
            return "not set up"
        is_late = row["verdict"] == "ok" and row["late_at"] and row["late_at"] <= self.now
        return "late" if is_late else str(row["verdict"])

    def _of_this_moment(self, told: set[str]) -> Iterator[Row]:
        last = self.last_build
        if last and last.failure:
            todo = f"{OPEN_BUILD}: mend that, and run `meterhouse build`."
            yield _thing("failed build", "", last.failure, todo, last.ended_at)
        elif last and not (last.ended_at or self.holder):
            todo = f"{OPEN_BUILD}: run `meterhouse build`."
            yield _thing("failed build", "", "it was killed", todo, last.started_at)
        for name, wrong in self.settings.wrong.items():
            yield from (_thing("setting", name, text) for text in wrong)
        for row in self.sources:
            lacking = _lacking(self.settings, row["source"])
            todo = f"{lacking}: set it again." if lacking else "Run `meterhouse run`."
            if row["verdict"] == "late" and row["source"] not in told:
                what = "nothing newer was told, nor built"
                yield _thing("late", row["source"], what, todo, row["late_at"])
            if row["verdict"] == "never loaded" and row["source"] in self._expected:
                yield _thing("never loaded", row["source"], "it is set up", todo)

    @property
    def _expected(self) -> set[str]:
        """The families of which some account asks for usage."""
        sources = [source for source in SOURCES if self.settings.accounts[source.name]]
        endpoints = [e for source in sources for e in source.endpoints if e.is_windowed]
        return {e.source for e in endpoints} - RETIRED

    @property
    def failures(self) -> list[tuple[str, str]]:
        """What needs somebody: of which kind, and all of it in a line."""
        return [(row["kind"], self._line(row)) for row in self.things if row["is_failure"]]

    def _line(self, row: Row) -> str:
        what = [row["subject"], row["what"].split("\n")[0].rstrip(".")]
        line = ": ".join(filter(None, what))
        if row["since_at"]:
            line += f", since {self.instant(row['since_at'])}"
        if row["too_late_at"]:
            line += f", and gone at {self.instant(row['too_late_at'])}"
        return f"{line}. {row['what_to_do']}".rstrip()

    def instant(self, instant: datetime) -> str:
        """To the minute, with the day where it is not today's."""
        return instant.strftime("%H:%MZ" if instant.date() == self.now.date() else "%m-%d %H:%MZ")

    def about(self, row: Row) -> str:
        """A source in a line."""
        grains = ("hourly", "daily", "monthly")
        grain = next((grain for grain in grains if row[f"{grain}_until"]), "")
        until = row[f"{grain}_until"] if grain else row["listed_at"]
        line = f"{row['source']:<20}{row['verdict'].upper():<8}"
        if until:
            age = f"{ago(self.now - until)} ({grain or 'files'})"
            line += f"{age:<22}held to {self.instant(until)}" if grain else age
        if row["verdict"] != "not set up" and _lacking(self.settings, row["source"]):
            line += ", not set up any more"
        if [other["source"] for other in self.sources].count(row["source"]) > 1:
            line += f", of {row['scope_count']}: {row['scope']}"
        return line

    def as_json(self) -> Row:
        """As `--json` prints it."""
        return {
            "sources": self.sources,
            "needs_you": self.things,
            "last_build": vars(self.last_build) if self.last_build else None,
            "held_by": self.holder,
            "requests_left": self.requests_left,
            "held": self.held,
            "failures": [f"{kind}: {line}" for kind, line in self.failures],
        }


def show_status(report: Report, settings: Settings) -> Row:
    """Show it, and give what `--json` prints."""
    status = Status(settings)
    last, left_now = status.last_build, status.requests_left
    for row in status.sources:
        if row["source"] not in RETIRED or row["scope_count"]:
            report.say(status.about(row))
    if last and last.ended_at and not last.failure:
        report.say(f"Last build {ago(status.now - last.ended_at)}.")
    if status.holder:
        report.say(f"{status.holder} writes the warehouse: this is as of the last build.")
    if spent := [f"{n} {left} of {most}" for n, (left, most) in left_now.items() if left < most]:
        report.say(f"Requests left: {', '.join(spent)}.")
    if told := Counter(row["kind"] for row in status.things if not row["is_failure"]):
        counts = ", ".join(f"{kind} ({count})" for kind, count in told.items())
        report.say(f"To look at in {NEEDS_YOU}: {counts}.")
    for kind, line in status.failures:
        report.fail(line, label=kind.upper())
    count = len(status.failures)
    needs = "1 thing needs" if count == 1 else f"{count or 'Nothing'} things need"
    report.say(f"{needs} you." if count else "Nothing needs you.")
    return status.as_json()


def holder(path: Path) -> str | None:
    """The process that writes the warehouse at this moment, if one does."""
    lock = Path(f"{path}.lock")
    with suppress(OSError):
        if lock.exists():
            try:
                FileLock(lock).acquire(timeout=0).lock.release()
            except Timeout:
                pid = lock.read_text().strip()
                return f"{Path(f'/proc/{pid}/comm').read_text().strip()} (pid {pid})"
    return None


def ago(age: timedelta) -> str:
    """As a person says it."""
    minutes = max(int(age.total_seconds() // 60), 0)
    if minutes < 100:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{minutes // 1440} days ago"


def _lacking(settings: Settings, family: str) -> str:
    """The settings without which nothing of a family is asked for; '' where it is."""
    sources = {source_of(e).name for e in ENDPOINTS if e.source == family}
    missing = [why for name, why in settings.missing.items() if name in sources]
    return "; ".join(missing) if len(missing) == len(sources) else ""


def _thing(
    kind: str, subject: str, what: str, todo: str = "", since: datetime | None = None
) -> Row:
    """What reports.needs_you cannot know, as a row of it."""
    about = {"kind": kind, "source": subject or None, "subject": subject, "is_failure": True}
    return {**about, "what": what, "since_at": since, "too_late_at": None, "what_to_do": todo}


def _failed_checks(connection: Connection, path: Path) -> Iterator[Row]:
    """What does not hold of the reports that reports.needs_you does not read itself."""
    models = load_models(keep_in=warehouse.models_beside(path))
    told = {NEEDS_YOU, *models[NEEDS_YOU].inputs}
    for model in models.values():
        if model.schema == "reports" and model.name not in told:
            rows_of(connection, f"from {model.name} limit 0")  # of another version: it says so
            for result in evaluate(connection, model):
                if not result.passed:
                    yield _thing("failed check", "", result.sentence, f"Look at {model.name}.")


def _requests_left(settings: Settings) -> Iterator[tuple[str, tuple[int, int]]]:
    """By account, how many requests may be sent now without a wait, of how many."""
    for source in SOURCES:
        for account in settings.accounts[source.name]:
            name = f"{source.name} {account.name}".rstrip()
            with suppress(VendorError):  # `meterhouse doctor` tells
                client = source.client(account)
                if left := client.requests_left:
                    yield name, left
                client.close()
