"""Bitbucket: its settings, its endpoints, and which scopes of an account are asked about.

https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pipelines/.
"""

from dataclasses import dataclass
from functools import partial

from pipelines.endpoint import Endpoint
from pipelines.settings import credential, ids, key, positive, setting, url
from pipelines.source import Source


@dataclass(frozen=True)
class Settings:
    """A Bitbucket token, and the workspaces to ask about."""

    token: str = credential(
        "BITBUCKET_TOKEN", "Bitbucket is asked only when this is set; or email:api_token", key
    )
    workspaces: tuple[str, ...] = ids(
        "BITBUCKET_WORKSPACES", "comma-separated; none: every workspace that the token sees"
    )
    base_url: str = setting(
        "BITBUCKET_BASE_URL", "https://api.bitbucket.org/2.0", "where Bitbucket's API is", url
    )
    requests_per_hour: int = setting(
        "BITBUCKET_REQUESTS_PER_HOUR", "900", "requests; Bitbucket allows 1,000", positive
    )


_endpoint = partial(Endpoint, "bitbucket", records="pipelines.bitbucket.records")
WORKSPACES = _endpoint(
    "bitbucket_workspaces",
    "GET /workspaces/{workspace}",
    "The workspaces that the token sees, or those of BITBUCKET_WORKSPACES. Kept as they change.",
    key=("workspace_uuid",),
)
REPOSITORIES = _endpoint(
    "bitbucket_repositories",
    "GET /repositories/{workspace}",
    "Names of live repositories. Deleted ones are not listed, and have used. Kept as they change.",
    key=("repository_uuid",),
)
RUNS = _endpoint(
    "bitbucket_pipeline_runs",
    "GET /repositories/{workspace}/{repo}/pipelines",
    "Pipeline runs with the build seconds that each used, by the UTC day on which it was created. "
    "A lower bound of the minutes that Atlassian bills: deleted repositories are missing, and the "
    "exported minutes are the fact of record where there are some.",
    grains=("daily",),
    key=("repository_uuid", "run_uuid", "bucket_start"),
    withdraws=False,
)
ENDPOINTS = (WORKSPACES, REPOSITORIES, RUNS)


SOURCE = Source(
    name="bitbucket",
    title="Bitbucket",
    endpoints=ENDPOINTS,
    settings=Settings,
    client_class="Bitbucket",
    requests_per_minute=lambda settings: settings.requests_per_hour / 60,
)
