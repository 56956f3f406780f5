"""Neon: its settings, its endpoints, and which scopes of an account are asked about.

Limits and plans: https://neon.com/docs/guides/consumption-metrics.
"""

from dataclasses import dataclass
from functools import partial

from pipelines.endpoint import Endpoint
from pipelines.settings import credential, ids, key, positive, setting, url
from pipelines.source import Source
from pipelines.windows import GRAINS


@dataclass(frozen=True)
class Settings:
    """How Neon is reached: one API key sees the organizations of a person, or one of its own."""

    api_key: str = credential("NEON_API_KEY", "Neon is asked only when this is set", key)
    org_ids: tuple[str, ...] = ids(
        "NEON_ORG_IDS", "comma-separated; none: every organization that the key sees"
    )
    base_url: str = setting(
        "NEON_BASE_URL", "https://console.neon.tech/api/v2", "where Neon's API is", url
    )
    requests_per_minute: int = setting(
        "NEON_REQUESTS_PER_MINUTE", "45", "consumption requests; an account has about 50", positive
    )


# a plan change puts one timeframe under two billing periods
OF_A_PERIOD = ("period_id", "granularity", "bucket_start", "timeframe_start", "metric_name")

RECORDS = "pipelines.neon.records"
_endpoint = partial(Endpoint, "neon", records=RECORDS)
ORGANIZATIONS = _endpoint(
    "neon_organizations",
    "GET /users/me/organizations",
    "The organizations that the key sees, with their plans. Kept as they change.",
    key=("org_id",),
)
PROJECTS = _endpoint(
    "neon_projects",
    "GET /projects",
    "Names, regions and ages of live projects. Deleted projects are not listed, and bill all "
    "the same: facts never depend on this table. Kept as they change.",
    key=("project_id",),
)
BRANCHES = _endpoint(
    "neon_branches",
    "GET /projects/{project_id}/branches",
    "Names, parents and sizes of live branches: one request per project. Kept as they change.",
    key=("project_id", "branch_id"),
    needs=("neon_projects",),
)
PROJECT_USAGE = _endpoint(
    "neon_project_usage",
    "GET /consumption_history/v2/projects",
    "What each project used, deleted ones included, per metric: the totals that Neon bills. "
    "One walk of 100 projects a request, however many partitions are asked for.",
    grains=GRAINS,
    key=("project_id", *OF_A_PERIOD),
)
BRANCH_USAGE = _endpoint(
    "neon_branch_usage",
    "GET /consumption_history/v2/branches",
    "What each branch used, six of the eight metrics, for the projects that "
    "neon_project_usage showed with usage in the same window. Attribution, not the total.",
    grains=GRAINS,
    key=("project_id", "branch_id", *OF_A_PERIOD),
    needs=("neon_project_usage",),
)
ACCOUNT_USAGE = Endpoint(
    "neon_legacy",
    "neon_account_usage",
    "GET /consumption_history/account",
    "Org totals on the legacy meters. Retired by Neon on 2026-06-01; org totals come from "
    "v2/projects. Still asked, for hosts that keep the route, and compared in "
    "reports.reconciliation.",
    RECORDS,
    GRAINS,
    key=OF_A_PERIOD,
    retired_on="2026-06-01",
)
ENDPOINTS = (ORGANIZATIONS, PROJECTS, BRANCHES, PROJECT_USAGE, BRANCH_USAGE, ACCOUNT_USAGE)


SOURCE = Source(
    name="neon",
    title="Neon",
    endpoints=ENDPOINTS,
    settings=Settings,
    client_class="Neon",
    named_scopes=lambda account: account.settings.org_ids,
    requests_per_minute=lambda settings: settings.requests_per_minute,
)
