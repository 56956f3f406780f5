"""Exports of platform usage line by line, and the facts that they come to: each case a sentence."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.atlassian_usage.folder import Fact, Line

# a file of these lines; None: the file is deleted
Files = dict[str, tuple[Line, ...] | None]


@dataclass(frozen=True)
class Case:
    """A sentence, the files that come one after another, and the facts that they come to.

    Files of one name are one file with an organization for each case, unless a case stands apart.
    """

    sentence: str
    steps: tuple[Files, ...]
    facts: tuple[Fact, ...]
    apart: bool = False


def rovo(scope: str, period: str, quantity: str, at: str, **more: object) -> Line:
    """A line of Rovo credits, a counter."""
    return Line("rovo_credits", scope, period, quantity, at, **more)  # type: ignore[arg-type]


def days(month: str, first: int, last: int, make: Callable[[str], Line]) -> tuple[Line, ...]:
    """A line for each of these days of a month."""
    return tuple(make(f"{month}-{day:02}") for day in range(first, last + 1))


def reading(day: str, quantity: str, renews: str | None) -> Line:
    """What ann had used of her Rovo credits at noon, and when the page said that they renew."""
    return rovo("user:ann", f"{day}T12:00", quantity, f"{day}T12:00", resets=renews)


def gauge(period: str, quantity: str, at: str, app: str | None = None) -> Line:
    """A line of indexed objects of the organization, a gauge."""
    return Line("indexed_objects", "org", period, quantity, at, app)


def runners(scope: str, period: str, quantity: str, at: str) -> Line:
    """A line of runner slots, a gauge."""
    return Line("runners", scope, period, quantity, at)


def traffic(scope: str, period: str, quantity: str) -> Line:
    """A line of network traffic, exported after everything that it is of."""
    return Line("network_traffic", scope, period, quantity, "2026-04-02")


def minutes(scope: str, period: str, quantity: str, at: str) -> Line:
    """A line of Pipelines minutes."""
    return Line("pipelines_build_minutes", scope, period, quantity, at)


APRIL_2, MAY_2 = "2026-04-02", "2026-05-02"
SOME_UUID = "{11111111-1111-4111-8111-111111111111}"
OTHER_UUID = "{22222222-2222-4222-8222-222222222222}"

CASES = (
    Case(
        "the latest export of a day counts whichever file was loaded last",
        (
            {"b.csv": (rovo("org", "2026-01-05", "7", "2026-01-07"),)},
            {"a.csv": (rovo("org", "2026-01-05", "5", "2026-01-06"),)},
        ),
        (("", "2026-01-05", "7"),),
    ),
    Case(
        "the same content under another name changes nothing",
        (
            {"a.csv": (rovo("org", "2026-01-05", "5", "2026-01-06"),)},
            {"b.csv": (rovo("org", "2026-01-05", "5", "2026-01-06"),)},
        ),
        (("", "2026-01-05", "5"),),
        apart=True,
    ),
    Case(
        "a line that was taken out of a mended file disappears",
        (
            {
                "a.csv": (
                    rovo("user:ann", "2026-01-05", "5", "2026-01-08"),
                    rovo("user:bob", "2026-01-05", "6", "2026-01-08"),
                    *days("2026-01", 6, 8, lambda d: rovo("user:ann", d, "1", "2026-01-08")),
                )
            },
            {
                "a.csv": (
                    rovo("user:ann", "2026-01-05", "5", "2026-01-08"),
                    rovo("user:ann", "2026-01-06", "1", "2026-01-08"),
                    rovo("user:ann", "2026-01-08", "1", "2026-01-08"),
                )
            },
        ),
        (("ann", "2026-01-05", "5"), ("ann", "2026-01-06", "1"), ("ann", "2026-01-08", "1")),
    ),
    Case(
        "a mended name of an app does not count beside the name that was wrong",
        (
            {"a.csv": (rovo("org", "2026-01", "5", "2026-02-02", app="Rvo"),)},
            {"a.csv": (rovo("org", "2026-01", "5", "2026-02-02", app="Rovo"),)},
        ),
        (("", "2026-01", "5"),),
    ),
    Case(
        "a mended scope does not count beside the one that was wrong",
        (
            {"a.csv": (Line("automation_steps", "user:ann", "2026-02", "6", "2026-03-02"),)},
            {"a.csv": (Line("automation_steps", "org", "2026-02", "6", "2026-03-02"),)},
        ),
        (("", "2026-02", "6"),),
        apart=True,
    ),
    Case(
        "a usage type that was wrong is taken back with 0",
        (
            {"a.csv": (rovo("org", "2026-01", "300", "2026-02-02"),)},
            {
                "a.csv": (
                    rovo("org", "2026-01", "0", "2026-02-02"),
                    Line("rovo_dev_credits", "org", "2026-01", "300", "2026-02-02"),
                )
            },
        ),
        (("", "2026-01", "0"), ("", "2026-01", "300")),
        apart=True,
    ),
    Case(
        "what a file says of a period it says as a whole: users first, then the organization",
        (
            {"a.csv": (rovo("user:ann", "2026-01", "300", "2026-02-02T08:15"),)},
            {"a.csv": (rovo("org", "2026-01", "310", "2026-02-02T08:15"),)},
        ),
        (("", "2026-01", "310"),),
        apart=True,
    ),
    Case(
        "a file that was renamed says the same when its old name says something else",
        (
            {
                "a.csv": (
                    rovo("user:ann", "2026-01", "10", "2026-02-02"),
                    rovo("user:bob", "2026-01", "5", "2026-02-02"),
                )
            },
            {
                "a.csv": None,
                "b.csv": (
                    rovo("user:ann", "2026-01", "10", "2026-02-02"),
                    rovo("user:bob", "2026-01", "5", "2026-02-02"),
                ),
            },
            {"a.csv": (rovo("user:cem", "2026-01", "7", "2026-02-03"),)},
        ),
        (("ann", "2026-01", "10"), ("bob", "2026-01", "5"), ("cem", "2026-01", "7")),
        apart=True,
    ),
    Case(
        "of two exports of the same instant the one whose file is named last counts",
        (
            {"z.csv": (rovo("org", "2026-01", "300", "2026-02-02"),)},
            {"y.csv": (rovo("org", "2026-01", "310", "2026-02-02"),)},
        ),
        (("", "2026-01", "300"),),
    ),
    Case(
        "another usage type at the same path keeps the one before",
        (
            {"a.csv": (rovo("org", "2026-01", "5", "2026-02-02"),)},
            {"a.csv": (runners("workspace:w", "2026-01", "6", "2026-02-02"),)},
        ),
        (("", "2026-01", "5"), ("w", "2026-01", "6")),
    ),
    Case(
        "names in capital letters are the same names",
        (
            {
                "a.csv": (
                    rovo("user:Ann@Example.com", "2026-01", "5", "2026-01-20"),
                    minutes("workspace:Team", "2026-02", "5", "2026-02-20"),
                )
            },
            {
                "b.csv": (
                    rovo("user:ann@example.com", "2026-01", "7", "2026-02-02"),
                    minutes("workspace:team", "2026-02", "7", "2026-03-02"),
                )
            },
        ),
        (("ann@example.com", "2026-01", "7"), ("team", "2026-02", "7")),
    ),
    Case(
        "another month at the same path keeps the month before",
        (
            {"a.csv": (rovo("org", "2026-01", "5", "2026-02-02"),)},
            {"a.csv": (rovo("org", "2026-02", "6", "2026-03-02"),)},
        ),
        (("", "2026-01", "5"), ("", "2026-02", "6")),
    ),
    Case(
        "a file that is mended and then put back as it was says what it said first",
        (
            {"a.csv": (rovo("org", "2026-01", "5", "2026-02-02"),)},
            {"a.csv": (rovo("org", "2026-01", "6", "2026-02-02"),)},
            {"a.csv": (rovo("org", "2026-01", "5", "2026-02-02"),)},
        ),
        (("", "2026-01", "5"),),
        apart=True,
    ),
    Case(
        "a mended file counts though it was read off the page earlier than it said before",
        (
            {"a.csv": (rovo("org", "2026-01", "5", "2026-03-02"),)},
            {"a.csv": (rovo("org", "2026-01", "6", "2026-02-02"),)},
        ),
        (("", "2026-01", "6"),),
    ),
    Case(
        "a file that is deleted takes nothing away",
        ({"a.csv": (rovo("org", "2026-01", "5", "2026-02-02"),)}, {"a.csv": None}),
        (("", "2026-01", "5"),),
        apart=True,
    ),
    Case(
        "of readings the last one of each month counts, and they are never added up",
        (
            {
                "a.csv": (
                    runners("workspace:w", "2026-01-09T06:30", "3", "2026-01-09"),
                    runners("workspace:w", "2026-01-25T06:30", "4", "2026-01-25"),
                    runners("workspace:w", "2026-02-01T00:00", "2", "2026-02-01"),
                )
            },
            {"b.csv": (runners("workspace:w", "2026-01-17T06:30", "9", "2026-02-20"),)},
        ),
        (("w", "2026-01", "4"), ("w", "2026-02", "2")),
    ),
    Case(
        "a gauge by the day or by the month is a reading too, as old as its export",
        (
            {
                "a.csv": (
                    runners("workspace:w", "2026-01", "3", "2026-01-20"),
                    runners("workspace:w", "2026-01-25T06:30", "4", "2026-01-25"),
                    runners("workspace:v", "2026-01-25", "4", "2026-01-26"),
                    runners("workspace:v", "2026-01-26", "5", "2026-01-27"),
                )
            },
        ),
        (("v", "2026-01", "5"), ("w", "2026-01", "4")),
    ),
    Case(
        "readings of a counter are one row a month: the last",
        (
            {
                "a.csv": (
                    rovo("org", "2026-01-09T06:30", "30", "2026-01-09"),
                    rovo("org", "2026-01-25T06:30", "70", "2026-01-25"),
                )
            },
        ),
        (("", "2026-01", "70"),),
    ),
    Case(
        "counters add up",
        ({"a.csv": days("2026-01", 1, 2, lambda d: rovo("org", d, "0.000000001", "2026-01-09"))},),
        (("", "2026-01-01", "0.000000001"), ("", "2026-01-02", "0.000000001")),
    ),
    Case(
        "days serve a month of which all that had passed are there",
        (
            {
                "a.csv": (
                    *days("2026-01", 1, 4, lambda d: rovo("org", d, "2", "2026-01-05")),
                    rovo("org", "2026-01", "8", "2026-01-05"),
                )
            },
        ),
        tuple(("", f"2026-01-0{day}", "2") for day in range(1, 5)),
    ),
    Case(
        "a month serves whose days are not all there, and its days do not count",
        (
            {
                "a.csv": (
                    *days("2026-01", 2, 4, lambda d: rovo("org", d, "2", "2026-01-05")),
                    rovo("org", "2026-01", "8", "2026-01-05"),
                    rovo("org", "2026-02-01", "3", "2026-02-02"),
                )
            },
        ),
        (("", "2026-01", "8"), ("", "2026-02-01", "3")),
    ),
    Case(
        "a day that was exported before its end does not stand for the whole day",
        (
            {
                "a.csv": (
                    *days("2026-01", 1, 4, lambda d: rovo("org", d, "2", "2026-01-04T09:00")),
                    rovo("org", "2026-01", "9", "2026-01-05"),
                )
            },
        ),
        (("", "2026-01", "9"),),
    ),
    Case(
        "a month that was exported on its first day does not hide the days that follow",
        (
            {"a.csv": (rovo("org", "2026-01", "1", "2026-01-01T10:00"),)},
            {"b.csv": days("2026-01", 1, 3, lambda d: rovo("org", d, "2", "2026-01-04"))},
        ),
        tuple(("", f"2026-01-0{day}", "2") for day in range(1, 4)),
    ),
    Case(
        "billing cycles are kept as they are",
        (
            {
                "a.csv": (
                    rovo("org", "2026-01-15/2026-02-15", "5", "2026-02-16"),
                    rovo("org", "2026-02-15/2026-03-15", "6", "2026-03-16"),
                )
            },
        ),
        (("", "2026-01-15/2026-02-15", "5"), ("", "2026-02-15/2026-03-15", "6")),
    ),
    Case(
        "of two calendars that overlap the one exported last counts, and the rest of the other",
        (
            {
                "a.csv": (
                    rovo("org", "2026-01", "10", "2026-02-02"),
                    rovo("org", "2026-02", "10", "2026-03-02"),
                    rovo("org", "2026-03", "10", "2026-04-02"),
                )
            },
            {"b.csv": (rovo("org", "2026-02-15/2026-03-15", "6", "2026-04-03"),)},
        ),
        (("", "2026-01", "10"), ("", "2026-02-15/2026-03-15", "6")),
    ),
    Case(
        "of three calendars, each across the next, only the one exported last counts",
        (
            {
                "a.csv": (rovo("org", "2026-01", "100", "2026-02-02"),),
                "b.csv": (rovo("org", "2026-01-15/2026-02-15", "50", "2026-02-17"),),
                "c.csv": (rovo("org", "2026-02-10/2026-03-10", "60", "2026-03-17"),),
            },
        ),
        (("", "2026-02-10/2026-03-10", "60"),),
    ),
    Case(
        "two calendars exported by turns before their ends do not flip: that which begins first",
        (
            {"a.csv": (rovo("org", "2026-01", "200", "2026-01-20"),)},
            {"b.csv": (rovo("org", "2026-01-15/2026-02-15", "60", "2026-01-21"),)},
            {"c.csv": (rovo("org", "2026-01", "220", "2026-01-22"),)},
            {"d.csv": (rovo("org", "2026-01-15/2026-02-15", "80", "2026-01-23"),)},
        ),
        (("", "2026-01", "220"),),
    ),
    Case(
        "a look into another calendar takes nothing from the one of which cycles were told whole",
        (
            {"a.csv": (rovo("org", "2025-12-15/2026-01-15", "90", "2026-01-15"),)},
            {"b.csv": (rovo("org", "2026-01-15/2026-02-15", "60", "2026-01-21"),)},
            {"c.csv": (rovo("org", "2026-01", "220", "2026-01-22"),)},
        ),
        (("", "2025-12-15/2026-01-15", "90"), ("", "2026-01-15/2026-02-15", "60")),
    ),
    Case(
        "cycles that begin on the same day may overlap all the same",
        (
            {"a.csv": (rovo("org", "2026-01-15/2026-02-16", "50", "2026-02-17"),)},
            {"b.csv": (rovo("org", "2026-02-15/2026-03-15", "60", "2026-03-16"),)},
        ),
        (("", "2026-02-15/2026-03-15", "60"),),
    ),
    Case(
        "a gauge that was exported as a cycle was read at the end of it",
        (
            {
                "a.csv": (
                    gauge("2026-01-15/2026-02-15", "9", "2026-02-16"),
                    gauge("2026-01-31T12:00", "4", "2026-01-31T12:00"),
                    gauge("2026-02-10T12:00", "8", "2026-02-10T12:00"),
                )
            },
        ),
        (("", "2026-01", "4"), ("", "2026-02", "9")),
    ),
    Case(
        "readings of a counter are of the month that ends with its reset",
        (
            {
                "a.csv": (
                    rovo(
                        "org", "2026-01-14T12:00", "8000", "2026-01-14T12:00", resets="2026-01-15"
                    ),
                    rovo("org", "2026-01-20T12:00", "100", "2026-01-20T12:00", resets="2026-02-15"),
                )
            },
        ),
        (("", "2025-12-15/2026-01-15", "8000"), ("", "2026-01-15/2026-02-15", "100")),
    ),
    Case(
        "a counter's month that is over counts, and not what was read within it",
        (
            {
                "a.csv": (
                    rovo("org", "2026-01-09T06:30", "30", "2026-01-09T06:30"),
                    rovo("org", "2026-01", "100", "2026-02-02"),
                )
            },
        ),
        (("", "2026-01", "100"),),
    ),
    Case(
        "one app read at an instant and another by the month add up all the same",
        (
            {
                "a.csv": (
                    rovo("org", "2026-01", "100", "2026-02-02", app="Jira"),
                    rovo("org", "2026-01-09T06:30", "30", "2026-01-09T06:30", app="Confluence"),
                )
            },
        ),
        (("", "2026-01", "130"),),
    ),
    Case(
        "what resets on the last day of a month resets on the last day of each",
        (
            {
                "a.csv": (
                    rovo("org", "2026-03-05T12:00", "100", "2026-03-05T12:00", resets="2026-03-31"),
                    rovo("org", "2026-04-05T12:00", "120", "2026-04-05T12:00", resets="2026-04-30"),
                    rovo("org", "2026-05-05T12:00", "130", "2026-05-05T12:00", resets="2026-05-31"),
                )
            },
        ),
        (
            ("", "2026-02-28/2026-03-31", "100"),
            ("", "2026-03-31/2026-04-30", "120"),
            ("", "2026-04-30/2026-05-31", "130"),
        ),
    ),
    Case(
        "a cycle begins where the one before it ended, a day later than a month before its end",
        (
            {
                "a.csv": (
                    reading("2026-10-14", "320", "2026-10-15"),
                    reading("2026-11-13", "200", "2026-11-14"),
                    reading("2026-11-20", "60", "2026-12-14"),
                )
            },
        ),
        (
            ("ann", "2026-09-15/2026-10-15", "320"),
            ("ann", "2026-10-15/2026-11-14", "200"),
            ("ann", "2026-11-14/2026-12-14", "60"),
        ),
    ),
    Case(
        "a cycle begins where the one before it ended, a day earlier than a month before its end",
        (
            {"a.csv": (reading("2026-10-13", "320", "2026-10-14"),)},
            {"a.csv": (reading("2026-11-13", "200", "2026-11-15"),)},
        ),
        (("ann", "2026-09-14/2026-10-14", "320"), ("ann", "2026-10-14/2026-11-15", "200")),
    ),
    Case(
        "a cycle begins where an exported month ended, too",
        (
            {
                "a.csv": (
                    rovo("user:ann", "2026-09-15/2026-10-15", "300", "2026-10-16"),
                    reading("2026-11-13", "200", "2026-11-14"),
                )
            },
        ),
        (("ann", "2026-09-15/2026-10-15", "300"), ("ann", "2026-10-15/2026-11-14", "200")),
    ),
    Case(
        "a reading that shows no renewal is of the cycle after the last one that was shown",
        (
            {
                "a.csv": (
                    rovo("user:ann", "2026-01-15/2026-02-15", "50", "2026-02-16"),
                    reading("2026-02-20", "7", None),
                    reading("2026-03-10", "9", None),
                )
            },
        ),
        (("ann", "2026-01-15/2026-02-15", "50"), ("ann", "2026-02-15/2026-03-15", "9")),
    ),
    Case(
        "a renewal that is shown anew is no second cycle",
        (
            {
                "a.csv": (
                    reading("2026-11-05", "200", "2026-11-14"),
                    reading("2026-11-06", "210", "2026-11-20"),
                )
            },
        ),
        (("ann", "2026-10-20/2026-11-20", "210"),),
    ),
    Case(
        "where one scope is told by the month the days of the others are summed to it",
        (
            {
                "a.csv": (
                    *days("2026-02", 1, 28, lambda d: rovo("org", d, "3", MAY_2)),
                    *days("2026-02", 1, 28, lambda d: rovo("user:ann", d, "1", MAY_2)),
                    rovo("user:bob", "2026-02", "30", MAY_2),
                    rovo("org", "2026-03-01", "3", MAY_2),
                    rovo("user:ann", "2026-03-01", "1", MAY_2),
                )
            },
        ),
        (
            ("", "2026-02", "26"),
            ("", "2026-03-01", "2"),
            ("ann", "2026-02", "28"),
            ("ann", "2026-03-01", "1"),
            ("bob", "2026-02", "30"),
        ),
    ),
    Case(
        "days of the whole that are all there stand for the month of one of its apps",
        (
            {
                "a.csv": (
                    *days("2026-02", 1, 28, lambda d: rovo("org", d, "3", MAY_2)),
                    rovo("org", "2026-02", "60", MAY_2, app="Jira"),
                    rovo("org", "2026-03-31", "3", MAY_2),
                    rovo("org", "2026-03", "60", MAY_2, app="Jira"),
                )
            },
        ),
        (*(("", f"2026-02-{n:02}", "3") for n in range(1, 29)), ("", "2026-03", "60")),
    ),
    Case(
        "a reading before the hour of its reset is of the month that ends then",
        (
            {
                "a.csv": (
                    rovo(
                        "org", "2026-03-15T06:00", "8000", "2026-03-15", resets="2026-03-15T08:00"
                    ),
                    rovo("org", "2026-03-20T06:00", "100", "2026-03-20", resets="2026-04-15T08:00"),
                )
            },
        ),
        (("", "2026-02-15/2026-03-15", "8000"), ("", "2026-03-15/2026-04-15", "100")),
    ),
    Case(
        "a reading says nothing of the days after it, whenever it was exported",
        (
            {
                "a.csv": (
                    rovo("org", "2026-01-03T12:00", "10", APRIL_2),
                    *days("2026-01", 1, 4, lambda d: rovo("org", d, "5", "2026-01-05")),
                )
            },
        ),
        tuple(("", f"2026-01-0{day}", "5") for day in range(1, 5)),
    ),
    Case(
        "a row without an app is the total of its apps, and without one the apps add up",
        (
            {
                "a.csv": (
                    rovo("org", "2026-01", "10", "2026-02-02"),
                    rovo("org", "2026-01", "6", "2026-02-02", app="Rovo"),
                    rovo("org", "2026-01", "3", "2026-02-02", app="Jira"),
                    rovo("org", "2026-02", "6", "2026-03-02", app="Rovo"),
                    rovo("org", "2026-02", "3", "2026-03-02", app="Jira"),
                )
            },
        ),
        (("", "2026-01", "10"), ("", "2026-02", "9")),
    ),
    Case(
        "of apps the last reading of each counts, and of a whole the last one of it",
        (
            {
                "a.csv": (
                    gauge("2026-01-20T09:00", "1000", "2026-01-20T09:00", app="Google Drive"),
                    gauge("2026-01-20T09:05", "50", "2026-01-20T09:05", app="Slack"),
                    gauge("2026-02-20T09:00", "1000", "2026-02-20T09:00"),
                    gauge("2026-02-20T09:05", "50", "2026-02-20T09:05", app="Slack"),
                )
            },
        ),
        (("", "2026-01", "1050"), ("", "2026-02", "1000")),
    ),
    Case(
        "the days of an app are part of the month of the whole",
        (
            {
                "a.csv": (
                    rovo("org", "2026-03", "300", APRIL_2),
                    *days("2026-03", 1, 31, lambda d: rovo("org", d, "2", APRIL_2, app="Jira")),
                )
            },
        ),
        (("", "2026-03", "300"),),
    ),
    Case(
        "the days of one app do not stand for a month of two",
        (
            {
                "a.csv": (
                    *days("2026-03", 1, 31, lambda d: rovo("org", d, "2", APRIL_2, app="Jira")),
                    rovo("org", "2026-03", "62", APRIL_2, app="Jira"),
                    rovo("org", "2026-03", "300", APRIL_2, app="Confluence"),
                )
            },
        ),
        (("", "2026-03", "362"),),
    ),
    Case(
        "an app is the same in capital letters",
        (
            {"a.csv": (rovo("org", "2026-03", "300", "2026-04-02", app="Jira"),)},
            {"b.csv": (rovo("org", "2026-03", "310", "2026-04-05", app="jira"),)},
        ),
        (("", "2026-03", "310"),),
    ),
    Case(
        "users and what none of them accounts for are the organization's total",
        (
            {
                "a.csv": (
                    rovo("org", "2026-01-05", "10", "2026-01-06"),
                    rovo("user:ann", "2026-01-05", "4", "2026-01-06"),
                    rovo("user:bob", "2026-01-05", "5.5", "2026-01-06"),
                    rovo("org", "2026-01-06", "4", "2026-01-07"),
                    rovo("user:ann", "2026-01-06", "4", "2026-01-07"),
                )
            },
        ),
        (
            ("", "2026-01-05", "0.5"),
            ("ann", "2026-01-05", "4"),
            ("ann", "2026-01-06", "4"),
            ("bob", "2026-01-05", "5.5"),
        ),
    ),
    Case(
        "parts above their whole leave a remainder below zero",
        (
            {
                "a.csv": (
                    rovo("org", "2026-01", "10", "2026-02-02"),
                    rovo("user:ann", "2026-01", "11", "2026-02-02"),
                )
            },
        ),
        (("", "2026-01", "-1"), ("ann", "2026-01", "11")),
    ),
    Case(
        "days of the organization add up to the month of its users",
        (
            {
                "a.csv": (
                    *days("2026-02", 1, 28, lambda d: rovo("org", d, "1.5", "2026-03-02")),
                    rovo("user:ann", "2026-02", "30", "2026-03-02"),
                )
            },
        ),
        (("", "2026-02", "12"), ("ann", "2026-02", "30")),
    ),
    Case(
        "so far, days of the organization add up to the month of its users that is still filling",
        (
            {
                "a.csv": (
                    *days("2026-02", 1, 4, lambda d: rovo("org", d, "1.5", "2026-02-05T09:00")),
                    rovo("user:ann", "2026-02", "5", "2026-02-05T10:00"),
                )
            },
            {"b.csv": (rovo("org", "2026-02-05", "2", "2026-02-06"),)},
        ),
        (("", "2026-02", "3"), ("ann", "2026-02", "5")),
    ),
    Case(
        "days of the organization that are not all there are its total, unless its users used more",
        (
            {
                "a.csv": (
                    *days("2026-02", 2, 3, lambda d: rovo("org", d, "1.5", "2026-02-04")),
                    rovo("user:ann", "2026-02", "2", "2026-02-04"),
                    *days("2026-04", 1, 2, lambda d: rovo("org", d, "1.5", "2026-04-18")),
                    rovo("user:ann", "2026-04", "640", "2026-04-18"),
                    rovo("org", "2026-05-31", "5", "2026-06-02"),
                    rovo("user:ann", "2026-05", "300", "2026-06-02"),
                )
            },
        ),
        (
            ("", "2026-02", "1"),
            ("ann", "2026-02", "2"),
            ("ann", "2026-04", "640"),
            ("ann", "2026-05", "300"),
        ),
    ),
    Case(
        "the periods of a total come before those of its users, whose days are summed to it",
        (
            {
                "a.csv": (
                    rovo("org", "2026-03-01", "10", "2026-03-02"),
                    rovo("user:ann", "2026-03", "8", "2026-03-02"),
                    rovo("org", "2026-03-15/2026-04-15", "300", "2026-04-16"),
                    rovo("user:bob", "2026-03-20", "7", "2026-04-16"),
                )
            },
        ),
        (
            ("", "2026-03-01", "10"),
            ("", "2026-03-15/2026-04-15", "293"),
            ("bob", "2026-03-15/2026-04-15", "7"),
        ),
    ),
    Case(
        "users whose months lie differently share the days of their organization once",
        (
            {
                "a.csv": (
                    *days("2026-02", 1, 28, lambda d: rovo("org", d, "1", MAY_2)),
                    *days("2026-03", 1, 31, lambda d: rovo("org", d, "1", MAY_2)),
                    rovo("user:ann", "2026-02", "20", MAY_2),
                    rovo("user:ann", "2026-03", "30", MAY_2),
                    rovo("user:bob", "2026-02-15/2026-03-15", "9", MAY_2),
                )
            },
        ),
        (
            ("", "2026-02", "8"),
            ("", "2026-03", "1"),
            ("ann", "2026-02", "20"),
            ("ann", "2026-03", "30"),
        ),
    ),
    Case(
        "months of users count by themselves where nothing of the organization was exported",
        ({"a.csv": (rovo("user:ann", "2026-01", "4", "2026-02-02"),)},),
        (("ann", "2026-01", "4"),),
    ),
    Case(
        "a part that lies across the periods of the total does not count",
        (
            {
                "a.csv": (
                    rovo("org", "2026-01", "10", "2026-02-02"),
                    rovo("user:ann", "2026-01-15/2026-02-15", "4", "2026-02-16"),
                )
            },
        ),
        (("", "2026-01", "10"),),
    ),
    Case(
        "one way of splitting counts in each period: workspaces, else users, else sites",
        (
            {
                "a.csv": (
                    rovo("user:ann", "2026-01", "4", "2026-02-02"),
                    rovo("site:s", "2026-01", "5", "2026-02-02"),
                    rovo("user:ann", "2026-02", "4", "2026-03-02"),
                    rovo("workspace:w", "2026-02", "6", "2026-03-02"),
                    rovo("site:s", "2026-03", "5", APRIL_2),
                )
            },
        ),
        (("ann", "2026-01", "4"), ("s", "2026-03", "5"), ("w", "2026-02", "6")),
    ),
    Case(
        "repositories stand for their workspace, and it for the organization",
        (
            {
                "a.csv": (
                    minutes("org", "2026-01", "100", "2026-02-02"),
                    minutes("workspace:team", "2026-01", "60", "2026-02-02"),
                    minutes("repository:team/app", "2026-01", "50", "2026-02-02"),
                    minutes("repository:other/app", "2026-01", "30", "2026-02-02"),
                )
            },
        ),
        (
            ("", "2026-01", "10"),
            ("other other/app", "2026-01", "30"),
            ("team", "2026-01", "10"),
            ("team team/app", "2026-01", "50"),
        ),
    ),
    Case(
        "days of a workspace are its total, unless some are missing and its repositories used more",
        (
            {
                "a.csv": (
                    minutes("workspace:w", "2026-03-31", "5", APRIL_2),
                    minutes("repository:w/a", "2026-03", "300", APRIL_2),
                    minutes("workspace:w", "2026-04-30", "5", MAY_2),
                    minutes("repository:w/a", "2026-04", "3", MAY_2),
                )
            },
        ),
        (("w", "2026-04", "2"), ("w w/a", "2026-03", "300"), ("w w/a", "2026-04", "3")),
    ),
    Case(
        "a site, a user and a workspace of one name are three, and one split counts",
        (
            {
                "a.csv": (
                    Line("network_traffic", "workspace:acme", "2026-01", "10", "2026-02-02"),
                    Line("network_traffic", "site:acme", "2026-01", "50", "2026-02-02"),
                    Line(
                        "network_traffic", "user:acme", "2026-01-01/2026-01-29", "8", "2026-02-02"
                    ),
                    Line("network_traffic", "user:ann", "2026-01", "9", "2026-02-02"),
                    *days("2026-02", 1, 28, lambda d: traffic("workspace:acme", d, "1")),
                    *days("2026-02", 1, 28, lambda d: traffic("site:acme", d, "1")),
                    traffic("workspace:acme", "2026-02", "60"),
                    traffic("site:acme", "2026-02", "60"),
                )
            },
        ),
        (
            ("acme", "2026-01", "10"),
            *(("acme", f"2026-02-{day:02}", "1") for day in range(1, 29)),
        ),
    ),
    Case(
        "a repository of a workspace that nobody can name lies in those whose total is known",
        (
            {
                "a.csv": (
                    minutes(f"workspace:{SOME_UUID}", "2026-01", "60", APRIL_2),
                    minutes("repository:team/app", "2026-01", "50", APRIL_2),
                    minutes(f"repository:{OTHER_UUID}", "2026-01", "9", APRIL_2),
                    minutes("repository:team/app", "2026-02", "50", APRIL_2),
                )
            },
        ),
        (
            ("team team/app", "2026-02", "50"),
            (SOME_UUID, "2026-01", "60"),
        ),
    ),
    Case(
        "nine decimals of a large number are kept to the last digit",
        (
            {
                "a.csv": (
                    rovo("org", "2026-01", "12345678901234567890.123456789", "2026-02-02"),
                    rovo("user:ann", "2026-01", "0.000000001", "2026-02-02"),
                )
            },
        ),
        (
            ("", "2026-01", "12345678901234567890.123456788"),
            ("ann", "2026-01", "0.000000001"),
        ),
    ),
    Case(
        "a type of usage that nobody knows is in no fact",
        ({"a.csv": (Line("teamwork_graph_calls", "org", "2026-01", "5", "2026-02-02"),)},),
        (),
    ),
)
