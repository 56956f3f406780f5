"""The stand-in Bitbucket behaves as the real one was seen to, and its truth agrees with itself."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import openpyxl  # type: ignore[import-untyped]
import pytest

from tests.sandbox.atlassian_org import AtlassianOrg
from tests.sandbox.atlassian_usage import UNITS, UNKNOWN_TYPE, PlatformUsage, cycle_of
from tests.sandbox.bitbucket import BASE_PATH, EMAIL, TOKEN, ForeignNext
from tests.sandbox.company import Company
from tests.sandbox.desk import Fault, FaultKind
from tests.sandbox.platform_exports import BROKEN, COLUMNS, Format, write, write_broken
from tests.sandbox.server import Sandbox, serve
from tests.sandbox.times import buckets

NOW = datetime(2026, 11, 21, 8, 20, tzinfo=UTC)
Json = dict[str, Any]


@contextmanager
def bitbucket(**options: Any) -> Iterator[tuple[Sandbox, httpx.Client]]:
    """Bitbucket for a company of its own, and a client with the right token."""
    company = Company(projects=1, now=NOW, apps=0)
    with serve(company, **{f"bitbucket_{k}": v for k, v in options.items()}) as sandbox:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        base_url = sandbox.origin + BASE_PATH
        with httpx.Client(base_url=base_url, headers=headers, timeout=30) as client:
            yield sandbox, client


@pytest.fixture(scope="module")
def asked() -> Iterator[tuple[Sandbox, httpx.Client]]:
    """A Bitbucket that nobody changes."""
    with bitbucket() as both:
        yield both


@pytest.fixture
def org() -> AtlassianOrg:
    """An organization whose clock stands still."""
    return AtlassianOrg(7, lambda: NOW)


def pipelines_path(sandbox: Sandbox, place: int = 0) -> str:
    """The list of runs of a repository of the first workspace."""
    workspace = sandbox.company.atlassian.workspaces[0]
    repository = sandbox.company.atlassian.live_repositories(workspace.uuid)[place]
    return f"/repositories/{workspace.slug}/{repository.slug}/pipelines"


# -- the API ------------------------------------------------------------------------------------


def test_a_wrong_token_is_refused_in_bitbuckets_words(asked: tuple[Sandbox, httpx.Client]) -> None:
    """401 with an error object; Basic with the owner's email is right too."""
    _, client = asked
    refused = client.get("/user/workspaces", headers={"Authorization": "Bearer other"})
    assert refused.status_code == 401
    assert refused.json()["type"] == "error"
    assert "message" in refused.json()["error"]
    del client.headers["Authorization"]
    assert client.get("/user/workspaces", auth=(EMAIL, TOKEN)).status_code == 200
    client.headers["Authorization"] = f"Bearer {TOKEN}"


def test_the_list_of_workspaces_has_no_names(asked: tuple[Sandbox, httpx.Client]) -> None:
    """A name is only in the workspace itself, which is found by slug and by uuid."""
    sandbox, client = asked
    listed = [entry["workspace"] for entry in client.get("/user/workspaces").json()["values"]]
    workspaces = sandbox.company.atlassian.workspaces
    assert [entry["uuid"] for entry in listed] == [workspace.uuid for workspace in workspaces]
    assert not any("name" in entry for entry in listed)
    for key in (workspaces[0].uuid, workspaces[0].slug):
        assert client.get(f"/workspaces/{key}").json()["name"] == workspaces[0].name


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/workspaces/nobody", 404),
        ("/repositories/nobody", 404),
        ("/repositories/team-1/retired/pipelines", 404),
        ("/repositories/team-1/repo-1/pipelines/{unknown}", 404),
        ("/workspaces", 410),
        ("/nothing", 404),
        ("/repositories/team-1/repo-1/pipelines?pagelen=101", 400),
        ("/repositories/team-1/repo-1/pipelines?pagelen=0", 400),
        ("/repositories/team-1/repo-1/pipelines?sort=state", 400),
        ("/repositories/team-1/repo-1/pipelines?page=2&sort=-created_on", 400),
    ],
)
def test_what_is_refused(asked: tuple[Sandbox, httpx.Client], path: str, status: int) -> None:
    """What is not there, what was taken away, and a page whose address was made up."""
    assert asked[1].get(path).status_code == status


def test_pages_are_of_ten_unless_asked_otherwise(asked: tuple[Sandbox, httpx.Client]) -> None:
    """A hundred at most; `size` is not on every page."""
    sandbox, client = asked
    path = pipelines_path(sandbox)
    assert len(client.get(path).json()["values"]) == 10
    first = client.get(path, params={"pagelen": 100}).json()
    assert len(first["values"]) == 100
    assert "size" not in first


def test_next_names_no_sort(asked: tuple[Sandbox, httpx.Client]) -> None:
    """Followed as it is, the second page of the newest runs has the oldest but ten."""
    sandbox, client = asked
    first = client.get(pipelines_path(sandbox), params={"sort": "-created_on"}).json()
    assert set(parse_qs(urlsplit(first["next"]).query)) == {"page", "ctx"}
    oldest_first = client.get(first["next"]).json()["values"]
    assert oldest_first[0]["build_number"] == 11
    restored = client.get(first["next"] + "&sort=-created_on").json()["values"]
    assert restored[0]["build_number"] == first["values"][-1]["build_number"] - 1


def test_pipelines_once_had_no_next() -> None:
    """Then `size` says that there is more, and any page may be asked for."""
    with bitbucket(next_of_pipelines=False) as (sandbox, client):
        first = client.get(pipelines_path(sandbox), params={"pagelen": 100}).json()
        assert "next" not in first
        assert first["size"] > 100
        second = client.get(pipelines_path(sandbox), params={"pagelen": 100, "page": 2}).json()
        assert second["values"][0]["build_number"] == 101


def test_unsorted_repositories_are_in_no_stable_order() -> None:
    """Some come twice and others never."""
    with bitbucket(page_size_cap=1) as (_, client):

        def walk(**params: str) -> list[str]:
            found, page = [], client.get("/repositories/team-1", params=params).json()
            while True:
                found += [repository["slug"] for repository in page["values"]]
                if "next" not in page:
                    return found
                page = client.get(page["next"]).json()

        assert walk(sort="created_on") == ["repo-1", "repo-2", "repo-3", "repo-4"]
        assert len(set(walk())) < 4


def test_the_created_on_filter_does_nothing(asked: tuple[Sandbox, httpx.Client]) -> None:
    """What it means is not documented."""
    sandbox, client = asked
    path, unfiltered = pipelines_path(sandbox), {"sort": "-created_on"}
    filtered = unfiltered | {"created_on": "2020-01-01T00:00:00Z"}
    assert (
        client.get(path, params=filtered).json()["values"]
        == client.get(path, params=unfiltered).json()["values"]
    )


def test_runs_are_as_recorded_ones(asked: tuple[Sandbox, httpx.Client]) -> None:
    """Nanoseconds, no completed_on while running, no seconds on a self-hosted runner, people."""
    sandbox, client = asked
    runs: list[Json] = []
    address = pipelines_path(sandbox) + "?pagelen=100"
    while address:
        page = client.get(address).json()
        runs, address = runs + page["values"], page.get("next")
    assert any(len(run["created_on"]) == len("2026-09-08T23:55:57.826992388Z") for run in runs)
    assert {run["state"]["name"] for run in runs} == {"PENDING", "IN_PROGRESS", "COMPLETED"}
    stages = {run["state"]["stage"]["name"] for run in runs if "stage" in run["state"]}
    assert stages == {"RUNNING", "PAUSED"}
    for run in runs:
        assert ("completed_on" in run) == (run["state"]["name"] == "COMPLETED")
        assert run["creator"]["display_name"]
    running = [run for run in runs if run["state"]["name"] == "IN_PROGRESS"]
    assert {"build_seconds_used" in run for run in running} == {True, False}
    assert any("build_seconds_used" not in r for r in runs if "completed_on" in r)


def test_a_run_is_found_by_its_uuid(asked: tuple[Sandbox, httpx.Client]) -> None:
    """As the list has it."""
    sandbox, client = asked
    run = client.get(pipelines_path(sandbox)).json()["values"][3]
    assert client.get(f"{pipelines_path(sandbox)}/{run['uuid']}").json() == run


def test_new_runs_shift_the_pages() -> None:
    """A run of the first page is on the second as well."""
    with bitbucket(arrivals=2, page_size_cap=5) as (sandbox, client):
        path, params = pipelines_path(sandbox), {"sort": "-created_on"}
        first = client.get(path, params=params).json()
        second = client.get(first["next"] + "&sort=-created_on").json()
        numbers = [[run["build_number"] for run in page["values"]] for page in (first, second)]
        assert numbers[1][:2] == numbers[0][-2:]


def test_the_hour_is_spent_without_a_word_of_when() -> None:
    """429 in Bitbucket's words and no Retry-After; workspaces are not counted."""
    with bitbucket(requests_per_hour=2) as (sandbox, client):
        answers = [client.get(pipelines_path(sandbox)) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].json()["error"]["message"].startswith("Rate limit for this resource")
        assert "retry-after" not in answers[2].headers
        assert client.get("/user/workspaces").status_code == 200


@pytest.mark.parametrize("kind", [500, 410, 429, "html", "truncate", "drop", "cut"])
def test_scripted_faults_happen_once(kind: FaultKind) -> None:
    """To the next request under their path."""
    with bitbucket(faults=[Fault("/repositories", kind)]) as (sandbox, client):

        def answer() -> Json | None:
            try:
                page: Json = client.get(pipelines_path(sandbox)).raise_for_status().json()
            except (httpx.HTTPError, ValueError):
                return None
            return page

        assert answer() is None
        assert answer() is not None
        assert len(sandbox.bitbucket.requests) == 2


def test_next_can_point_elsewhere_or_to_itself() -> None:
    """Both are faults of a list's next address."""
    faults = [ForeignNext("/repositories", origin="http://evil.example")]
    with bitbucket(faults=faults) as (sandbox, client):
        path = pipelines_path(sandbox)
        foreign = client.get(path).json()["next"]
        assert foreign.startswith("http://evil.example/2.0/repositories/")
        second = client.get(path).json()["next"]
        sandbox.bitbucket.faults.append(Fault("/repositories", "repeat_page"))
        assert client.get(second).json()["next"] == second


# -- the truth ----------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_organization(org: AtlassianOrg) -> None:
    """And another one another."""
    again, other = AtlassianOrg(7, lambda: NOW), AtlassianOrg(8, lambda: NOW)
    window = (org.history_start, NOW)
    assert org.seconds_by_repository_day(*window) == again.seconds_by_repository_day(*window)
    assert not org.repositories.keys() & other.repositories.keys()


def test_a_busy_repository_has_runs_of_every_kind(org: AtlassianOrg) -> None:
    """Several a day for a hundred days, numbered without gaps, in the order of their creation."""
    repository = org.live_repositories(org.workspaces[0].uuid)[0]
    runs = org.runs(repository.uuid)
    assert [run.build_number for run in runs] == list(range(len(runs), 0, -1))
    assert runs == sorted(runs, key=lambda run: run.created_at, reverse=True)
    assert len(runs) > 300
    assert {run.state(NOW) for run in runs} == {"PENDING", "RUNNING", "PAUSED", "COMPLETED"}
    assert any(org.seconds(run) is None and run.state(NOW) == "COMPLETED" for run in runs)


def test_runs_go_on_as_the_clock_moves() -> None:
    """One that runs ends, one that had ended runs again and then has used more."""
    moment = [NOW]
    org = AtlassianOrg(7, lambda: moment[0])
    repository = org.live_repositories(org.workspaces[0].uuid)[0]
    before = {run.uuid: (run.state(NOW), org.seconds(run)) for run in org.runs(repository.uuid)}
    moment[0] = NOW + timedelta(days=2)
    after = {r.uuid: (r.state(moment[0]), org.seconds(r)) for r in org.runs(repository.uuid)}
    assert after.keys() > before.keys()
    assert {after[uuid][0] for uuid, (state, _) in before.items() if state != "COMPLETED"} == {
        "COMPLETED"
    }
    grown = [
        uuid
        for uuid, (state, seconds) in before.items()
        if state == "COMPLETED" and (after[uuid][1] or 0) > (seconds or 0)
    ]
    assert grown


def test_a_deleted_repository_keeps_what_it_used() -> None:
    """It is listed no more, nothing begins or goes on in it, and its minutes are still exported."""
    moment = [NOW]
    org = AtlassianOrg(7, lambda: moment[0])
    workspace = org.workspaces[0]
    repository = org.live_repositories(workspace.uuid)[0]
    used = org.exported_minutes(workspace.uuid, NOW)
    org.delete_repository(repository.uuid)
    runs = org.runs(repository.uuid)
    moment[0] = NOW + timedelta(days=1)
    assert repository not in org.live_repositories(workspace.uuid)
    assert org.runs(repository.uuid) == runs
    assert org.exported_minutes(workspace.uuid, NOW) >= used


def test_exported_minutes_are_never_less_than_the_seconds_of_runs(org: AtlassianOrg) -> None:
    """Sizes multiply them, and deleted repositories count."""
    for workspace in org.workspaces:
        for month in buckets("monthly", org.history_start, NOW):
            end = (month + timedelta(days=31)).replace(day=1)
            found = org.seconds_by_repository_day(month, end)
            seconds = sum(s for (w, r, _), s in found.items() if w == workspace.uuid)
            live = sum(
                s for (w, r, _), s in found.items() if w == workspace.uuid and org.is_live(r)
            )
            exported = org.exported_minutes(workspace.uuid, month) * 60
            assert exported >= seconds >= live


def test_platform_usage_has_every_type(org: AtlassianOrg) -> None:
    """Each in its unit and, but for one, known; gauges are readings at an instant."""
    readings = PlatformUsage(org).readings(org.history_start, NOW)
    assert {reading.usage_type for reading in readings} == set(UNITS)
    assert all(reading.unit == UNITS[reading.usage_type] for reading in readings)
    for reading in readings:
        is_snapshot = reading.granularity == "snapshot"
        assert (reading.period_start == reading.period_end) == is_snapshot
        assert reading.is_final == (reading.period_end <= NOW)
        assert isinstance(reading.quantity, Decimal)


def test_users_used_less_credits_than_their_organization(org: AtlassianOrg) -> None:
    """On every day: agents use some too."""
    totals: dict[tuple[str, datetime, str], Decimal] = {}
    for reading in PlatformUsage(org).readings(org.history_start, NOW, ["rovo_credits"]):
        key = (reading.org_id, reading.period_start, reading.scope_type)
        totals[key] = totals.get(key, Decimal(0)) + reading.quantity
    by_org = {key: total for key, total in totals.items() if key[2] == "org"}
    assert by_org
    for (org_id, day, _), total in by_org.items():
        assert totals[org_id, day, "user"] < total


def test_one_organization_bills_from_the_fifteenth(org: AtlassianOrg) -> None:
    """Its months of apps begin then; those of Bitbucket are calendar months all the same."""
    first, second = org.organizations
    assert cycle_of(first, NOW)[0] == datetime(2026, 11, 1, tzinfo=UTC)
    assert cycle_of(second, NOW) == (
        datetime(2026, 11, 15, tzinfo=UTC),
        datetime(2026, 12, 15, tzinfo=UTC),
    )
    assert cycle_of(second, NOW.replace(day=3))[0] == datetime(2026, 10, 15, tzinfo=UTC)
    monthly = [
        (reading.scope_type, reading.period_start.day)
        for reading in PlatformUsage(org).readings(org.history_start, NOW)
        if reading.org_id == second.id and reading.granularity == "month"
    ]
    assert set(monthly) == {("user", 15), ("org", 15), ("workspace", 1)}


# -- exports ------------------------------------------------------------------------------------


def rows_of(path: Path) -> list[Json]:
    """The rows of an export, as its format gives them."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    header, *rows = openpyxl.load_workbook(path).active.iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


@pytest.mark.parametrize("fmt", ["csv", pytest.param("xlsx", marks=pytest.mark.slow)])
def test_an_export_has_every_reading_to_the_last_digit(
    org: AtlassianOrg, tmp_path: Path, fmt: Format
) -> None:
    """A file per organization and year of export, with the columns of the contract."""
    paths = write(org, tmp_path, fmt)
    assert [path.parent for path in paths] == [
        tmp_path / organization.id / "2026" for organization in org.organizations
    ]
    rows = [row for path in paths for row in rows_of(path)]
    assert tuple(rows[0]) == COLUMNS
    readings = PlatformUsage(org).readings(org.history_start, NOW)
    assert [Decimal(str(row["quantity"])) for row in rows] == [r.quantity for r in readings]
    assert [row["usage_type"] for row in rows] == [r.usage_type for r in readings]
    assert {row["exported_at"] for row in rows} == {"2026-11-21T08:20:00Z"}


def test_an_export_can_be_of_some_types_and_days(org: AtlassianOrg, tmp_path: Path) -> None:
    """Under a name of its own."""
    (path, _) = write(
        org,
        tmp_path,
        usage_types=[UNKNOWN_TYPE],
        since=datetime(2026, 10, 1, tzinfo=UTC),
        until=datetime(2026, 11, 1, tzinfo=UTC),
        exported_at=datetime(2025, 1, 1, tzinfo=UTC),
        file_name="calls.csv",
    )
    assert path == tmp_path / org.organizations[0].id / "2025" / "calls.csv"
    (row,) = rows_of(path)
    assert (row["usage_type"], row["unit"]) == (UNKNOWN_TYPE, "calls")
    assert (row["period_start"], row["is_final"]) == ("2026-10-01T00:00:00Z", "true")


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_are_written(tmp_path: Path, kind: str) -> None:
    """One bad file per kind."""
    path = write_broken(tmp_path / "deep", kind)
    assert path.is_file()
    assert path.stem == kind


def test_the_settings_point_to_bitbucket(
    asked: tuple[Sandbox, httpx.Client], tmp_path: Path
) -> None:
    """And to a folder of exports where there is one; to nothing where there is no workspace."""
    settings = asked[0].environment
    assert settings["BITBUCKET_BASE_URL"] == asked[0].origin + BASE_PATH
    assert settings["BITBUCKET_TOKEN"] == TOKEN
    assert settings["BITBUCKET_WORKSPACES"] == "team-1,team-2"
    assert settings["BITBUCKET_REQUESTS_PER_HOUR"] == "36000"
    assert "PLATFORM_USAGE_DIR" not in settings
    company = Company(projects=1, now=NOW, apps=0, workspaces=0)
    with serve(company, platform_usage_dir=tmp_path) as sandbox:
        assert sandbox.environment["PLATFORM_USAGE_DIR"] == str(tmp_path)
        assert not any(name.startswith("BITBUCKET") for name in sandbox.environment)
