"""Bitbucket's runs become rows as they are: exact seconds, nobody's name, no request too many."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from pipelines.bitbucket.client import AT_ONCE, Bitbucket
from pipelines.bitbucket.records import TABLES, RunsPage, runs_table
from pipelines.decode import decode
from pipelines.http import TRIES, VendorError
from pipelines.source import Note, PartialAnswerError
from tests.sandbox.atlassian_org import AtlassianOrg, SecondsByDay
from tests.sandbox.bitbucket import BASE_PATH, EMAIL, TOKEN, ForeignNext
from tests.sandbox.bitbucket_records import SECRET
from tests.sandbox.company import Company
from tests.sandbox.desk import Fault, FaultKind, Request
from tests.sandbox.server import Sandbox, serve

NOW = datetime(2026, 11, 21, 8, 20, tzinfo=UTC)
TODAY = NOW.replace(hour=0, minute=0)
PIPELINES = "/repositories"
Rows = list[dict[str, Any]]


@dataclass
class Here:
    """A Bitbucket that is up, and a client of it that backs off for milliseconds."""

    sandbox: Sandbox
    client: Bitbucket

    @property
    def org(self) -> AtlassianOrg:
        """What it serves."""
        return self.sandbox.company.atlassian

    @property
    def busy(self) -> str:
        """A repository of the first workspace with runs of every kind, running ones included."""
        return self.org.live_repositories(self.org.workspaces[0].uuid)[0].uuid

    def asked(self) -> list[Request]:
        """What was asked since this was last called."""
        found = [*self.sandbox.bitbucket.requests]
        self.sandbox.bitbucket.requests.clear()
        return found

    def everything(self, since: datetime, until: datetime) -> Rows:
        """The runs of every workspace."""
        return [row for w in self.client.workspace_uuids() for row in self.runs(w, since, until)]

    def runs(self, workspace: str, since: datetime, until: datetime) -> Rows:
        """The runs of every repository that a workspace has."""
        listed = rows(self.client.repositories(workspace))
        uuids = [row["repository_uuid"] for row in listed]
        return rows(self.client.runs(workspace, dict.fromkeys(uuids), since, until))

    def busy_runs(self, since: datetime, until: datetime = NOW) -> Rows:
        """Those of one repository."""
        workspace = self.org.workspaces[0].uuid
        return rows(self.client.runs(workspace, {self.busy: None}, since, until))


Open = Callable[..., Here]


@pytest.fixture
def bitbucket(tmp_path: Path) -> Iterator[Open]:
    """Opens a Bitbucket, with options of its own, and a client: `bitbucket(page_size_cap=1)`."""
    with ExitStack() as stack:

        def opened(token: str = TOKEN, workspaces: tuple[str, ...] = (), **options: Any) -> Here:
            company = Company(projects=1, now=NOW, apps=0)
            options = {f"bitbucket_{name}": value for name, value in options.items()}
            sandbox = stack.enter_context(serve(company, **options))
            base_url = sandbox.origin + BASE_PATH
            client = Bitbucket(token, workspaces, base_url, 36_000, tmp_path, 0.001)
            stack.callback(client.close)
            return Here(sandbox, client)

        yield opened


def rows(tables: Iterator[pa.Table | Note]) -> Rows:
    """All rows of all pages; of a run that came twice, the later one."""
    found: Rows = []
    for table in tables:
        if isinstance(table, Note):
            continue
        assert table.schema in TABLES.values()
        found += table.to_pylist()
    return list({row.get("run_uuid", place): row for place, row in enumerate(found)}.values())


def seconds_by_day(found: Rows) -> SecondsByDay:
    """Build seconds by workspace, repository and day; only of runs that say any."""
    totals: dict[tuple[str, str, date], int] = defaultdict(int)
    for row in found:
        if row["build_seconds_used"] is not None:
            day = row["bucket_start"].date()
            totals[row["workspace_uuid"], row["repository_uuid"], day] += row["build_seconds_used"]
    return dict(totals)


def truth(org: AtlassianOrg, since: datetime, until: datetime) -> SecondsByDay:
    """Build seconds of the repositories that are still there."""
    found = org.seconds_by_repository_day(since, until)
    return {key: seconds for key, seconds in found.items() if org.is_live(key[1])}


# -- usage --------------------------------------------------------------------------------------


def test_seconds_are_bitbuckets_to_the_last_one(bitbucket: Open) -> None:
    """For every workspace, repository and day of the whole history."""
    here = bitbucket()
    since = here.org.history_start
    assert seconds_by_day(here.everything(since, NOW)) == truth(here.org, since, NOW)


@pytest.mark.parametrize(
    "options",
    [
        {"page_size_cap": 1},
        {"page_size_cap": 7, "arrivals": 3},
        {"page_size_cap": 7, "next_of_pipelines": False},
        {"page_size_cap": 7, "next_of_pipelines": False, "arrivals": 3},
    ],
    ids=str,
)
def test_seconds_are_the_same_however_pages_fall(bitbucket: Open, options: dict[str, Any]) -> None:
    """Pages of one run, pages that shift while they are read, pages that name no next one."""
    here, since = bitbucket(**options), TODAY - timedelta(days=9)
    expected = truth(here.org, since, NOW)
    assert seconds_by_day(here.everything(since, NOW)) == expected


def test_a_window_is_half_open(bitbucket: Open) -> None:
    """A run created at its very start is in it, one created at its end is not."""
    here = bitbucket()
    created = {run.created_at for run in here.org.runs(here.busy)}
    at_midnight = max(c for c in created if c.time() == c.min.time() and c < TODAY)
    day = timedelta(days=1)
    before = {row["created_at"] for row in here.busy_runs(at_midnight - day, at_midnight)}
    after = {row["created_at"] for row in here.busy_runs(at_midnight, at_midnight + day)}
    assert before == {c for c in created if at_midnight - day <= c < at_midnight}
    assert after == {c for c in created if at_midnight <= c < at_midnight + day}
    assert at_midnight in after


def test_runs_of_the_same_instant_are_not_parted(bitbucket: Open) -> None:
    """Where that is the window's start, the walk goes on to the page with an older one."""
    here = bitbucket(page_size_cap=1)
    started = {here.org.start_run(here.busy).uuid for _ in range(3)}
    found = here.busy_runs(NOW, NOW + timedelta(seconds=1))
    assert {row["run_uuid"] for row in found} == started
    assert len(here.asked()) == 4


def test_a_run_is_a_row(bitbucket: Open) -> None:
    """With what is known of it; null where nothing is said of its seconds."""
    here = bitbucket()
    found = {row["run_uuid"]: row for row in here.busy_runs(here.org.history_start)}
    for run in here.org.runs(here.busy):
        row = found[run.uuid]
        assert row["build_number"] == run.build_number
        assert row["created_at"] == run.created_at
        assert row["completed_at"] == run.ended_at(NOW)
        assert row["build_seconds_used"] == run.seconds(NOW)
        assert row["trigger"] == run.trigger.upper()
        assert row["target_ref"] == run.branch
        is_completed = run.state(NOW) == "COMPLETED"
        assert row["result"] == (run.result if is_completed else None)
    assert {row["state"] for row in found.values()} == {"PENDING", "IN_PROGRESS", "COMPLETED"}
    assert any('"run.duration_in_seconds":' in row["extra"] for row in found.values())


def test_nobody_is_named(bitbucket: Open) -> None:
    """Not in a run, not in a repository, and no variable of a run either."""
    here = bitbucket()
    found = here.everything(here.org.history_start, NOW)
    found += rows(here.client.workspaces())
    found += rows(here.client.repositories(here.org.workspaces[0].slug))
    everything = str(found)
    assert "duration_in_seconds" in everything
    for word in ("Person", "712020:", "example.com", "avatars", SECRET):
        assert word not in everything


def test_runs_can_be_asked_for_by_themselves(bitbucket: Open) -> None:
    """A request each, whatever their day; one that is gone is left out."""
    here = bitbucket()
    workspace, oldest = here.org.workspaces[0].uuid, here.org.runs(here.busy)[-2:]
    wanted = {here.busy: [*(run.uuid for run in oldest), "{gone}"]}
    found = rows(here.client.runs_again(workspace, wanted))
    assert {row["run_uuid"] for row in found} == {run.uuid for run in oldest}
    assert len(here.asked()) == 3


def test_a_run_that_is_run_again_has_used_more(bitbucket: Open) -> None:
    """What comes from reading the same days again is the truth of then."""
    here, since = bitbucket(), TODAY - timedelta(days=9)
    before = seconds_by_day(here.busy_runs(since))
    here.sandbox.company.now = NOW + timedelta(days=3)
    after = seconds_by_day(here.busy_runs(since))
    assert after != before
    expected = here.org.seconds_by_repository_day(since, NOW)
    assert after == {key: used for key, used in expected.items() if key[1] == here.busy}


# -- requests -----------------------------------------------------------------------------------


def test_no_request_is_sent_in_vain(bitbucket: Open) -> None:
    """A list per repository, up to the page that reaches the window's start; names for nothing."""
    here, since = bitbucket(page_size_cap=10), TODAY - timedelta(days=5)
    workspace = here.org.workspaces[0]
    repositories = here.org.live_repositories(workspace.uuid)
    uuids = [repository.uuid for repository in repositories]
    needed = 0
    for repository in repositories:
        runs = here.org.runs(repository.uuid)
        reached = [place for place, run in enumerate(runs) if run.created_at < since]
        needed += (reached[0] if reached else max(0, len(runs) - 1)) // 10 + 1
    rows(here.client.runs(workspace.uuid, dict.fromkeys(uuids), since, NOW))
    assert len(here.asked()) == needed
    assert here.client.requests_sent == needed


def test_one_page_is_enough_for_a_day(bitbucket: Open) -> None:
    """A hundred runs, newest first: what is asked is the same every time."""
    here = bitbucket()
    here.busy_runs(TODAY)
    (request,) = here.asked()
    assert request.query == {"sort": ["-created_on"], "pagelen": ["100"]}


def test_the_next_address_is_followed_with_everything_in_it(bitbucket: Open) -> None:
    """Its undocumented parameter as it came, and the order that it forgets put back."""
    here = bitbucket()
    here.busy_runs(here.org.history_start)
    asked = here.asked()
    assert len(asked) > 3
    assert all(request.status == 200 for request in asked)
    assert all(request.query["sort"] == ["-created_on"] for request in asked)
    assert all("+/==" in request.query["ctx"][0] for request in asked[1:])


@pytest.mark.parametrize(("minus", "cap"), [("ignored", 10), ("ignored", 100), ("refused", 100)])
def test_runs_that_come_oldest_first_are_read_to_the_end(
    bitbucket: Open, minus: str, cap: int
) -> None:
    """The specification knows no minus before a sort; the first page is not the last one then."""
    here, since = bitbucket(minus=minus, page_size_cap=cap), TODAY - timedelta(days=2)
    expected = here.org.seconds_by_repository_day(since, NOW)
    assert seconds_by_day(here.busy_runs(since)) == {
        key: used for key, used in expected.items() if key[1] == here.busy
    }


# -- names --------------------------------------------------------------------------------------


def test_all_workspaces_that_the_token_sees_are_asked(bitbucket: Open) -> None:
    """Where none are configured; each once, for its name."""
    here = bitbucket()
    found = rows(here.client.workspaces())
    assert [(row["workspace_uuid"], row["slug"], row["name"]) for row in found] == [
        (workspace.uuid, workspace.slug, workspace.name) for workspace in here.org.workspaces
    ]
    assert found[0]["created_at"] == here.org.workspaces[0].created_at
    assert len(here.asked()) == 1 + len(here.org.workspaces)


def test_configured_workspaces_are_asked_by_slug_or_uuid(bitbucket: Open) -> None:
    """A uuid needs no request; a slug one, however often it is used."""
    here = bitbucket(workspaces=("team-2", "team-2"))
    (workspace,) = here.client.workspace_uuids()
    assert workspace == here.org.workspaces[1].uuid
    rows(here.client.workspaces())
    rows(here.client.repositories("team-2"))
    assert [request.path for request in here.asked()] == [
        "/workspaces/team-2",
        f"/repositories/{workspace}",
    ]


@pytest.mark.parametrize("cap", [1, 100])
def test_every_repository_is_listed_once(bitbucket: Open, cap: int) -> None:
    """Whatever the size of the pages; the size is git's, in bytes."""
    here = bitbucket(page_size_cap=cap)
    workspace = here.org.workspaces[0]
    found = rows(here.client.repositories(workspace.uuid))
    live = here.org.live_repositories(workspace.uuid)
    assert [(r["repository_uuid"], r["full_name"], r["size_bytes"]) for r in found] == [
        (repository.uuid, repository.full_name, repository.size_bytes) for repository in live
    ]
    assert {row["workspace_uuid"] for row in found} == {workspace.uuid}


# -- what goes wrong ----------------------------------------------------------------------------


def test_a_deleted_repository_is_left_out(bitbucket: Open) -> None:
    """The others answer; it is told which one did not."""
    here, since = bitbucket(), TODAY - timedelta(days=9)
    workspace = here.org.workspaces[0]
    uuids = [repository.uuid for repository in here.org.live_repositories(workspace.uuid)]
    here.org.delete_repository(here.busy)
    found = rows(here.client.runs(workspace.uuid, dict.fromkeys(uuids), since, NOW))
    assert {*here.client.unanswered} == {uuids[0]}
    expected = truth(here.org, since, NOW)
    assert seconds_by_day(found) == {k: v for k, v in expected.items() if k[0] == workspace.uuid}


def test_a_repository_that_the_token_may_not_read_is_left_out(bitbucket: Open) -> None:
    """403 of one: the others answer, and the answer is partial. Of all of the first ones: the token
    is to blame, and no more are asked."""
    here, since = bitbucket(), TODAY - timedelta(days=9)
    workspace = here.org.workspaces[0]
    uuids = [repository.uuid for repository in here.org.live_repositories(workspace.uuid)]
    path = f"{PIPELINES}/{workspace.uuid}/{here.busy}"
    here.sandbox.bitbucket.faults.append(Fault(path, 403))
    found: list[pa.Table] = []
    with pytest.raises(PartialAnswerError, match="1 of 4 repositories did not answer"):
        found.extend(here.client.runs(workspace.uuid, dict.fromkeys(uuids), since, NOW))
    assert {uuid: e.status for uuid, e in here.client.unanswered.items()} == {here.busy: 403}
    expected = truth(here.org, since, NOW)
    assert seconds_by_day(rows(iter(found))) == {
        key: used
        for key, used in expected.items()
        if key[0] == workspace.uuid and key[1] != here.busy
    }
    here.sandbox.bitbucket.faults.append(Fault(path, 403))
    assert rows(here.client.runs_again(workspace.uuid, {here.busy: ["{run}"]})) == []
    here.asked()
    here.sandbox.bitbucket.faults.append(Fault(PIPELINES, 403, count=99))
    unknown = dict.fromkeys(f"{{{n}}}" for n in range(20))
    with pytest.raises(VendorError, match="HTTP 403"):
        rows(here.client.runs(workspace.uuid, unknown, since, NOW))
    assert len(here.asked()) == AT_ONCE


def test_where_only_slugs_are_known_they_are_asked(bitbucket: Open) -> None:
    """The specification of this call names the slug, and what is in use is the uuid."""
    here, since = bitbucket(knows_uuids=False), TODAY - timedelta(days=9)
    expected = truth(here.org, since, NOW)
    assert seconds_by_day(here.everything(since, NOW)) == expected
    run = here.org.runs(here.busy)[-1].uuid
    (again,) = rows(here.client.runs_again(here.org.workspaces[0].uuid, {here.busy: [run]}))
    assert again["run_uuid"] == run


def test_where_no_repository_answers_the_answer_is_partial(bitbucket: Open) -> None:
    """For a token that lost a workspace looks the same: 404 is never zero."""
    here = bitbucket()
    busy = here.busy
    here.org.delete_repository(busy)
    with pytest.raises(PartialAnswerError, match="1 of 1 repositories did not answer"):
        rows(here.client.runs(here.org.workspaces[0].uuid, {busy: None}, TODAY, NOW))


def test_a_repository_deleted_between_two_pages_keeps_the_first(bitbucket: Open) -> None:
    """Its runs were there."""
    here = bitbucket(page_size_cap=10)
    workspace, found = here.org.workspaces[0].uuid, []
    slug = here.org.live_repositories(workspace)[0].slug
    here.sandbox.bitbucket.faults += [
        Fault(f"{PIPELINES}/{workspace}/{here.busy}", 404, skip=1, count=99),
        Fault(f"{PIPELINES}/{workspace}/{slug}", 404, count=99),
    ]

    def walk() -> None:
        for page in here.client.runs(workspace, {here.busy: None}, here.org.history_start, NOW):
            if not isinstance(page, Note):
                found.extend(page.to_pylist())

    with pytest.raises(PartialAnswerError):
        walk()
    assert len(found) == 10


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:9",
        "https://api.bitbucket.org",
        "http://other:secret@{host}",
        "https://{host}",
        "//evil.example",
        "http://[",
    ],
)
def test_a_next_page_elsewhere_is_refused(bitbucket: Open, origin: str) -> None:
    """Another host, port, scheme or user: the token is not sent there."""
    here = bitbucket()
    host = here.sandbox.origin.removeprefix("http://")
    fault = ForeignNext(PIPELINES, origin=origin.replace("{host}", host))
    here.sandbox.bitbucket.faults.append(fault)
    with pytest.raises(VendorError, match="not sent there") as refused:
        here.busy_runs(here.org.history_start)
    assert here.client.requests_sent == len(here.asked()) == 1
    assert TOKEN not in str(refused.value)


def test_the_token_is_not_sent_to_another_server(bitbucket: Open) -> None:
    """A second server is up and listens: nobody asks it anything."""
    here, other = bitbucket(), bitbucket()
    fault = ForeignNext(PIPELINES, origin=other.sandbox.origin)
    here.sandbox.bitbucket.faults.append(fault)
    with pytest.raises(VendorError, match="not BITBUCKET_BASE_URL"):
        here.busy_runs(here.org.history_start)
    assert other.asked() == []


def test_a_walk_in_circles_is_refused(bitbucket: Open) -> None:
    """A page that names an earlier one as the next is no end of the list."""
    here = bitbucket(faults=[Fault(PIPELINES, "repeat_page", count=99)])
    with pytest.raises(VendorError, match="names an earlier page"):
        here.busy_runs(here.org.history_start)


@pytest.mark.parametrize("kind", [429, 500, 503, "drop", "cut"])
def test_what_passes_is_tried_again(bitbucket: Open, kind: FaultKind) -> None:
    """And then the answer is whole."""
    here, since = bitbucket(), TODAY - timedelta(days=9)
    here.sandbox.bitbucket.faults.append(Fault(PIPELINES, kind, count=2))
    found = here.busy_runs(since)
    expected = truth(here.org, since, NOW)
    assert seconds_by_day(found) == {k: v for k, v in expected.items() if k[1] == here.busy}
    assert len(here.asked()) == 3
    assert here.client.rate_limited == (2 if kind == 429 else 0)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "BITBUCKET_TOKEN"),
        (403, "read:pipeline:bitbucket"),
        (410, "took this call away"),
        (429, "BITBUCKET_REQUESTS_PER_HOUR"),
        (500, "bitbucket.status.atlassian.com"),
    ],
)
def test_a_refusal_says_what_to_do(bitbucket: Open, status: int, advice: str) -> None:
    """And what it was about, in Bitbucket's own words too."""
    here = bitbucket(faults=[Fault(PIPELINES, status, count=TRIES, message="no such luck")])
    with pytest.raises(VendorError) as refused:
        here.busy_runs(TODAY)
    text = str(refused.value)
    assert refused.value.status == status
    assert all(part in text for part in (advice, here.busy, "no such luck"))


def test_an_unknown_workspace_is_named(bitbucket: Open) -> None:
    """404, and no sign of zero usage."""
    here = bitbucket(workspaces=("nobody",))
    with pytest.raises(VendorError, match=r"workspace nobody: HTTP 404.*no sign of zero usage"):
        here.client.workspace_uuids()


@pytest.mark.parametrize("token", ["wrong", f"{EMAIL}:wrong"])
def test_a_wrong_token_is_refused_and_not_repeated(bitbucket: Open, token: str) -> None:
    """Neither as it is nor encoded."""
    here = bitbucket(token=token)
    with pytest.raises(VendorError, match="HTTP 401"):
        here.client.workspace_uuids()
    here.sandbox.bitbucket.faults.append(
        Fault("/user", 403, message=f"{token} may not", headers={})
    )
    with pytest.raises(VendorError, match="may not") as refused:
        here.client.workspace_uuids()
    assert "wrong" not in str(refused.value)


def test_an_api_token_goes_with_its_email(bitbucket: Open) -> None:
    """As Basic authentication; an access token is a bearer's."""
    here = bitbucket(token=f"{EMAIL}:{TOKEN}")
    assert len(here.client.workspace_uuids()) == 2


@pytest.mark.parametrize("kind", ["html", "truncate"])
def test_what_is_no_answer_is_refused_by_name(bitbucket: Open, kind: FaultKind) -> None:
    """A web page, and half of an answer."""
    here = bitbucket(faults=[Fault(PIPELINES, kind)])
    with pytest.raises(VendorError, match="not the documented shape") as refused:
        here.busy_runs(TODAY)
    assert f"pipelines of repository {here.busy}" in str(refused.value)


# -- shapes -------------------------------------------------------------------------------------


def page_of(used: str = "120", more: str = "", created_on: str = "2026-11-20T23:59:59Z") -> bytes:
    """A page with one run."""
    return (
        f'{{"values":[{{"uuid":"{{1}}","build_number":9007199254740993,"created_on":"{created_on}",'
        f'"state":{{"name":"COMPLETED"}},"build_seconds_used":{used}{more}}}]}}'
    ).encode()


def row_of(body: bytes) -> dict[str, Any]:
    """What its run becomes."""
    (row,) = runs_table("{w}", "{r}", decode(body, RunsPage).values).to_pylist()
    found: dict[str, Any] = row
    return found


@pytest.mark.parametrize("more", ["", ',"note":"undocumented"'])
def test_large_integers_survive(more: str) -> None:
    """Those over 2**53, whether or not the answer has undocumented fields."""
    row = row_of(page_of("9007199254740995", more))
    assert row["build_seconds_used"] == 9007199254740995
    assert row["build_number"] == 9007199254740993


def test_a_day_is_utcs() -> None:
    """Whatever zone the instant is written in."""
    row = row_of(page_of(created_on="2026-11-20T23:59:59.123456499-01:00"))
    assert row["created_at"] == datetime(2026, 11, 21, 0, 59, 59, 123456, tzinfo=UTC)
    assert row["bucket_start"] == datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize("used", ['"120"', "1.5", "-1", "9223372036854775808", "true"])
def test_seconds_that_are_none_are_refused(used: str) -> None:
    """With the place where they stand."""
    with pytest.raises(msgspec.ValidationError, match="build_seconds_used"):
        row_of(page_of(used))


def test_a_state_nobody_knows_is_kept() -> None:
    """And a stage, a result without a name, a target that is only a commit."""
    more = (
        ',"state":{"name":"IN_PROGRESS","stage":{"name":"HALTED"}},'
        '"trigger":{"type":"pipeline_trigger_manual"},"target":{"commit":{"hash":"abc"}}'
    )
    row = row_of(page_of("null", more))
    assert (row["state"], row["trigger"], row["target_ref"]) == ("IN_PROGRESS", "MANUAL", "abc")
    assert row["build_seconds_used"] is None
    assert row["extra"] == '{"state.stage":{"name":"HALTED"}}'


def test_a_state_may_be_told_by_its_type_alone() -> None:
    """Nothing else of a state is required by the specification, nor a state of a run."""
    completed = (
        '{"type":"pipeline_state_completed","result":{"type":"pipeline_state_completed_failed"}}'
    )
    for state, told in (
        (completed, ("COMPLETED", "FAILED")),
        ('{"type":"pipeline_state_in_progress"}', ("IN_PROGRESS", None)),
        ("null", (None, None)),
    ):
        row = row_of(page_of(more=f',"state":{state}'))
        assert (row["state"], row["result"]) == told


def test_people_are_left_out_wherever_they_are() -> None:
    """Under a name nobody foresaw too, if it is an account."""
    more = (
        ',"approved_by":{"type":"user","display_name":"A"},"reviewers":[{"type":"app_user"},'
        '{"type":"bot","nickname":"B","id":3}],"labels":{"team":{"creator":"C","size":2}}'
    )
    assert row_of(page_of(more=more))["extra"] == (
        '{"run.reviewers":[{"type":"bot","id":3}],"run.labels":{"team":{"size":2}}}'
    )
