"""Forge's calls, and how each is asked: per app, resource and calendar month, five a minute.

What was asked since the last daily tick is not asked again, so that an interrupted load goes on
where it stopped: at this budget a month of one app takes minutes.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from pathlib import Path

import pyarrow as pa

import dbt_like_sql
from assets import partitions
from assets.due import due_starts, held_since
from assets.settings import Settings
from assets.vendors import Call, Vendors, open_warehouse
from pipelines import forge
from pipelines.forge_shapes import TABLES
from pipelines.load import Connection, Piece, UnknownBeforeError, covers
from pipelines.windows import Window, next_bucket

_GRAINS, _MONTHS = ("daily", "monthly"), ("monthly",)
APP_USAGE = Call(
    "forge",
    "forge_app_usage",
    "appResourceUsage",
    "What each app used of each resource, day by day: the totals that Atlassian bills.",
    TABLES["forge_app_usage"],
    _GRAINS,
    only_backfilled=_MONTHS,
)
SITE_USAGE = Call(
    "forge",
    "forge_site_usage",
    "appResourceUsage by CONTEXT_ARI",
    "The same by site: attribution, not the total. Usage that belongs to no site is not here.",
    TABLES["forge_site_usage"],
    _GRAINS,
    only_backfilled=_MONTHS,
)
ENVIRONMENT_USAGE = Call(
    "forge",
    "forge_environment_usage",
    "appResourceUsage by ENVIRONMENT_ID",
    "The same by environment, for reports.forge_environments.",
    TABLES["forge_environment_usage"],
    _GRAINS,
    only_backfilled=_MONTHS,
)
SITE_ENVIRONMENT_USAGE = Call(
    "forge",
    "forge_site_environment_usage",
    "appResourceUsage by CONTEXT_ARI within environment",
    "The same by site within each environment: a request per environment, so it is asked only "
    "where FORGE_SITES_BY_ENVIRONMENT is yes.",
    TABLES["forge_site_environment_usage"],
    _GRAINS,
    needs=("forge_environment_usage",),
    only_backfilled=_MONTHS,
)
CALLS = (APP_USAGE, SITE_USAGE, ENVIRONMENT_USAGE, SITE_ENVIRONMENT_USAGE)


def missing(settings: Settings) -> str | None:
    """Why Forge is skipped, or None when it can be asked."""
    needed = {
        "ATLASSIAN_EMAIL": settings.atlassian_email,
        "ATLASSIAN_API_TOKEN": settings.atlassian_api_token,
        "FORGE_APP_IDS": settings.forge_app_ids,
    }
    unset = [name for name, value in needed.items() if not value]
    return f"{', '.join(unset)} not set" if unset else None


def is_wanted(settings: Settings, call: Call) -> bool:
    """Whether the settings ask for this call: the cube costs a request per environment."""
    return call != SITE_ENVIRONMENT_USAGE or settings.forge_sites_by_environment


def make_client(settings: Settings) -> forge.Forge:
    """The client of the configured account."""
    return forge.Forge(
        settings.atlassian_email or "",
        settings.atlassian_api_token or "",
        settings.atlassian_graphql_url,
        settings.forge_experimental_api,
        settings.forge_requests_per_minute,
        settings.state_dir,
    )


@cache
def resources() -> tuple[str, ...]:
    """Every resource to ask for: the Forge meters of seeds/meters.csv."""
    path = Path(dbt_like_sql.__file__).parent / "seeds" / "meters.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row["meter"] for row in csv.DictReader(file) if row["source"] == "forge"]
    return tuple(dict.fromkeys(rows))


def scopes(settings: Settings) -> dict[str, tuple[str, str]]:
    """Each scope (`app uuid/resource`) and the app id, as it was given, and resource it stands for.

    An app that is given as UUID and as ARI is one app.
    """
    apps = {forge.app_uuid(app_id): app_id for app_id in reversed(settings.forge_app_ids)}
    return {
        f"{uuid}/{resource}": (apps[uuid], resource)
        for uuid in reversed(apps)
        for resource in resources()
    }


def pieces(vendors: Vendors, call: Call, window: Window, only_due: bool) -> list[Piece]:
    """A piece per app, resource and calendar month still to be asked, newest month first."""
    wanted = scopes(vendors.settings)
    with open_warehouse(vendors.settings) as connection:
        starts = _still_to_ask(connection, call, window, wanted, only_due)
    found = [
        _piece(vendors, call, scope, *wanted[scope], month)
        for scope in wanted
        for month in _months(starts[scope])
    ]
    return sorted(found, key=lambda piece: str(piece.window), reverse=True)


def forecast(settings: Settings, count: int) -> str:
    """How long the budget will make these pieces take, at the least."""
    minutes = max(0, count - 1) // settings.forge_requests_per_minute
    return (
        f"Forge: {count} app, resource and month windows to ask; at "
        f"{settings.forge_requests_per_minute} requests a minute that takes at least "
        f"{minutes} min. What is interrupted goes on where it stopped."
    )


def _still_to_ask(
    connection: Connection, call: Call, window: Window, wanted: Iterable[str], only_due: bool
) -> dict[str, list[datetime]]:
    now = datetime.now(UTC)
    if only_due:
        return due_starts(connection, call, window.grain, now, wanted)
    tick = partitions.last_tick(call.table, window.grain, now)
    held = held_since(connection, call.table, window.grain, window.since)
    never = datetime.min.replace(tzinfo=UTC)
    return {
        scope: [start for start in window.buckets() if held[scope].get(start, never) < tick]
        for scope in wanted
    }


def _months(starts: Iterable[datetime]) -> Iterator[Window]:
    """Windows of days, cut at the turn of the month."""
    for _, days in groupby(sorted(starts), key=lambda start: (start.year, start.month)):
        first, *rest = days
        last = rest[-1] if rest else first
        yield Window("daily", first, next_bucket(last, "daily"))


def _piece(
    vendors: Vendors, call: Call, scope: str, app_id: str, resource: str, month: Window
) -> Piece:
    def ask(window: Window) -> Iterator[pa.Table]:
        client = vendors.client(forge.Forge, make_client)
        environments: list[str | None] = [None]
        if call == SITE_ENVIRONMENT_USAGE:
            environments = _environments(vendors, scope, app_id, resource, window)
        days: set[datetime] = set()
        for environment in environments:
            for page in client.usage(call.table, app_id, resource, window, environment):
                days.update(page["bucket_start"].to_pylist())
                yield page
        _refuse_to_guess(call, window, days)

    return Piece(scope, month, ask)


def _refuse_to_guess(call: Call, window: Window, days: set[datetime]) -> None:
    """Beyond what is surely kept, a day without an answer is unknown: no receipt has it."""
    known_since = partitions.earliest(call.table, window.grain, datetime.now(UTC))
    if window.since >= known_since:
        return
    since = min([*days, known_since])
    note = (
        f"forge {window}: Atlassian showed 60 days of history when it last said how "
        "much it keeps. What it does not answer of earlier days is unknown, not zero"
    )
    if since > window.since:
        answered = replace(window, since=since) if since < window.until else None
        raise UnknownBeforeError(note, answered)


def _environments(
    vendors: Vendors, scope: str, app_id: str, resource: str, window: Window
) -> list[str | None]:
    """The environments that used this resource in the window; asked now where that is not held.

    Asked and not landed: a load cannot land another within itself.
    """
    table = ENVIRONMENT_USAGE.table
    with open_warehouse(vendors.settings) as connection:
        if covers(connection, table, scope, window):
            return _environments_held(connection, scope, window)
    pages = vendors.client(forge.Forge, make_client).usage(table, app_id, resource, window)
    return sorted({id for page in pages for id in page["environment_id"].to_pylist() if id})


def _environments_held(connection: Connection, scope: str, window: Window) -> list[str | None]:
    found = connection.execute(
        """
        select distinct usage.environment_id
        from raw.forge_environment_usage as usage
        semi join raw.loads as receipt
            on receipt.load_id = usage.load_id and receipt.scope = ?
        where usage.app_id || '/' || usage.resource = ? and usage.environment_id <> ''
            and usage.bucket_start >= ? and usage.bucket_start < ?
        order by usage.environment_id
        """,
        [scope, scope, window.since, window.until],
    ).fetchall()
    return [environment_id for (environment_id,) in found]
