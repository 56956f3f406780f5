"""What Bitbucket Cloud's answers look like, and how they become the tables of raw.bitbucket_*.

Shapes from Bitbucket's Swagger 2.0 and recorded answers; a field that is not documented lands in
`extra`, and who did something lands nowhere. Not here: the calls themselves (client.py).
"""

from collections.abc import Iterable
from datetime import UTC
from typing import Annotated, Any, Generic, TypeVar

import msgspec
import pyarrow as pa

from pipelines.decode import INSTANT, TEXT, Instant, Record, schema_of, unknown_as_json

T = TypeVar("T")
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Workspace(Record):
    """GET /workspaces/{workspace}."""

    workspace_uuid: str = msgspec.field(name="uuid")
    slug: str | None = None
    name: str | None = None
    is_private: bool | None = None
    created_at: Instant | None = msgspec.field(name="created_on", default=None)
    updated_at: Instant | None = msgspec.field(name="updated_on", default=None)
    type: str | None = None


class WorkspaceAccess(Record):
    """One entry of GET /user/workspaces; its workspace has no name."""

    workspace: Workspace
    administrator: bool | None = None
    type: str | None = None


class Repository(Record):
    """One entry of GET /repositories/{workspace}; `size` is git's, without large files."""

    repository_uuid: str = msgspec.field(name="uuid")
    slug: str | None = None
    full_name: str | None = None
    name: str | None = None
    size_bytes: Count | None = msgspec.field(name="size", default=None)
    is_private: bool | None = None
    created_at: Instant | None = msgspec.field(name="created_on", default=None)
    updated_at: Instant | None = msgspec.field(name="updated_on", default=None)
    type: str | None = None


class Named(Record):
    """A state's result, or a trigger: documented by its type, named in every recorded answer."""

    name: str | None = None
    type: str | None = None


class State(Record):
    """PENDING, IN_PROGRESS or COMPLETED, then with a result; documented by its type alone."""

    name: str | None = None
    result: Named | None = None
    type: str | None = None


class Commit(Record):
    """The commit that a run built."""

    hash: str | None = None
    type: str | None = None


class Target(Record):
    """What a run built: a branch or tag, a pull request's source branch, or just a commit."""

    ref_name: str | None = None
    source: str | None = None
    commit: Commit | None = None
    type: str | None = None


class Run(Record):
    """A pipeline, as Bitbucket calls one run of it."""

    uuid: str
    created_on: Instant
    state: State | None = None
    build_number: Count | None = None
    completed_on: Instant | None = None
    build_seconds_used: Count | None = None
    trigger: Named | None = None
    target: Target | None = None
    type: str | None = None

    @property
    def is_silent(self) -> bool:
        """It has ended and says no seconds: it ran on somebody's own runner, or never."""
        has_ended = self.completed_on or _name(self.state, "pipeline_state_") == "COMPLETED"
        return bool(has_ended) and self.build_seconds_used is None


class Page(Record, Generic[T], kw_only=True):
    """A page of some list."""

    values: list[T]
    next: str | None = None
    previous: str | None = None
    page: int | None = None
    pagelen: int | None = None
    size: int | None = None


TABLES: dict[str, pa.Schema] = {
    "bitbucket_workspaces": schema_of(Workspace, leave="type"),
    "bitbucket_repositories": schema_of(Repository, leave="type", workspace_uuid=TEXT),
    "bitbucket_pipeline_runs": pa.schema(
        {
            **{"workspace_uuid": TEXT, "repository_uuid": TEXT, "run_uuid": TEXT},
            **{"build_number": pa.int64(), "created_at": INSTANT, "completed_at": INSTANT},
            **{"state": TEXT, "result": TEXT, "build_seconds_used": pa.int64(), "trigger": TEXT},
            **{"target_ref": TEXT, "extra": TEXT, "bucket_start": INSTANT},
        }
    ),
}


def runs_table(workspace_uuid: str, repository_uuid: str, runs: Iterable[Run]) -> pa.Table:
    """Runs of a repository as raw.bitbucket_pipeline_runs; no seconds said: null, never zero."""
    rows = (_run_row(run) for run in runs)
    owner = {"workspace_uuid": workspace_uuid, "repository_uuid": repository_uuid}
    return pa.Table.from_pylist(
        [owner | row for row in rows], schema=TABLES["bitbucket_pipeline_runs"]
    )


def _run_row(run: Run) -> dict[str, Any]:
    target, created_at = run.target or Target(), run.created_on.astimezone(UTC)
    state = run.state or State()
    of_run = {"run": run, "state": run.state, "result": state.result, "trigger": run.trigger}
    of_target = {"target": run.target, "commit": target.commit}
    levels = {name: level for name, level in (of_run | of_target).items() if level}
    return {
        "run_uuid": run.uuid,
        "build_number": run.build_number,
        "created_at": created_at,
        "completed_at": run.completed_on,
        "state": _name(state, "pipeline_state_"),
        "result": _name(state.result, "pipeline_state_completed_"),
        "build_seconds_used": run.build_seconds_used,
        "trigger": _name(run.trigger, "pipeline_trigger_"),
        "target_ref": target.ref_name or target.source or (target.commit or Commit()).hash,
        "extra": unknown_as_json(**levels),
        "bucket_start": created_at.replace(hour=0, minute=0, second=0, microsecond=0),
    }


def _name(named: Named | State | None, type_prefix: str) -> str | None:
    if named is None:
        return None
    return named.name or (named.type or "").removeprefix(type_prefix).upper() or None
