"""Random exports, as odd as the contract allows: every build holds, no order matters, and the facts
are what the rule says (rule.py, plain Python)."""

import random
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.atlassian_usage import rule
from tests.atlassian_usage.folder import Exports, Line
from tests.conftest import USAGE, Worlds
from tests.sandbox.platform_exports import Row, write_rows

ORGS = 25
TYPES = ("rovo_credits", "pipelines_build_minutes", "indexed_objects", "network_traffic")
SCOPES = (
    *("org", "org", "user:ann", "user:Bob", "site:acme"),
    *("workspace:acme", "workspace:w", "repository:w/a", "repository:acme/b"),
)
FIRST = date(2026, 1, 1)
FACTS = """
    select * exclude (observed_at) from (
        from marts.fct_compute union all from marts.fct_storage union all from marts.fct_credits
        union all from marts.fct_transfer union all from marts.fct_operations
    )
"""
# a holder's usage of one meter, twice at one time
PERIOD = ("period_start", "period_end")
OVERLAPPING = f"""
    with facts as ({FACTS})
    select count(*) from facts as one
    inner join facts as other
        on one.org_id = other.org_id and one.meter = other.meter and one.unit = other.unit
        and one.site_id is not distinct from other.site_id
        and one.project_id is not distinct from other.project_id
        and one.user_id is not distinct from other.user_id
        and one.period_start < other.period_start and one.period_end > other.period_start
"""  # noqa: S608  # our own text
# of what is told, whichever part has it: facts are within their total, or not there
TOTALS = f"""
    select org_id, meter, strftime(period_start at time zone 'UTC', '%Y-%m'), sum(quantity)
    from ({FACTS})
"""  # noqa: S608  # our own text
Files = dict[str, dict[str, list[Line]]]


def random_line(chance: random.Random) -> Line:
    """Any usage type, scope, period and reading that the contract allows, of early 2026."""
    start = FIRST + timedelta(days=chance.randrange(90))
    month = start.replace(day=1)
    cycle = max(start, month + timedelta(days=1))  # from the first on it would be a month cut short
    period, end = {
        "day": (f"{start}", start + timedelta(days=1)),
        "month": (f"{start:%Y-%m}", month + timedelta(days=31)),
        "cycle": (f"{cycle}/{cycle + timedelta(days=30)}", cycle + timedelta(days=30)),
        "reading": (f"{start}T{chance.randrange(24):02}:30", start),
    }[chance.choice(("day", "day", "day", "month", "month", "cycle", "reading"))]
    read = end + timedelta(days=chance.choice((-10, 0, 1, 1, 40)))
    return Line(
        chance.choice(TYPES),
        chance.choice(SCOPES),
        period,
        f"{chance.choice((0, 1, chance.randrange(500), 10**19))}",
        f"{read}T0{chance.randrange(10)}:00" if chance.random() < 0.5 else f"{read}",
        chance.choice((None, None, None, "Jira", "jira", "Rovo")),
        chance.random() < 0.1,
        chance.choice((None, "900")),
        resets=chance.choice((None, None, f"{month + timedelta(days=58)}", "2026-03-31T08:00")),
    )


def random_files(chance: random.Random) -> Files:
    """Up to three files for each organization; in one file no two lines speak of the same time."""
    files: Files = defaultdict(dict)
    for number in range(ORGS):
        # its total is told by calendar months alone, whatever its parts are told by
        is_orderly = number % 2 == 0
        for place in range(chance.randint(1, 3)):
            kept: list[Line] = []
            taken: dict[Any, set[date]] = defaultdict(set)
            bounds: dict[Any, set[date]] = defaultdict(set)
            for line in (random_line(chance) for _ in range(chance.randint(1, 14))):
                is_month = len(line.period) == len("2026-01") and line.app is None
                if is_orderly and line.scope == "org" and not is_month:
                    continue
                row = line.row("org")
                names = (row[name] for name in ("usage_type", "scope_type", "scope_id", "app"))
                key = (*(str(name).lower() for name in names), row["granularity"])
                since, until = (date.fromisoformat(row[n][:10]) for n in PERIOD)
                days = {since + timedelta(days=n) for n in range(max(1, (until - since).days))}
                # a hole of one day after a month is a last day written for the day after it
                holes = {since - timedelta(days=1), until + timedelta(days=1)}
                if not days & taken[key] and not (
                    row["granularity"] == "month" and holes & bounds[key]
                ):
                    taken[key] |= days
                    bounds[key] |= {since, until}
                    kept.append(line)
            if kept:
                files[f"org-{number}"][f"{place}.csv"] = kept
    return files


def instant(text: str) -> str:
    """A date or an instant, to be compared as text."""
    return text if "T" in text else f"{text}T00:00"


def told_totals(files: Files) -> dict[tuple[str, str, str], Decimal]:
    """What an organization used of a counter in a calendar month, where nothing but months of its
    total say so, and one of them last: by organization, usage type and month."""
    of_orgs: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for org_id, named in files.items():
        for line in (line for lines in named.values() for line in lines):
            row = line.row(org_id)
            if row["scope_type"] == "org" and row["usage_type"] != "indexed_objects":
                of_orgs[org_id, row["usage_type"]].append(row)
    found = {}
    for (org_id, usage_type), rows in of_orgs.items():
        for month in ("2026-01", "2026-02", "2026-03"):
            until = f"{date.fromisoformat(f'{month}-01') + timedelta(days=31):%Y-%m}-01"
            # a reading without a reset of its own is of its month, any other of two at most
            here = [
                row
                for row in rows
                if row["granularity"] == "snapshot"
                or (row["period_start"] < until and row["period_end"] > f"{month}-01")
            ]
            if not here or any(
                row["granularity"] != "month" or row["app"] or row["period_start"] != f"{month}-01"
                for row in here
            ):
                continue
            read = [
                (min(row["exported_at"], row["period_end"]), row["exported_at"]) for row in here
            ]
            if read.count(max(read)) == 1:
                found[org_id, usage_type, month] = here[read.index(max(read))]["quantity"]
    return found


def landed(
    folder: Path, worlds: Worlds, batches: list[list[tuple[str, str, list[Line]]]]
) -> Exports:
    """A warehouse into which these files were loaded, all organizations in one of each name, with a
    build after each batch."""
    folder.mkdir()
    here = Exports.in_folder(folder, worlds.begin(folder, True, *USAGE))
    for batch in batches:
        files: dict[str, list[Row]] = defaultdict(list)
        for org_id, name, lines in batch:
            files[name] += [line.row(org_id) for line in lines]
        for name, rows in files.items():
            write_rows(here.folder / name, rows, "csv")
        assert not here.land().failures
        here.build()
    return here


def expected(files: Files) -> dict[tuple[Any, ...], Decimal]:
    """The facts by organization, usage type, ids and days, as rule.py has them."""
    rows: dict[tuple[str, str], list[tuple[str, Row]]] = defaultdict(list)
    for org_id, named in files.items():
        for name, lines in named.items():
            for line in lines:
                rows[org_id, line.usage_type].append((name, line.row(org_id)))
    return {
        (*key, *who, *span): quantity
        for key, told_of in rows.items()
        for (who, span), quantity in rule.facts_of(told_of, key[1] == "indexed_objects").items()
    }


def told(here: Exports) -> list[list[tuple[Any, ...]]]:
    """Facts and allowances, in an order of their own."""
    allowances = "select * from reports.allowance"
    return [here.read(f"from ({sql}) order by all") for sql in (FACTS, allowances)]


@pytest.mark.slow  # by default test_facts.py has what decides, case by case
@pytest.mark.parametrize("seed", range(9))
def test_no_order_matters_and_every_build_holds(tmp_path: Path, worlds: Worlds, seed: int) -> None:
    """File by file with builds between, the other way round, and at once: the same facts, the same
    allowances, nobody's usage twice at one time, and what an organization's total is in sum."""
    files = random_files(random.Random(seed))
    listed = [(org, name, lines) for org, named in files.items() for name, lines in named.items()]
    by_name: dict[str, list[tuple[str, str, list[Line]]]] = defaultdict(list)
    for org_id, name, lines in listed:
        by_name[name].append((org_id, name, lines))
    forward = [by_name[name] for name in sorted(by_name)]
    first = landed(tmp_path / "forward", worlds, forward)
    assert len(told(first)[0]) > 5 * ORGS
    assert first.read(OVERLAPPING) == [(0,)]
    facts = first.read(
        f"""
        select org_id, meter, site_id, project_id, user_id, cast(period_start as date),
            cast(period_end as date), quantity
        from ({FACTS})
        """  # noqa: S608  # our own text
    )
    assert {(*key,): quantity for *key, quantity in facts} == expected(files)
    totals = told_totals(files)
    assert len(totals) > 2
    sums = first.read(f"{TOTALS} group by all")
    used = {(*key,): quantity for *key, quantity in sums}
    assert {key: used.get(key, 0) for key in totals} == totals
    assert told(landed(tmp_path / "at once", worlds, [listed])) == told(first)
    assert told(landed(tmp_path / "backward", worlds, forward[::-1])) == told(first)
