"""What Bitbucket Cloud's answers look like, and how they become the tables of raw.bitbucket_*.

Shapes from Bitbucket's Swagger 2.0 and recorded answers; a field that is not documented lands in
`extra`, and who did something lands nowhere. Not here: the calls themselves (bitbucket.py).
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import pyarrow as pa

from pipelines.decode import Record, unknown_as_json

# people, and what repeats elsewhere; `variables` of a run may hold anything
LEFT_OUT = frozenset(
    {"account", "account_id", "actor", "author", "creator", "display_name", "email", "links"}
    | {"nickname", "owner", "parent", "raw", "repository", "user", "username", "variables"}
)
ACCOUNT_TYPES = frozenset({"account", "app_user", "team", "user"})
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Workspace(Record):
    """GET /workspaces/{workspace}."""

    uuid: str
    slug: str | None = None
    name: str | None = None
    is_private: bool | None = None
    created_on: Instant | None = None
    updated_on: Instant | None = None
    type: str | None = None


class WorkspaceAccess(Record):
    """One entry of GET /user/workspaces; its workspace has no name."""

    workspace: Workspace
    administrator: bool | None = None
    type: str | None = None


class Repository(Record):
    """One entry of GET /repositories/{workspace}; `size` is git's, without large files."""

    uuid: str
    slug: str | None = None
    full_name: str | None = None
    name: str | None = None
    size: Count | None = None
    is_private: bool | None = None
    created_on: Instant | None = None
    updated_on: Instant | None = None
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


class Page(Record, kw_only=True):
    """A page of some list."""

    next: str | None = None
    previous: str | None = None
    page: int | None = None
    pagelen: int | None = None
    size: int | None = None


class WorkspacesPage(Page):
    """GET /user/workspaces."""

    values: list[WorkspaceAccess]


class RepositoriesPage(Page):
    """GET /repositories/{workspace}."""

    values: list[Repository]


class RunsPage(Page):
    """GET /repositories/{workspace}/{repo_slug}/pipelines."""

    values: list[Run]


_TEXT, _INSTANT = pa.string(), pa.timestamp("us", "UTC")
_NAMES = [("created_at", _INSTANT), ("updated_at", _INSTANT), ("extra", _TEXT)]
TABLES: dict[str, pa.Schema] = {
    "bitbucket_workspaces": pa.schema(
        [
            ("workspace_uuid", _TEXT),
            ("slug", _TEXT),
            ("name", _TEXT),
            ("is_private", pa.bool_()),
            *_NAMES,
        ]
    ),
    "bitbucket_repositories": pa.schema(
        [
            ("workspace_uuid", _TEXT),
            ("repository_uuid", _TEXT),
            ("slug", _TEXT),
            ("full_name", _TEXT),
            ("name", _TEXT),
            ("size_bytes", pa.int64()),
            ("is_private", pa.bool_()),
            *_NAMES,
        ]
    ),
    "bitbucket_pipeline_runs": pa.schema(
        [
            ("workspace_uuid", _TEXT),
            ("repository_uuid", _TEXT),
            ("run_uuid", _TEXT),
            ("build_number", pa.int64()),
            ("created_at", _INSTANT),
            ("completed_at", _INSTANT),
            ("state", _TEXT),
            ("result", _TEXT),
            ("build_seconds_used", pa.int64()),
            ("trigger", _TEXT),
            ("target_ref", _TEXT),
            ("extra", _TEXT),
            ("bucket_start", _INSTANT),
        ]
    ),
}


def workspaces_table(workspaces: Iterable[Workspace]) -> pa.Table:
    """Workspaces as raw.bitbucket_workspaces."""
    return _table(
        "bitbucket_workspaces",
        (
            {
                "workspace_uuid": workspace.uuid,
                "slug": workspace.slug,
                "name": workspace.name,
                "is_private": workspace.is_private,
                "created_at": workspace.created_on,
                "updated_at": workspace.updated_on,
                "extra": _extra(workspace=workspace),
            }
            for workspace in workspaces
        ),
    )


def repositories_table(workspace_uuid: str, repositories: Iterable[Repository]) -> pa.Table:
    """Repositories of a workspace as raw.bitbucket_repositories."""
    return _table(
        "bitbucket_repositories",
        (
            {
                "workspace_uuid": workspace_uuid,
                "repository_uuid": repository.uuid,
                "slug": repository.slug,
                "full_name": repository.full_name,
                "name": repository.name,
                "size_bytes": repository.size,
                "is_private": repository.is_private,
                "created_at": repository.created_on,
                "updated_at": repository.updated_on,
                "extra": _extra(repository=repository),
            }
            for repository in repositories
        ),
    )


def runs_table(workspace_uuid: str, repository_uuid: str, runs: Iterable[Run]) -> pa.Table:
    """Runs of a repository as raw.bitbucket_pipeline_runs; no seconds said: null, never zero."""
    rows = (_run_row(run) for run in runs)
    owner = {"workspace_uuid": workspace_uuid, "repository_uuid": repository_uuid}
    return _table("bitbucket_pipeline_runs", (owner | row for row in rows))


def _run_row(run: Run) -> dict[str, Any]:
    target, created_at = run.target or Target(), run.created_on.astimezone(UTC)
    state = run.state or State()
    levels: dict[str, Record | None] = {
        "run": run,
        "state": run.state,
        "result": state.result,
        "trigger": run.trigger,
        "target": run.target,
        "commit": target.commit,
    }
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
        "extra": _extra(**{name: level for name, level in levels.items() if level}),
        "bucket_start": created_at.replace(hour=0, minute=0, second=0, microsecond=0),
    }


def _name(named: Named | State | None, type_prefix: str) -> str | None:
    if named is None:
        return None
    return named.name or (named.type or "").removeprefix(type_prefix).upper() or None


def _extra(**levels: Record) -> str | None:
    for record in levels.values():
        record.unknown_fields = _without_people(record.unknown_fields)
    return unknown_as_json(**levels)


def _without_people(value: Any) -> Any:
    """A value without the fields of LEFT_OUT and without accounts, at any depth."""
    if isinstance(value, list):
        return [_without_people(item) for item in value if not _is_account(item)]
    if not isinstance(value, dict):
        return value
    return {
        name: _without_people(item)
        for name, item in value.items()
        if name not in LEFT_OUT and not _is_account(item)
    }


def _is_account(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") in ACCOUNT_TYPES


def _table(name: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    schema, listed = TABLES[name], list(rows)
    columns = [[row[column] for row in listed] for column in schema.names]
    return pa.table(
        [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)],
        schema=schema,
    )
