"""The stand-in Neon behaves as the real one was seen to, and its numbers agree with themselves."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.sandbox.company import Company
from tests.sandbox.desk import Fault
from tests.sandbox.server import Sandbox, serve
from tests.sandbox.times import Granularity, following
from tests.sandbox.usage import BRANCH_METRICS, METRICS, UNKNOWN_METRIC

NOW = datetime(2026, 11, 21, 8, 20, tzinfo=UTC)
TODAY = NOW.replace(hour=0, minute=0)
USAGE = "/consumption_history/v2/projects"
BRANCH_USAGE = "/consumption_history/v2/branches"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def company() -> Company:
    """A company nobody changes."""
    return Company(now=NOW)


@pytest.fixture(scope="module")
def sandbox(company: Company) -> Iterator[Sandbox]:
    """Neon for that company, without a rate limit."""
    with serve(company) as running:
        yield running


@pytest.fixture(scope="module")
def client(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client with the right key."""
    with client_of(sandbox) as open_client:
        yield open_client


def client_of(sandbox: Sandbox) -> httpx.Client:
    """A client of `sandbox` with the right key."""
    headers = {"Authorization": f"Bearer {sandbox.api_key}"}
    return httpx.Client(base_url=sandbox.base_url, headers=headers, timeout=30)


def asked(company: Company, granularity: str = "daily", days: int = 7, **more: Any) -> Json:
    """Parameters of a consumption question about the last days up to today."""
    return {
        "org_id": next(iter(company.orgs)),
        "from": (TODAY - timedelta(days=days)).isoformat(),
        "to": (TODAY + timedelta(days=1)).isoformat(),
        "granularity": granularity,
        "metrics": ",".join(METRICS),
        "limit": 100,
        **more,
    }


def walk(client: httpx.Client, path: str, params: Json, key: str) -> list[Json]:
    """Everything under `key` of all pages."""
    found: list[Json] = []
    page = {"pagination": {"cursor": ""}}
    while "pagination" in page:
        cursor = page["pagination"]["cursor"]
        response = client.get(path, params=params | ({"cursor": cursor} if cursor else {}))
        assert response.status_code == 200, response.text
        page = response.json()
        found += page[key]
    return found


def sums(usages: list[Json], key: str = "project_id") -> Counter[tuple[str, str]]:
    """What was answered, by id and metric."""
    found: Counter[tuple[str, str]] = Counter()
    for usage in usages:
        for period in usage["periods"]:
            for bucket in period["consumption"]:
                for metric in bucket["metrics"]:
                    found[usage[key], metric["metric_name"]] += metric["value"]
    return found


def test_hours_days_and_months_agree(company: Company) -> None:
    """A day is the sum of its hours and a month of its days, the open ones included."""
    for project in list(company.projects.values())[:10]:
        for metric in METRICS:
            for month in (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)):
                days = company.buckets("daily", month, following(month, "monthly"))
                by_day = company.shown(project.id, None, metric, "daily", days)
                hours = company.buckets("hourly", days[-14], days[-13])
                by_hour = company.shown(project.id, None, metric, "hourly", hours)
                value = company.value(project.org_id, project.id, None, metric, "monthly", month)
                assert value == sum(day or 0 for day in by_day)
                assert (by_day[-14] or 0) == sum(hour or 0 for hour in by_hour)
    for metric in METRICS:
        hours = company.buckets("hourly", TODAY, NOW)
        for project in company.projects.values():
            today = company.value(project.org_id, project.id, None, metric, "daily", TODAY)
            by_hour = company.shown(project.id, None, metric, "hourly", hours)
            assert today == sum(hour or 0 for hour in by_hour)


def test_pages_newest_first_and_the_last_without_pagination(
    company: Company, client: httpx.Client
) -> None:
    """A walk meets every project once, and knows its end by a missing key."""
    usages = walk(client, USAGE, asked(company, limit=3), "projects")
    ids = [usage["project_id"] for usage in usages]
    newest_first = company.project_ids(next(iter(company.orgs)))
    assert ids == [id for id in newest_first if id != company.special["deleted_long_ago"]]
    last = client.get(USAGE, params=asked(company)).json()
    assert "pagination" not in last


def test_the_list_of_projects_ends_with_an_echo(company: Company, client: httpx.Client) -> None:
    """The last page of /projects is empty and echoes the cursor that was sent."""
    params: Json = {"org_id": next(iter(company.orgs)), "limit": 400}
    cursor = client.get("/projects", params=params).json()["pagination"]["cursor"]
    end = client.get("/projects", params=params | {"cursor": cursor}).json()
    assert end == {
        "projects": [],
        "pagination": {"cursor": cursor},
        "applications": {},
        "integrations": {},
    }


def test_what_lies_beyond_the_lookback_is_refused(company: Company, client: httpx.Client) -> None:
    """A start before 168 hours, 60 days or one year ago answers 406."""
    since = {"hourly": timedelta(hours=168, seconds=1), "daily": timedelta(days=61)}
    since["monthly"] = timedelta(days=366)
    for granularity, age in since.items():
        params = asked(company, granularity) | {"from": (NOW - age).isoformat()}
        response = client.get(USAGE, params=params)
        assert response.status_code == 406
        assert response.json()["message"].startswith("specified date-time range start is outside")


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"metrics": ""}, 400, 'query parameter "metrics" not set'),
        ({"limit": 101}, 400, 'query parameter "limit" must be between 1 and 100'),
        ({"org_id": "org-of-others"}, 404, "organization not found"),
        ({"cursor": "made-up"}, 400, 'query parameter "cursor" is invalid'),
        ({"from": "2026-11-20"}, 400, 'query parameter "from" is invalid'),
    ],
)
def test_wrong_questions_are_refused(
    company: Company, client: httpx.Client, change: Json, status: int, message: str
) -> None:
    """Every refusal has Neon's body, with an empty code."""
    response = client.get(USAGE, params=asked(company) | change)
    assert response.status_code == status
    assert set(response.json()) == {"request_id", "code", "message"}
    assert response.json()["code"] == ""
    assert response.json()["message"].startswith(message)


def test_a_wrong_key_and_a_removed_route_are_refused(
    company: Company, client: httpx.Client
) -> None:
    """401 for the key, 404 for the account endpoint."""
    wrong = {"Authorization": "Bearer wrong"}
    assert client.get("/auth", headers=wrong).status_code == 401
    removed = client.get("/consumption_history/account", params=asked(company))
    assert (removed.status_code, removed.json()["message"]) == (404, "this route does not exist")


def test_too_many_requests_are_told_when_to_come_back(company: Company) -> None:
    """One bucket for all consumption endpoints; 429 with Retry-After; other calls go on."""
    with serve(company, requests_per_minute=2) as limited, client_of(limited) as client:
        paths = [USAGE, BRANCH_USAGE, USAGE]
        responses = [client.get(path) for path in paths]
        assert [r.status_code for r in responses] == [400, 400, 429]
        assert 1 <= int(responses[2].headers["Retry-After"]) <= 30
        assert client.get("/auth").status_code == 200


def test_a_plan_change_shows_its_bucket_in_two_periods(
    company: Company, client: httpx.Client
) -> None:
    """The two shares sum to the bucket; the first period has ended."""
    usages = walk(client, USAGE, asked(company), "projects")
    changed_on = (TODAY - timedelta(days=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    usage = next(u for u in usages if u["project_id"] == company.special["deleted_branch"])
    before, after = usage["periods"]
    assert (before["period_plan"], after["period_plan"]) == ("launch", "scale")
    assert before["period_id"] != after["period_id"]
    assert before["period_end"] == after["period_start"] == "2026-11-18T10:30:00Z"
    assert "period_end" not in after
    assert before["consumption"][-1]["timeframe_start"] == changed_on
    assert after["consumption"][0]["timeframe_start"] == changed_on
    org_id = next(iter(company.orgs))
    found = sums(usages)
    for project_id in company.project_ids(org_id):
        for metric in METRICS:
            days = company.buckets("daily", TODAY - timedelta(days=7), NOW)
            values = [company.value(org_id, project_id, None, metric, "daily", day) for day in days]
            assert found[project_id, metric] == sum(values)


def test_the_open_bucket_ends_in_the_future(company: Company, client: httpx.Client) -> None:
    """Today's row is there and partial: it holds the completed quarters of an hour."""
    usages = walk(client, USAGE, asked(company, project_ids=company.special["new"]), "projects")
    usages += walk(
        client, USAGE, asked(company, project_ids=company.special["two_roots"]), "projects"
    )
    bucket = usages[-1]["periods"][-1]["consumption"][-1]
    assert bucket["timeframe_start"] == "2026-11-21T00:00:00Z"
    assert bucket["timeframe_end"] == "2026-11-22T00:00:00Z"


def test_a_deleted_project_bills_and_is_not_listed(company: Company) -> None:
    """Usage knows the project that the list of projects has forgotten."""
    with serve(company) as running, client_of(running) as client:
        org_id = company.projects[company.special["deleted"]].org_id
        listed = client.get("/projects", params={"org_id": org_id, "limit": 400}).json()
        used = walk(client, USAGE, asked(company, org_id=org_id), "projects")
        assert company.special["deleted"] not in {p["id"] for p in listed["projects"]}
        assert sums(used)[company.special["deleted"], "root_branch_bytes_month"] > 0
        assert Counter((r.path, r.status) for r in running.requests) == {
            ("/projects", 200): 1,
            (USAGE, 200): 1,
        }
        assert running.requests[0].query == {"org_id": [org_id], "limit": ["400"]}


def test_branches_and_the_remainder_are_the_project(company: Company, client: httpx.Client) -> None:
    """The answer key's rows sum to what the project endpoint answered, project by project."""
    window = (TODAY - timedelta(days=7), NOW)
    facts = company.expected_facts({"daily": window})
    org_id = next(iter(company.orgs))
    shown = sums(walk(client, USAGE, asked(company), "projects"))
    ids = company.project_ids(org_id)
    question = asked(company, limit=5, project_ids=",".join(ids))
    question["metrics"] = ",".join(BRANCH_METRICS)
    branches = sums(walk(client, BRANCH_USAGE, question, "branches"), "branch_id")
    expected: Counter[tuple[str, str]] = Counter()
    of_branches: Counter[tuple[str, str]] = Counter()
    remainders = set()
    for (owner, project_id, branch_id, metric, _, _), value in facts.items():
        if owner == org_id:
            expected[project_id, metric] += value
            if branch_id:
                of_branches[branch_id, metric] += value
            elif metric == "compute_unit_seconds":
                remainders.add(project_id)
    assert shown.pop((company.special["idle"], METRICS[0]), 0) == 0
    assert +expected == +Counter({k: v for k, v in shown.items() if k[1] != UNKNOWN_METRIC})
    assert +of_branches == +branches
    assert {company.special["surplus"], company.special["hidden_branch"]} <= remainders


def test_an_unknown_metric_and_huge_values_are_served(
    company: Company, client: httpx.Client
) -> None:
    """One project has a metric nobody asked for, one has days beyond 2**53."""
    org_id = company.projects[company.special["huge"]].org_id
    usages = walk(client, USAGE, asked(company, org_id=org_id), "projects")
    found = sums(usages)
    assert found[company.special["unknown_metric"], UNKNOWN_METRIC] > 0
    assert found[company.special["huge"], "private_network_transfer_bytes"] > 2**53


def test_the_same_seed_is_the_same_company() -> None:
    """Two companies of one seed agree; another seed differs."""
    since = NOW - timedelta(days=90)

    def bill(seed: int) -> tuple[list[str], int]:
        company = Company(seed=seed, projects=12, now=NOW)
        return list(company.projects), company.total("compute_unit_seconds", since, NOW)

    assert bill(7) == bill(7) != bill(8)


def test_expected_facts_are_served_once_whatever_is_held(company: Company) -> None:
    """Hours, days and months held together still sum to the truth."""
    held = {
        "hourly": (NOW.replace(minute=0) - timedelta(hours=160), NOW),
        "daily": (TODAY - timedelta(days=59), NOW),
        "monthly": (datetime(2025, 12, 1, tzinfo=UTC), NOW),
    }
    totals: Counter[str] = Counter()
    for (_, _, _, metric, _, _), value in company.expected_facts(held).items():
        totals[metric] += value
    for metric in METRICS:
        assert totals[metric] == company.total(metric, held["monthly"][0], NOW)


def test_a_restatement_changes_hour_day_month_branch_and_project() -> None:
    """And one that takes everything away leaves no row."""
    company = Company(projects=4, now=NOW)
    project = company.projects[company.special["deleted_branch"]]
    metric, hour = "public_network_transfer_bytes", TODAY - timedelta(days=1, hours=-5)
    root, org_id = project.branches[0].id, project.org_id

    day, month = TODAY - timedelta(days=1), TODAY.replace(day=1)
    buckets: list[tuple[Granularity, datetime]]
    buckets = [("hourly", hour), ("daily", day), ("monthly", month)]

    def values() -> list[int]:
        return [
            company.value(org_id, project.id, branch, metric, granularity, start)
            for branch in (root, None)
            for granularity, start in buckets
        ]

    before = values()
    with serve(company) as running:
        body = {
            "project_id": project.id,
            "branch_id": root,
            "metric": metric,
            "hour": hour.isoformat(),
            "delta": 12,
        }
        assert httpx.post(f"{running.origin}/_sandbox/restate", json=body).status_code == 200
        assert values() == [value + 12 for value in before]
        company.withdraw(project.id, None, metric, hour, hour + timedelta(hours=1))
        assert company.shown(project.id, None, metric, "hourly", [hour]) == [None]


def test_scripted_faults_happen_in_order(company: Company) -> None:
    """Statuses, lost connections, HTML, half a JSON, a repeated cursor; then all is well."""
    faults = [
        Fault(USAGE, 503, 2),
        Fault(USAGE, 429, headers={"Retry-After": "1"}),
        Fault(USAGE, "drop"),
        Fault(USAGE, "cut"),
        Fault(USAGE, "html"),
        Fault(USAGE, "truncate"),
    ]
    seen: list[object] = []
    with serve(company, faults=faults, page_size_cap=1) as running, client_of(running) as client:
        for _ in range(8):
            try:
                response = client.get(USAGE, params=asked(company))
            except httpx.TransportError:
                seen.append("no answer")
                continue
            try:
                seen.append(len(response.json().get("projects", [])) or response.status_code)
            except ValueError:
                seen.append("no JSON")
        running.faults.append(Fault(USAGE, "repeat_cursor"))
        cursor = client.get(USAGE, params=asked(company)).json()["pagination"]["cursor"]
        again = client.get(USAGE, params=asked(company, cursor=cursor)).json()["pagination"]
    assert seen == [503, 503, 429, "no answer", "no answer", "no JSON", "no JSON", 1]
    assert again["cursor"] == cursor


def test_the_control_api_sets_the_clock_and_reads_the_log() -> None:
    """A client in another process can do what a test in this one does."""
    company = Company(projects=4, now=NOW)
    with serve(company) as running, httpx.Client(base_url=running.origin) as client:
        later = {"now": (NOW + timedelta(hours=1)).isoformat()}
        assert client.post("/_sandbox/clock", json=later).json() == later
        client.post("/_sandbox/faults", json=[{"path": "/auth", "kind": 500}])
        assert client.get("/api/v2/auth").status_code == 500
        assert client.get("/_sandbox/requests").json()["requests"][0]["status"] == 500
        client.delete("/_sandbox/requests")
        assert client.get("/_sandbox/requests").json() == {"requests": []}
        totals = client.get("/_sandbox/totals").json()
        expected = company.total("compute_unit_seconds", company.history_start, company.now)
        assert sum(org["compute_unit_seconds"] for org in totals.values()) == expected


def test_the_account_endpoint_can_be_brought_back(company: Company) -> None:
    """Flat columns, zeros included; compute is that of all the org's projects."""
    with serve(company, legacy_account=True) as running, client_of(running) as client:
        usage = client.get("/consumption_history/account", params=asked(company)).json()
    rows = [row for period in usage["periods"] for row in period["consumption"]]
    org_id = next(iter(company.orgs))
    since = TODAY - timedelta(days=7)
    total = company.total("compute_unit_seconds", since, NOW, org_id)
    assert sum(row["compute_time_seconds"] for row in rows) == total
    assert all("written_data_bytes" in row for row in rows)


def test_a_free_org_is_refused(company: Company) -> None:
    """The free plan has no consumption history."""
    with (
        serve(Company(projects=2, now=NOW, free_org=True)) as running,
        client_of(running) as client,
    ):
        orgs = client.get("/users/me/organizations").json()["organizations"]
        assert [org["plan"] for org in orgs] == ["scale", "scale", "free_v3"]
        response = client.get(USAGE, params=asked(company, org_id=orgs[-1]["id"]))
        assert response.status_code == 403
        assert "Launch plans" in response.json()["message"]
