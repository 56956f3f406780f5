"""A vendor's page names its endpoints, meters, schedules and numbers: all of them, as they are."""

import csv
import re
from typing import Any

import pytest

from assets import automation
from assets.sources import SOURCES, endpoint_of
from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.settings import settings_of
from pipelines.source import Source
from tests.docs.pages import PAGES, ROOT, section, table

SEEDS = ROOT / "dbt_like_sql" / "seeds"
FOLDERS = {path.parent.name for path in (ROOT / "pipelines").glob("*/slices.py")}
# a vendor's page is called as its folder is; what is exported is called as Atlassian's page is
CALLED = {"atlassian_usage": "atlassian_platform_usage"}
HOURS = {"minutes": 1 / 60, "hours": 1, "days": 24}


def page_of(name: str) -> str:
    """The page of a vendor's folder."""
    return f"docs/vendors/{CALLED.get(name, name)}.md"


def rows(seed: str) -> list[dict[str, str]]:
    """The rows of a seed."""
    with (SEEDS / f"{seed}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_vendor_has_a_page() -> None:
    """And no page is of anything else."""
    assert {source.name for source in SOURCES} == FOLDERS
    pages = {name for name in PAGES if name.startswith("docs/vendors/")}
    assert pages == {page_of(name) for name in FOLDERS}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_endpoint_is_named(source: Source[Any]) -> None:
    """With its request, its table and its grains, in the order of the code."""
    found = [line[:3] for line in table(section(page_of(source.name), "What it asks for"))]
    assert [line[:2] for line in found] == [[e.request, f"raw.{e.table}"] for e in source.endpoints]
    for endpoint, (_, _, grains) in zip(source.endpoints, found, strict=True):
        names = ("names", "as exported", "as found")
        assert grains in (names if endpoint.grains == (SNAPSHOT,) else [", ".join(endpoint.grains)])


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_its_numbers_are_those_of_the_seed(source: Source[Any]) -> None:
    """How far back, when and how much again: every row of seeds/retention.csv, and no other."""
    found = {}
    for tables, grain, schedule, *numbers in table(
        section(page_of(source.name), "When, and how far back")
    ):
        for name in tables.split(", "):
            endpoint = endpoint_of(name)
            at = grain if grain in endpoint.grains else SNAPSHOT
            found[name, at] = (schedule, *map(number, numbers))
    expected = {}
    for row in rows("retention"):
        if row["resource"] in {endpoint.table for endpoint in source.endpoints}:
            endpoint, grain = endpoint_of(row["resource"]), row["granularity"]
            columns = ("reread_count", "kept_hours", "settles_minutes", "warn_hours", "stale_hours")
            again, kept, settles, warns, stale = (float(row[name] or 0) for name in columns)
            expected[endpoint.table, grain] = (
                schedule_of(source, endpoint, grain),
                *(again, kept, settles / 60, warns, stale),
            )
    assert found == expected


def number(cell: str) -> float:
    """A cell like 6, 168 hours or –, in hours where it is a time."""
    count, _, unit = cell.partition(" ")
    return 0.0 if cell == "–" else float(count) * HOURS.get(unit, 1)


def schedule_of(source: Source[Any], endpoint: Endpoint, grain: str) -> str:
    """The schedule or sensor that loads an endpoint at a grain."""
    if endpoint.any_time:
        return f"{endpoint.table}_files"
    return f"{source.name}_{'names' if grain == SNAPSHOT else grain}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_its_schedules_are_there(source: Source[Any]) -> None:
    """Every schedule that a page names is one."""
    there = {schedule.name for schedule in automation.SCHEDULES}
    there |= {sensor.name for sensor in automation.FILES_SENSORS}
    lines = table(section(page_of(source.name), "When, and how far back"))
    assert {line[2] for line in lines} <= there


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_its_meters_are_in_the_seed(source: Source[Any]) -> None:
    """Every meter that is named is one, below its family; a new one is a row of the seed alone."""
    found = {
        (family.split()[0].replace("no", ""), meter)
        for family, meters in table(section(page_of(source.name), "What it meters"))
        for meter in re.findall(r"(?:^|[,;] )(\w+)", meters)
    }
    assert found
    assert found <= {(row["family"], row["meter"]) for row in rows("meters")}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_what_it_needs_is_said(source: Source[Any]) -> None:
    """Every setting that an account has its own of, the folder of its code, and its traps."""
    page = PAGES[page_of(source.name)]
    for about in settings_of(source.settings).values():
        if about.is_of_account or about.is_required:
            assert f"`{about.name}`" in page
    assert f"`pipelines/{source.name}/`" in page
    for heading in ("Key and plan", "Traps"):
        assert section(page_of(source.name), heading).strip()
