"""The page: what it carries, what a browser makes of it, and the files that it becomes."""

import html
import json
import re
import shutil
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from assets.report import files
from assets.report.page import QUERIES, Span, answers
from assets.settings import read_settings
from assets.terminal.console import Report
from assets.terminal.facts import show_facts
from dbt_like_sql.engine.warehouse import WarehouseError, reader
from tests.atlassian_usage.folder import Exports, Line
from tests.conftest import Worlds
from tests.landed import Forge, Names, Neon, land
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
        Neon("big", COMPUTE, "2026-12-05", 10 * 3600, branch="twin"),
        Neon("small", COMPUTE, "2026-12-05", 10 * 3600, branch="other"),
        Neon("big", COMPUTE, "2026-12-29", 40 * 3600),
        Neon("small", COMPUTE, "2026-12-05", 10 * 3600),
        Forge("app", "FUNCTION_COMPUTE", "2026-12-05", "1000"),
    )
    (folder / "seeds").mkdir()
    (folder / "seeds" / "names.csv").write_text(
        f'kind,id,name\nproject,small,"{POISON}"\n'
        + "".join(f"branch,{branch},preview\n" for branch in ("main", "twin", "other"))
    )
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
    text = page.read_text().replace("<head>", f"<head>{errors}", 1)
    copy.write_text(f"{text}<script>{script}</script>")
    command = [CHROMIUM, *BROWSER, f"--window-size={width},900", f"--user-data-dir={tmp_path}/user"]
    done = subprocess.run(
        [*command, "--dump-dom", copy.as_uri()], capture_output=True, text=True, timeout=60
    )
    return re.sub(r"<script.*?</script>", "", done.stdout, flags=re.S)


def test_branches_of_one_name_are_told_apart(page: Path) -> None:
    """Within a project; that of another is beside its name."""
    parts = [(part["project"], part["part"]) for part in carried(page)["rows"]["parts"]]
    assert sorted(parts) == [
        (POISON, "preview"),
        ("big", "preview (main)"),
        ("big", "preview (twin)"),
    ]


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


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Exports:
    """Three projects of two organizations that have one name, two of one and another whose name
    goes on; a bill of millions; an app that is no more; and files, of which months are told.

    Of an owner of 12,000,000.37 dollars: 54,054,055.72 hours at 0.222.
    """
    folder = tmp_path_factory.mktemp("crowd")
    here = opened(folder, worlds)
    land(here.settings, Names({"p1": "shop", "p2": "shop", "p3": "shop 2"}, at="2026-12-30"))
    land(here.settings, Names({"p4": "shop"}, org="other", at="2026-12-30"))
    land(
        here.settings,
        Neon("p1", COMPUTE, "2026-11-05", 3600 * 5),
        Neon("p1", COMPUTE, "2026-11-06", 3600 * 5, plan="business"),
        *(Neon(f"p{n}", COMPUTE, "2026-12-29", 3600 * 10 * n) for n in (1, 2, 3)),
        Neon("p1", COMPUTE, "2026-12-28", 3600 * 2, plan="business"),
        Neon("p2", "public_network_transfer_bytes", "2026-12-29", 1000),
        Neon("p4", COMPUTE, "2026-12-29", 3600 * 40, org="other"),
        Neon("huge", COMPUTE, "2026-12-29", 194_594_600_592, org="other"),
        Forge("app", "FUNCTION_COMPUTE", "2026-12-29", "300000"),
        Forge("gone", "FUNCTION_COMPUTE", "2026-02-03", "1000"),
    )
    here.write(
        "files.csv",
        "o",
        Line("large_file_storage", "workspace:w", "2026-11-30T06:00", "230", "2026-11-30T06:00",
             included="500"),
        Line("large_file_storage", "workspace:w", "2026-12-30T06:00", "610", "2026-12-30T06:00",
             included="500"),
        *(Line("rovo_dev_credits", f"user:{who}", month, used, f"{month[:5]}12-31",
               included="2000")
          for month in ("2026-11", "2026-12") for who, used in (("u1", "2600"), ("u2", "3000"))),
        # of 31 days 29 and a half
        Line("rovo_dev_credits", "user:u3", "2026-12", "1950", "2026-12-30T12:00", included="2000"),
    )  # fmt: skip
    (folder / "seeds").mkdir()
    names = "org,org,Acme\norg,other,Acme\norg,o,Acme\nuser,u1,Sam\nuser,u2,Sam\n"
    (folder / "seeds" / "names.csv").write_text(f"kind,id,name\n{names}")
    (folder / "seeds" / "monthly_budgets.csv").write_text(
        "budget,source,org,project,team,customer,amount_usd,thresholds,valid_from_date,"
        "valid_until_date\nall,,,,,,100,1,,\nnobody,,,,nobody,,50,1,,\n"
    )
    own = read_settings({"SEEDS_DIR": f"{folder}/seeds"}).own_seeds
    clock = lambda: datetime(2026, 12, 30, 12, tzinfo=UTC)  # noqa: E731
    here.settings = replace(here.settings, own_seeds=own, clock=clock)
    here.land()
    here.build()
    return here


def test_a_correction_is_told_of_each_grain(page: Path) -> None:
    """Two hours less in one hour are two less of its day, and not four."""
    found = carried(page)["rows"]["restatements"]
    told = [(row["granularity"], row["buckets"], row["difference"]) for row in found]
    assert told == [("daily", 1, -7200), ("hourly", 1, -7200)]


def test_a_page_needs_nothing_from_elsewhere(page: Path) -> None:
    """Nothing is fetched, no name of a vendor ends a script, and every query runs alone."""
    text = page.read_text()
    assert POISON not in text
    assert "default-src 'none'" in text  # the browser sees to it
    assert len(text) < 1_500_000
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


@pytest.mark.slow
def test_a_printed_page_has_every_column_and_says_what_it_is_of(
    crowd: Exports, tmp_path: Path
) -> None:
    """On the width of a sheet nothing is left to scroll to; filters and the tab are told."""
    page = files.write_page(crowd.settings, None, tmp_path / "report.html")
    page.write_text(page.read_text().replace("@media print", "@media all"))
    script = """
        document.body.style.width = "718px";
        const shows = (it) => getComputedStyle(it).display !== "none";
        const told = { cut: [...document.querySelectorAll(".wide")]
            .filter((it) => it.scrollWidth > it.clientWidth).length,
            tabs: [...document.querySelectorAll(".tabs button")].filter(shows)
            .map((it) => it.textContent), filters: shows(document.getElementById("filters")) };
        document.title = JSON.stringify(told);"""
    (title,) = re.findall("<title>(.*?)</title>", looked_at(page, tmp_path, script))
    told = json.loads(html.unescape(title))
    assert told == {"cut": 0, "tabs": ["Projects"], "filters": True}


@pytest.mark.slow
def test_a_filter_changes_every_sum(page: Path, tmp_path: Path) -> None:
    """One project's cost of the last 7 days of the month, and no other source."""
    script = """
        const [project, period] = ["project", "period"].map((id) => document.getElementById(id));
        project.value = "BIG"; project.dispatchEvent(new Event("input"));
        period.value = "week"; period.dispatchEvent(new Event("change"));"""
    shown = looked_at(page, tmp_path, script)
    assert re.findall(r'class="big">([^<]*)', shown) == ["$8.88"]


READ = """
    const rows_of = (id) => [...document.querySelectorAll(`#${id} tr`)]
        .map((row) => [...row.children].map((cell) => cell.textContent));
    const set = (id, value, event = "change") => {
        const field = document.getElementById(id);
        field.value = value; field.dispatchEvent(new Event(event));
    };
    const press = (id, text) => [...document.querySelectorAll(`#${id} button`)]
        .find((it) => it.textContent === text).click();
    const cards = () => [...document.querySelectorAll(".card")]
        .map((card) => [...card.children].map((it) => it.textContent));
    const seen = { cards: cards(), projects: rows_of("drivers"), forecast: rows_of("forecast"),
        budgets: rows_of("budgets"), allowances: rows_of("allowances"),
        unpriced: rows_of("unpriced"), needs: document.getElementById("needs").textContent };
    press("drivers", "Users"); seen.users = rows_of("drivers");
    press("drivers", "Organizations"); seen.orgs = rows_of("drivers");
    press("budgets", "Budget"); seen.sorted = rows_of("budgets");
    set("period", "week"); seen.week = cards();
    press("drivers", "Users"); seen.users_of_week = rows_of("drivers")[0];
    set("project", "shop 2", "input"); seen.one = cards();
    set("project", "SHO", "input"); seen.some = cards();
    seen.of_all = ["forecast", "allowances", "anomalies"].map((id) => document
        .getElementById(id).textContent.match(/Of all [^.]*/)?.[0] ?? null);
    document.getElementById("filters").reset();
    set("source", "forge"); seen.unpriced_of_forge = rows_of("unpriced");
    const pre = document.createElement("pre");
    pre.textContent = JSON.stringify(seen); document.body.replaceChildren(pre);
"""


@pytest.fixture(scope="module")
def seen(crowd: Exports, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a browser shows of the crowd in December, and after some clicks."""
    folder = tmp_path_factory.mktemp("seen")
    page = files.write_page(crowd.settings, None, folder / "report.html")
    (text,) = re.findall(r"<pre>(.*?)</pre>", looked_at(page, folder, READ), flags=re.S)
    found: dict[str, Any] = json.loads(html.unescape(text))
    return found


@pytest.mark.slow
def test_a_bill_of_millions_is_told_to_the_cent(seen: dict[str, Any]) -> None:
    """Each source in its card, and what has no price in none."""
    assert [card[:2] for card in seen["cards"]] == [
        ["neon", "$12,000,022.57"],
        ["atlassian_platform", "$36.00"],
        ["forge", "$2.50"],
    ]


def test_what_is_called_alike_is_told_apart(seen: dict[str, Any]) -> None:
    """Projects of one organization, organizations and users, each with its id; not where the
    column beside it tells."""
    assert [row[:4] for row in seen["projects"][1:]] == [
        ["huge", "Acme (other)", "neon", "$12,000,000.37"],
        ["(no project)", "Acme", "atlassian_platform", "$36.00"],
        ["shop", "Acme (other)", "neon", "$8.88"],
        ["shop 2", "Acme (org)", "neon", "$6.66"],
        ["shop (p2)", "Acme (org)", "neon", "$4.44"],
        ["app", "", "forge", "$2.50"],
        ["shop (p1)", "Acme (org)", "neon", "$2.22"],
    ]
    # a hundredth of a dollar for each credit beyond 2,000
    assert [[row[0], row[4]] for row in seen["users"][1:]] == [
        ["Sam (u2)", "$10.00"],
        ["Sam (u1)", "$6.00"],
    ]
    assert [row[:3] for row in seen["orgs"][1:]] == [
        ["Acme (other)", "neon", "$12,000,009.25"],
        ["Acme", "atlassian_platform", "$36.00"],
        ["Acme (org)", "neon", "$13.32"],
        ["(none)", "forge", "$2.50"],
    ]


def test_a_terminal_tells_them_apart_too(
    crowd: Exports, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was used in 30 days, with ids where names are shared; and a kilobyte is not 0.00 GB."""
    show_facts(Report(as_json=False), crowd.settings)
    shown = capsys.readouterr().out.splitlines()
    for org, project, cost in (("org", "shop (p1)", "2.22"), ("other", "shop", "8.88")):
        (line,) = [line for line in shown if f"{project} " in line and line.endswith(cost)]
        assert line.startswith(f" Acme ({org})")
    (line,) = [line for line in shown if "shop (p2)" in line]
    assert line.split()[-4:] == ["20.00", "<", "0.01", "4.44"]


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ("2026-12-31", "Cost of 2026-12 so far, an estimate: neon $"),
        ("2027-01-01", "Cost of 2026-12, an estimate: neon $"),
    ],
)
def test_a_month_that_is_over_has_no_so_far(
    crowd: Exports, capsys: pytest.CaptureFixture[str], now: str, said: str
) -> None:
    """Of what is told last, when nothing is told of the month under way."""
    instant = datetime.fromisoformat(now).replace(tzinfo=UTC)
    show_facts(Report(as_json=False), replace(crowd.settings, clock=lambda: instant))
    assert said in capsys.readouterr().out


def test_what_was_built_before_a_column_was_thought_of_is_said(
    crowd: Exports, tmp_path: Path
) -> None:
    """Not in forty lines of what DuckDB could not find."""
    copy = tmp_path / "meterhouse.read.duckdb"
    shutil.copy(crowd.folder.parent / copy.name, copy)
    copy.chmod(0o600)
    with duckdb.connect(copy) as connection:
        connection.execute("alter table reports.restatements drop column branch_id")
    settings = replace(crowd.settings, warehouse=tmp_path / "meterhouse.duckdb")
    with pytest.raises(WarehouseError, match="of another version: run `meterhouse build`"):
        files.write_page(settings, None, tmp_path / "report.html")


def test_a_project_that_is_named_is_chosen_alone(seen: dict[str, Any]) -> None:
    """And not those whose names go on; a part of a name chooses all that have it."""
    assert [card[:2] for card in seen["one"]] == [["neon", "$6.66"]]
    assert [card[:2] for card in seen["some"]] == [["neon", "$22.20"]]


def test_a_filter_that_says_nothing_of_a_table_is_told(seen: dict[str, Any]) -> None:
    """A forecast has no project, nor has an allowance; and no source what another used."""
    assert seen["of_all"] == ["Of all projects", "Of all projects", None]
    assert seen["unpriced_of_forge"] == []


def test_a_week_says_what_it_leaves_out(seen: dict[str, Any]) -> None:
    """Months that are told as a whole are in no week; users are told of the month."""
    (files_card,) = [card for card in seen["week"] if card[0] == "atlassian_platform"]
    assert files_card[1:] == [
        "–", "$36.53 by the end of the month", "nothing priced before",
        "without what is told by the month", "ok, held to 2026-12-30 12:00Z",
    ]  # fmt: skip
    assert seen["users_of_week"][4:] == ["Month to date", "Before", "Change"]


def test_what_has_ended_is_no_trouble_of_its_source(seen: dict[str, Any]) -> None:
    """An app that is gone has stopped; the other is held."""
    (card,) = [card for card in seen["cards"] if card[0] == "forge"]
    assert "ok, held to 2026-12-30 00:00Z" in card


def test_what_nobody_can_say_is_a_dash(seen: dict[str, Any]) -> None:
    """A forecast of days that are not known is no price that is not known, nor a budget of nothing;
    a reading above its allowance does not last to its renewal."""
    told = {(row[0], row[1]): row for row in seen["forecast"][1:]}
    assert told["compute_unit_seconds", "Acme (org)"][-1] == "–"
    budgets = {row[0]: row[3:] for row in seen["budgets"]}
    assert budgets["nobody"] == ["– of $50.00", "–"]
    lasts = {(row[0], row[1]): row[4] for row in seen["allowances"]}
    assert lasts["large_file_storage", "w"] == "used up"


def test_usage_without_a_price_is_that_of_the_month(seen: dict[str, Any]) -> None:
    """Two hours of December, and not the five of November as well."""
    assert [row[4:] for row in seen["unpriced"][1:]] == [["7,200", "CU-seconds"]]


def test_each_table_is_sorted_by_a_click(seen: dict[str, Any]) -> None:
    """Budgets by their names, backwards: nobody before all."""
    assert [row[0] for row in seen["budgets"][1:]] == ["all", "nobody"]
    assert [row[0] for row in seen["sorted"][1:]] == ["nobody", "all"]


def test_what_needs_somebody_says_of_what(seen: dict[str, Any], crowd: Exports) -> None:
    """A budget is named, and of what is to come it is said when, and not since when."""
    assert "budget all: all: 12000061 % of it is spent." in seen["needs"]
    coming = "rovo_dev_credits of u3 will not last: as so far, it is used up on 2026-12-31."
    assert coming in seen["needs"]
    assert crowd.read("select since_at from reports.needs_you where what like '%will not last%'")[
        0
    ] == (None,)


def test_a_month_that_is_over_tells_nothing_of_the_next(crowd: Exports, tmp_path: Path) -> None:
    """Its allowances are those of its own last day, its corrections were made by then, and its
    budgets are nobody's any more."""
    page = files.write_page(crowd.settings, date(2026, 11, 1), tmp_path / "report.html")
    rows = carried(page)["rows"]
    told = [(it["meter"], it["owner"], it["used"]) for it in rows["allowances"]]
    assert told == [
        ("rovo_dev_credits", "Sam (u2)", 3000),
        ("rovo_dev_credits", "Sam (u1)", 2600),
        ("large_file_storage", "w", 2.3),
    ]
    assert rows["budgets"] == rows["anomalies"] == rows["restatements"] == []
    assert [row["quantity"] for row in rows["unpriced"]] == [18_000]


def test_the_tables_are_written_as_csvs(here: Exports, tmp_path: Path) -> None:
    """A file per table; of the meters a row per project."""
    folder = files.write_csvs(here.settings, DECEMBER, tmp_path / "csv")
    assert {path.stem for path in folder.iterdir()} == {*QUERIES} - {"things"} | {"meters"}
    # also of what has no row
    assert (folder / "budgets.csv").read_text().startswith("budget,scope,amount,cost,")
    assert "neon,org,big,unassigned,compute_unit_seconds,CU-hour,100.0,50.0," in (
        folder / "meters.csv"
    ).read_text().replace("\r", "")


@pytest.mark.slow
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
