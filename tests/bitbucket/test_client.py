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

from pipelines.bitbucket import REPOSITORIES, RUNS, Settings
from pipelines.bitbucket.client import AT_ONCE, Bitbucket
from pipelines.bitbucket.records import TABLES, Page, Run, runs_table
from pipelines.decode import decode
from pipelines.http import TRIES, VendorError
from pipelines.source import Note, PartialAnswerError, RefusedError
from tests.clients import client_of
from tests.sandbox.atlassian_org import AtlassianOrg, SecondsByDay
from tests.sandbox.bitbucket import BASE_PATH, EMAIL, TOKEN, ForeignNext
from tests.sandbox.bitbucket_records import SECRET
from tests.sandbox.company import Company
from tests.sandbox.desk import Fault, FaultKind, Request
from tests.sandbox.server import Sandbox, serve
from tests.test_http import answering

NOW = datetime(2026, 11, 21, 8, 20, tzinfo=UTC)
TODAY = NOW.replace(hour=0, minute=0)
PIPELINES = "/repositories"
Rows = list[dict[str, Any]]


@dataclass
class Here:
    """A Bitbucket that is up, and a client of it that backs off for milliseconds."""

    sandbox: Sandbox
    client: Bitbucket
    is_listed: bool = False

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
        uuids = self.client.repository_uuids()
        found = [row for uuid in uuids for row in rows(self.client.runs(uuid, since, NOW))]
        return [row for row in found if row["created_at"] < until]

    def list_repositories(self) -> None:
        """What has to be asked before runs are; not counted."""
        if not self.is_listed:
            self.client.repository_uuids()
            self.sandbox.bitbucket.requests.clear()
            self.client.requests_sent = 0
        self.is_listed = True

    def goes_wrong(self, *faults: Fault) -> None:
        """With lists of runs, from now on."""
        self.list_repositories()
        self.sandbox.bitbucket.faults += faults

    def busy_runs(self, since: datetime, until: datetime = NOW) -> Rows:
        """Those of one repository."""
        self.list_repositories()
        found = rows(self.client.runs(self.busy, since, NOW))
        return [row for row in found if row["created_at"] < until]


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
            client = client_of(
                Bitbucket,
                Settings,
                tmp_path,
                token=token,
                workspaces=workspaces,
                base_url=base_url,
                requests_per_hour=36_000,
            )
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
        pytest.param({"page_size_cap": 1}, marks=pytest.mark.slow),
        {"page_size_cap": 7, "arrivals": 3},
        pytest.param({"page_size_cap": 7, "next_of_pipelines": False}, marks=pytest.mark.slow),
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
    here.list_repositories()
    oldest = here.org.runs(here.busy)[-2:]
    wanted = [*(run.uuid for run in oldest), "{gone}"]
    found = rows(here.client.runs_again(here.busy, wanted))
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
    here.list_repositories()
    repositories = here.org.live_repositories(here.org.workspaces[0].uuid)
    needed = 0
    for repository in repositories:
        rows(here.client.runs(repository.uuid, since, NOW))
        runs = here.org.runs(repository.uuid)
        reached = [place for place, run in enumerate(runs) if run.created_at < since]
        needed += (reached[0] if reached else max(0, len(runs) - 1)) // 10 + 1
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


def test_workspaces_are_listed_once_a_run(bitbucket: Open) -> None:
    """By whichever endpoint is asked first: names of workspaces, of repositories, or runs."""
    here = bitbucket()
    first, second = (workspace.uuid for workspace in here.org.workspaces)
    rows(here.client.workspaces())
    for scope in here.client.scopes(REPOSITORIES):
        rows(here.client.repositories(scope))
    assert here.client.scopes(RUNS)
    assert [request.path for request in here.asked()] == [
        "/user/workspaces",
        f"/workspaces/{first}",
        f"/workspaces/{second}",
        f"/repositories/{first}",
        f"/repositories/{second}",
    ]


def test_that_a_token_sees_no_workspace_is_refused(bitbucket: Open) -> None:
    """Those that it saw before would have ended."""
    here = bitbucket()
    here.org.workspaces = ()
    with pytest.raises(VendorError, match="workspaces of this token: it sees none"):
        here.client.workspace_uuids()


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


@pytest.mark.parametrize("status", [403, 404])
def test_a_repository_that_is_listed_and_does_not_answer_is_refused_by_name(
    bitbucket: Open, status: int
) -> None:
    """It alone, in a bad moment or for good: the same again, and the runs are there."""
    here, since = bitbucket(), TODAY - timedelta(days=9)
    busy, *others = here.org.live_repositories(here.org.workspaces[0].uuid)
    here.list_repositories()
    assert rows(here.client.runs(others[0].uuid, since, NOW))
    here.goes_wrong(Fault(f"{PIPELINES}/{here.org.workspaces[0].uuid}/{busy.uuid}", status))
    with pytest.raises(RefusedError, match=f"{busy.full_name}.*HTTP {status}") as refused:
        here.busy_runs(since)
    assert refused.value.scope == busy.uuid
    assert here.busy_runs(since)


def test_a_token_that_may_read_none_is_not_tried_on_all(bitbucket: Open) -> None:
    """Once all of the first ones were a 403; and a run that is refused alone is left out."""
    here = bitbucket()
    here.goes_wrong(Fault(PIPELINES, 403))
    assert rows(here.client.runs_again(here.busy, ["{run}"])) == []
    here.asked()
    here.goes_wrong(Fault(PIPELINES, 403, count=99))
    for _ in range(AT_ONCE + 3):
        with pytest.raises(VendorError, match="HTTP 403"):
            here.busy_runs(TODAY)
    assert len(here.asked()) == AT_ONCE


def test_a_workspace_that_cannot_be_listed_is_refused_alone(bitbucket: Open) -> None:
    """The repositories of the others are known, and it is told when its own are asked for."""
    here = bitbucket(workspaces=("nobody", "team-2"))
    uuids = {r.uuid for r in here.org.live_repositories(here.org.workspaces[1].uuid)}
    assert {*here.client.repository_uuids()} == {*uuids, "nobody"}
    asked = here.client.requests_sent
    with pytest.raises(VendorError, match=r"workspace nobody: HTTP 404.*no sign of zero usage"):
        rows(here.client.runs("nobody", TODAY, NOW))
    with pytest.raises(PartialAnswerError, match="workspace nobody: HTTP 404"):
        rows(here.client.workspaces())
    assert here.client.requests_sent == asked


def test_a_workspace_that_answers_as_another_is_refused(tmp_path: Path) -> None:
    """Names of one would be taken for those of the other."""
    asked: dict[str, Any] = {"token": TOKEN, "workspaces": ("{one}",)}
    with answering(200, "application/json", b'{"uuid": "{other}", "name": "another"}') as address:
        client = client_of(Bitbucket, Settings, tmp_path, base_url=address, **asked)
        with pytest.raises(PartialAnswerError, match=r"{one}: .* workspace {other}") as told:
            rows(client.workspaces())
        assert told.value.is_failure


def test_where_only_slugs_are_known_they_are_asked(bitbucket: Open) -> None:
    """The specification of this call names the slug, and what is in use is the uuid."""
    here, since = bitbucket(knows_uuids=False), TODAY - timedelta(days=9)
    expected = truth(here.org, since, NOW)
    assert seconds_by_day(here.everything(since, NOW)) == expected
    run = here.org.runs(here.busy)[-1].uuid
    (again,) = rows(here.client.runs_again(here.busy, [run]))
    assert again["run_uuid"] == run


def test_a_run_of_a_day_to_come_is_left_out_and_named(bitbucket: Open) -> None:
    """The others of its repository count."""
    here, since = bitbucket(), TODAY - timedelta(days=9)
    here.list_repositories()
    before = rows(here.client.runs(here.busy, since, NOW))
    told = [*here.client.runs(here.busy, since, NOW - timedelta(days=3))]
    notes = [page for page in told if isinstance(page, Note)]
    ahead = [row for row in before if row["created_at"] > NOW - timedelta(days=2)]
    assert len(notes) == len(ahead) > 0
    assert all("yet to come" in note and "team-1/" in note for note in notes)
    assert len(rows(iter(told))) == len(before) - len(ahead)


def test_a_run_from_before_there_were_any_is_left_out_and_named(tmp_path: Path) -> None:
    """It is not taken for one that is older than what is asked for, at which a walk would end."""
    listed = b'{"uuid": "{r}", "full_name": "team/r", "created_on": "0001-01-01T00:00:00+14:00"}'
    with answering(200, "application/json", b'{"values": [' + listed + b"]}") as address:
        asked: dict[str, Any] = {"token": TOKEN, "workspaces": ("{w}",)}
        client = client_of(Bitbucket, Settings, tmp_path, base_url=address, **asked)
        assert client.repository_uuids() == ["{r}"]
        told = [*client.runs("{r}", TODAY, NOW)]
    (note,) = [page for page in told if isinstance(page, Note)]
    assert "bitbucket run {r} of team/r is dated" in note
    assert "before there were any: it counts for nothing" in note
    assert rows(iter(told)) == []


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
    here.goes_wrong(fault)
    with pytest.raises(VendorError, match="not sent there") as refused:
        here.busy_runs(here.org.history_start)
    assert here.client.requests_sent == len(here.asked()) == 1
    assert TOKEN not in str(refused.value)


def test_the_token_is_not_sent_to_another_server(bitbucket: Open) -> None:
    """A second server is up and listens: nobody asks it anything."""
    here, other = bitbucket(), bitbucket()
    fault = ForeignNext(PIPELINES, origin=other.sandbox.origin)
    here.goes_wrong(fault)
    with pytest.raises(VendorError, match="not BITBUCKET_BASE_URL"):
        here.busy_runs(here.org.history_start)
    assert other.asked() == []


def test_a_walk_in_circles_is_refused(bitbucket: Open) -> None:
    """A page that names an earlier one as the next is no end of the list."""
    here = bitbucket()
    here.goes_wrong(Fault(PIPELINES, "repeat_page", count=99))
    with pytest.raises(VendorError, match="names an earlier page"):
        here.busy_runs(here.org.history_start)


@pytest.mark.parametrize("kind", [429, 500, 503, "drop", "cut"])
def test_what_passes_is_tried_again(bitbucket: Open, kind: FaultKind) -> None:
    """And then the answer is whole."""
    here, since = bitbucket(), TODAY - timedelta(days=9)
    here.goes_wrong(Fault(PIPELINES, kind, count=2))
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
    here = bitbucket()
    here.goes_wrong(Fault(PIPELINES, status, count=TRIES, message="no such luck"))
    with pytest.raises(VendorError) as refused:
        here.busy_runs(TODAY)
    text = str(refused.value)
    assert refused.value.status == status
    (name,) = [r.full_name for r in here.org.live_repositories(here.org.workspaces[0].uuid)][:1]
    assert all(part in text for part in (advice, name, "no such luck"))


@pytest.mark.parametrize("token", ["wrong", f"{EMAIL}:wrong"])
def test_a_wrong_token_is_refused_and_not_repeated(bitbucket: Open, token: str) -> None:
    """Neither as it is nor encoded."""
    with pytest.raises(VendorError, match="HTTP 401"):
        bitbucket(token=token).client.workspace_uuids()
    here = bitbucket(token=token)
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


@pytest.mark.parametrize(
    ("kind", "named"), [("html", "not the documented shape"), ("truncate", "breaks off after")]
)
def test_what_is_no_answer_is_refused_by_name(bitbucket: Open, kind: FaultKind, named: str) -> None:
    """A web page, and half of an answer whenever it is asked for."""
    here = bitbucket()
    here.goes_wrong(Fault(PIPELINES, kind, count=TRIES))
    with pytest.raises(VendorError, match=named) as refused:
        here.busy_runs(TODAY)
    (name,) = [r.full_name for r in here.org.live_repositories(here.org.workspaces[0].uuid)][:1]
    assert f"pipelines of repository {name}" in str(refused.value)


# -- shapes -------------------------------------------------------------------------------------


def page_of(used: str = "120", more: str = "", created_on: str = "2026-11-20T23:59:59Z") -> bytes:
    """A page with one run."""
    return (
        f'{{"values":[{{"uuid":"{{1}}","build_number":9007199254740993,"created_on":"{created_on}",'
        f'"state":{{"name":"COMPLETED"}},"build_seconds_used":{used}{more}}}]}}'
    ).encode()


def row_of(body: bytes) -> dict[str, Any]:
    """What its run becomes."""
    (row,) = runs_table("{w}", "{r}", decode(body, Page[Run]).values).to_pylist()
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
