"""Bitbucket's records of workspaces, repositories and pipeline runs, undocumented fields included.

Names and accounts of people are in them as they are in the real ones: a reader has to leave them
out. Fields that the specification does not have were seen in recorded answers.
"""

from datetime import datetime
from typing import Any

from tests.sandbox.atlassian_org import Repository, Workspace
from tests.sandbox.atlassian_runs import Run, uuid_of

Json = dict[str, Any]
API = "https://api.bitbucket.org/2.0"
SECRET = "hunter2"  # noqa: S105  # what a variable of a run could hold


def workspace_base_as_json(workspace: Workspace) -> Json:
    """A workspace_access: its workspace has no name."""
    base = {
        "type": "workspace_base",
        "uuid": workspace.uuid,
        "slug": workspace.slug,
        "links": _links(f"/workspaces/{workspace.slug}"),
    }
    return {"type": "workspace_access", "administrator": True, "workspace": base}


def workspace_as_json(workspace: Workspace) -> Json:
    """A workspace."""
    return {
        "type": "workspace",
        "uuid": workspace.uuid,
        "name": workspace.name,
        "slug": workspace.slug,
        "is_private": True,
        "is_privacy_enforced": False,
        "forking_mode": "allow_forks",
        "created_on": zoned(workspace.created_at),
        "updated_on": zoned(workspace.created_at),
        "links": _links(f"/workspaces/{workspace.slug}"),
    }


def repository_as_json(repository: Repository, workspace: Workspace, now: datetime) -> Json:
    """A repository; its slug and workspace are not in the specification."""
    return {
        "type": "repository",
        "uuid": repository.uuid,
        "full_name": repository.full_name,
        "name": repository.name,
        "slug": repository.slug,
        "is_private": True,
        "scm": "git",
        "size": repository.size_bytes,
        "language": "python",
        "description": "",
        "fork_policy": "no_public_forks",
        "has_issues": False,
        "has_wiki": False,
        "created_on": zoned(repository.created_at),
        "updated_on": zoned(now),
        "owner": _person("Person 1"),
        "mainbranch": {"type": "branch", "name": "main"},
        "workspace": {"type": "workspace", "uuid": workspace.uuid, "slug": workspace.slug},
        "parent": None,
        "website": None,
        "links": _links(f"/repositories/{repository.full_name}"),
    }


def run_as_json(run: Run, repository: Repository, now: datetime) -> Json:
    """A pipeline; what is not known yet is absent."""
    ended_at, seconds = run.ended_at(now), run.seconds(now)
    wall_seconds = int(((ended_at or max(now, run.started_at)) - run.started_at).total_seconds())
    record = {
        "type": "pipeline",
        "uuid": run.uuid,
        "build_number": run.build_number,
        "run_number": 2 if run.rerun_at and run.rerun_at <= now else 1,
        "creator": _person(run.creator),
        "repository": {
            "type": "repository",
            "uuid": repository.uuid,
            "full_name": repository.full_name,
            "name": repository.name,
            "links": _links(f"/repositories/{repository.full_name}"),
        },
        "target": _target(run),
        "trigger": {"type": f"pipeline_trigger_{run.trigger}", "name": run.trigger.upper()},
        "state": _state(run, now),
        "variables": [{"type": "pipeline_variable", "key": "PASSWORD", "value": SECRET}],
        "created_on": to_the_nanosecond(run.created_at, run.build_number),
        "duration_in_seconds": wall_seconds,
        "expired": run.result == "EXPIRED",
        "has_variables": True,
        "links": _links(f"/repositories/{repository.full_name}/pipelines/{run.uuid}"),
    }
    completed = {"completed_on": to_the_nanosecond(ended_at, run.build_number)} if ended_at else {}
    used = {} if seconds is None else {"build_seconds_used": seconds}
    return record | completed | used


def to_the_nanosecond(instant: datetime, below: int) -> str:
    """An instant as pipelines write it: nine digits without the zeros at the end."""
    digits = f"{instant.microsecond:06d}{below * 7 % 500:03d}".rstrip("0")
    return f"{instant:%Y-%m-%dT%H:%M:%S}{'.' if digits else ''}{digits}Z"


def zoned(instant: datetime) -> str:
    """An instant as everything else writes it: 2026-11-21T08:20:00.250000+00:00."""
    return instant.isoformat(timespec="microseconds")


def _state(run: Run, now: datetime) -> Json:
    state = run.state(now)
    if state == "PENDING":
        return {"type": "pipeline_state_pending", "name": "PENDING"}
    if state == "COMPLETED":
        result = {"type": f"pipeline_state_completed_{run.result.lower()}", "name": run.result}
        return {"type": "pipeline_state_completed", "name": "COMPLETED", "result": result}
    stage = {"type": f"pipeline_state_in_progress_{state.lower()}", "name": state}
    return {"type": "pipeline_state_in_progress", "name": "IN_PROGRESS", "stage": stage}


def _target(run: Run) -> Json:
    """A branch; or, of every ninth run, a pull request."""
    commit = {
        "type": "commit",
        "hash": f"{run.build_number:040x}",
        "author": {"type": "author", "raw": f"{run.creator} <{run.creator}@example.com>"},
    }
    if run.build_number % 9 == 0:
        return {
            "type": "pipeline_pullrequest_target",
            "source": run.branch,
            "destination": "main",
            "commit": commit,
            "pullrequest": {"type": "pullrequest", "id": 7, "author": _person(run.creator)},
        }
    return {
        "type": "pipeline_ref_target",
        "ref_type": "branch",
        "ref_name": run.branch,
        "selector": {"type": "branches", "pattern": run.branch},
        "commit": commit,
    }


def _person(name: str) -> Json:
    return {
        "type": "user",
        "display_name": name,
        "nickname": name,
        "uuid": uuid_of("person", name),
        "account_id": f"712020:{name}",
        "links": {"avatar": {"href": f"https://avatars.example/{name}"}},
    }


def _links(path: str) -> Json:
    return {"self": {"href": API + path}}
