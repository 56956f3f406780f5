"""How the meters API is asked: as a file declares it, and read only."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from assets.runs import planning
from assets.settings import read_settings
from pipelines.atlassian_meters.declared import SHIPPED, instant, quantity
from pipelines.source import LoadResult
from pipelines.windows import Window
from tests.atlassian_meters.test_facts import READINGS, orgs_of
from tests.clock import NOW
from tests.conftest import Open, World
from tests.faults.front import Asked, Front, Reply
from tests.sandbox.atlassian_meters import API_KEY, DECLARED
from tests.sandbox.desk import Fault, Request

OTHER = Path(__file__).with_name("other_layout.toml")


def asked(here: World) -> list[Request]:
    """What the stand-in was asked."""
    return here.sandbox.vendors["meters"].desk.requests


def land(here: World, **environment: str) -> LoadResult:
    """Read today's totals, some settings changed."""
    here.settings = here.settings_with(**environment)
    return here.land("platform_readings", here_today(here))


def here_today(here: World) -> Window:
    """The window of today."""
    return planning.everything_in_reach("platform_readings", "daily", here.settings.clock())


def read_of(here: World) -> dict[tuple[str, str | None], Decimal]:
    """What landed, by organization and account."""
    rows = here.raw("select org_id, account_id, used from raw.platform_readings")
    assert len(rows) == len({row[:2] for row in rows})
    return {(org_id, account): used for org_id, account, used in rows}


def truth(here: World) -> dict[tuple[str, str | None], Decimal]:
    """The stand-in's own totals."""
    now, found = here.company.now, dict[tuple[str, str | None], Decimal]()
    for org in orgs_of(here):
        found |= {(org.id, account): org.used(account, now) for account in org.account_ids}
        found[org.id, None] = org.total(now)
    return found


def test_accounts_are_asked_about_by_the_hundred(world: Open) -> None:
    """250 accounts are listed on three pages and asked about in three requests."""
    here = world()
    assert not land(here).failures
    assert read_of(here) == truth(here)
    paths = [
        (request.path.split("/")[-1], len(request.query.get("id", ()))) for request in asked(here)
    ]
    of_one = [("meters", 0), ("usage", 0)]
    assert paths == [
        *of_one, *[("accounts", 0)] * 3, ("accounts", 100), ("accounts", 100), ("accounts", 50),
        *of_one, ("accounts", 0), ("accounts", 3),
    ]  # fmt: skip


def test_a_next_page_that_is_told_as_an_address_is_asked_for_as_declared(world: Open) -> None:
    """Its cursor is taken out of it; where it leads is not followed."""
    front = Front(is_meant=lambda asked: asked.path.endswith("/accounts"))
    here = world(front=front.before)

    def as_address(_: Asked, reply: Reply) -> None:
        page = reply.json
        if after := page.get("next"):
            reply.say(
                page | {"next": f"https://elsewhere.example/accounts?limit=100&after={after}"}
            )

    front.spoil = as_address
    assert not land(here).failures
    assert read_of(here) == truth(here)


def test_a_next_page_that_is_told_elsewhere_is_refused(world: Open) -> None:
    """The accounts of later pages would be nobody's; the other organization is read. What is to
    come of a cycle is no page."""
    front = Front(is_meant=lambda asked: asked.path.endswith("0rg-a/accounts"))
    here, said = world(front=front.before), dict[str, Any]()
    front.spoil = lambda _, reply: reply.say({"accounts": reply.json["accounts"], **said})
    for told, why in (
        ({"new_next": "120"}, r"nothing is at /next \(list_.*_cursor, which may be /new_next\)"),
        ({"page": {"nextPageToken": 3}}, r"which may be /page/nextPageToken\)"),
        ({"next": {"after": "120"}}, r"next_cursor is no text \({'after': '120'}\)"),
    ):
        said = told
        (failure,) = land(here).failures
        assert re.search(f"list_accounts of 0rg-a, .*{why}.* untouched", str(failure))
        assert here.raw("select distinct org_id from raw.platform_readings") == [("0rg-b",)]
    said = {"links": {"next": None, "prev": "?after=0"}, "next": "", "nextRefresh": 1_795_000_000}
    assert not land(here).failures


def test_a_key_of_two_meters_is_refused(world: Open) -> None:
    """Which of them is meant nobody says; the other organization's is read."""
    front = Front(is_meant=lambda asked: bool(re.search("0rg-a/meters$", asked.path)))
    here = world(meters_accounts=1, front=front.before)

    def twice(_: Asked, reply: Reply) -> None:
        page = reply.json
        (some,) = [name for name, value in page.items() if isinstance(value, list)]
        of_it = next(each for each in page[some] if "rovo-credits" in each.values())
        reply.say(page | {some: [*page[some], of_it | {"id": "another"}]})

    front.spoil = twice
    (failure,) = land(here).failures
    assert "there is more than one: another, " in str(failure)
    assert {org_id for org_id, _ in read_of(here)} == {"0rg-b"}


def test_another_layout_is_another_file(world: Open) -> None:
    """POST with a body, a cursor, numbers as text, milliseconds: the same totals."""
    here = world(meters_accounts=90)
    ids = [account for org in orgs_of(here) for account in org.account_ids]
    names = {"METERS_API_FILE": str(OTHER), "ATLASSIAN_ACCOUNT_IDS": ",".join(ids)}
    found = truth(here)
    for org in orgs_of(here):
        found |= {(org.id, account): org.used(account, here.company.now) for account in ids}
    assert not land(here, **names).failures
    assert read_of(here) == found


@pytest.mark.parametrize(
    ("value", "why"),
    [
        # seconds, where milliseconds are meant
        (1_792_022_400, "would be of the year 1970: let METERS_API_FILE name an instant in ISO"),
        ("0001-01-01T00:00:00Z", "would be of the year 1: let METERS_API_FILE name"),
        (1_792_022_400_000_000, "date value out of range"),
    ],
)
def test_a_cycle_that_cannot_be_is_refused(value: int | str, why: str) -> None:
    """Of the years 2000 to 2199 it can be, in milliseconds."""
    with pytest.raises((ValueError, OverflowError), match=why):
        instant(value)
    assert instant(1_792_022_400_000) == datetime(2026, 10, 15, tzinfo=UTC)


@pytest.mark.parametrize("text", ["1_000", " 5", "\uff11\uff12", "1,5", "0x10", "", "NaN", "-1"])
def test_a_text_that_is_no_number_is_refused(text: str) -> None:
    """As text a number is written as it is without the quotes."""
    with pytest.raises(ValueError, match=r"is (no number|no quantity|below zero)"):
        quantity(text)
    assert quantity("1234.50") == Decimal("1234.5") == quantity("12345e-1")


def test_an_account_in_error_is_a_note_and_the_others_are_read(world: Open) -> None:
    """It is no zero; the answer's other fields are kept, and nobody's name."""
    here = world(meters_accounts=3)
    org = orgs_of(here)[0]
    org.failing = {org.account_ids[1]}
    result = land(here)
    assert not result.failures
    (note,) = result.notes
    assert "1 of 3 accounts of rovo-credits in error, or not answered (712020:0001): the" in note
    expected = truth(here)
    del expected[org.id, org.account_ids[1]]
    assert read_of(here) == expected
    extra = here.raw("select distinct extra from raw.platform_readings order by all")
    assert extra == [('{"usage":{"isEstimate":false}}',), (None,)]
    kept = here.raw(
        "select distinct limit_quantity, allowance_quantity, pay_as_you_go, cycle_start, cycle_end,"
        " is_partial from raw.platform_readings where org_id = ? and account_id is null",
        org.id,
    )
    cycle = org.cycle_of(here.company.now)
    assert kept == [(40_000, 25_000, "true", *cycle, False)]


def test_an_account_that_nobody_asked_about_is_refused(world: Open) -> None:
    """It would count beside the one that is told under another name; the next run asks again."""
    front, (name, other) = Front(), ("712020:0001", "712020:9999")
    front.is_meant = lambda asked: bool(re.search("0rg-a/meters/[^/]+/accounts", asked.path))
    here = world(meters_accounts=3, front=front.before)
    front.spoil = lambda _, reply: reply.say(reply.body.replace(name.encode(), other.encode()))
    (failure,) = land(here).failures
    assert f"it has account {other}, which was not asked for" in str(failure)
    assert {org_id for org_id, _ in read_of(here)} == {"0rg-b"}
    front.clear()
    assert not land(here).failures
    of_org = "select distinct account_id from raw.platform_readings where org_id = '0rg-a'"
    accounts = next(org.account_ids for org in orgs_of(here) if org.id == "0rg-a")
    assert {account for (account,) in here.raw(of_org)} == {None, *accounts}


def test_a_cycle_that_began_when_there_was_no_atlassian_is_refused(world: Open) -> None:
    """Seconds that are taken for milliseconds would date all that was used back to 1970."""
    front = Front(is_meant=lambda asked: bool(re.search("0rg-a/meters/[^/]+/usage", asked.path)))
    here = world(meters_accounts=1, front=front.before)
    ((start, _),) = {org.told_cycle(here.company.now) for org in orgs_of(here) if org.id == "0rg-a"}

    def in_seconds(_: Asked, reply: Reply) -> None:
        page = reply.json
        page["cycle"]["from"] = int(start.timestamp())
        reply.say(page)

    front.spoil = in_seconds
    (failure,) = land(here).failures
    assert "would be of the year 1970: let METERS_API_FILE name an instant" in str(failure)
    assert {org_id for org_id, _ in read_of(here)} == {"0rg-b"}


def test_a_value_that_cannot_be_is_told_with_its_account(world: Open, tmp_path: Path) -> None:
    """One whose cycle would begin in 1970 refuses the reading of its organization."""
    front, said = Front(), b'"id":"712020:0001"'
    front.is_meant = lambda asked: bool(re.search("0rg-a/meters/[^/]+/accounts", asked.path))
    here = world(meters_accounts=3, front=front.before)
    seconds = said + b',"since":1792022400'
    front.spoil = lambda _, reply: reply.say(reply.body.replace(said, seconds))
    fields = "[accounts.fields]\n"
    mine = declared_as(tmp_path, fields, f'{fields}cycle_start = "/since"\n')
    (failure,) = land(here, METERS_API_FILE=mine).failures
    assert str(failure).startswith("atlassian_platform rovo-credits of 0rg-a, daily ")
    assert "account 712020:0001: 1792022400 would be of the year 1970: let METERS_API_" in str(
        failure
    )
    assert {org_id for org_id, _ in read_of(here)} == {"0rg-b"}


def test_what_the_api_may_have_only_a_part_of_is_marked(world: Open) -> None:
    """Accounts in a cycle from before 2026-11-05; an organization's total is always whole."""
    here = world(meters_accounts=2)
    assert not land(here).failures
    rows = here.raw(
        "select org_id, bool_or(is_partial), count(*) filter (is_partial)"
        " from raw.platform_readings group by 1 order by 1"
    )
    assert rows == [("0rg-a", False, 0), ("0rg-b", True, 3)]


def test_an_email_with_a_token_is_refused_with_the_difference(world: Open) -> None:
    """Before anything is sent."""
    here = world(meters_accounts=1)
    (failure,) = land(here, ATLASSIAN_ORG_API_KEY="ann@example.com:token-of-ann").failures
    assert "is an email with an API token. Set an organization API key alone" in str(failure)
    assert "token-of-ann" not in str(failure)
    assert asked(here) == []


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "or expired (it lives a year at most): make another"),
        (403, "it has to be of an admin of this organization"),
        (404, "This is no sign of zero usage"),
    ],
)
def test_refusals_say_what_to_do(world: Open, status: int, advice: str) -> None:
    """Nothing lands of this organization; the other is read unless the key itself is refused."""
    here = world(meters_accounts=1)
    org, other = orgs_of(here)
    fault = Fault(f"/orgs/{org.id}/meters", status, count=10)
    here.sandbox.vendors["meters"].desk.faults.append(fault)
    failure, *_ = land(here).failures
    assert advice in str(failure)
    assert {org_id for org_id, _ in read_of(here)} <= {other.id}


def test_a_key_that_no_meter_has_names_those_there_are(world: Open, tmp_path: Path) -> None:
    """They differ between organizations in their ids alone."""
    here, mine = world(meters_accounts=1), tmp_path / "mine.toml"
    mine.write_text(DECLARED.read_text().replace('"rovo-credits"', '"rovo"'))
    failure, *_ = land(here, METERS_API_FILE=str(mine)).failures
    assert "no such meter, but indexed-objects, rovo-credits. Correct meters.key" in str(failure)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('items = "/meters"', 'items = "/meter"', "nothing is at /meter (find_meter.items)"),
        ('"/usage/amount"', '"/usage/sum"', "nothing is at /usage/sum (organization.fields.used)"),
        ('"/cycle/to"', '"/cycle/from"', "is not the current"),
    ],
)
def test_an_answer_that_is_not_as_declared_is_named(
    world: Open, tmp_path: Path, old: str, new: str, why: str
) -> None:
    """With the pointer that found nothing; nothing lands."""
    here, mine = world(meters_accounts=1), tmp_path / "mine.toml"
    mine.write_text(DECLARED.read_text().replace(old, new))
    failure, *_ = land(here, METERS_API_FILE=str(mine)).failures
    assert why in str(failure)
    assert "If what ATLASSIAN_ADMIN_URL and METERS_API_FILE say is right" in str(failure)
    assert here.raw("select count(*) from raw.loads") == [(0,)]


def declared_as(tmp_path: Path, old: str, new: str) -> str:
    """The sandbox's declaration with something changed."""
    text, mine = DECLARED.read_text(), tmp_path / "mine.toml"
    assert old in text
    mine.write_text(text.replace(old, new, 1))
    return str(mine)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("[find_meter]", "[find_meters]", "Object contains unknown field `find_meters`"),
        (
            'path = "/sandbox',
            'path = "sandbox',
            "`$.find_meter.path`: a path or a JSON pointer starts",
        ),
        ('used = "/usage/amount"', "", "organization.fields.used is missing: a JSON pointer"),
        ('limit = "/limits', 'limits = "/limits', "organization.fields.limits is not known: there"),
        ('"/usage/amount"', '"usage.amount"', "'usage.amount': a JSON pointer starts with a slash"),
        ("{account_ids}", "{accounts}", "accounts has {accounts}, and there are {org_id}"),
        ('{ id = "{account_ids}" }', "{}", "accounts has no {account_ids}"),
        ('{ after = "{cursor}" }', "{}", "list_accounts has a next_cursor, and no {cursor}"),
        ("= 2026-11-05", "= now", "Invalid value"),
    ],
)
def test_a_file_that_cannot_be_meant_is_an_error(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    """Of the setting, in words, before anything is asked."""
    named = {"METERS_API_FILE": declared_as(tmp_path, old, new)}
    (wrong,) = read_settings(named, lambda: NOW).wrong["atlassian_meters"]
    assert why in wrong


def test_a_file_that_is_not_there_is_an_error() -> None:
    """One that is named and missing is no source that is skipped."""
    named = {"METERS_API_FILE": "/nowhere/api.toml"}
    (wrong,) = read_settings(named, lambda: NOW).wrong["atlassian_meters"]
    assert "it has to be a file that can be read (No such file" in wrong


def test_with_nothing_declared_it_is_off() -> None:
    """The file that ships has no path in it, whatever key there is."""
    named = {"ATLASSIAN_ORG_ID": "0rg-a", "ATLASSIAN_ORG_API_KEY": API_KEY}
    why = read_settings(named, lambda: NOW).missing["atlassian_meters"]
    assert why.startswith("it is off: no path is known. Write the three of Atlassian's reference")
    assert 'path = "/' not in SHIPPED.read_text()


def test_today_alone_can_be_read(world: Open) -> None:
    """There is no history: an older day is not asked for."""
    here = world(meters_accounts=1)
    window = here_today(here)
    older = Window("daily", window.since - timedelta(days=3), window.until)
    assert planning.within_reach(READINGS, older, here.settings.clock()) == window
    assert window.since == datetime(2026, 11, 21, tzinfo=UTC)
    assert {receipt.window for receipt in land(here).receipts} == {window}


def test_a_429_says_when_to_come_back(world: Open) -> None:
    """In X-RateLimit-Reset, an ISO instant: too far off, and nothing more is asked until then."""
    here = world(meters_accounts=1)
    headers = {"X-RateLimit-Reset": (NOW + timedelta(hours=5)).isoformat()}
    fault = Fault("/orgs", 429, count=100, headers=headers)
    here.sandbox.vendors["meters"].desk.faults.append(fault)
    failure, *_ = land(here).failures
    assert "HTTP 429, and to come back at 2026-11-21T20:30:00Z" in str(failure)
    assert len(asked(here)) == 1
