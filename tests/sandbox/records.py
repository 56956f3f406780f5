"""Neon's records of organizations, projects and branches, and its cursors."""

from base64 import urlsafe_b64encode
from datetime import datetime
from functools import lru_cache
from typing import Any

from tests.sandbox.estate import Branch, Org, Project
from tests.sandbox.times import month_of

Json = dict[str, Any]


def cursor(id: str) -> str:
    """Where a page ended; to the client it means nothing."""
    return urlsafe_b64encode(f"after/{id}".encode()).decode().rstrip("=")


@lru_cache(maxsize=4096)
def text(instant: datetime) -> str:
    """An instant as Neon writes it."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def is_gone(deleted_at: datetime | None, now: datetime) -> bool:
    """Whether a thing with this end is deleted by now."""
    return deleted_at is not None and deleted_at <= now


def org_as_json(org: Org, now: datetime) -> Json:
    """An Organization."""
    return {
        "id": org.id,
        "name": org.name,
        "handle": org.id.removeprefix("org-"),
        "plan": org.plan_at(now),
        "created_at": text(org.created_at),
        "updated_at": text(min(org.plan_changed_at or org.created_at, now)),
        "managed_by": "console",
    }


def project_as_json(project: Project, org: Org) -> Json:
    """A ProjectListItem; some have a `slug` that Neon does not document."""
    return {
        "id": project.id,
        "platform_id": project.region_id.split("-")[0],
        "region_id": project.region_id,
        "name": project.name,
        "provisioner": "k8s-neonvm",
        "default_endpoint_settings": {"autoscaling_limit_max_cu": 2, "suspend_timeout_seconds": 0},
        "settings": {"quota": {}},
        "pg_version": 17,
        "proxy_host": f"{project.region_id}.aws.neon.tech",
        "branch_logical_size_limit": 204_800,
        "branch_logical_size_limit_bytes": 214_748_364_800,
        "store_passwords": True,
        "active_time": 0,
        "cpu_used_sec": 0,
        "creation_source": "console",
        "created_at": text(project.created_at),
        "updated_at": text(project.created_at),
        "synthetic_storage_size": 0,
        "owner_id": org.id,
        "org_id": org.id,
        "org_name": org.name,
        "history_retention_seconds": 86_400,
    } | ({"slug": f"project-{project.number}"} if project.number % 9 == 4 else {})


def branch_as_json(branch: Branch, project: Project, now: datetime) -> Json:
    """A Branch; that of an idle project has no logical size yet."""
    parent = {"parent_id": branch.parent_id} if branch.parent_id else {}
    is_default = branch is project.branches[0]
    size = {"logical_size": size_bytes(project, branch, now)} if project.streams else {}
    return {
        "id": branch.id,
        "project_id": branch.project_id,
        **parent,
        "name": branch.name,
        "current_state": "ready",
        "state_changed_at": text(branch.created_at),
        **size,
        "creation_source": "console",
        "primary": is_default,
        "default": is_default,
        "protected": False,
        "cpu_used_sec": 0,
        "compute_time_seconds": 0,
        "active_time_seconds": 0,
        "written_data_bytes": 0,
        "data_transfer_bytes": 0,
        "created_at": text(branch.created_at),
        "updated_at": text(branch.created_at),
        "created_by": {"name": "Ada Example", "image": ""},
        "init_source": "parent-data",
    }


def size_bytes(project: Project, branch: Branch, instant: datetime) -> int:
    """The logical size of a branch at `instant`, in bytes; a root is billed for all of it."""
    streams = project.streams.get((branch.id, "root_branch_bytes_month"))
    return streams[0].size_bytes(month_of(instant)) if streams else branch.logical_size


def size_of_live_branches(project: Project, instant: datetime) -> int:
    """The logical size of all branches of a project that live at `instant`, in bytes."""
    return sum(
        size_bytes(project, branch, instant)
        for branch in project.branches
        if branch.created_at <= instant and not is_gone(branch.deleted_at, instant)
    )
