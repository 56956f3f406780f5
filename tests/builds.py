"""Builds of less than everything that is shipped, or of other seeds than those."""

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from assets.runs import building
from assets.runs.opening import open_warehouse
from assets.settings import Settings
from assets.sources import ENDPOINTS
from dbt_like_sql.engine import models as reading
from dbt_like_sql.engine import publishing, runner
from dbt_like_sql.engine.lakes.address import Warehouse
from dbt_like_sql.engine.models import PACKAGE_FOLDER, ModelError, load_models
from dbt_like_sql.engine.runner import BuildReport
from dbt_like_sql.engine.seeds import seed_files
from dbt_like_sql.engine.warehouse import models_beside
from pipelines import receipts

# beside what pytest keeps between runs
KEPT = Path(__file__).parents[1] / ".pytest_cache" / "models.json"


def read_models() -> None:
    """Have all models that are shipped in memory: reading them takes seconds, of one process after
    a change. One that is wrong fails the tests that need it."""
    KEPT.parent.mkdir(exist_ok=True)
    with FileLock(f"{KEPT}.lock"), contextlib.suppress(ModelError):
        load_models(keep_in=KEPT)


def build(settings: Settings, models: Path = PACKAGE_FOLDER) -> BuildReport:
    """Build what is due of the models of a folder, and publish it, as the product does."""
    if models == PACKAGE_FOLDER:
        return building.build(settings)
    with open_warehouse(settings) as connection:
        receipts.create_raw_tables(connection, ENDPOINTS)
        report = runner.build(
            connection, folder=models, now=settings.clock(), own_seeds=settings.own_seeds
        )
        publishing.publish(connection, settings.warehouse)
    return report


def keep_models(folder: Path, at: Warehouse) -> None:
    """Beside the warehouse `at`, what was read of all models as what is read of those in a folder:
    to read them takes a second for each such folder, and each process that is started."""
    of_all = reading._known.get(
        reading._key(reading._texts(PACKAGE_FOLDER), seed_files(PACKAGE_FOLDER))
    )
    if of_all:  # they can be read
        texts = reading._texts(folder)
        paths = {f"{schema}.{path.stem}": path for schema, path, _ in texts}
        kept = tuple(replace(m, path=paths[m.name]) for m in of_all if m.name in paths)
        reading._keep(reading._key(texts, seed_files(folder)), kept, models_beside(at))


def write_facts_alone(folder: Path, *reports: str) -> None:
    """Make a folder of the shipped seeds and the models of facts, and of files that are no facts,
    with what these read: a third of the models, and half of the time of a build. And these reports,
    with what they read."""
    facts = {name for name in load_models() if name.startswith("marts.fct_")}
    facts = {name for name in facts if "cost" not in name}
    write_models_alone(folder, *sorted(facts), "reports.rejected_files", *reports)


def write_models_alone(folder: Path, *todo: str) -> Path:
    """Make `folder` one of the shipped seeds and of these models, with what they read."""
    models, found = load_models(), list(todo)
    for name in found:
        found += [i for i in models[name].inputs if i in models and i not in found]
        link = folder / models[name].path.relative_to(PACKAGE_FOLDER)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(models[name].path)
    shutil.copytree(PACKAGE_FOLDER / "seeds", folder / "seeds")
    return folder
