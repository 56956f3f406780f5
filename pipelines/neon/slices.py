"""Neon as a dlt source, and the slices that it is asked in: one per organization and window."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeAlias

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from pipelines.endpoint import Endpoint
from pipelines.neon import (
    ACCOUNT_USAGE,
    BRANCH_USAGE,
    BRANCHES,
    ENDPOINTS,
    ORGANIZATIONS,
    PROJECT_USAGE,
    PROJECTS,
    Settings,
)
from pipelines.neon.client import Neon
from pipelines.source import Asked, Pages, Slice
from pipelines.windows import Window

AskedNeon: TypeAlias = Asked[Settings, Neon]


@dlt.source(name="neon")
def neon(pages: Pages) -> Iterable[DltResource]:
    """Every endpoint as a resource: its Arrow pages."""
    for endpoint in ENDPOINTS:
        yield dlt.resource(pages(endpoint), name=endpoint.table, write_disposition="append")


def slices(asked: AskedNeon) -> Iterator[Slice]:
    """One walk per organization: of names as they are now, of usage over the whole window."""
    for org, window in asked.windows():
        yield Slice(org, window, partial(_ASKS[asked.endpoint], asked, org))


def _branches(asked: AskedNeon, org: str, _: None) -> Iterator[pa.Table]:
    """Of the projects listed last: a request each."""
    listed = asked.landed.last_rows(PROJECTS, org, ("project_id",))
    return asked.client.branches(org, [project for (project,) in listed])


def _branch_usage(asked: AskedNeon, org: str, window: Window) -> Iterator[pa.Table]:
    """Of the projects that v2/projects showed with usage in the window, deleted ones included."""
    used = asked.landed.values(PROJECT_USAGE, "project_id", org, window)
    return asked.client.branch_usage(org, window, used)


_ASKS: dict[Endpoint, Callable[[AskedNeon, str, Any], Iterator[pa.Table]]] = {
    ORGANIZATIONS: lambda asked, _all, _: asked.client.organizations(),
    PROJECTS: lambda asked, org, _: asked.client.projects(org),
    BRANCHES: _branches,
    PROJECT_USAGE: lambda asked, org, window: asked.client.project_usage(org, window),
    BRANCH_USAGE: _branch_usage,
    ACCOUNT_USAGE: lambda asked, org, window: asked.client.account_usage(org, window),
}
