"""Every kind of trouble at every endpoint: it is said, costs nothing else, and leaves no trace.

While it lasts, the one scope that it is about fails in words and has no answer of it on record,
and every other scope loads. After it, the same load again makes the log of a clean one, from which
alone facts are built.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from assets.settings import Settings
from assets.sources import endpoint_of, source_of
from dbt_like_sql.engine import warehouse
from pipelines.receipts import create_raw_tables
from pipelines.source import BucketsRefusedError, LoadResult
from pipelines.windows import Window, whole_buckets
from tests.clients import impatient
from tests.clock import TODAY
from tests.conftest import World, open_world
from tests.faults.front import Asked, Front
from tests.faults.troubles import TROUBLES, Trouble

WINDOW = Window("daily", TODAY - timedelta(days=3), TODAY)
SMALL: dict[str, Any] = {"projects": 4, "branches": 1, "apps": 2, "sites": 2, "repositories": 2}
BOUNDS = {"LIMIT_PAGES": "9", "LIMIT_ANSWER_SIZE": "1MB", "LIMIT_UNPACKED_SIZE": "2MB"}
Rows = list[tuple[Any, ...]]
# columns of what is held, in a log; of a row, all but when it was told
HELD = 3
TOLD = "columns(name -> name not in ('load_id', 'landed_at', 'read_at'))"


@dataclass(frozen=True)
class Place:
    """An endpoint, and which requests are about one scope of it; `named`: how errors name that.

    `part`: of the requests that an answer is made of, the one that has trouble.
    """

    table: str
    path: str
    named: str
    lacks: tuple[str, ...] = ()
    part: str = ""

    def scope(self, here: World) -> str:
        """What its receipts say that they are of."""
        ids = whose(here)
        if self.table.startswith("forge"):
            return f"{ids['app']}/{FIRST}"
        if self.table in ("neon_organizations", "bitbucket_workspaces"):
            return "all"
        if self.table == "bitbucket_pipeline_runs":
            return ids["repository"]
        if self.table == READINGS:
            return METERED
        return ids["org"] if self.table.startswith("neon") else ids["workspace"]

    def is_meant(self, here: World, asked: Asked) -> bool:
        """Whether a request is about the scope that has trouble."""
        if not re.search(self.path.format(**whose(here)), asked.path):
            return False
        if "variables" in asked.json:
            variables, told = asked.json["variables"], GROUPED.get(self.table)
            is_cube = "environment" in variables
            of_app = variables["appId"].endswith(whose(here)["app"])
            of_table = variables["groupBy"] == told and is_cube == (self.table == CUBE)
            return of_app and of_table and variables["resource"] == FIRST
        return asked.query.get("org_id") in (None, [whose(here)["org"]])


CUBE, FIRST = "forge_site_environment_usage", "FUNCTION_COMPUTE"
READINGS, METERED = "platform_readings", "0rg-a"
METERS = f"^/sandbox/v9/orgs/{METERED}/"
GROUPED = {
    "forge_site_usage": "CONTEXT_ARI",
    "forge_environment_usage": "ENVIRONMENT_ID",
    CUBE: "CONTEXT_ARI",
}
NEON = "^/api/v2"
# what is no usage may be of any time; what is listed as a whole has one page and no number
NAMES = ("times to come",)
LISTED = (*NAMES, "numbers", "odd numbers", "paging", "empty pages")
# days are UTC, and an empty page is the last one
FORGE = ("times without a zone", "empty pages")
PLACES = [
    Place("neon_organizations", f"{NEON}/users/me/organizations", "of this key", LISTED),
    Place("neon_projects", f"{NEON}/projects$", "{org}", NAMES),
    Place("neon_branches", f"{NEON}/projects/{{project}}/branches", "{project}", NAMES),
    Place("neon_project_usage", f"{NEON}/consumption_history/v2/projects", "{org}"),
    Place("neon_branch_usage", f"{NEON}/consumption_history/v2/branches", "{org}"),
    Place("neon_account_usage", f"{NEON}/consumption_history/account", "{org}"),
    *(Place(table, "graphql", "{app}", FORGE) for table in ("forge_app_usage", *GROUPED)),
    Place("bitbucket_workspaces", "^/2.0/workspaces/{slug}", "{slug}", LISTED),
    Place("bitbucket_repositories", "^/2.0/repositories/{workspace}$", "{workspace}", NAMES),
    Place("bitbucket_pipeline_runs", "/{repository}/pipelines", "{full_name}"),
    *(
        # an instant without a zone is UTC
        Place(READINGS, f"{METERS}{path}$", METERED, ("times without a zone", *lacks), part)
        for part, path, *lacks in (
            ("find_meter", "meters"),
            ("organization", "meters/[^/]+/usage", "paging", "empty pages"),
            ("accounts", "meters/[^/]+/accounts"),
            ("list_accounts", "accounts"),
        )
    ),
]


def whose(here: World) -> dict[str, str]:
    """The ids of the scope that has trouble, by what they are of."""
    org = next(iter(here.company.orgs))
    project = next(p for p in here.company.projects_of(org) if not p.deleted_at)
    workspace = here.company.atlassian.workspaces[0]
    repository = here.company.atlassian.live_repositories(workspace.uuid)[0]
    return {
        "org": org,
        "project": project.id,
        "app": here.company.forge.app_ids[0],
        "slug": workspace.slug,
        "workspace": workspace.uuid,
        "repository": repository.uuid,
        "full_name": repository.full_name,
    }


@dataclass
class Scene:
    """A world with a front, and what a clean load of each endpoint leaves."""

    here: World
    front: Front
    folder: Path
    clean: dict[str, Rows]
    count: int = 0

    def settings(self, **changed: str) -> Settings:
        """Of a warehouse that is not there yet."""
        self.count += 1
        file = self.folder / f"{self.count}" / "here.duckdb"
        found = self.here.settings_with(**BOUNDS, **changed, WAREHOUSE=str(file))
        few = tuple(replace(a, meters=(FIRST, "KVS_READ")) for a in found.accounts["forge"])
        return replace(found, accounts={**found.accounts, "forge": few})

    def clean_log(self, table: str) -> Rows:
        """What a load without trouble leaves."""
        if table not in self.clean:
            settings = self.settings()
            assert load(settings, table).failures == []
            self.clean[table] = log(settings, table)
        return self.clean[table]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One company for all."""
    folder, front = tmp_path_factory.mktemp("matrix"), Front()
    about: dict[str, Any] = {"legacy_account": True, "meters_accounts": 3}
    with open_world(folder, **SMALL, **about, front=front.before) as here:
        here.environment["FORGE_SITES_BY_ENVIRONMENT"] = "yes"
        yield Scene(here, front, folder, {})


def window_of(table: str) -> Window:
    """What is asked of an endpoint; of readings there is today alone."""
    return Window("daily", TODAY, TODAY + timedelta(days=1)) if table == READINGS else WINDOW


def load(settings: Settings, table: str) -> LoadResult:
    """A run's load of one endpoint, with what it needs."""
    endpoint = endpoint_of(table)
    with impatient(settings) as loader:
        if endpoint.is_windowed:
            return loader.load_window(endpoint, window_of(table))
        return loader.load_names(endpoint)


def log(settings: Settings, table: str) -> Rows:
    """What was told of an endpoint and of what it needs, and which buckets are held."""
    found, endpoints = [], [endpoint_of(name) for name in (table, *endpoint_of(table).needs)]
    with warehouse.writer(settings.warehouse) as connection:
        create_raw_tables(connection, endpoints)
        for name in (endpoint.table for endpoint in endpoints):
            sql = f"select distinct '{name}', {TOLD} from raw.{name} order by all"  # noqa: S608
            found += connection.execute(sql).fetchall()
        sql = (
            "select distinct resource, scope, granularity, window_start, window_end from raw.loads"
        )
        receipts = connection.execute(f"{sql} where complete order by all").fetchall()
    held = {(table, scope, at) for table, scope, *window in receipts for at in buckets(*window)}
    return [*found, *sorted(held)]


def buckets(grain: str, since: datetime | None, until: datetime | None) -> list[str]:
    """The buckets of a receipt's window; of names the one thing that they are."""
    if since is None or until is None:
        return [grain]
    return [f"{grain} {start:%Y-%m-%d}" for start in whole_buckets(grain, since, until)]


def is_in_words(scene: Scene, place: Place, message: str) -> bool:
    """It names the source, the scope and the window, and says what is safe."""
    ids, endpoint = whose(scene.here), endpoint_of(place.table)
    days = window_of(place.table).buckets() if endpoint.is_windowed else []
    return (
        message.startswith((source_of(endpoint).name, endpoint.source))
        and (place.named.format(**ids) in message or place.scope(scene.here) in message)
        and (not days or any(f" {day:%Y-%m-%d}" in message for day in days))
        and "untouched" in message
        and message.isprintable()
        and len(message) < 1_000
        and message.count(". ") >= 2
    )


KINDS = dict.fromkeys(trouble.kind for trouble in TROUBLES)
# the others are tried without a vendor, in test_limits.py and test_load.py
SHORTLY = ("refusals", "connections", "bodies", "nesting", "shapes", "numbers", "times", "paging")
ONE_OF_EACH = [next(trouble for trouble in TROUBLES if trouble.kind == kind) for kind in SHORTLY]


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        pytest.param(place, kind, id=f"{place.table} {place.part}: {kind}", marks=pytest.mark.slow)
        for place in PLACES
        for kind in KINDS
        if kind not in place.lacks
    ],
)
def test_trouble_is_said_and_leaves_no_trace(scene: Scene, place: Place, kind: str) -> None:
    """Every trouble of a kind, one after the other, and then none."""
    assert trouble_and_healing(scene, place, [t for t in TROUBLES if t.kind == kind]) == {}


@pytest.mark.parametrize(
    ("table", "troubles"),
    [
        ("neon_project_usage", ONE_OF_EACH),
        ("forge_site_usage", ONE_OF_EACH[:1]),
        ("bitbucket_repositories", ONE_OF_EACH[4:5]),
        (READINGS, ONE_OF_EACH[5:6]),
    ],
)
def test_a_trouble_of_each_kind(scene: Scene, table: str, troubles: list[Trouble]) -> None:
    """The short form of the same."""
    *_, place = (p for p in PLACES if (p.table, p.part) in ((table, ""), (table, "accounts")))
    assert trouble_and_healing(scene, place, troubles) == {}


def trouble_and_healing(scene: Scene, place: Place, troubles: list[Trouble]) -> dict[str, Any]:
    """What is not as it has to be while each lasts, and when all is well again."""
    table, settings, clean = place.table, scene.settings(), scene.clean_log(place.table)
    found = {trouble.name: what_is_wrong(scene, settings, place, trouble) for trouble in troubles}
    found["afterwards"] = load(settings, table).failures
    if not any(trouble.may_be_so for trouble in troubles):
        healed = log(settings, table)
        found["told otherwise"] = [row for row in healed if row not in clean]
        found["lost"] = [row for row in clean if row not in healed]
    return {name: wrong for name, wrong in found.items() if wrong}


def what_is_wrong(scene: Scene, settings: Settings, place: Place, trouble: Trouble) -> Any:
    """What is not as it has to be while a trouble lasts; nothing, as a rule."""
    accounts = {
        name: tuple(
            replace(a, limits=replace(a.limits, request_seconds=trouble.patience)) for a in them
        )
        for name, them in settings.accounts.items()
    }
    scene.front.is_meant = partial(place.is_meant, scene.here)
    scene.front.spoil = trouble.spoil
    try:
        during = load(replace(settings, accounts=accounts), place.table)
    finally:
        scene.front.clear()
    messages = {str(failure) for failure in during.failures}
    if not all(is_in_words(scene, place, message) for message in messages) or len(messages) > 1:
        return messages
    told = log(settings, place.table)
    whole, scope = scene.clean_log(place.table), place.scope(scene.here)
    if messages and claimed(during, scope):
        return f"held, although {messages}"
    if not (messages or during.notes or trouble.may_be_so) and told != whole:
        return "nothing was said, and what landed is another"
    owner, _, _ = scope.partition("/")  # who may not ask about an app may not of any resource
    landed = scopes_in(told, place.table)
    others = {s for s in scopes_in(whole, place.table) if not s.startswith(owner)}
    if not (others <= landed or trouble.ends_run):
        return f"only {landed} landed"
    return None


def claimed(during: LoadResult, scope: str) -> bool:
    """Whether a receipt of a scope that failed has what was refused: all of it, or those buckets of
    which a number cannot be."""
    windows = [r.window for r in during.receipts if r.scope == scope and r.complete]
    refused = [failure for failure in during.failures if isinstance(failure, BucketsRefusedError)]
    answered = {start for window in windows if window for start in window.buckets()}
    return bool(windows) if not refused else any(answered & {*error.buckets} for error in refused)


def scopes_in(told: Rows, table: str) -> set[str]:
    """The scopes of the receipts in a log."""
    return {row[1] for row in told if row[0] == table and len(row) == HELD}
