"""What exports of platform usage come to: literal lines in, literal facts out; and a whole company.

Not here: broken files (test_files.py) and Dagster (test_dagster.py).
"""

import os
import random
import signal
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from assets.runs.loading import Loader
from assets.settings import read_settings
from assets.sources import endpoint_of
from pipelines import receipts
from pipelines.windows import floor
from tests.atlassian_usage.cases import CASES, Case
from tests.atlassian_usage.folder import FACTS, Exports, Line
from tests.builds import build
from tests.conftest import Worlds
from tests.processes import ended, start
from tests.sandbox.atlassian_org import AtlassianOrg
from tests.sandbox.atlassian_usage import UNKNOWN_TYPE, PlatformUsage, Reading
from tests.sandbox.platform_exports import Format, Row, write, write_rows

FORMATS: tuple[Format, ...] = ("csv", "xlsx", "csv")
NOW = datetime(2026, 10, 20, 9, 30, tzinfo=UTC)
REPORTS = ("reports.export_freshness", "reports.reconciliation", "reports.unmapped_meters")
GAUGES = ("indexed_objects", "large_file_storage", "packages_storage", "runners")
# org, usage type, workspace, user, first instant
Totals = dict[tuple[str, str, str | None, str | None, datetime], Decimal]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Exports:
    """Every case in an organization of its own, and others beside them: landed and built step by
    step."""
    folder = tmp_path_factory.mktemp("exports")
    here = Exports.in_folder(folder, worlds.begin_facts(folder, *REPORTS))
    write_months_with_days(here)
    write_repositories_without_a_workspace(here)
    write_months_that_begin_together(here)
    for step in range(max(len(case.steps) for case in CASES)):
        files: dict[str, list[Row]] = defaultdict(list)
        for case in CASES:
            org_id = org_of(case)
            for name, lines in (case.steps[step] if step < len(case.steps) else {}).items():
                path = f"{org_id}/{name}" if case.apart else name
                if lines is None:
                    (here.folder / path).unlink()
                else:
                    files[path] += [line.row(org_id) for line in lines]
        for path, rows in files.items():
            write_rows(here.folder / path, rows, "csv")
        if step < 2:
            write_in_capital_letters(here, step)
        assert not here.land().failures
        if step != 1:  # a build in between, whose tables the last one then corrects
            here.build()
    return here


def org_of(case: Case) -> str:
    """The organization of a case."""
    return f"org-{CASES.index(case)}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sentence)
def test_exports_come_to_these_facts(exports: Exports, case: Case) -> None:
    """The sentence of the case."""
    assert tuple(exports.facts(org_of(case))) == case.facts


@pytest.fixture
def folder(tmp_path: Path, worlds: Worlds) -> Exports:
    """An empty folder."""
    return Exports.in_folder(tmp_path, worlds.begin_facts(tmp_path, *REPORTS))


def truth(org: AtlassianOrg, since: datetime) -> Totals:
    """What the company says of itself: the last reading of a month, and counters as they are."""
    readings = PlatformUsage(org).readings(since, org.now)
    of_orgs: dict[tuple[str, str, datetime], Decimal] = {}
    of_parts: dict[tuple[str, str, datetime], Decimal] = defaultdict(Decimal)
    found: Totals = {}
    for reading in sorted(readings, key=lambda reading: reading.period_start):
        if reading.usage_type != UNKNOWN_TYPE:
            found[_key(reading)] = reading.quantity
            key = (reading.org_id, reading.usage_type, _key(reading)[4])
            if reading.scope_type == "org":
                of_orgs[key] = reading.quantity
            else:
                of_parts[key] += reading.quantity
    # where there are parts, the organization's own row is what they leave over
    for org_id, kind, began in of_orgs.keys() & of_parts.keys():
        left = of_orgs[org_id, kind, began] - of_parts[org_id, kind, began]
        found[org_id, kind, None, None, began] = left
    return {key: quantity for key, quantity in found.items() if quantity}


def _key(reading: Reading) -> tuple[str, str, str | None, str | None, datetime]:
    is_gauge = reading.usage_type in GAUGES
    start = floor(reading.period_start, "monthly") if is_gauge else reading.period_start
    workspace = reading.scope_id if reading.scope_type == "workspace" else None
    user = reading.scope_id if reading.scope_type == "user" else None
    return reading.org_id, reading.usage_type, workspace, user, start


def totals(folder: Exports) -> Totals:
    """The facts, keyed as the truth is."""
    rows = folder.read(
        f"""
        select org_id, meter, site_id, user_id, period_start, quantity
        from ({
            FACTS.replace(
                "concat_ws(' ', site_id, project_id, user_id) as who,", "site_id, user_id,"
            )
        })
        """  # noqa: S608  # our own text
    )
    found = {(*key, start.astimezone(UTC)): quantity for *key, start, quantity in rows}
    assert len(found) == len(rows)
    return {key: quantity for key, quantity in found.items() if quantity}


@pytest.mark.slow  # by default test_orders.py has an order of its own
@pytest.mark.parametrize("seed", range(3))
def test_facts_are_the_companys_in_whatever_order_files_come(folder: Exports, seed: int) -> None:
    """Weekly and monthly exports, CSV and XLSX, in a random order, twice, killed between rows
    and receipts: every usage type, organization, workspace, user and period is the company's."""
    clock, chance = [NOW], random.Random(seed)
    org = AtlassianOrg(seed, lambda: clock[0], 2, 2)
    since = datetime(2026, 8, 15, tzinfo=UTC)
    pool = folder.folder.parent / "pool"
    files: list[Path] = []
    for number, days_ago in enumerate((40, 21, 0)):
        clock[0] = NOW - timedelta(days=days_ago)
        fmt = FORMATS[number]
        files += write(org, pool, fmt, since=since, file_name=f"export-{number}.{fmt}")
    chance.shuffle(files)
    for part in (files[:3], files[3:]):
        for file in part:
            place = folder.folder / file.relative_to(pool)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())
        if part == files[3:]:
            assert land_in_a_process(folder, "killed") == -signal.SIGKILL
            # rows are there, and count for nothing
            folder.build()
            assert totals(folder) != truth(org, since)
        assert land_in_a_process(folder, "whole") == 0
    folder.build()
    assert totals(folder) == truth(org, since)
    assert not folder.land().receipts
    (folder.folder / "again.csv").write_bytes(
        next(f for f in files if f.suffix == ".csv").read_bytes()
    )
    assert not folder.land().receipts
    unmapped = folder.read("select meter, unit from reports.unmapped_meters")
    assert unmapped == [(UNKNOWN_TYPE, "calls")]


def land_in_a_process(folder: Exports, how: str) -> int:
    """The exit code of a load in a process of its own."""
    environment = {
        "WAREHOUSE": str(folder.settings.warehouse),
        "PLATFORM_USAGE_DIR": str(folder.folder),
        "XDG_STATE_HOME": str(folder.settings.state_dir.parent),
        "TMPDIR": str(folder.folder.parent),
    }
    return ended(start(load_files, environment, how))


def load_files(how: str) -> None:
    """Load what is new in the folder; killed before its receipts, if it is to be."""
    if how == "killed":
        receipts.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    with Loader(read_settings()) as loader:
        loader.load_names(endpoint_of("platform_usage"))


@pytest.mark.slow
def test_an_export_that_is_35_days_old_warns_and_says_what_to_do(folder: Exports) -> None:
    """Each organization and usage type by itself, by its latest export; one whose files are gone
    has ended, and what they said stays."""
    now = datetime.now(UTC)
    old, new = f"{now - timedelta(days=36):%Y-%m-%d}", f"{now - timedelta(days=34):%Y-%m-%d}"
    folder.write("old.csv", "org", Line("rovo_credits", "org", "2026-01", "5", old))
    folder.write(
        "new.csv",
        "org-2",
        Line("rovo_credits", "org", "2026-01", "5", "2026-02-02"),
        Line("runners", "org", "2026-02", "5", new),
    )
    folder.write("newer.csv", "org-2", Line("rovo_credits", "org", "2026-01", "5", new))
    gone = folder.write("gone.csv", "org-3", Line("rovo_credits", "org", "2026-01", "5", old))
    folder.land()
    gone.unlink()
    folder.land()
    report = folder.build()
    assert [(c.model, c.failing_rows) for c in report.failed_checks] == [
        ("reports.export_freshness", 1)
    ]
    (stale,) = folder.read(
        "select org_id, age_days, what_to_do from reports.export_freshness where is_stale"
    )
    assert stale[:2] == ("org", 36)
    ended = folder.read("select org_id from reports.export_freshness where is_ended")
    assert (ended, folder.facts("org-3")) == ([("org-3",)], [("", "2026-01", "5")])
    assert "admin.atlassian.com/o/org/platform-usage" in stale[2]


@pytest.mark.slow
def test_an_export_has_only_the_days_built_again_that_differ(folder: Exports) -> None:
    """A file of a year in which one day is new: that day of the windowed tables, no other."""
    days = [f"2026-01-{day:02}" for day in range(1, 29)]
    lines = [Line("rovo_credits", "org", day, "5", "2026-02-02") for day in days]
    folder.write("a.csv", "org", *lines)
    folder.land()
    folder.build()
    folder.write(
        "b.csv", "org", *lines[:-1], Line("rovo_credits", "org", days[-1], "6", "2026-02-02")
    )
    folder.land()
    built = {model.name: model for model in folder.build().models}
    assert built["intermediate.int_usage_by_day"].rows_written == 1
    assert folder.facts("org")[-1] == ("", "2026-01-28", "6")


def write_months_with_days(exports: Exports) -> None:
    """January of three organizations: corrected after its days, off by rounding, still open."""
    january = [f"2026-01-{number:02}" for number in range(1, 32)]
    days = [Line("rovo_credits", "org", day, "10", "2026-02-02") for day in january]
    for org_id, quantity, at in (
        ("corrected", "350", "2026-02-20"),
        ("rounded", "311", "2026-02-20"),
        ("open", "999", "2026-01-20"),
    ):
        month = Line("rovo_credits", "org", "2026-01", quantity, at)
        exports.write(f"{org_id}.csv", org_id, *days, month)


def test_a_month_is_compared_with_its_days(exports: Exports) -> None:
    """One that was corrected after its days is named; what is off by rounding, or open, is not."""
    found = exports.read(
        """
        select org_id, comparison, fact_quantity, other_quantity, is_within_tolerance
        from reports.reconciliation where org_id in ('corrected', 'rounded', 'open') order by all
        """
    )
    assert found == [
        ("corrected", "exported month", 310, 350, False),
        ("rounded", "exported month", 310, 311, True),
    ]


def test_what_counts_in_no_calendar_is_named(exports: Exports) -> None:
    """Months that another calendar took out, but where that tells all their days, or all that had
    passed when they were exported."""
    sentences = {org_of(case): case.sentence for case in CASES if "calendar" in case.sentence}
    found = exports.read(
        """
        select org_id, strftime(period_start, '%m-%d'), strftime(period_end, '%m-%d'), difference
        from reports.reconciliation
        where comparison = 'told in no fact' and list_contains(?, org_id) order by 2, 3
        """,
        [*sentences],
    )
    assert [(" ".join(sentences[org_id].split()[1:3]), *told) for org_id, *told in found] == [
        ("three calendars,", "01-01", "02-01", 100),
        ("three calendars,", "01-15", "02-15", 50),
        ("two calendars", "02-01", "03-01", 10),
        ("two calendars", "03-01", "04-01", 10),
    ]


def write_in_capital_letters(exports: Exports, step: int) -> None:
    """An organization, and then the mended file that writes it, and its user, in another way."""
    lines = [
        Line("rovo_credits", f"user:{user}", "2026-01", quantity, "2026-02-02")
        for user, quantity in (("ann", "10"), ("bob", "5"), ("Ann", "12"))
    ]
    org_id, written = ("ORGX", lines[2:]) if step else ("orgx", lines[:2])
    exports.write("capitals.csv", org_id, *written)


def test_an_organization_is_the_same_in_capital_letters(exports: Exports) -> None:
    """A mended file that writes it in another way replaces what it said before."""
    assert exports.facts("orgx") == [("ann", "2026-01", "12")]


SOME_WORKSPACE = "{11111111-2222-3333-4444-555555555555}"


def write_repositories_without_a_workspace(exports: Exports) -> None:
    """Of one organization they are within its workspace's minutes, of another they are more."""
    at, minutes = "2026-02-02", "pipelines_build_minutes"
    for org, of_repository in (("fits", "7"), ("exceeds", "17")):
        exports.write(
            f"{org}.csv",
            org,
            Line(minutes, f"workspace:{SOME_WORKSPACE}", "2026-01", "10", at),
            Line(minutes, "repository:team-9/x", "2026-01", of_repository, at),
        )


def test_repositories_without_a_workspace_are_named(exports: Exports) -> None:
    """They are in no fact: what the workspaces have left may hold them, more than it is missing."""
    assert exports.facts("fits") == exports.facts("exceeds") == [(SOME_WORKSPACE, "2026-01", "10")]
    found = exports.read(
        "select org_id, fact_quantity, other_quantity, is_within_tolerance"
        " from reports.reconciliation where comparison = 'repositories without a workspace'"
        " and org_id in ('fits', 'exceeds') order by org_id"
    )
    assert found == [("exceeds", 10, 17, False), ("fits", 10, 7, True)]


@pytest.mark.slow
def test_the_last_30_days_are_30_and_readings_count_once(tmp_path: Path, worlds: Worlds) -> None:
    """On 1 February: days from 3 January on, the month that most of them are in, one reading. That
    of January cannot change any more: there is one of a later month."""
    models = worlds.begin_facts(tmp_path, "reports.last_30_days")
    here = Exports.in_folder(tmp_path, models)
    here.write(
        "a.csv",
        "org",
        Line("rovo_credits", "org", "2025-12", "800", "2026-02-01"),
        Line("rovo_credits", "org", "2026-01", "900", "2026-02-01"),
        *(
            Line("rovo_dev_credits", "org", f"2026-01-{day:02}", "1", "2026-02-01")
            for day in range(1, 32)
        ),
        Line("large_file_storage", "org", "2026-01-20T00:00", "30", "2026-02-01"),
        Line("large_file_storage", "org", "2026-02-01T00:00", "40", "2026-02-01"),
    )
    assert not here.land().failures
    build(replace(here.settings, clock=lambda: datetime(2026, 2, 1, 12, tzinfo=UTC)), models)
    found = here.read("select meter, quantity from reports.last_30_days order by meter")
    assert found == [("large_file_storage", 40), ("rovo_credits", 900), ("rovo_dev_credits", 29)]
    gauges = "select quantity, is_open from marts.fct_storage order by period_start"
    assert here.read(gauges) == [(30, False), (40, True)]


def write_months_that_begin_together(exports: Exports) -> None:
    """A calendar month, a cycle from the same day on, and the days of both."""
    month = Line("rovo_credits", "org", "2026-01", "31", "2026-02-02")
    cycle = Line("rovo_credits", "org", "2026-01-01/2026-02-02", "40", "2026-02-03")
    days = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(32)]
    told = [Line("rovo_credits", "org", f"{day:%Y-%m-%d}", "1", "2026-02-04") for day in days]
    for name, lines in (("month", [month]), ("cycle", [cycle]), ("days", told)):
        exports.write(f"together {name}.csv", "together", *lines)


def test_months_that_begin_together_are_compared_once(exports: Exports) -> None:
    """With the days that are the fact: that which was exported last."""
    compared = "select fact_quantity, other_quantity from reports.reconciliation"
    assert exports.read(f"{compared} where org_id = 'together'") == [(32, 40)]
