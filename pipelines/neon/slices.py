"""Neon as a dlt source, and the slices that it is asked in: one per organization and window."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeAlias

import dlt
from dlt.extract import DltResource

from pipelines.neon.client import Neon
from pipelines.neon.endpoints import (
    ACCOUNT_USAGE,
    BRANCH_USAGE,
    BRANCHES,
    ENDPOINTS,
    ORGANIZATIONS,
    PROJECT_USAGE,
    PROJECTS,
    Settings,
)
from pipelines.source import Asked, Pages, Slice, snapshot

AskedNeon: TypeAlias = Asked[Settings, Neon]


@dlt.source(name="neon")
def neon(pages: Pages) -> Iterable[DltResource]:
    """Every endpoint as a resource: its Arrow pages, appended to raw.<table>."""
    for endpoint in ENDPOINTS:
        yield dlt.resource(pages(endpoint), name=endpoint.table, write_disposition="append")


def slices(asked: AskedNeon) -> Iterator[Slice]:
    """One walk per organization: of names as they are now, of usage over the whole window."""
    return _SLICES[asked.endpoint](asked)


def _organizations(asked: AskedNeon) -> Iterator[Slice]:
    yield snapshot(asked.account.everything, asked.client.organizations)


def _projects(asked: AskedNeon) -> Iterator[Slice]:
    for org in asked.due:
        yield snapshot(org, asked.client.projects, org)


def _branches(asked: AskedNeon) -> Iterator[Slice]:
    """Of the projects listed last: a request each."""
    for org in asked.due:
        listed = asked.landed.listed(PROJECTS, org, ("project_id",)) or []
        yield snapshot(org, asked.client.branches, org, [project for (project,) in listed])


def _project_usage(asked: AskedNeon) -> Iterator[Slice]:
    for org, window in asked.windows():
        yield Slice(org, window, partial(asked.client.project_usage, org))


def _branch_usage(asked: AskedNeon) -> Iterator[Slice]:
    """Of the projects that v2/projects showed with usage in the window, deleted ones included."""
    for org, window in asked.windows():
        used = asked.landed.values(PROJECT_USAGE, "project_id", org, window)
        yield Slice(org, window, partial(asked.client.branch_usage, org, project_ids=used))


def _account_usage(asked: AskedNeon) -> Iterator[Slice]:
    for org, window in asked.windows():
        yield Slice(org, window, partial(asked.client.account_usage, org))


_SLICES: dict[object, Callable[[AskedNeon], Iterator[Slice]]] = {
    ORGANIZATIONS: _organizations,
    PROJECTS: _projects,
    BRANCHES: _branches,
    PROJECT_USAGE: _project_usage,
    BRANCH_USAGE: _branch_usage,
    ACCOUNT_USAGE: _account_usage,
}
