"""The tables and names of the documentation are the code's, and what it points to exists."""

import re
from pathlib import Path

import click
import pytest

from assets import automation
from assets.cli import main
from assets.settings import DOCUMENTED, LIMITS
from assets.sources import SOURCES
from dbt_like_sql.dictionary import dictionary
from dbt_like_sql.engine.models import load_models
from pipelines.decode import LARGEST, NUMBER
from pipelines.forge.records import TOKENS
from pipelines.http.client import TRIES, TRIES_UNREACHABLE
from pipelines.settings import LONGEST_ID, settings_of
from tests.docs.pages import (
    ADDING_A_VENDOR,
    CURRENT,
    DOCS,
    PAGES,
    ROOT,
    cells,
    read,
    section,
    table,
    words_in_code,
)

OPERATIONS, TABLES = "docs/operations.md", "docs/tables.md"
MODELS = load_models()
# what a run, a set-up or a tool makes
MADE = ("warehouse/", "platform_usage/", "columns.toml", ".env", ".venv/", ".dagster/")
FILE = re.compile(r"[\w./-]+(\.(py|sql|csv|md|yaml|toml|lock|example|graphql)|/)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
# words of our own, which are defined here whatever else is
DEFINED = {"receipt", "remainder", "restatement", "settled", "reach", "scope", "slice", "grain"}
DEFINED |= {"endpoint", "renewal", "load", "records", "schedule", "allowance owner"}


def test_the_settings_are_those_of_the_code() -> None:
    """Name, default and meaning of every setting, in the order of the vendors."""
    assert table(section(OPERATIONS, "Settings")) == [
        [about.name, about.default or "–", about.help.replace("`", "")] for about in DOCUMENTED
    ]


def test_the_limits_are_those_of_the_code() -> None:
    """Name, default and meaning of every one that is a setting, and those that are not."""
    listed = table(section(OPERATIONS, "Limits"))
    fixed = {what: limit for what, limit, _ in listed[len(LIMITS) :]}
    decimals = {what: about for what, _, about in listed[len(LIMITS) :]}["a number"]
    assert listed[: len(LIMITS)] == [[it.name, it.default, it.help] for it in LIMITS.values()]
    assert fixed["tries"] == str(TRIES)
    assert fixed["tries to connect"] == str(TRIES_UNREACHABLE)
    assert fixed["an id"] == f"{LONGEST_ID} characters"
    assert fixed["a number"] == "below 10²⁰"
    assert LARGEST == 10**20
    assert decimals == f"with at most {NUMBER.scale} decimals, of Forge {TOKENS.scale}"
    assert fixed.keys() == {"tries", "tries to connect", "an id", "a number", "nesting"}


def test_the_settings_of_an_account_are_those_of_the_code() -> None:
    """Those that each account has its own of are listed, and the example sets no other."""
    text = section(OPERATIONS, "Several accounts")
    (listed,) = re.findall(r"These are an account's own: (.*?)\. Any", text, re.S)
    own = [about.name for about in DOCUMENTED if about.is_of_account]
    assert re.findall(r"`(\w+)`", listed) == own
    named = set(re.findall(r"\b([A-Z_]+?)__[A-Z]+\b", text))
    of_vendors = {about.name for s in SOURCES for about in settings_of(s.settings).values()}
    assert named <= of_vendors
    assert set(re.findall(r"^([A-Z_]+?)__[A-Z]+=", text, re.M)) == set(own)


def test_the_example_names_every_setting() -> None:
    """.env.example has every setting with its default, and no other."""
    lines = [
        line
        for line in read(ROOT / ".env.example").splitlines()
        if line and not line.startswith("#")
    ]
    assert lines == [f"{about.name}={about.default}" for about in DOCUMENTED]


def test_the_commands_are_there() -> None:
    """The table of commands is the command line's, and so are the options that are named."""
    text = section(OPERATIONS, "The command")
    lines = [cells(line)[0] for line in text.splitlines() if line.startswith("| `meterhouse")]
    commands: dict[str, click.Command] = {}
    for name, command in main.commands.items():
        parts = command.commands if isinstance(command, click.Group) else {"": command}
        commands |= {f"{name} {part}".strip(): found for part, found in parts.items()}
    assert {line.removeprefix("meterhouse ") for line in lines} == commands.keys()
    for option in re.findall(r"`(--[a-z-]+)", text):
        offered = {name for command in commands.values() for p in command.params for name in p.opts}
        assert option in offered


def test_the_schedules_and_sensors_are_there() -> None:
    """Every schedule, with its time, and every sensor is listed, and no other."""
    text = section(OPERATIONS, "Schedules")
    named = re.findall(r"^\| (schedule|sensor) `(\w+)` \| ([^|]+) \|", text, re.M)
    there = [("schedule", s.name, clock(str(s.cron_schedule))) for s in automation.SCHEDULES]
    there += [
        ("sensor", sensor.name, f"every {sensor.minimum_interval_seconds} seconds")
        for sensor in (*automation.FILES_SENSORS, automation.build_what_landed)
    ]
    assert named == there


def clock(cron: str) -> str:
    """A cron expression in words."""
    minute, hour, *rest = cron.split()
    assert rest == ["*", "*", "*"]
    return f"every hour at :{minute}" if hour == "*" else f"{int(hour):02}:{minute}"


def test_the_tables_are_there() -> None:
    """Every table that is named exists, and every mart, report and seed is listed."""
    named = {
        word
        for page in CURRENT.values()
        for word in re.findall(r"\b(?:staging|intermediate|marts|reports)\.\w+", page)
        if not word.endswith(".sql")
    }
    assert named <= MODELS.keys()
    listed = words_in_code(section(TABLES, "The tables"))
    assert {name for name in MODELS if name.startswith(("marts.", "reports."))} <= listed
    seeds = {f"seeds.{path.stem}" for path in (ROOT / "dbt_like_sql" / "seeds").glob("*.csv")}
    assert seeds <= listed
    assert {word for page in CURRENT.values() for word in re.findall(r"`(seeds\.\w+)", page)} <= (
        seeds
    )


def test_reports_that_should_be_empty_are_named() -> None:
    """Those whose rows are trouble, and no other."""
    (text,) = re.findall(r"\n\n(.*) should be empty", section(TABLES, "The tables"))
    expected = {name for name, m in MODELS.items() if m.expects_no_rows and m.schema == "reports"}
    assert words_in_code(text) == expected


def test_the_dictionary_is_that_of_the_models() -> None:
    """`make dictionary` writes it anew."""
    assert PAGES["docs/dictionary.md"] == dictionary()


def test_the_columns_of_a_fact_are_listed() -> None:
    """They are those of every fact in their order; marts.fct_usage has `family` before `meter`."""
    (listed,) = re.findall(r"The columns of every fact: (.*?)\. \(", PAGES[TABLES], re.S)
    columns = re.findall(r"`(\w+)`", listed)
    at = columns.index("meter")
    facts = {name: [*m.columns] for name, m in MODELS.items() if name.startswith("marts.fct_")}
    assert facts.pop("marts.fct_usage") == [*columns[:at], "family", *columns[at:]]
    assert {*columns} <= {*facts.pop("marts.fct_cost")}
    assert {*columns} - {"period_start"} <= {*facts.pop("marts.fct_cost_by_day")}
    assert facts
    assert all(found == columns for found in facts.values())


@pytest.mark.parametrize("page", CURRENT)
def test_the_files_are_there(page: str) -> None:
    """Every file and folder that is named between backticks exists, but for what a run makes."""
    paths = {
        word
        for word in words_in_code(PAGES[page])
        if FILE.fullmatch(word) and (word == ".env.example" or not word.startswith(MADE))
    }
    folders = (ROOT, ROOT / "dbt_like_sql", ROOT / "dbt_like_sql" / "seeds")
    missing = [p for p in paths if not any((folder / p).exists() for folder in folders)]
    # a bare name stands for the file of that name in every vendor's folder
    assert [p for p in missing if "/" in p or not [*ROOT.glob(f"pipelines/*/{p}")]] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_links_lead_somewhere(page: str) -> None:
    """Every relative link is a file, and what stands behind its # is a heading there."""
    here = (ROOT / page).parent
    for link in LINK.findall(PAGES[page]):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (here / path).resolve() if path else ROOT / page
        assert target.exists(), f"{link} in {page}"
        if anchor:
            assert anchor in anchors(target), f"{link} in {page}"


def anchors(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", read(page), flags=re.S), re.M)
    return {re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in headings}


def test_every_page_can_be_reached() -> None:
    """From the README, over links."""
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        if page.is_dir():
            waiting += page.glob("*.md")
        elif page.suffix == ".md":
            links = (link.partition("#")[0] for link in LINK.findall(read(page)))
            waiting += [(page.parent / link).resolve() for link in links if "://" not in link]
    assert {ROOT / page for page in PAGES} <= reached
    assert ADDING_A_VENDOR in reached
    assert DOCS.is_dir()


def test_the_readme_is_two_screens() -> None:
    """What it takes to begin; the rest is in docs/."""
    assert len(PAGES["README.md"].splitlines()) <= 130


def test_the_words_are_explained() -> None:
    """Every word that means something of its own here has a row in the glossary."""
    rows = re.findall(r"^\| \*\*([^*]+)\*\* \|", PAGES["docs/glossary.md"], re.M)
    assert set(rows) >= DEFINED
    assert rows == sorted(rows)
