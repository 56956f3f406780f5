"""Answers of vendors as literal rows, put into raw.* with their receipts: nobody is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from assets.settings import Settings
from assets.sources import ENDPOINTS
from dbt_like_sql.engine import warehouse
from pipelines.receipts import create_raw_tables

GRAINS = {len("2026-08"): "monthly", len("2026-08-01"): "daily", len("2026-08-01 05"): "hourly"}
UNITS = {
    "FUNCTION_COMPUTE": "GB-seconds",
    "KVS_READ": "GB",
    "LLM_INPUT": "credits",
    "LLM_OUTPUT": "credits",
    "SQL_REQUESTS": "requests",
}

# source, table, grain, scope, and the window
Asked = tuple[str, str, str, str, datetime, datetime]


@dataclass(frozen=True)
class Neon:
    """What Neon said of a project, or of a branch of it, in a month, day or hour, under a plan."""

    project: str
    meter: str
    at: str
    value: int
    plan: str | None = "scale"
    branch: str | None = None
    org: str = "org"

    def land(self, connection: duckdb.DuckDBPyConnection) -> set[Asked]:
        """Put its row there; the buckets that were asked: of the branches and of their project."""
        grain, (since, until) = GRAINS[len(self.at)], _bucket(self.at)
        usage: dict[str, Any] = {
            "org_id": self.org, "project_id": self.project, "period_id": f"{self.plan}",
            "period_plan": self.plan, "period_start": since.replace(day=1, hour=0),
            "timeframe_start": since, "timeframe_end": until, "metric_name": self.meter,
            "value": self.value, "granularity": grain, "bucket_start": since, "scope": self.org,
        }  # fmt: skip
        table = "neon_project_usage"
        if self.branch:
            table, usage = "neon_branch_usage", usage | {"branch_id": self.branch}
        _insert(connection, table, usage | {"is_withdrawn": False})
        tables = {table, "neon_project_usage"}
        return {("neon", asked, grain, self.org, since, until) for asked in tables}


@dataclass(frozen=True)
class Forge:
    """What Atlassian said of a Forge app, a site of it, or an environment there, on one UTC day."""

    app: str
    meter: str
    at: str
    amount: str
    site: str | None = None
    environment: str | None = None

    def land(self, connection: duckdb.DuckDBPyConnection) -> set[Asked]:
        """Put its row there; the day that was asked."""
        since, until = _bucket(self.at)
        scope = f"{self.app}/{self.meter}"
        kind = ("site_" if self.site else "app_") + ("environment_" if self.environment else "")
        table = f"forge_{kind}usage"
        usage = {
            "app_id": self.app, "resource": self.meter, "period": self.at, "scope": scope,
            "resolution": "ONE_DAY", "tokens_consumed": self.amount, "bucket_start": since,
            "token_unit": UNITS[self.meter], "is_withdrawn": False,
        }  # fmt: skip
        usage |= {"site_id": self.site} if self.site else {}
        usage |= {"environment_id": self.environment} if self.environment else {}
        _insert(connection, table, usage)
        return {("forge", table, "daily", scope, since, until)}


@dataclass(frozen=True)
class Run:
    """What Bitbucket said of a run in a repository of workspace {w}, on one UTC day."""

    repository: str
    at: str
    seconds: int

    def land(self, connection: duckdb.DuckDBPyConnection) -> set[Asked]:
        """Put its row there; the day that was asked. Its receipt is the first in order."""
        since, until = _bucket(self.at)
        table, scope = "bitbucket_pipeline_runs", self.repository
        run = {
            "workspace_uuid": "{w}", "repository_uuid": scope, "run_uuid": f"{scope} {since}",
            "bucket_start": since, "build_seconds_used": self.seconds, "scope": scope,
            "is_withdrawn": False,
        }  # fmt: skip
        _insert(connection, table, run)
        return {("bitbucket", table, "daily", scope, since, until)}


@dataclass(frozen=True)
class Names:
    """What Neon lists as the projects of an organization, or as the organizations of an account:
    each id, and its name; or those that it lists no more."""

    things: Mapping[str, str]
    at: str = "2026-08-01"
    org: str = "org"
    account: str | None = None
    is_gone: bool = False
    is_complete: bool = True

    def land(self, connection: duckdb.DuckDBPyConnection) -> set[Asked]:
        """Put its rows there with the receipt of the list; it is of no bucket."""
        number, table, key = _bucket(self.at)[0].toordinal(), "neon_projects", "project_id"
        if self.account:
            table, key = "neon_organizations", "org_id"
        scope = self.account or self.org
        for thing, name in self.things.items():
            row = {"org_id": self.org, "name": name, "scope": scope, "is_withdrawn": self.is_gone}
            _insert(connection, table, row | {key: thing}, number)
        receipt = {
            "source": "neon", "resource": table, "granularity": "snapshot", "scope": scope,
            "rows": len(self.things), "pages": 1, "asked_at": _bucket(self.at)[0],
            "complete": self.is_complete,
        }  # fmt: skip
        _insert(connection, "loads", receipt, number)
        return set()


@dataclass(frozen=True)
class Roots:
    """What Neon lists as the branch of project p of each organization, a root, and its bytes."""

    sizes: Mapping[str, int]

    def land(self, connection: duckdb.DuckDBPyConnection) -> set[Asked]:
        """Put its rows there with the receipt of one list; it is of no bucket."""
        made_at, table = _bucket("2026-01")[0], "neon_branches"
        for org, size in self.sizes.items():
            row = {
                "org_id": org, "project_id": "p", "branch_id": "root", "logical_size": size,
                "created_at": made_at, "scope": org, "is_withdrawn": False,
            }  # fmt: skip
            _insert(connection, table, row, 10**6)
        receipt = {
            "source": "neon", "resource": table, "granularity": "snapshot", "scope": "all",
            "rows": len(self.sizes), "pages": 1, "asked_at": made_at, "complete": True,
        }  # fmt: skip
        _insert(connection, "loads", receipt, 10**6)
        return set()


def land(
    settings: Settings, *rows: Neon | Forge | Run | Names | Roots, asked_at: str | None = None
) -> None:
    """Put these answers into a warehouse, with a receipt of every bucket that they are of: asked
    for two days after its end, or then."""
    with warehouse.writer(settings.warehouse) as connection:
        create_raw_tables(connection, ENDPOINTS)
        with warehouse.transaction(connection):
            asked = set().union(*(row.land(connection) for row in rows))
            for number, (source, table, grain, scope, since, until) in enumerate(sorted(asked)):
                receipt = {
                    "source": source, "resource": table, "granularity": grain, "scope": scope,
                    "window_start": since, "window_end": until, "rows": 1, "pages": 1,
                    "asked_at": _instant(asked_at) or until + timedelta(days=2), "complete": True,
                }  # fmt: skip
                _insert(connection, "loads", receipt, number)


@dataclass(frozen=True)
class Receipt:
    """What was asked for of a scope, and when; there was nothing to tell of it.

    Instants as text; without `since`, what is listed; the grain "ended" says that it is gone.
    """

    table: str
    grain: str
    asked_at: str
    since: str | None = None
    until: str | None = None
    scope: str = "org"
    source: str = "neon"


def receive(settings: Settings, *receipts: Receipt) -> None:
    """Put these receipts into a warehouse, in this order."""
    with warehouse.writer(settings.warehouse) as connection:
        create_raw_tables(connection, ENDPOINTS)
        for number, told in enumerate(receipts):
            columns = {
                "source": told.source, "resource": told.table, "granularity": told.grain,
                "scope": told.scope, "window_start": _instant(told.since),
                "window_end": _instant(told.until), "rows": 0, "pages": 1,
                "asked_at": _instant(told.asked_at), "complete": True,
            }  # fmt: skip
            _insert(connection, "loads", columns, number)


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None


def _bucket(at: str) -> tuple[datetime, datetime]:
    start = datetime.fromisoformat(f"{at}-01" if len(at) == 7 else at).replace(tzinfo=UTC)
    days = {"hourly": 1 / 24, "daily": 1, "monthly": 31}[GRAINS[len(at)]]
    until = start + timedelta(days=days)
    return start, until.replace(day=1) if len(at) == 7 else until


def _insert(
    connection: duckdb.DuckDBPyConnection, table: str, columns: dict[str, Any], number: int = 0
) -> None:
    values = ", ".join(f"? as {name}" for name in columns)
    connection.execute(
        f"insert into raw.{table} by name"  # our own names
        f" select {values}, 'load' as load_id, now() + interval {number} microsecond as landed_at",
        list(columns.values()),
    )
