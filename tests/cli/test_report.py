"""The page: what it carries, what a browser makes of it, and the files that it becomes."""

import json
import re
import shutil
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from assets.report import files
from assets.report.page import QUERIES, Span, answers
from assets.settings import read_settings
from dbt_like_sql.engine.warehouse import WarehouseError, reader
from tests.atlassian_usage.folder import Exports
from tests.conftest import Worlds
from tests.landed import Forge, Neon, land
from tests.models.test_cost import opened
from tests.models.test_storage import files_up_to

DECEMBER = date(2026, 12, 1)
COMPUTE = "compute_unit_seconds"
POISON = "</script><script>document.title='taken'</script>"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
BROWSER = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-sync", "--disable-background-networking", "--disable-component-update",
    "--virtual-time-budget=4000",
]  # fmt: skip


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Exports:
    """Two projects and an app in November and December; one project's name would end a script.

    Compute of Scale is 0.222 dollars an hour: December's is 100 hours and 10 hours.
    """
    folder = tmp_path_factory.mktemp("report")
    here = opened(folder, worlds)
    # said once, and otherwise when it was asked for again
    for hours in (3, 1):
        for at in ("2026-12-06", "2026-12-06 05"):
            land(here.settings, Neon("small", COMPUTE, at, hours * 3600, plan="business"))
    land(
        here.settings,
        Neon("big", COMPUTE, "2026-11-05", 50 * 3600),
        Neon("big", COMPUTE, "2026-12-05", 60 * 3600),
        Neon("big", COMPUTE, "2026-12-05", 40 * 3600, branch="main"),
        Neon("big", COMPUTE, "2026-12-29", 40 * 3600),
        Neon("small", COMPUTE, "2026-12-05", 10 * 3600),
        Forge("app", "FUNCTION_COMPUTE", "2026-12-05", "1000"),
    )
    (folder / "seeds").mkdir()
    (folder / "seeds" / "names.csv").write_text(f'kind,id,name\nproject,small,"{POISON}"\n')
    own = read_settings({"SEEDS_DIR": f"{folder}/seeds"}).own_seeds
    here.settings = replace(here.settings, own_seeds=own)
    here.build()
    return here


@pytest.fixture(scope="module")
def page(here: Exports, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of December."""
    return files.write_page(
        here.settings, DECEMBER, tmp_path_factory.mktemp("page") / "report.html"
    )


def carried(page: Path) -> dict[str, Any]:
    """The data in a page."""
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', page.read_text()
    )
    data: dict[str, Any] = json.loads(text)
    return data


def looked_at(page: Path, tmp_path: Path, script: str = "", width: int = 1200) -> str:
    """The page as a browser has it, after a script of the test's own."""
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine")
    copy = tmp_path / "page.html"
    errors = "<script>addEventListener('error', (it) => { document.title = it.message; });</script>"
    html = page.read_text().replace("<head>", f"<head>{errors}", 1)
    copy.write_text(f"{html}<script>{script}</script>")
    command = [CHROMIUM, *BROWSER, f"--window-size={width},900", f"--user-data-dir={tmp_path}/user"]
    done = subprocess.run(
        [*command, "--dump-dom", copy.as_uri()], capture_output=True, text=True, timeout=60
    )
    return re.sub(r"<script.*?</script>", "", done.stdout, flags=re.S)


def test_a_page_carries_the_months_sums(page: Path) -> None:
    """December against November: quantities in billed units, costs, and each day's cost."""
    things = {thing["project"]: thing for thing in carried(page)["rows"]["things"]}
    (compute,) = things["big"]["meters"]
    assert (compute["meter"], compute["unit"]) == (COMPUTE, "CU-hour")
    assert compute["q"][:2] == [100, 50]
    assert compute["c"][0] == pytest.approx(22.2)
    assert compute["q"][2] == 40  # of the last 7 days of the month
    assert sorted(filter(None, things["big"]["days"])) == pytest.approx([8.88, 11.1, 13.32])
    (of_small,) = things[POISON]["meters"]
    assert of_small["q"][0] == 11  # also what has no price, which is no part of
    assert of_small["c"][0] == pytest.approx(2.22)


def test_a_correction_is_told_of_each_grain(page: Path) -> None:
    """Two hours less in one hour are two less of its day, and not four."""
    found = carried(page)["rows"]["restatements"]
    told = [(row["granularity"], row["buckets"], row["difference"]) for row in found]
    assert told == [("daily", 1, -7200), ("hourly", 1, -7200)]


def test_a_page_needs_nothing_from_elsewhere(page: Path) -> None:
    """Nothing is fetched, no name of a vendor ends a script, and every query runs alone."""
    html = page.read_text()
    assert POISON not in html
    assert "default-src 'none'" in html  # the browser sees to it
    assert len(html) < 1_500_000
    assert {*carried(page)["sql"]} == {*QUERIES}
    assert "$" not in "".join(carried(page)["sql"].values())


@pytest.mark.parametrize(
    "width", [400, *(pytest.param(width, marks=pytest.mark.slow) for width in (800, 1400))]
)
def test_a_browser_shows_it_at_any_width(page: Path, tmp_path: Path, width: int) -> None:
    """Without an error, and without a line that is wider than the window."""
    script = "document.title += ` ${document.documentElement.scrollWidth <= innerWidth}`;"
    shown = looked_at(page, tmp_path, script, width)
    assert "<title>meterhouse: usage and cost true</title>" in shown
    for text in ("$24.42", "Where it goes", "What drove it", "What is known"):
        assert text in shown
    assert POISON.replace("<", "&lt;").replace(">", "&gt;") in shown


def test_a_filter_changes_every_sum(page: Path, tmp_path: Path) -> None:
    """One project's cost of the last 7 days of the month, and no other source."""
    script = """
        const [project, period] = ["project", "period"].map((id) => document.getElementById(id));
        project.value = "BIG"; project.dispatchEvent(new Event("input"));
        period.value = "week"; period.dispatchEvent(new Event("change"));"""
    shown = looked_at(page, tmp_path, script)
    assert re.findall(r'class="big">([^<]*)', shown) == ["$8.88"]


def test_the_tables_are_written_as_csvs(here: Exports, tmp_path: Path) -> None:
    """A file per table; of the meters a row per project."""
    folder = files.write_csvs(here.settings, DECEMBER, tmp_path / "csv")
    assert {path.stem for path in folder.iterdir()} == {*QUERIES} - {"things"} | {"meters"}
    assert "neon,org,big,unassigned,compute_unit_seconds,CU-hour,100.0,50.0," in (
        folder / "meters.csv"
    ).read_text().replace("\r", "")


def test_a_page_that_is_served_tells_each_build(here: Exports) -> None:
    """The same bytes until there is a build; then another tag, which has the browser load again."""
    said: list[str] = []
    is_up = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        is_up.set()

    threading.Thread(
        target=files.serve, args=(here.settings, DECEMBER, 0, say), daemon=True
    ).start()
    assert is_up.wait(20)
    address = said[0].split()[0]
    first = httpx.get(address)
    # of the build that it shows, also where the next one comes before the page asks
    assert f"if (etag !== '{first.headers['etag']}') location.reload()" in first.text
    # what no other test looks at: no day more, and no cost
    land(here.settings, Neon("third", COMPUTE, "2026-12-05", 3600, plan="business"))
    here.build()
    assert httpx.head(address).headers["etag"] != first.headers["etag"]
    assert '"third"' in httpx.get(address).text


def test_what_is_told_of_fewer_days_is_not_compared(here: Exports) -> None:
    """Three days of December beside one of November; and an app of which November is not known."""
    with reader(here.settings.warehouse) as connection:
        rows = answers(connection, Span.of(DECEMBER, datetime(2027, 2, 1, tzinfo=UTC)))["compared"]
    assert [(row["source"], row["day_count"], row["day_count_before"], row["is_comparable"])
            for row in rows if row["period"] == "month"] == [
        ("forge", 1, 0, False), ("neon", 3, 1, False),
    ]  # fmt: skip


def test_a_page_that_cannot_be_written_leaves_the_one_before(here: Exports, tmp_path: Path) -> None:
    """As on a full disk; which file it is, is said."""
    page, folder = tmp_path / "report.html", tmp_path / "csv"
    page.write_text("before")
    for write, to in ((files.write_page, page), (files.write_csvs, folder)):
        said = pytest.raises(WarehouseError, match=f"{to}.*File too large. Name another place")
        with said, files_up_to(0):
            write(here.settings, DECEMBER, to)
    assert [file.name for file in tmp_path.rglob("*")] == ["report.html", "csv"]
    assert page.read_text() == "before"


def test_a_month_of_which_nothing_is_known_is_no_page(here: Exports, tmp_path: Path) -> None:
    """It would be a page of nothing, and look as if nothing had been used."""
    with pytest.raises(WarehouseError, match="nothing is known of 2020-01: no page was written"):
        files.write_page(here.settings, date(2020, 1, 1), tmp_path / "report.html")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("month", "now", "expected"),
    [
        (None, "2026-11-27", "2026-11-01 2026-11-28, 2026-10-01 2026-10-28, 2026-11-27"),
        (None, "2026-03-31", "2026-03-01 2026-04-01, 2026-02-01 2026-03-01, 2026-03-31"),
        ("2026-10-01", "2026-11-27", "2026-10-01 2026-11-01, 2026-09-01 2026-10-01, 2026-11-01"),
        (None, "2028-02-29", "2028-02-01 2028-03-01, 2028-01-01 2028-01-30, 2028-02-29"),
    ],
)
def test_a_month_is_compared_with_the_same_days(month: str | None, now: str, expected: str) -> None:
    """While it is under way; never with more days than the month before has."""
    instant = datetime.fromisoformat(now).replace(hour=12, tzinfo=UTC)
    span = Span.of(date.fromisoformat(month) if month else None, instant)
    days = f"{span.month} {span.until}, {span.month_before} {span.until_before}, {span.today}"
    assert days == expected
