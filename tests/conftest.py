"""A company, the stand-in vendor that serves it, a warehouse of its own: what every proof needs."""

import gc
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from multiprocessing.util import get_temp_dir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import certifi
import pyarrow as pa
import pytest
from filelock import FileLock

import assets.settings
from assets.runs import planning
from assets.runs.loading import Loader
from assets.settings import Settings, read_settings
from assets.sources import endpoint_of, source_of
from dbt_like_sql.engine import warehouse, words
from dbt_like_sql.engine.models import PACKAGE_FOLDER
from dbt_like_sql.engine.runner import BuildReport
from pipelines.load import load
from pipelines.source import LoadResult, snapshot
from pipelines.windows import Window
from tests import builds, reading
from tests.clients import impatient, load_due
from tests.clock import MINUTE, NOW, Clock
from tests.sandbox.company import Company
from tests.sandbox.desk import Request
from tests.sandbox.expected import FactKey, Held
from tests.sandbox.server import Sandbox, serve

if TYPE_CHECKING:
    import dagster as dg

GRAINS = ("hourly", "daily", "monthly")
# before Dagster's definitions are imported: where their partitions begin does not follow the clock
assets.settings.LOADED_AT = NOW - timedelta(days=14)
FACTS = """
    select org_id, project_id, branch_id, meter, granularity, period_start, sum(quantity)
    from (
        from marts.fct_compute union all from marts.fct_storage
        union all from marts.fct_transfer union all from marts.fct_operations
    )
    group by all
    having count(*) = count(distinct plan) + count(*) filter (plan is null)
        -- remainders of two plans may cancel out
        and (count(*) = 1 or branch_id is not null or sum(quantity) <> 0)
"""
# what is told of usage besides facts, and of no money
USAGE = (
    *("marts.dim_org", "marts.dim_project", "marts.dim_site"),
    *("reports.allowance", "reports.coverage", "reports.export_freshness"),
    *("reports.forge_environments", "reports.reconciliation", "reports.restatements"),
    "reports.unmapped_meters",
)
USAGE_TABLES = ("neon_project_usage", "neon_branch_usage")
PROJECTS = 11
builds.read_models()
# workers take the cores: threads of DuckDB's own are a sixth of a run's CPU. Processes that tests
# start have as many as ever
words.CONFIG["threads"] = 1
vars(warehouse)["AS_BEFORE"] = words.AS_BEFORE.replace("reset threads", "set threads = 1")
IN_MEMORY = "/dev/shm"  # noqa: S108  (a folder of its own is made in it)
# whether other workers of this run test at the same time
IS_SHARED = "PYTEST_XDIST_WORKER" in os.environ


Open = Callable[..., "World"]


def pytest_collection_finish() -> None:
    """Keep what was imported out of the garbage collector's sight: it looks at a million objects
    of other people's again and again, which is a tenth of the time of a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@dataclass
class World:
    """A company, its vendor and the product's settings for it."""

    company: Company
    sandbox: Sandbox
    settings: Settings
    environment: dict[str, str]
    clock: Clock
    models: Path = PACKAGE_FOLDER
    _seen: int = field(default=0)

    def reach(self, grain: str) -> Window:
        """Everything that the vendor still answers for at this grain."""
        return planning.everything_in_reach("neon_project_usage", grain, self.company.now)

    def land(self, table: str, window: Window | None, loader: Loader | None = None) -> LoadResult:
        """Load one window (None: names) with clients of its own, as a process of its own would; in
        one opening of the warehouse, of which each takes 20 ms of CPU."""
        endpoint = endpoint_of(table)
        with loader or Loader(self.settings) as opened, opened.at_once():
            return opened.load_window(endpoint, window) if window else opened.load_names(endpoint)

    @property
    def exports(self) -> Path:
        """The folder of exports."""
        return Path(self.environment["PLATFORM_USAGE_DIR"])

    def settings_with(self, **changed: str) -> Settings:
        """The settings, some of the environment's variables changed."""
        return read_settings(self.environment | changed, self.clock)

    def configure(self, patch: pytest.MonkeyPatch) -> None:
        """Point what reads settings in this process to this world, and to its clock."""
        for name, value in self.environment.items():
            patch.setenv(name, value)
        patch.setattr("assets.settings.utc_now", self.clock)

    def land_reach(self, *grains: str) -> None:
        """Project and branch usage of everything in reach, of these grains or of all three; in one
        opening of the warehouse."""
        with Loader(self.settings) as loader, loader.at_once():
            for table in USAGE_TABLES:
                for grain in grains or GRAINS:
                    result = loader.load_window(endpoint_of(table), self.reach(grain))
                    assert not result.failures

    def impatient(self) -> Loader:
        """A loader whose clients back off for milliseconds."""
        return impatient(self.settings)

    def build(self) -> BuildReport:
        """Build what is due, and publish it."""
        return builds.build(self.settings, self.models)

    def facts(self) -> dict[FactKey, int]:
        """All fact tables of the read copy, keyed as the answer key is."""
        return facts_of(self.settings)

    def expected(self, *grains: str) -> dict[FactKey, int]:
        """The answer key for everything in reach of these grains, or of all three."""
        return self.expected_of(*map(self.reach, grains or GRAINS))

    def expected_of(self, *windows: Window) -> dict[FactKey, int]:
        """The answer key where these windows are held, one of a grain."""
        held: Held = {window.grain: (window.since, window.until) for window in windows}
        return self.company.expected_facts(held)

    def new_requests(self) -> list[Request]:
        """What the vendor was asked since the last time this was called."""
        found = self.sandbox.requests[self._seen :]
        self._seen += len(found)
        return found

    def read(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of the read copy."""
        return reading.rows(self.settings.warehouse, sql, *parameters)

    def raw(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of the warehouse itself."""
        with warehouse.writer(self.settings.warehouse) as connection:
            return connection.execute(sql, list(parameters)).fetchall()


def land_tables(
    settings: Settings, table: str, *answers: tuple[str, Window | None, pa.Table]
) -> None:
    """Land answers that nobody was asked for: a scope, a window and a page each."""
    endpoint, opened = endpoint_of(table), partial(warehouse.writer, settings.warehouse)
    slices = [replace(snapshot(scope, iter, [page]), window=w) for scope, w, page in answers]
    result = load(opened, endpoint, source_of(endpoint).resources, slices, settings.clock)
    assert not result.failures


def facts_of(settings: Settings) -> dict[FactKey, int]:
    """All fact tables of the read copy, plans added up; without what one plan has twice."""
    facts: dict[FactKey, int] = {}
    for *parts, quantity in reading.rows(settings.warehouse, FACTS):
        key: FactKey = tuple(parts)
        assert key not in facts
        facts[key] = quantity
    return facts


@contextmanager
def open_world(
    folder: Path,
    *,
    later_by: timedelta = timedelta(),
    models: Path = PACKAGE_FOLDER,
    **options: Any,
) -> Iterator[World]:
    """A world whose warehouse is in `folder`; `options` of Company by name, the rest of Neon.

    Its company's time stands still, at NOW unless it is told, and is the product's too.
    """
    of_company = {"seed", "orgs", "projects", "branches", "now", "free_org", "oddities"}
    of_company |= {"apps", "sites", "workspaces", "repositories"}
    about = {name: options.pop(name) for name in of_company & options.keys()}
    defaults: dict[str, Any] = {"now": NOW, "projects": PROJECTS}
    company = Company(**defaults | about)
    clock = Clock(lambda: company.now, later_by)
    with serve(company, **options) as sandbox:
        environment = sandbox.environment | {
            "WAREHOUSE": str(folder / "meterhouse.duckdb"),
            "XDG_STATE_HOME": str(folder / "state"),
        }
        settings = read_settings(environment, clock)
        yield World(company, sandbox, settings, environment, clock, models)


@dataclass(frozen=True)
class Worlds:
    """Worlds that are loaded once a run, by the test and worker that comes first, and copied."""

    folder: Path

    @contextmanager
    def opened(
        self,
        folder: Path,
        name: str,
        load: Callable[[World], None],
        facts_alone: bool = False,
        reports: Sequence[str] = (),
        **options: Any,
    ) -> Iterator[World]:
        """The world `name` of these options in `folder`, a minute after `load` loaded it."""
        options["models"] = self.models(facts_alone, *reports)

        def make(made: Path) -> None:
            made.mkdir()
            if reports:
                self.begin_facts(made, *reports)
            else:
                self.begin(made, facts_alone)
            with open_world(made, **options) as here:
                load(here)

        copy_warehouse(self._made(name, make), folder)
        with open_world(folder, later_by=MINUTE, **options) as here:
            yield here

    @contextmanager
    def empty(
        self,
        folder: Path,
        built: bool = False,
        facts_alone: bool = False,
        reports: Sequence[str] = (),
        **options: Any,
    ) -> Iterator[World]:
        """A world in `folder` of which nothing was loaded. Where its models stand, as begin() says,
        a build takes less time; and where there are none, whatever opens the warehouse."""
        if built or facts_alone:
            options["models"] = self.begin(folder, facts_alone, *reports)
        with open_world(folder, **options) as here:
            yield here

    def begin(self, folder: Path, facts_alone: bool = False, *reports: str) -> Path:
        """Put a warehouse into `folder` in which nothing was loaded, and all was built, which is
        what takes the time of a first build: all models, or those that models() says; where these
        are."""
        return self._begun(folder, self.models(facts_alone, *reports))

    def models(self, facts_alone: bool = True, *reports: str) -> Path:
        """Where the models of facts are, and of these reports; or all of them."""
        if not facts_alone:
            return PACKAGE_FOLDER
        name = " ".join(["facts", *sorted(reports)])
        return self._made(name, lambda folder: builds.write_facts_alone(folder, *reports))

    def models_alone(self, *todo: str) -> Path:
        """Where these models are, with what they read: in one folder for all tests that read them,
        for to read models takes a second."""
        name = " ".join(["models", *sorted(todo)])
        return self._made(name, lambda folder: builds.write_models_alone(folder, *todo))

    def begin_alone(self, folder: Path, *todo: str) -> Path:
        """As begin(), of these models and what they read alone; where these are."""
        return self._begun(folder, self.models_alone(*todo))

    def once(self, folder: Path, *todo: str) -> Path:
        """Where these models are, for a test that builds them as no other does: on nothing, for to
        build that first would take as long as its own build; or on more, of which others go."""
        models = self.models_alone(*todo)
        builds.keep_models(models, folder / "meterhouse.duckdb")
        return models

    def begin_facts(self, folder: Path, *reports: str) -> Path:
        """As begin() of facts alone; where they are with a few reports, of which none stands."""
        self.begin(folder, True)
        models = self.models(True, *reports)
        builds.keep_models(models, folder / "meterhouse.duckdb")
        return models

    def _begun(self, folder: Path, models: Path) -> Path:
        def make(made: Path) -> None:
            made.mkdir()
            with open_world(made, orgs=1, projects=1, models=models) as here:
                builds.keep_models(models, here.settings.warehouse)
                here.build()

        copy_warehouse(self._made(f"empty {models.name}", make), folder)
        return models

    def _made(self, name: str, make: Callable[[Path], object]) -> Path:
        made, draft = self.folder / name, self.folder / f"{name}.draft"
        with FileLock(f"{made}.lock"):
            if not made.exists():
                shutil.rmtree(draft, ignore_errors=True)  # of a test that broke here
                make(draft)
                draft.rename(made)
        return made


def copy_warehouse(made: Path, folder: Path) -> None:
    """A warehouse and its read copy, which is known by its time, and what was read of models."""
    for file in (*made.glob("*.duckdb"), *made.glob("*.json")):
        shutil.copy2(file, folder)


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[None]:
    """A home of the tests' own, also for the processes that they start."""
    home = tmp_path_factory.mktemp("home")
    # nothing here speaks TLS, and to read all of certifi's takes every client 20 ms
    first, end, _ = Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----\n")
    (home / "one.pem").write_text(first + end)
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        if os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > 2**30:
            # a load makes and removes a hundred files and folders: on a disk that is an eighth of
            # its CPU time
            get_temp_dir()  # of processes that are started: theirs is removed after all fixtures
            folder = stack.enter_context(TemporaryDirectory(prefix="tests-", dir=IN_MEMORY))
            patch.setenv("TMPDIR", folder)
            patch.setattr("tempfile.tempdir", folder)
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_STATE_HOME", str(home / "state"))
        patch.setenv("SSL_CERT_FILE", str(home / "one.pem"))
        if IS_SHARED and pytestconfig.getoption("markexpr") == "not slow":
            # no core is idle: more threads of DuckDB would only wait for each other, which is a
            # sixth of the CPU time of a build. It reads this one variable as its default. The
            # long proofs, and what runs alone, have all its threads.
            patch.setenv("SLURM_CPUS_ON_NODE", "1")
        patch.delenv("DAGSTER_HOME", raising=False)
        yield


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    """The worlds of this run, which its workers share: their folders are in that of the run."""
    folder = tmp_path_factory.getbasetemp()
    found = Worlds((folder.parent if IS_SHARED else folder) / "worlds")
    found.folder.mkdir(exist_ok=True)
    return found


def _load_neon(here: World) -> None:
    assert load_due(here.settings, ("neon",), GRAINS)["failures"] == []
    here.build()


@pytest.fixture
def world(tmp_path: Path, worlds: Worlds) -> Iterator[Open]:
    """Opens worlds that close when the test ends: `world(orgs=1, page_size_cap=2)`; those whose
    tests build are `built` before, or `facts_alone`, with the `reports` that they look at."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(worlds.empty(tmp_path, **options))


@pytest.fixture
def landed_world(tmp_path: Path, worlds: Worlds) -> Iterator[World]:
    """A world of its own into whose warehouse everything in reach has been loaded and built."""
    with worlds.opened(tmp_path, "neon", _load_neon) as here:
        yield here


@pytest.fixture
def instance() -> Iterator["dg.DagsterInstance"]:
    """A Dagster instance in memory."""
    import dagster as dg  # here: it takes seconds, and most tests are of none

    with dg.DagsterInstance.ephemeral() as opened:
        yield opened
