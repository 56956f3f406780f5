"""`meterhouse status`: whether all is well, by the clock of now, and what needs somebody."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta

from assets.alerts.needs import NEEDS_YOU, RETIRED, Needs, need, told_until
from assets.runs.opening import Row
from assets.settings import Settings
from assets.sources import SOURCES, called
from assets.terminal.console import Report
from dbt_like_sql.engine.warehouse import WarehouseError, in_words
from pipelines.source import VendorError


def show_status(report: Report, settings: Settings) -> Row:
    """Show it, and give what `--json` prints."""
    needs, unusable = Needs(settings), dict[str, Row]()
    left_now = dict(_requests_left(settings, unusable))
    needs.found += unusable.values()
    last, failed = needs.last_build, [row for row in needs.found if row["is_failure"]]
    for row in needs.sources:
        if row["source"] not in RETIRED or row["scope_count"]:
            report.say(_source(needs, row))
    if "ended_at" in last and not last["failure"]:
        report.say(f"Last build {_ago(needs.now - last['ended_at'])}.")
    if needs.holder:
        report.say(f"{needs.holder} writes the warehouse: this is as of the last build.")
    if spent := [f"{n} {left} of {most}" for n, (left, most) in left_now.items() if left < most]:
        report.say(f"Requests left: {', '.join(spent)}.")
    if told := Counter(row["kind"] for row in needs.found if not row["is_failure"]):
        counts = ", ".join(f"{kind} ({count})" for kind, count in told.items())
        report.say(f"To look at in {NEEDS_YOU}: {counts}.")
    for row in failed:
        report.fail(_line(needs, row), label=row["kind"].upper())
    count = f"{len(failed)} things need" if len(failed) > 1 else "1 thing needs"
    report.say(f"{count} you." if failed else "Nothing needs you.")
    return {
        "sources": needs.sources,
        "needs_you": needs.found,
        "last_build": last or None,
        "held_by": needs.holder,
        "requests_left": left_now,
        "failures": [f"{row['kind']}: {_line(needs, row)}" for row in failed],
    }


def _source(needs: Needs, row: Row) -> str:
    """A source in a line: its verdict, and up to when its usage is held."""
    grain, until = told_until(row)
    line = f"{row['source']:<20}{row['verdict'].upper():<8}"
    if until:
        age = f"{_ago(needs.now - until)} ({grain or 'files'})"
        line += f"{age:<22}held to {_instant(needs, until)}" if grain else age
    if row["verdict"] != "not set up" and needs.lacking(row["source"]):
        line += ", not set up any more"
    if [other["source"] for other in needs.sources].count(row["source"]) > 1:
        line += f", of {row['scope_count']}: {row['scope']}"
    return line


def _line(needs: Needs, row: Row) -> str:
    """What needs somebody, since when, and what to do."""
    what = row["what"].split("\n")[0].rstrip(".")
    line = what if what.startswith(row["subject"]) else f"{row['subject']}: {what}"
    if row["since_at"]:
        line += f", since {_instant(needs, row['since_at'])}"
    if row["too_late_at"]:
        line += f", and gone at {_instant(needs, row['too_late_at'])}"
    return f"{line}. {row['what_to_do']}"


def _instant(needs: Needs, instant: datetime) -> str:
    """To the minute, with the day where it is not today's, and the year where not this one."""
    day = "%m-%d " if instant.year == needs.now.year else "%Y-%m-%d "
    return instant.strftime("%H:%MZ" if instant.date() == needs.now.date() else f"{day}%H:%MZ")


def _ago(age: timedelta) -> str:
    """As a person says it."""
    minutes = max(int(age.total_seconds() // 60), 0)
    if minutes < 100:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{minutes // 1440} days ago"


def _requests_left(
    settings: Settings, unusable: dict[str, Row]
) -> Iterator[tuple[str, tuple[int, int]]]:
    """By account, how many requests may be sent now without a wait, of how many; in `unusable`
    what keeps a budget from being read."""
    for source in SOURCES:
        for account in settings.accounts[source.name]:
            try:
                # what is wrong with a client `meterhouse doctor` tells
                with suppress(VendorError), in_words(), closing(source.client(account)) as client:
                    if left := client.requests_left:
                        yield f"{called(source)} {account.name}".rstrip(), left
            except WarehouseError as error:
                text = str(error)
                unusable[text] = need("unreadable", None, "requests", text, "Nothing is asked.")
