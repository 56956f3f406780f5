"""What Neon refuses, or says that cannot be, costs that part alone, and is said once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from assets.runs.loading import Loader
from assets.settings import read_settings
from assets.sources import endpoint_of
from assets.terminal.console import Report
from assets.terminal.runs import Loads
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.models import PACKAGE_FOLDER
from pipelines import receipts
from pipelines.decode import quantity
from pipelines.source import LoadResult, VendorError
from pipelines.windows import Window, floor
from tests.builds import build
from tests.clients import load_due
from tests.clock import NOW
from tests.conftest import Worlds, copy_warehouse
from tests.neon.teller import HOURS, Teller, at, telling
from tests.reading import rows

PROJECTS, BRANCHES = "/consumption_history/v2/projects", "/consumption_history/v2/branches"
# as it was recorded
OF_A_PLAN = "This endpoint is not available. It is included with Launch plans and above"
Rows = list[tuple[Any, ...]]


@pytest.fixture
def neon(tmp_path: Path) -> Iterator[Teller]:
    """A Neon with one organization, and no warehouse."""
    with telling(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Path:
    """A folder into whose warehouse two organizations have been loaded."""
    folder = tmp_path_factory.mktemp("loaded")
    worlds.begin(folder)
    with telling(folder, orgs=["org", "here"]) as opened:
        assert opened.load()["failures"] == []
    return folder


@pytest.fixture
def held(tmp_path: Path, loaded: Path) -> Iterator[Teller]:
    """A Neon with these two, and a warehouse of its own that holds them."""
    copy_warehouse(loaded, tmp_path)
    with telling(tmp_path, orgs=["org", "here"]) as opened:
        yield opened


def ask_usage(neon: Teller) -> LoadResult:
    """Three days of projects, and nothing else."""
    today = floor(neon.now, "daily")
    with Loader(neon.settings) as loader, loader.at_once():
        days = Window("daily", today - timedelta(days=3), today)
        return loader.load_window(endpoint_of("neon_project_usage"), days)


def raw(neon: Teller, sql: str) -> Rows:
    """Rows of the warehouse itself."""
    with warehouse.writer(neon.settings.warehouse) as connection:
        return connection.execute(sql).fetchall()


def read(neon: Teller, sql: str, models: Path = PACKAGE_FOLDER) -> Rows:
    """Rows of the read copy, once what landed is built."""
    build(neon.settings, models)
    with warehouse.reader(neon.settings.warehouse) as connection:
        return connection.execute(sql).fetchall()


HELD = """
    select scope, resource, granularity, count(*) from (
        select distinct scope, resource, granularity, window_start from raw.loads where complete
    ) group by all order by all
"""
ENDED = ("branch_usage", "branches", "organizations", "project_usage", "projects")
SPANS = """
    select resource, state, span_start, span_end, is_at_risk from reports.coverage
    where granularity = 'hourly' order by resource, span_start
"""


@pytest.mark.slow
def test_a_free_org_is_named_once_and_keeps_no_other_from_loading(neon: Teller) -> None:
    """One request of it a run, exit 0, and how to leave it out; branches of the other load too."""
    neon.orgs, neon.says = ["free", "paid"], OF_A_PLAN
    neon.refused = {(path, "free"): 403 for path in (PROJECTS, BRANCHES)}
    result = neon.load("hourly")
    assert result["failures"] == []
    notes = {note for line in result["asked"] for note in line["notes"]}
    (note,) = notes
    assert "v2/projects of free, hourly" in note
    assert "name the others in NEON_ORG_IDS" in note
    assert [path for path, org in neon.asked if org == "free"].count(PROJECTS) == 1
    assert (BRANCHES, "free") not in neon.asked
    tables = raw(neon, "select distinct resource from raw.loads where scope = 'paid' and complete")
    assert {table for (table,) in tables} >= {"neon_project_usage", "neon_branch_usage"}
    # it might have been a bad moment: the next run asks once more, and then every tick
    neon.now += timedelta(minutes=6)
    neon.load("hourly")
    of_one = ["/users/me/organizations", PROJECTS]
    assert [path for path, _ in neon.asked] == of_one
    neon.load("hourly")
    assert neon.asked == []
    neon.now += HOURS
    assert neon.load("hourly")["failures"] == []
    assert [path for path, org in neon.asked if org == "free"] == [PROJECTS]


@pytest.mark.slow
def test_a_free_org_fails_no_run_for_an_endpoint_that_is_gone(neon: Teller) -> None:
    """Nobody answers there any more, so that no other can: day after day."""
    neon.orgs, neon.says = ["free", "paid"], OF_A_PLAN
    neon.refused = {(path, "free"): 403 for path in (PROJECTS, BRANCHES)}
    for _ in range(2):
        result = load_due(neon.settings, ("neon", "neon_legacy"), ("hourly", "daily"))
        assert "neon_legacy" in {line["source"] for line in result["asked"]}
        assert result["failures"] == []
        neon.now += timedelta(days=1)


def test_a_failure_is_told_although_it_was_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever wants failures alone saw no note; nothing is told twice."""
    with Loader(read_settings({})) as loader:
        loads = Loads(loader, Report(as_json=False, is_quiet=True))
        for is_failure in (False, True, True, False):
            loads.tell("it is refused", is_failure)
    assert capsys.readouterr().err == "FAILED it is refused\n"


def test_an_org_that_is_refused_for_no_plan_fails_every_run(neon: Teller) -> None:
    """It should answer, and nobody knows why it does not: with others beside it, and although it
    never answered. It is asked again by the next run."""
    neon.orgs = ["other", "paid"]
    neon.refused = {(path, "other"): 403 for path in (PROJECTS, BRANCHES)}
    for _ in range(2):
        (failure,) = {*neon.load("daily")["failures"]}
        assert "v2/projects of other, daily" in failure
        assert "HTTP 403: no. The key may not be allowed to read this" in failure
        assert (PROJECTS, "other") in neon.asked
        neon.now += timedelta(minutes=6)
    answered = raw(neon, "select distinct scope from raw.loads where window_start is not null")
    assert answered == [("paid",)]


def test_usage_of_a_project_that_was_not_asked_for_is_refused(neon: Teller) -> None:
    """Its branches would be counted beside a total that is not held."""
    today = floor(neon.now, "daily")
    window = Window("daily", today - timedelta(days=3), today)
    with Loader(neon.settings) as loader, loader.at_once():
        (asker,) = loader.accounts.wanting(endpoint_of("neon_branch_usage"))
        with pytest.raises(VendorError, match="it has project of-org, which was not asked for"):
            list(asker.client.branch_usage("org", window, ["another"]))  # type: ignore[attr-defined]


def test_that_a_key_sees_no_org_is_a_failure(neon: Teller, tmp_path: Path, worlds: Worlds) -> None:
    """It ends none that was seen before: that would be told of all that it ever used."""
    models = worlds.once(tmp_path, "reports.coverage")
    assert ask_usage(neon).failures == []
    there, neon.orgs = neon.orgs, []
    (failure,) = ask_usage(neon).failures
    assert "neon organizations of this key: it sees none. Check whose key" in str(failure)
    ended = read(neon, "select count(*) from reports.coverage where state = 'ended'", models)
    assert ended == [(0,)]
    neon.orgs = there
    assert ask_usage(neon).failures == []


def test_an_org_that_is_named_and_refused_is_a_failure(neon: Teller) -> None:
    """It was asked for; so is one where no other answers."""
    neon.refused[PROJECTS, "org"] = 403
    assert len(ask_usage(neon).failures) == 1
    del neon.refused[PROJECTS, "org"]
    assert ask_usage(neon).failures == []


@pytest.mark.slow
def test_an_org_that_is_gone_has_ended(held: Teller, tmp_path: Path, worlds: Worlds) -> None:
    """Its past stays; it is neither due nor missing nor at risk, and nothing asks for it."""
    neon = held
    neon.orgs, neon.now = ["here"], neon.now + 30 * HOURS
    assert neon.load("hourly")["failures"] == []
    assert "org" not in {org for _, org in neon.asked}
    neon.load("hourly")
    assert neon.asked == []
    neon.now += timedelta(days=6)
    spans = read(
        neon,
        "select scope, state, bool_or(is_at_risk) from reports.coverage"
        " where resource = 'neon_project_usage' group by all",
        worlds.once(tmp_path, "marts.fct_compute", "reports.needs_you"),
    )
    assert {state for scope, state, _ in spans if scope == "org"} == {"held", "ended"}
    assert {state for scope, state, _ in spans if scope == "here"} >= {"held", "missing"}
    assert {scope for scope, _, is_at_risk in spans if is_at_risk} == {"here"}
    told = rows(
        neon.settings.warehouse,
        "select subject, what from reports.needs_you where kind = 'at risk'",
    )
    assert {subject for subject, _ in told} == {
        "neon_project_usage hourly",
        "neon_branch_usage hourly",
    }
    assert all(what.endswith(" of here for one") for _, what in told)
    ((used,),) = raw(neon, "select sum(quantity) from marts.fct_compute where org_id = 'org'")
    assert used > 0
    # it comes back: there again, and its hole closes as far as Neon reaches
    neon.orgs = ["org", "here"]
    assert neon.load("hourly", only_gaps=True)["failures"] == []
    last = "select granularity from raw.loads where scope = 'org' order by landed_at desc limit 1"
    assert raw(neon, last) == [("hourly",)]


@pytest.mark.slow
def test_an_org_that_is_no_longer_named_has_ended(held: Teller) -> None:
    """NEON_ORG_IDS is what is asked: the next run asks nothing for another."""
    neon = held
    environment = {"NEON_API_KEY": "key", "NEON_ORG_IDS": "here"}
    named = read_settings(environment).accounts["neon"]
    (old,), (new,) = neon.settings.accounts["neon"], named
    settings = {**vars(old.settings), "org_ids": new.settings.org_ids}
    changed = type(old)(**{**vars(old), "settings": type(old.settings)(**settings)})
    neon.settings = type(neon.settings)(
        **{**vars(neon.settings), "accounts": {**neon.settings.accounts, "neon": (changed,)}}
    )
    neon.load("daily")
    assert neon.asked == []
    neon.now += timedelta(days=1)
    assert neon.load("daily")["failures"] == []
    assert {org for path, org in neon.asked if path in (PROJECTS, BRANCHES)} == {"here"}
    ended = raw(neon, "select distinct scope from raw.loads where granularity = 'ended'")
    assert ended == [("org",)]


@pytest.mark.slow
def test_a_vendor_whose_settings_are_gone_has_ended_after_a_week(held: Teller) -> None:
    """They may be gone by mistake: until then its holes are announced. It is there once it answers
    again."""
    neon = held
    without = replace(neon.settings, accounts={**neon.settings.accounts, "neon": ()})
    ended = "select distinct resource from raw.loads where granularity = 'ended' order by 1"
    for days, resources in ((6, []), (8, [f"neon_{name}" for name in ENDED]), (9, None)):
        neon.now = NOW + timedelta(days=days)
        before = raw(neon, "from raw.loads")
        with Loader(without) as loader:
            loader.look()
        if resources is None:  # once is enough
            assert raw(neon, "from raw.loads") == before
        else:
            assert [name for (name,) in raw(neon, ended)] == resources
    assert neon.load("daily")["failures"] == []
    with warehouse.writer(neon.settings.warehouse) as connection:
        standing = receipts.standings(connection, "neon_project_usage", "daily")["here"]
    assert not standing.is_ended


def test_a_list_of_organizations_that_is_refused_ends_none(held: Teller) -> None:
    """A key that may not list them sees one by its projects; where there is none, it is said."""
    neon = held
    neon.now += timedelta(days=1)
    neon.refused["/users/me/organizations", "me"] = 403
    (failure,) = neon.load("daily")["failures"]
    assert "neon organizations of this" in failure
    assert raw(neon, "select count(*) from raw.loads where granularity = 'ended'") == [(0,)]


def test_names_of_branches_outlive_a_404(held: Teller) -> None:
    """A project that is listed and says no keeps the names it had, and is asked again."""
    neon = held
    names = "select is_withdrawn from raw.neon_branches where branch_id = 'br-of-org'"
    neon.now += timedelta(days=1)
    neon.refused["/projects/of-org/branches", "of-org"] = 404
    result = neon.load("daily")
    (note,) = [note for line in result["asked"] for note in line["notes"]]
    assert "1 of 1 projects did not answer" in note
    assert raw(neon, names) == [(False,)]
    neon.refused.clear()
    for asked in (["/users/me/organizations", "/projects/of-org/branches"], []):
        neon.load("daily")
        assert [path for path, _ in neon.asked] == asked


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("100000000000000000000", "added up"),
        ("-1e20", "added up"),
        ("NaN", "added up"),
        ("Infinity", "added up"),
        ("0.0000000001", "9 decimals"),
        ("1e-999999999", "9 decimals"),
        ("0e-999999999", None),
        ("1e3", None),
        ("99999999999999999999", None),
        ("-0.000000001000", None),
        ("0", None),
    ],
)
def test_what_can_be_kept_and_added_up(value: str, why: str | None) -> None:
    """A billion of the largest still fit into DECIMAL(38, 9); as a number, and as a text."""
    for told in (value, Decimal(value)):
        if why is None:
            assert quantity(told) == Decimal(value)
        else:
            with pytest.raises(ValueError, match=why):
                quantity(told)


# all but the last two are numbers to Decimal()
NO_NUMBERS = ("1_000", " 1 ", "1\n", "\uff11", "\u0661", "+1", "007", ".5", "5.", "0x10", "")


@pytest.mark.parametrize("told", [*NO_NUMBERS, True, None, [1], {"value": 1}])
def test_what_json_takes_for_no_number_is_none(told: object) -> None:
    """Nobody can say what was meant by it; how much of it is shown has an end."""
    with pytest.raises(ValueError, match="is no quantity that can be added up"):
        quantity(told)
    with pytest.raises(ValueError, match=f"^{'1' * 40} is no"):
        quantity("1" * 100)


def test_a_value_that_cannot_be_is_refused_in_its_bucket_alone(
    neon: Teller, tmp_path: Path, worlds: Worlds
) -> None:
    """That hour is unknown, and due; all else lands, and builds."""
    models = worlds.begin_facts(tmp_path, "reports.coverage")
    hour = floor(neon.now, "hourly") - 9 * HOURS
    neon.instead[hour] = "99999999999999999999999999999"
    result = neon.load("hourly")
    of_projects, of_branches = result["failures"]
    assert f"{hour:%Y-%m-%dT%H:%MZ}: compute_unit_seconds" in of_projects
    assert "neon_project_usage of org, hourly" in of_projects
    assert "neon_branch_usage of org" in of_branches
    missing = [row for row in read(neon, SPANS, models) if row[1] == "missing"]
    assert missing == [
        (table, "missing", hour, hour + HOURS, False)
        for table in ("neon_branch_usage", "neon_project_usage")
    ]
    hours = raw(neon, "select quantity, count(*) from marts.fct_compute group by 1")
    assert hours == [(100, 167)]
    neon.instead.clear()
    assert neon.load("hourly", only_gaps=True)["failures"] == []
    asked = [path for path, _ in neon.asked]
    assert asked == ["/users/me/organizations", PROJECTS, BRANCHES]
    held = "select count(*) from raw.loads where complete and window_start <= ? and window_end > ?"
    with warehouse.writer(neon.settings.warehouse) as connection:
        assert connection.execute(held, [hour, hour]).fetchall() == [(2,)]
    neon.load("hourly", only_gaps=True)
    assert neon.asked == []


@pytest.mark.slow
def test_values_that_can_be_build(neon: Teller) -> None:
    """The largest, in every hour of a week."""
    hours = Window("hourly", neon.now.replace(minute=0) - 200 * HOURS, neon.now.replace(minute=0))
    neon.instead = dict.fromkeys(hours.buckets(), "99999999999999999999")
    assert neon.load("hourly")["failures"] == []
    ((total,),) = read(neon, "select sum(quantity) from marts.fct_compute where quantity > 100")
    assert total % 99999999999999999999 == 0


@pytest.mark.parametrize("year", [1, 2099])
def test_a_timeframe_that_was_not_asked_for_is_refused(neon: Teller, year: int) -> None:
    """Whose usage it is nobody can tell: nothing of that window counts."""
    neon.instead[datetime(year, 1, 1, tzinfo=neon.now.tzinfo)] = "5"
    (failure,) = ask_usage(neon).failures
    assert f"a timeframe starts at {year:04}-01-01" in str(failure)
    told = "select count(*) from raw.loads where window_start is not null"
    assert raw(neon, told) == [(0,)]


@pytest.mark.parametrize("hours", [-1, 25])
def test_a_timeframe_of_another_grain_is_refused(neon: Teller, hours: int) -> None:
    """A month told as a day would count in it, and the other days as if nothing had been used."""
    neon.length = hours * HOURS
    (failure,) = ask_usage(neon).failures
    assert ", and daily was asked for" in str(failure)
    told = "select count(*) from raw.loads where window_start is not null"
    assert raw(neon, told) == [(0,)]


def test_a_project_without_periods_is_idle(neon: Teller) -> None:
    """Null or an empty list: the others of its organization load."""
    neon.without_periods = {"org"}
    assert ask_usage(neon).failures == []
    assert raw(neon, "select distinct project_id from raw.neon_project_usage") == [("of-org",)]


@pytest.mark.slow
def test_the_oldest_hour_may_leave_between_projects_and_branches(neon: Teller) -> None:
    """Projects land without it, and so do branches: nothing fails, and nothing is claimed."""
    window = Window("hourly", at("2026-11-21T00:00"), at("2026-11-21T12:00"))
    later = Window("hourly", at("2026-11-21T01:00"), window.until)
    with Loader(neon.settings) as loader, loader.at_once():
        assert not loader.load_window(endpoint_of("neon_project_usage"), later).failures
        neon.now += HOURS
        neon.refused[PROJECTS, "org"] = 406
        result = loader.load_window(endpoint_of("neon_branch_usage"), window)
    assert [receipt.window for receipt in result.receipts] == [later]
