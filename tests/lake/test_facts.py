"""The same rows from a lake as from a file, whatever is loaded, built and loaded again."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.runs import building
from assets.sources import FAMILIES
from assets.terminal import runs
from assets.terminal.console import Report
from dbt_like_sql.engine.lakes import moving
from dbt_like_sql.engine.models import load_models
from pipelines.windows import floor
from tests import builds
from tests.conftest import GRAINS, World, Worlds, open_world
from tests.lake.conftest import Lakes, on_lake
from tests.landed import Neon, land

# a view in between, one that is replaced by window, one that is written where it differs
MODELS = ("intermediate.int_neon_usage", "intermediate.int_resolution", "reports.coverage")
HOUR, COMPUTE = timedelta(hours=1), "compute_unit_seconds"
Rows = dict[str, list[tuple[Any, ...]]]


def rows(here: World, names: tuple[str, ...]) -> Rows:
    """What these say, but for instants at which something was asked: no two worlds share them."""
    said = "select columns(name -> not ends_with(name, '_at')) from"
    return {name: here.raw(f"{said} {name} order by all") for name in names}


def test_a_lake_holds_the_same_rows(lakes: Lakes, tmp_path: Path) -> None:
    """An hour of a project in both, and built; then that hour anew, and one of another, and built
    again."""
    models = builds.write_models_alone(tmp_path / "models", *MODELS)
    for seed in (models / "seeds").glob("*.csv"):
        if seed.stem not in ("calendar_days", "retention"):
            seed.unlink()
    with open_world(tmp_path, models=models, orgs=1, projects=2) as on_file:
        both = (on_file, on_lake(on_file, lakes, tmp_path))
        for here in both:
            builds.keep_models(models, here.settings.warehouse)
        until = floor(on_file.company.now, "hourly")
        first, second = (f"{until - n * HOUR:%Y-%m-%d %H}" for n in (3, 2))
        steps = [
            (Neon("p", COMPUTE, first, 5),),
            (Neon("p", COMPUTE, first, 7), Neon("q", COMPUTE, second, 3)),
        ]
        for number, step in enumerate(steps):
            asked_at = f"{until + number * HOUR:%Y-%m-%d %H:%M}"
            for here in both:
                land(here.settings, *step, asked_at=asked_at)
                assert not here.build().failed_checks
            found = [rows(here, MODELS) for here in both]
            assert found[0] == found[1]
            assert all(found[0].values())


def told(here: World, name: str) -> list[tuple[Any, ...]]:
    """All that a table says; of a float the digits that do not depend on what was added first."""
    rows = here.read(f"from {name} order by all")
    return [tuple(round(it, 9) if isinstance(it, float) else it for it in row) for row in rows]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_table_of_a_lake_is_that_of_a_file(
    worlds: Worlds, lakes: Lakes, tmp_path: Path
) -> None:
    """What every vendor tells of a small company, moved into a lake: all models are built of it, to
    the same rows."""
    with worlds.empty(tmp_path, built=True, projects=3) as on_file:
        loads = runs.load_due(on_file.settings, Report(True), FAMILIES, GRAINS)
        assert not loads.failures
        on_lakes = on_lake(on_file, lakes, tmp_path)
        moving.move(on_file.settings.warehouse, on_lakes.settings.warehouse, lambda text: None)
        names = [name for name in load_models() if name.split(".")[0] in ("marts", "reports")]
        now, found = on_file.clock(), []
        for here in (on_file, on_lakes):
            building.build(replace(here.settings, clock=lambda: now))
            found.append({name: told(here, name) for name in names})
        for name in names:
            assert found[0][name] == found[1][name], name
        sources = {row[0] for row in found[0]["marts.fct_usage"]}
        assert sources >= {"neon", "forge", "bitbucket"}
