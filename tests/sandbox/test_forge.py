"""The stand-in Forge gateway has the real one's traps, and its numbers agree with themselves."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.sandbox.company import Company
from tests.sandbox.desk import Fault
from tests.sandbox.forge_apps import ALL, RESOURCES, UNITS, UNKNOWN_UNIT, Apps
from tests.sandbox.forge_desk import APP_ARI, SlidingWindow
from tests.sandbox.server import Sandbox, serve

NOW = datetime(2026, 11, 21, 8, 20, tzinfo=UTC)
TODAY = NOW.replace(hour=0, minute=0)
YESTERDAY = TODAY - timedelta(days=1)
GRAPHQL = "/graphql"
Json = dict[str, Any]
QUERY = """
query Usage($appId: ID!, $filters: DevConsoleAppResourceUsageFiltersInput!, $by: DevConsoleGroupBy)
{ ecosystem { devConsole { appResourceUsage(appId: $appId, filters: $filters, groupBy: $by) {
  __typename
  ... on DevConsoleAppResourceUsageFlatResponse {
    resourceUsage { period resolution tokensConsumed tokenUnit }
    pagination { page pageSize } error { ...Told }
  }
  ... on DevConsoleAppResourceUsageGroupedResponse {
    resourceUsage { period resolution groups { groupBy groupValue tokensConsumed tokenUnit } }
    pagination { page pageSize } error { ...Told }
  }
} } } }
fragment Told on QueryError { message identifier extensions { errorType statusCode } }
"""


class Account:
    """The owner of a company's apps, with a client of the gateway."""

    def __init__(self, company: Company, sandbox: Sandbox) -> None:
        self.apps, self.sandbox, settings = company.forge, sandbox, sandbox.environment
        self.client = httpx.Client(
            base_url=settings["ATLASSIAN_GRAPHQL_URL"].removesuffix(GRAPHQL),
            auth=(settings["ATLASSIAN_EMAIL"], settings["ATLASSIAN_API_TOKEN"]),
            headers={"X-ExperimentalApi": "ForgeMetricsQuery", "User-Agent": "Exporter/1.0.0"},
        )

    def post(self, place: int = 0, days: int = 30, by: str | None = None, **more: Any) -> Any:
        """The HTTP answer about the last days of an app, today among them."""
        interval = {
            "start": f"{TODAY - timedelta(days=days - 1):%Y-%m-%dT%H:%M:%SZ}",
            "end": f"{TODAY:%Y-%m-%d}T23:59:59Z",
        }
        app = more.pop("app", None) or self.apps.app_ids[place]
        filters = {"resource": "FUNCTION_COMPUTE", "interval": interval, **more}
        variables = {"appId": app, "filters": filters, "by": by}
        return self.client.post(GRAPHQL, json={"query": QUERY, "variables": variables})

    def ask(self, *args: Any, **more: Any) -> Json:
        """The payload of an answer that is in order."""
        response = self.post(*args, **more)
        assert response.status_code == 200, response.text
        body: Json = response.json()
        assert "errors" not in body
        payload: Json = body["data"]["ecosystem"]["devConsole"]["appResourceUsage"]
        return payload

    def walk(self, *args: Any, **more: Any) -> list[Json]:
        """The rows of all pages, up to the first empty one."""
        rows: list[Json] = []
        page = 1
        while found := self.ask(*args, page=page, **more)["resourceUsage"]:
            rows += found
            page += 1
        return rows


@contextmanager
def open_account(company: Company, **options: Any) -> Iterator[Account]:
    """The account of a company that is served with these options of Forge."""
    with serve(company, **{f"forge_{name}": option for name, option in options.items()}) as running:
        account = Account(company, running)
        with account.client:
            yield account


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    """The account of a company nobody changes, without a rate limit."""
    with open_account(Company(projects=2, now=NOW)) as opened:
        yield opened


def flat(rows: list[Json]) -> dict[str, Decimal]:
    """Amounts by period; no period comes twice."""
    assert len({row["period"] for row in rows}) == len(rows)
    return {row["period"]: Decimal(row["tokensConsumed"]) for row in rows}


def grouped(rows: list[Json]) -> dict[tuple[str, str], Decimal]:
    """Amounts by period and group; none comes twice."""
    found: dict[tuple[str, str], Decimal] = {}
    for row in rows:
        for group in row["groups"]:
            key = (row["period"], group["groupValue"])
            assert key not in found
            found[key] = Decimal(group["tokensConsumed"])
    return found


def by_period(groups: dict[tuple[str, str], Decimal]) -> Counter[str]:
    """The sums of the groups of each period."""
    sums: Counter[str] = Counter()
    for (period, _), amount in groups.items():
        sums[period] += amount  # type: ignore[assignment]
    return sums


def test_the_total_is_its_environments_and_its_sites_with_the_rest(account: Account) -> None:
    """And every number is the truth, for all twelve resources of both apps, today included."""
    for place, app in enumerate(account.apps.app_ids):
        for resource in RESOURCES:
            about: Json = {"place": place, "days": 9, "resource": resource}
            total = flat(account.walk(**about))
            environments = grouped(account.walk(**about, by="ENVIRONMENT_ID"))
            sites = by_period(grouped(account.walk(**about, by="CONTEXT_ARI")))
            assert total == by_period(environments)
            for period, amount in total.items():
                day = datetime.fromisoformat(period)
                unattributed = account.apps.amount(app, resource, day, site=None)
                assert amount == account.apps.amount(app, resource, day)
                assert amount == sites[period] + unattributed


def test_the_answer_key_has_a_row_for_each_site_and_one_for_the_rest(account: Account) -> None:
    """Sites come as the gateway shows them; by environment they are the same sums."""
    apps, since = account.apps, TODAY - timedelta(days=8)
    facts = apps.expected_facts(since, NOW)
    cube = apps.expected_facts(since, NOW, cube=True)
    for place, app in enumerate(apps.app_ids):
        rows = account.walk(place, 9, "CONTEXT_ARI", resource="KVS_READ")
        shown = {
            (f"{day:%Y-%m-%d}", site): amount
            for (of, site, _, resource, day), amount in facts.items()
            if (of, resource) == (app, "KVS_READ") and site
        }
        assert shown == grouped(rows)
    summed: Counter[Any] = Counter()
    for (app, site, environment, resource, day), amount in cube.items():
        assert (site is None) == (environment is None)
        summed[app, site, None, resource, day] += amount  # type: ignore[assignment]
    assert dict(summed) == facts
    assert all(facts.values())


def test_an_environment_and_sites_can_be_asked_for(account: Account) -> None:
    """The cube: one environment's usage by site, and what two sites used of it."""
    apps, app = account.apps, account.apps.app_ids[0]
    production, sites = apps.environment_ids(app)[0], apps.site_aris(app)
    answer = account.ask(0, 1, "CONTEXT_ARI", environment=production)
    expected = {site: apps.amount(app, "FUNCTION_COMPUTE", TODAY, site=site) for site in sites}
    found = grouped(answer["resourceUsage"])
    for (_, site), amount in found.items():
        cell = apps.amount(app, "FUNCTION_COMPUTE", TODAY, site=site, environment=production)
        assert amount == cell <= expected[site]
    some = account.ask(0, 1, "ENVIRONMENT_ID", contextAris=[sites[0], sites[2]])
    assert sum(grouped(some["resourceUsage"]).values()) == expected[sites[0]] + expected[sites[2]]
    assert account.ask(environment="00000000-0000-4000-8000-000000000000")["resourceUsage"] == []


def test_sites_without_a_grouping_are_grouped(account: Account) -> None:
    """Automatic groupBy: contextAris alone turns the flat response into the grouped one."""
    sites = account.apps.site_aris(account.apps.app_ids[0])
    assert account.ask()["__typename"] == "DevConsoleAppResourceUsageFlatResponse"
    answer = account.ask(contextAris=sites[:1])
    assert answer["__typename"] == "DevConsoleAppResourceUsageGroupedResponse"
    assert {site for _, site in grouped(answer["resourceUsage"])} == set(sites[:1])


def test_a_day_without_usage_is_not_a_row(account: Account) -> None:
    """Some sites rest at weekends, a resource was never used, and a future day is not there."""
    apps, app = account.apps, account.apps.app_ids[0]
    assert account.ask(resource=apps.unused[app])["resourceUsage"] == []
    rests = apps.site_aris(app)[3]
    days = {
        datetime.fromisoformat(period)
        for period, site in grouped(account.walk(0, 30, "CONTEXT_ARI"))
        if site == rests
    }
    assert days
    assert not [day for day in days if day.weekday() >= 5]
    interval = {"start": "2026-11-22T00:00:00Z", "end": "2026-12-31T23:59:59Z"}
    assert account.ask(interval=interval)["resourceUsage"] == []


def test_the_end_of_an_interval_is_inside(account: Account) -> None:
    """One that ends at midnight has the day that begins there."""
    interval = {"start": "2026-11-16T00:00:00Z", "end": "2026-11-17T00:00:00Z"}
    rows = account.ask(interval=interval)["resourceUsage"]
    assert sorted(row["period"] for row in rows) == ["2026-11-16", "2026-11-17"]
    assert {row["resolution"] for row in rows} == {"ONE_DAY"}


def test_amounts_are_decimal_strings_with_their_unit(account: Account) -> None:
    """Six decimals, beyond 2**53 without loss; requests are whole numbers."""
    app = account.apps.special["huge"]
    for resource, unit in UNITS.items():
        for row in account.ask(app=app, resource=resource, days=3)["resourceUsage"]:
            whole, _, decimals = row["tokensConsumed"].partition(".")
            assert (row["tokenUnit"], len(decimals)) == (unit, 0 if unit == "requests" else 6)
            if resource == "FUNCTION_COMPUTE" and row["period"] < f"{TODAY:%Y-%m-%d}":
                assert int(whole) > 2**53
    changed = Company(projects=2, now=NOW)
    changed.forge.unknown_unit = "KVS_READ"
    assert changed.forge.unit("KVS_READ") == UNKNOWN_UNIT


@pytest.mark.parametrize("page_counts", ["periods", "groups"])
def test_pages_end_with_an_empty_one(page_counts: str) -> None:
    """Nothing is lost or sent twice, though a page may end between the groups of a period."""
    company = Company(projects=2, now=NOW)
    with open_account(company, page_size=4, page_counts=page_counts) as account:
        rows = account.walk(0, 9, "CONTEXT_ARI")
        found = grouped(rows)
        assert account.ask()["pagination"] == {"page": 1, "pageSize": 4}
        assert len(flat(account.walk(0, 9))) == 9
    periods = Counter(row["period"] for row in rows)
    assert len(periods) == 9
    assert (max(periods.values()) > 1) == (page_counts == "groups")
    with open_account(company, pagination=False) as account:
        assert grouped(account.ask(0, 9, "CONTEXT_ARI")["resourceUsage"]) == found
        assert account.ask()["pagination"] is None


def test_order_changes_from_answer_to_answer(account: Account) -> None:
    """Neither periods nor groups have an order, and the rows are the same."""
    answers = [account.ask(0, 30, "CONTEXT_ARI")["resourceUsage"] for _ in range(2)]
    assert grouped(answers[0]) == grouped(answers[1])
    assert answers[0] != answers[1]


def test_hours_sum_to_their_day() -> None:
    """At ONE_HOUR a period is an instant; the open hour holds its completed quarters."""
    company = Company(projects=2, now=NOW)
    with open_account(company, resolution="ONE_HOUR") as account:
        for resource in ("FUNCTION_COMPUTE", "SQL_REQUESTS"):
            rows = account.walk(1, 2, resource=resource)
            hours = by_period({(period[:10], period): v for period, v in flat(rows).items()})
            assert {row["resolution"] for row in rows} == {"ONE_HOUR"}
            assert min(row["period"] for row in rows) == "2026-11-20T00:00:00Z"
            assert max(row["period"] for row in rows) == "2026-11-21T08:00:00Z"
            for day in (YESTERDAY, TODAY):
                amount = company.forge.amount(company.forge.app_ids[1], resource, day)
                assert hours[f"{day:%Y-%m-%d}"] == amount


def test_the_open_day_fills_by_quarters_and_then_stands() -> None:
    """A clock that moves within a quarter changes nothing, and after midnight nothing does."""
    company = Company(projects=2, now=TODAY + timedelta(minutes=14))
    apps = company.forge

    def today() -> Decimal:
        return apps.amount(apps.app_ids[0], "KVS_WRITE", TODAY)

    seen = [today()]
    for minutes in (15, 29, 30, 24 * 60, 72 * 60):
        company.now = TODAY + timedelta(minutes=minutes)
        seen.append(today())
    assert seen[0] == 0 < seen[1] == seen[2] < seen[3] < seen[4] == seen[5]


def test_a_restatement_agrees_across_groupings() -> None:
    """The total, the site and the environment change by the same; a withdrawn day has no row."""
    company = Company(projects=2, now=NOW)
    apps, delta = company.forge, Decimal("12.345678")
    app = apps.app_ids[0]
    site, staging = apps.site_aris(app)[0], apps.environment_ids(app)[1]
    with open_account(company) as account:

        def shown() -> list[Decimal]:
            sites = grouped(account.walk(0, 2, "CONTEXT_ARI"))
            environments = grouped(account.walk(0, 2, "ENVIRONMENT_ID"))
            period = f"{YESTERDAY:%Y-%m-%d}"
            total = flat(account.walk(0, 2))[period]
            return [total, sites[period, site], environments.get((period, staging), Decimal(0))]

        before = shown()
        apps.restate(app, "FUNCTION_COMPUTE", YESTERDAY, site, staging, delta)
        assert shown() == [amount + delta for amount in before]
        apps.restate(app, "FUNCTION_COMPUTE", YESTERDAY, None, staging, delta)
        assert shown() == [before[0] + 2 * delta, before[1] + delta, before[2] + 2 * delta]
        apps.withdraw(app, "FUNCTION_COMPUTE", YESTERDAY)
        assert list(flat(account.walk(0, 2))) == [f"{TODAY:%Y-%m-%d}"]
        assert len({period for period, _ in grouped(account.walk(0, 2, "CONTEXT_ARI"))}) == 1
    for wrong in (Decimal("-0.000001"), Decimal("0.0000001")):
        with pytest.raises(ValueError, match="not"):
            apps.restate(app, "FUNCTION_COMPUTE", YESTERDAY, site, staging, wrong)
    with pytest.raises(ValueError, match="not a past day"):
        apps.restate(app, "FUNCTION_COMPUTE", TODAY, site, staging, delta)


def test_who_may_not_ask_is_refused(account: Account) -> None:
    """401 for the token; 400 without the experimental header, whatever its value is otherwise."""
    body = {"query": "{ __typename }"}
    client = account.client
    wrong = client.post(GRAPHQL, json=body, auth=("owner@forge.example", "wrong"))
    assert wrong.status_code == 401
    refused = client.post(GRAPHQL, json=body, headers={"X-ExperimentalApi": ""})
    assert refused.status_code == 400
    assert "X-ExperimentalAPI" in refused.json()["message"]
    admitted = client.post(GRAPHQL, json=body, headers={"X-ExperimentalApi": "anything"})
    assert admitted.json()["data"] == {"__typename": "Query"}
    for content in (b"query", b"[]", b'{"query": "{ __typename }", "variables": 1}'):
        assert client.post(GRAPHQL, content=content).status_code == 400


def test_an_app_of_others_is_refused_inside_a_200(account: Account) -> None:
    """So is one nobody has; ids are taken bare and as an ARI."""
    for app in (account.apps.foreign_app_id, "no-such-app"):
        payload = account.ask(app=app)
        assert payload["resourceUsage"] == []
        assert payload["error"]["extensions"] == [{"errorType": "FORBIDDEN", "statusCode": 403}]
        assert payload["error"]["identifier"] == app
    bare = account.apps.app_ids[1]
    found = [flat(account.ask(app=form)["resourceUsage"]) for form in (bare, APP_ARI + bare)]
    assert found[0] == found[1]
    assert account.ask(page=0)["error"]["extensions"][0]["statusCode"] == 400


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resource": "BANDWIDTH"}, "BANDWIDTH"),
        ({"interval": {"start": "2026-11-01", "end": "2026-11-02T00:00:00Z"}}, "DateTime"),
        ({"pageSize": 10}, "pageSize"),
        ({"resource": None}, "resource"),
    ],
)
def test_invalid_variables_are_answered_with_errors(
    account: Account, change: Json, message: str
) -> None:
    """As a GraphQL server does: status 200, the reason, no data, and the id of the request."""
    response = account.post(**change)
    body = response.json()
    assert (response.status_code, body.get("data")) == (200, None)
    assert message in body["errors"][0]["message"]
    assert body["errors"][0]["extensions"]["statusCode"] == 400
    assert body["extensions"]["gateway"]["request_id"] == response.headers["x-request-id"]


def test_invalid_queries_are_answered_with_errors(account: Account) -> None:
    """Broken text, an unknown field, a union without its fragments."""
    fragment = "fragment F on Query { __typename }"
    for query in ("{", fragment, "{ tenant }", QUERY.replace("__typename", "error { message }")):
        variables = {"appId": "x", "filters": {}}
        response = account.client.post(GRAPHQL, json={"query": query, "variables": variables})
        assert response.status_code == 200
        assert response.json()["errors"]
        assert "data" not in response.json()


def test_the_limit_is_told_in_two_ways() -> None:
    """A 429 with a timestamp for the first app, an error inside a 200 for the other."""
    with open_account(Company(projects=2, now=NOW), requests_per_minute=5) as account:
        asked_at = NOW
        statuses = [account.post(n % 2).status_code for n in range(5)]
        refused, other = account.post(0), account.ask(1)
        logged = [request.status for request in account.sandbox.forge.requests]
    assert statuses == [200] * 5
    assert refused.status_code == 429
    told = refused.headers["Retry-After"]
    retry_at = datetime.strptime(told, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
    assert timedelta(seconds=59) <= retry_at - asked_at <= timedelta(seconds=150)
    assert other["error"]["extensions"] == [{"errorType": "TOO_MANY_REQUESTS", "statusCode": 429}]
    assert other["resourceUsage"] == []
    assert logged == [200] * 5 + [429, 200]


def test_the_limit_holds_in_any_sixty_seconds() -> None:
    """What was used up comes back one by one, a minute after each; no burst at a full minute."""
    seconds = 0.0
    window = SlidingWindow(5, lambda: seconds)
    admitted = []
    for step in range(1200):
        seconds = step / 4
        if not window.take():
            admitted.append(seconds)
    assert admitted[:6] == [0, 0.25, 0.5, 0.75, 1, 60]
    for first in admitted:
        assert len([at for at in admitted if first <= at < first + 60]) <= 5
    seconds = 300.5
    assert [window.take() for _ in range(5)] == [0, 0, 0, 0.25, 0.25]


def test_the_log_says_what_was_asked(account: Account) -> None:
    """App, resource, grouping, environment, interval and page; two headers; not the token."""
    environment = account.apps.environment_ids(account.apps.app_ids[0])[0]
    account.sandbox.forge.requests.clear()
    account.ask(0, 1, "CONTEXT_ARI", environment=environment, page=2)
    (request,) = account.sandbox.forge.requests
    assert request.path == GRAPHQL
    assert request.variables == {
        "appId": account.apps.app_ids[0],
        "resource": "FUNCTION_COMPUTE",
        "groupBy": "CONTEXT_ARI",
        "environment": environment,
        "interval": {"start": "2026-11-21T00:00:00Z", "end": "2026-11-21T23:59:59Z"},
        "page": 2,
    }
    assert request.headers == {
        "user-agent": "Exporter/1.0.0",
        "x-experimentalapi": "ForgeMetricsQuery",
    }
    assert datetime.now(UTC) - request.asked_at < timedelta(seconds=30)
    shown = httpx.get(f"{account.sandbox.origin}/_sandbox/forge/requests").json()["requests"]
    assert shown[0]["variables"]["page"] == 2
    assert account.sandbox.requests == []


def test_faults_of_the_connection_happen_in_order() -> None:
    """Statuses, lost connections, HTML and half a JSON; then all is well."""
    faults = [
        Fault(GRAPHQL, 503),
        Fault(GRAPHQL, 429, headers={"Retry-After": "2021-05-10T11:00Z"}),
        Fault(GRAPHQL, "drop"),
        Fault(GRAPHQL, "cut"),
        Fault(GRAPHQL, "html"),
        Fault(GRAPHQL, "truncate"),
    ]
    seen: list[object] = []
    with open_account(Company(projects=2, now=NOW), faults=faults) as account:
        for _ in range(7):
            try:
                response = account.post()
                seen.append(response.status_code if response.json() else None)
            except httpx.TransportError:
                seen.append("no answer")
            except ValueError:
                seen.append("no JSON")
        logged = account.sandbox.forge.requests
    assert seen == [503, 429, "no answer", "no answer", "no JSON", "no JSON", 200]
    assert {request.variables["resource"] for request in logged} == {"FUNCTION_COMPUTE"}


@pytest.mark.parametrize(
    "extensions",
    [[{"errorType": "TIMEOUT", "statusCode": 504}], {"errorType": "X", "statusCode": 500}, None],
)
def test_an_error_can_stand_inside_a_200(extensions: Any) -> None:
    """Its extensions are a list as in the schema, or an object, or null."""
    fault = Fault(GRAPHQL, "error_in_200", message="come back later", extensions=extensions)
    with open_account(Company(projects=2, now=NOW), faults=[fault]) as account:
        payload = account.ask()
        assert payload["error"]["message"] == "come back later"
        assert payload["error"]["extensions"] == extensions
        assert payload["resourceUsage"] == []
        assert account.ask()["error"] is None


def test_answers_can_be_null_partial_or_repeated() -> None:
    """None of them looks like a failure from its status."""
    with open_account(Company(projects=2, now=NOW), page_size=6) as account:
        faults = account.sandbox.forge.faults
        faults.append(Fault(GRAPHQL, "null_answer"))
        assert account.ask() is None
        faults.append(Fault(GRAPHQL, "graphql_errors"))
        body = account.post().json()
        usage = body["data"]["ecosystem"]["devConsole"]["appResourceUsage"]
        assert len(usage["resourceUsage"]) == 3
        assert body["errors"][0]["path"] == ["ecosystem", "devConsole", "appResourceUsage"]
        faults.append(Fault(GRAPHQL, "repeat_page"))
        first, again, second = account.ask(), account.ask(page=2), account.ask(page=2)
        assert flat(first["resourceUsage"]) == flat(again["resourceUsage"])
        assert again["pagination"]["page"] == 2
        assert not {*flat(first["resourceUsage"])} & {*flat(second["resourceUsage"])}


def test_the_same_seed_is_the_same_usage() -> None:
    """Two of one seed agree, another differs; apps share sites, and cloud ids have two products."""

    def used(seed: int) -> dict[Any, Decimal]:
        return Apps(seed, lambda: NOW).expected_facts(TODAY - timedelta(days=3), NOW)

    assert used(7) == used(7) != used(8)
    apps = Apps(7, lambda: NOW, apps=3, sites=4, environments=5)
    assert [len(apps.environment_ids(app)) for app in apps.app_ids] == [5, 5, 5]
    assert len({site.rpartition("/")[2] for site in apps.site_aris(apps.app_ids[0])}) == 2
    whole = apps.amount(apps.app_ids[1], "KVS_READ", YESTERDAY, site=ALL, environment=ALL)
    assert whole == apps.amount(apps.app_ids[1], "KVS_READ", YESTERDAY) > 0


OF_FORGE = ("ATLASSIAN_EMAIL", "ATLASSIAN_API_TOKEN", "ATLASSIAN_GRAPHQL_URL", "FORGE_APP_IDS")


def test_a_company_without_apps_has_no_settings_for_them() -> None:
    """With apps there is one bare id and one ARI."""
    with serve(Company(projects=2, now=NOW, apps=0)) as running:
        assert not [name for name in running.environment if name in OF_FORGE]
    company = Company(projects=2, now=NOW)
    with serve(company) as running:
        first, second = running.environment["FORGE_APP_IDS"].split(",")
    assert [first, second] == [company.forge.app_ids[0], APP_ARI + company.forge.app_ids[1]]
