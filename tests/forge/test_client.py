"""The client of Atlassian's gateway: every page, exact numbers, strange shapes by their names."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.http import VendorError
from pipelines.source import BucketsRefusedError
from tests.forge.gateway import (
    APP,
    ENVIRONMENT,
    MONTH,
    SITE,
    Gateway,
    Teller,
    answer,
    by_key,
    groups,
    open_gateway,
    open_teller,
    period,
    rows_of,
)
from tests.sandbox.desk import Fault
from tests.sandbox.forge_apps import UNITS


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway as it is when nothing is amiss."""
    with open_gateway(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def teller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teller]:
    """A gateway that says what a test has it say."""
    with open_teller(tmp_path_factory.mktemp("teller")) as opened:
        yield opened


def pages_needed(counts: Sequence[tuple[int, int]], page_size: int) -> int:
    """Requests of a walk over pages of (periods, groups): the last is empty, or short in both."""
    for number, count in enumerate(counts, start=1):
        if max(count) < page_size:
            return number
    return len(counts) + 1


def pages_of(days: list[date], page_size: int, page_counts: str) -> list[tuple[int, int]]:
    """How many periods and rows each page has; `days` has one item for each row."""
    units = sorted(set(days)) if page_counts == "periods" else sorted(days)
    cut = [units[start : start + page_size] for start in range(0, len(units), page_size)]
    if page_counts == "groups":
        return [(len(set(page)), len(page)) for page in cut]
    return [(len(page), sum(day in page for day in days)) for page in cut]


@pytest.mark.parametrize("table", [APP, SITE, ENVIRONMENT])
@pytest.mark.parametrize("page_counts", ["periods", "groups"])
@pytest.mark.parametrize("page_size", [7, 21])
def test_every_page_is_read_and_none_too_many(
    tmp_path: Path, table: str, page_counts: str, page_size: int
) -> None:
    """Whatever a page counts: all rows, and requests up to the first that must be the last."""
    with open_gateway(tmp_path, page_size=page_size, page_counts=page_counts) as here:
        truth = here.truth(table)
        assert by_key(here.rows(table)) == truth
        pages = pages_of([day for day, _ in truth], page_size, page_counts)
        assert len(here.sandbox.forge.requests) == pages_needed(pages, page_size)
        assert here.forge.requests_sent == len(here.sandbox.forge.requests)


@pytest.mark.parametrize("table", [APP, SITE])
def test_where_no_page_says_its_size_only_an_empty_one_is_the_last(
    tmp_path: Path, table: str
) -> None:
    """`pagination: null` on pages of eight rows: all of them, and one more request."""
    with open_gateway(tmp_path, page_size=8, page_counts="groups", pagination=False) as here:
        truth = here.truth(table)
        assert by_key(here.rows(table)) == truth
        assert len(here.sandbox.forge.requests) == -(-len(truth) // 8) + 1


def test_what_was_not_used_is_one_request_and_no_row(gateway: Gateway) -> None:
    """An empty answer is an answer."""
    unused = gateway.apps.unused[gateway.apps.app_ids[0]]
    assert gateway.rows(resource=unused) == []
    assert len(gateway.sandbox.forge.requests) == 1


@pytest.mark.parametrize("table", [APP, SITE])
def test_a_repeated_page_is_refused(tmp_path: Path, table: str) -> None:
    """A page that brings the rows of the one before cannot be part of a whole answer."""
    with open_gateway(tmp_path, page_size=7, page_counts="groups") as here:
        here.sandbox.forge.faults.append(Fault("/graphql", "repeat_page"))
        with pytest.raises(VendorError, match="page 2 repeats what was on an earlier page"):
            here.rows(table)


@pytest.mark.parametrize("table", [APP, SITE, ENVIRONMENT])
def test_hours_are_rows_that_sum_to_the_day(tmp_path: Path, table: str) -> None:
    """ONE_HOUR: 24 rows a day under the day's bucket, over more than one page."""
    with open_gateway(tmp_path, resolution="ONE_HOUR") as here:
        rows = here.rows(table)
        summed: Counter[tuple[date, str | None]] = Counter()
        for row in rows:
            group = row.get("site_id") or row.get("environment_id")
            summed[row["bucket_start"].date(), group] += row["tokens_consumed"]
        assert summed == here.truth(table)
        assert {row["resolution"] for row in rows} == {"ONE_HOUR"}
        assert len({row["period"] for row in rows}) == 20 * 24 + 8 + 1
        assert len(here.sandbox.forge.requests) > 1


def test_amounts_are_exact(gateway: Gateway) -> None:
    """Each resource of the app that used more than 2**53, six decimals behind the point."""
    for resource, unit in UNITS.items():
        rows, truth = gateway.rows(resource=resource, app=1), gateway.truth(APP, resource, 1)
        assert by_key(rows) == truth
        assert {row["token_unit"] for row in rows} <= {unit}
    huge = gateway.truth(app=1).values()
    assert any(value > 2**53 and value % 1 for value in huge)


@pytest.mark.parametrize(
    "amount",
    ["9007199254740993.123457", "18446744073709551617", "0.1", "1e3", "0.000000000000000001"],
)
@pytest.mark.parametrize("quote", ['"', ""])
def test_a_number_stays_exact_as_text_or_number(teller: Teller, amount: str, quote: str) -> None:
    """Should Atlassian send numbers one day, also beside an unknown field: no float on the way."""
    for more in ("", ',"note":1.5'):
        body = answer(period(amount=quote + amount + quote, more=more))
        assert [row["tokens_consumed"] for row in teller.rows(body)] == [Decimal(amount)]


def test_what_is_not_documented_is_kept(teller: Teller) -> None:
    """Unknown fields of a period and of a group are in `extra`, by where they were said."""
    (row,) = teller.rows(answer(period(more=',"computeType":"async"')))
    assert row["extra"] == '{"period.computeType":"async"}'
    body = answer(groups("CONTEXT_ARI", more=',"hostName":"x"'), shape="Grouped")
    (row,) = teller.rows(body, table=SITE)
    assert (row["extra"], row["site_id"]) == ('{"group.hostName":"x"}', "a")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (
            answer(period(resolution="ONE_WEEK")),
            "value 'ONE_WEEK' - at",
        ),
        (answer(period("2026-11-01", resolution="ONE_MONTH")), "Invalid enum value 'ONE_MONTH'"),
        (answer(period("2026-12-01")), "it has 2026-12-01, which was not asked for"),
        (answer(period("November")), "November"),
        (
            answer(period(), period("2026-11-02T03:00:00Z", resolution="ONE_HOUR")),
            "2026-11-02 comes by the day and by the hour",
        ),
        (
            answer(period("2026-11-02"), period("2026-11-02T12:00:00Z")),
            "one time comes twice, as 2026-11-02 and as 2026-11-02T12:00:00Z",
        ),
        (
            answer(*(period(f"2026-11-02T03{it}", resolution="ONE_HOUR") for it in (":00Z", "Z"))),
            "one time comes twice, as 2026-11-02T03:00Z and as 2026-11-02T03Z",
        ),
        (answer(groups("CONTEXT_ARI"), shape="Grouped"), "missing required field `tokensConsumed`"),
        (
            answer(period(), shape="Detailed"),
            "UsageDetailedResponse'",
        ),
        (
            answer().replace(b'"resourceUsage":[]', b'"resourceUsage":null'),
            "got `null` - at `$.resourceUsage`",
        ),
        (b'{"data":{"ecosystem":{"devConsole":{"appResourceUsage":"soon"}}}}', "object"),
        (b"[]", "object"),
        (b"<!doctype html><html>", "it starts '<!doctype html>"),
    ],
)
def test_another_shape_is_refused_by_name(teller: Teller, body: bytes, named: str) -> None:
    """The error says what was asked, what is wrong, and that nothing was recorded."""
    with pytest.raises(VendorError) as caught:
        teller.rows(body)
    said = str(caught.value)
    assert said.startswith("forge FUNCTION_COMPUTE of app an-app, daily 2026-11-01T00:00Z to ")
    assert named in said
    assert "the answer is not the documented shape" in said
    assert "Nothing of this window was recorded as loaded" in said


@pytest.mark.parametrize("amount", ["1e20", "NaN", "Infinity", "1_000", "\uff11 ", "a lot", None])
def test_a_quantity_that_cannot_be_is_refused_in_its_day_alone(teller: Teller, amount: str) -> None:
    """The others of the month are told, of every environment; then the day is named, once."""
    bad = answer(period("2026-11-02"), period("2026-11-03", amount=json.dumps(amount)))
    teller.bodies[:] = [bad, answer(period("2026-11-03"), period("2026-11-04"))]
    *told, refused = teller.forge.usage(APP, "an-app", "FUNCTION_COMPUTE", MONTH, ["one", "two"])
    days = [row["period"] for row in rows_of(iter(told))]
    assert days[0] == "2026-11-02"
    assert days[-1] == "2026-11-04"
    assert isinstance(refused, BucketsRefusedError)
    assert f"2026-11-03T00:00Z: {amount} is no" in str(refused)
    assert {*refused.buckets} == {datetime(2026, 11, 3, tzinfo=UTC)}


def test_a_group_of_nothing_is_the_remainder(teller: Teller) -> None:
    """The schema has no null there: what is of no site is in the total alone."""
    body = answer(groups("CONTEXT_ARI", name="2026-11-03"), groups("CONTEXT_ARI"), shape="Grouped")
    body = body.replace(b'"groupValue":"a"', b'"groupValue":""', 1)
    assert [row["period"] for row in teller.rows(body, table=SITE)] == ["2026-11-02"]


def test_groups_of_another_kind_are_refused(teller: Teller) -> None:
    """Environments do not become sites."""
    body = answer(groups("ENVIRONMENT_ID"), shape="Grouped")
    with pytest.raises(VendorError, match="by ENVIRONMENT_ID"):
        teller.rows(body, table=SITE)


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":null}',
        b"{}",
        b'{"data":{}}',
        b'{"data":{"ecosystem":null}}',
        b'{"data":{"ecosystem":{"devConsole":{"appResourceUsage":null}}},"errors":[]}',
    ],
)
def test_null_is_never_zero(teller: Teller, body: bytes) -> None:
    """No answer and no error, at whichever level: an error."""
    with pytest.raises(VendorError, match="answered null"):
        teller.rows(body)
