"""Bitbucket's calls, and how each is asked: per workspace, newest runs first.

Runs are merged by their uuid, not replaced by window: a repository that is deleted vanishes from
the API, and what it used does not.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from assets.settings import Settings
from assets.vendors import Call, Vendors, land_pieces, open_warehouse, snapshot
from pipelines import bitbucket
from pipelines.bitbucket_shapes import TABLES
from pipelines.http import VendorError
from pipelines.load import Ask, Connection, Landing, Piece, create_raw_tables
from pipelines.windows import RUN, Window, floor, next_bucket

WORKSPACES = Call(
    "bitbucket",
    "bitbucket_workspaces",
    "GET /workspaces/{workspace}",
    "The workspaces that the token sees, or those of BITBUCKET_WORKSPACES. A snapshot per load.",
    TABLES["bitbucket_workspaces"],
)
REPOSITORIES = Call(
    "bitbucket",
    "bitbucket_repositories",
    "GET /repositories/{workspace}",
    "Names of live repositories. Deleted ones are not listed, and have used. A snapshot per load.",
    TABLES["bitbucket_repositories"],
)
RUNS = Call(
    "bitbucket",
    "bitbucket_pipeline_runs",
    "GET /repositories/{workspace}/{repo}/pipelines",
    "Pipeline runs with the build seconds that each used, by the UTC day on which it was created. "
    "A lower bound of the minutes that Atlassian bills: deleted repositories are missing, and the "
    "exported minutes are the fact of record where there are some.",
    TABLES["bitbucket_pipeline_runs"],
    ("daily",),
    needs=("bitbucket_repositories",),
)
CALLS = (WORKSPACES, REPOSITORIES, RUNS)
# a run may wait for a person for weeks; beyond this it is taken for forgotten
UNFINISHED_FOR = timedelta(days=30)
# repositories that a note names
NAMED = 5


def missing(settings: Settings) -> str | None:
    """Why Bitbucket is skipped, or None when it can be asked."""
    return None if settings.bitbucket_token else "BITBUCKET_TOKEN is not set"


def make_client(settings: Settings) -> bitbucket.Bitbucket:
    """The client of the configured token."""
    return bitbucket.Bitbucket(
        settings.bitbucket_token or "",
        settings.bitbucket_workspaces,
        settings.bitbucket_base_url,
        settings.bitbucket_requests_per_hour,
        settings.state_dir,
    )


def land(
    vendors: Vendors,
    call: Call,
    window: Window | None,
    shown: Callable[[int], Callable[[Piece], None]],
) -> Landing:
    """Ask for one window (None: a snapshot), and say which repositories had no answer."""
    todo = pieces(vendors, call, window)
    landing = land_pieces(vendors.settings, call, todo, shown(len(todo)))
    unanswered = vendors.client(bitbucket.Bitbucket, make_client).unanswered
    if call == RUNS and unanswered:
        landing.notes.append(_without_answer(vendors.settings, unanswered))
    if not todo:
        landing.notes.append("nothing to ask: this token sees no workspace")
    return landing


def _without_answer(settings: Settings, unanswered: Mapping[str, VendorError]) -> str:
    with open_warehouse(settings) as connection:
        names = dict(
            connection.execute(
                "select repository_uuid, max(full_name) from raw.bitbucket_repositories group by 1"
            ).fetchall()
        )
    shown = ", ".join(
        f"{names.get(uuid) or uuid} ({error.status})"
        for uuid, error in sorted(unanswered.items())[:NAMED]
    )
    more = f" and {len(unanswered) - NAMED} more" if len(unanswered) > NAMED else ""
    return (
        f"{len(unanswered)} repositories did not answer, and none of their runs loaded: "
        f"{shown}{more}. 403: the token may not read their pipelines; 404: deleted, or without "
        "Pipelines. What landed before stays."
    )


def pieces(vendors: Vendors, call: Call, window: Window | None) -> list[Piece]:
    """One piece per workspace; of runs, one more per older day that has unfinished ones.

    Where pages back to the oldest of these are fewer than the runs, the window is wider instead.
    """
    client = vendors.client(bitbucket.Bitbucket, make_client)
    if call == WORKSPACES:
        return [Piece("all", None, snapshot(client.workspaces))]
    workspaces = client.workspace_uuids()
    if call == REPOSITORIES or window is None:
        return [Piece(uuid, None, snapshot(client.repositories, uuid)) for uuid in workspaces]
    listed = _listed(vendors, workspaces)
    found: list[Piece] = []
    with open_warehouse(vendors.settings) as connection:
        for uuid in workspaces:
            older = _unfinished(connection, uuid, window, listed[uuid])
            count = sum(len(runs) for day in older.values() for runs in day.values())
            wider = replace(window, since=min(older, default=window.since))
            if older and count > _more_pages(connection, uuid, wider.since, window.since):
                window_of_runs, older = wider, {}
            else:
                window_of_runs = window
            found.append(Piece(uuid, window_of_runs, _asking_runs(client, uuid, listed[uuid])))
            found += [
                Piece(uuid, _day(day), _asking_again(client, uuid, runs))
                for day, runs in older.items()
            ]
    return found


def _asking_runs(client: bitbucket.Bitbucket, workspace: str, repositories: list[str]) -> Ask:
    return lambda window: client.runs(workspace, repositories, window.since, window.until)


def _asking_again(client: bitbucket.Bitbucket, workspace: str, runs: dict[str, list[str]]) -> Ask:
    return lambda _: client.runs_again(workspace, runs)


def _day(start: datetime) -> Window:
    """A day of which some runs are asked for: its receipt does not say that the day was asked."""
    return Window(RUN, start, next_bucket(start, RUN))


def _listed(vendors: Vendors, workspaces: list[str]) -> dict[str, list[str]]:
    """The repositories of each workspace by its latest listing; listed now where there is none."""
    with open_warehouse(vendors.settings) as connection:
        found = {uuid: _listed_repositories(connection, uuid) for uuid in workspaces}
    if any(uuids is None for uuids in found.values()):
        listing = land_pieces(vendors.settings, REPOSITORIES, pieces(vendors, REPOSITORIES, None))
        if listing.failures:
            raise listing.failures[0]
        with open_warehouse(vendors.settings) as connection:
            found = {uuid: _listed_repositories(connection, uuid) for uuid in workspaces}
    return {uuid: uuids or [] for uuid, uuids in found.items()}


def _listed_repositories(connection: Connection, workspace: str) -> list[str] | None:
    create_raw_tables(connection, {REPOSITORIES.table: REPOSITORIES.schema})
    latest = connection.execute(
        "select load_id from raw.loads where resource = ? and scope = ? and complete"
        " order by asked_at desc limit 1",
        [REPOSITORIES.table, workspace],
    ).fetchone()
    if latest is None:
        return None
    found = connection.execute(
        "select distinct repository_uuid from raw.bitbucket_repositories"
        " where load_id = ? and workspace_uuid = ? order by 1",
        [latest[0], workspace],
    ).fetchall()
    return [uuid for (uuid,) in found]


def _more_pages(
    connection: Connection, workspace: str, since: datetime, rather_than: datetime
) -> int:
    """How many pages more it takes to go back to before `since`, by the runs that landed."""
    (pages,) = connection.execute(
        """
        select sum(wider // $4 - narrower // $4) from (
            select
                count(distinct run_uuid) as wider,
                count(distinct run_uuid) filter (bucket_start >= $3) as narrower
            from raw.bitbucket_pipeline_runs
            where workspace_uuid = $1 and bucket_start >= $2
            group by repository_uuid
        )
        """,
        [workspace, since, rather_than, bitbucket.PER_PAGE],
    ).fetchone() or (0,)
    return int(pages or 0)


def _unfinished(
    connection: Connection, workspace: str, window: Window, repositories: list[str]
) -> dict[datetime, dict[str, list[str]]]:
    """Runs from before the window that were unfinished when last seen: day, repository, runs.

    Of live repositories: for those of a deleted one there is no answer, however often it is asked.
    """
    create_raw_tables(connection, {RUNS.table: RUNS.schema})
    rows = connection.execute(
        """
        select run.bucket_start, run.repository_uuid, run.run_uuid
        from raw.bitbucket_pipeline_runs as run
        inner join raw.loads as receipt
            on run.load_id = receipt.load_id and run.workspace_uuid = receipt.scope
            and run.bucket_start >= receipt.window_start and run.bucket_start < receipt.window_end
        where run.workspace_uuid = ? and run.bucket_start >= ? and run.bucket_start < ?
            and list_contains(?, run.repository_uuid)
        qualify row_number() over (
            partition by run.run_uuid order by receipt.asked_at desc, run.page desc
        ) = 1 and run.completed_at is null and run.state is distinct from 'COMPLETED'
        order by run.bucket_start, run.repository_uuid, run.run_uuid
        """,
        [workspace, window.since - UNFINISHED_FOR, window.since, repositories],
    ).fetchall()
    found: dict[datetime, dict[str, list[str]]] = {}
    for day, repository, run in rows:
        found.setdefault(floor(day, "daily"), {}).setdefault(repository, []).append(run)
    return found
