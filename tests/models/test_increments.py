"""Whatever changed between builds, each table is what a build of everything would make."""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.sources import FAMILIES
from dbt_like_sql.engine import warehouse, windows
from dbt_like_sql.engine.models import PACKAGE_FOLDER, load_models
from pipelines.windows import Window
from tests import builds
from tests.atlassian_usage.test_orders import random_line
from tests.clients import load_due
from tests.conftest import USAGE_TABLES, Open, World
from tests.sandbox.platform_exports import write_rows
from tests.sandbox.usage import METRICS

HOUR = timedelta(hours=1)
GRAINS = [("hourly", "daily", "monthly"), ("daily",), ("hourly",)]
STEPS = 24


@dataclass
class Sequence:
    """What happens to a warehouse, step by step."""

    here: World
    folder: Path
    dice: random.Random

    def take(self) -> None:
        """One step; time goes by, loads and builds come more often than others."""
        steps: list[Callable[[], object]] = [self._wait, self._load, self._correct, self.build] * 2
        self.dice.choice([*steps, self._load_a_window, self._withdraw, self._own, self._export])()

    def build(self) -> None:
        """Build what is due; by whole seconds, for ages are told to the last digit."""
        now = self.here.settings.clock().replace(microsecond=0)
        builds.build(replace(self.here.settings, clock=lambda: now))

    def _wait(self) -> None:
        self.here.company.now += self.dice.choice([1, 1, 3, 12, 24, 24, 24 * 6, 24 * 11]) * HOUR

    def _load(self) -> None:
        families = self.dice.sample(FAMILIES, 2)
        load_due(self.here.settings, families, self.dice.choice(GRAINS))

    def _load_a_window(self) -> None:
        reach = self.here.reach(self.dice.choice(GRAINS[0]))
        buckets = [*reach.buckets(), reach.until]
        since, until = sorted(self.dice.sample(range(len(buckets)), 2))
        window = Window(reach.grain, buckets[since], buckets[min(until, since + 40)])
        self.here.land(self.dice.choice(USAGE_TABLES), window)

    def _correct(self) -> None:
        company = self.here.company
        project = self.dice.choice([*company.projects.values()])
        hour = company.now.replace(minute=0) - self.dice.randrange(2, 160) * HOUR
        part, more = self.dice.choice(project.parts), self.dice.choice([5, 70, 900])
        company.restate(project.id, part, self.dice.choice(METRICS), hour, more)

    def _withdraw(self) -> None:
        apps = self.here.company.forge
        day = self.here.company.now - self.dice.randrange(1, 20) * 24 * HOUR
        apps.withdraw(self.dice.choice([*apps.app_ids]), "KVS_READ", day.date())

    def _own(self) -> None:
        since = self.dice.choice(["", "2026-11-20", "2026-12-01"])
        chance, sources = self.dice.randrange, ("neon", "forge", "bitbucket", "")
        rows: dict[str, list[dict[str, Any]]] = {
            "owners": [
                {
                    "priority": n, "source": self.dice.choice(sources), "team": f"t{chance(3)}",
                    "valid_from_date": since, "split_by": self.dice.choice(["", "even", "cost"]),
                }
                for n in range(1, 4)
            ],
            "monthly_budgets": [{"budget": "b", "source": "neon", "amount_usd": chance(1, 90)}],
            "price_overrides": [
                {
                    "source": "neon", "sku": "compute", "meter": "compute_unit_seconds",
                    "billed_unit": "CU-hour", "usd_per_unit": f"0.{chance(1, 9)}",
                    "valid_from_date": since, "certainty": "contract", "documentation": "ours",
                }
            ],
        }  # fmt: skip
        seeds = dict(self.here.settings.own_seeds)
        for name in self.dice.sample([*rows], 2):
            shipped = (PACKAGE_FOLDER / "seeds" / f"{name}.csv").read_text().strip()
            lines = [[str(row.get(n, "")) for n in shipped.split(",")] for row in rows[name]]
            seeds[f"seeds.{name}"] = self.folder / f"{name}.csv"
            seeds[f"seeds.{name}"].write_text("\n".join([shipped, *map(",".join, lines)]) + "\n")
        self.here.settings = replace(self.here.settings, own_seeds=seeds)

    def _export(self) -> None:
        rows = [random_line(self.dice).row("exported") for _ in range(2)]
        write_rows(self.here.exports / f"{self.dice.randrange(3)}.csv", rows, "csv")
        load_due(self.here.settings, ["atlassian_platform"], ["daily"])


@pytest.mark.slow  # by default tests/test_any_sequence.py has the facts of a sequence
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(6))
def test_increments_come_to_what_a_build_of_everything_makes(
    world: Open, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loads, corrections, exports, seeds of one's own and time that goes by, in any order: all that
    readers are given is the same after a build, month by month, that knows of none before it."""
    exports = tmp_path / "exports"
    exports.mkdir()
    small = {"orgs": 2, "projects": 3, "apps": 1, "sites": 2, "workspaces": 1, "repositories": 2}
    here = world(**small, built=True, seed=seed, platform_usage_dir=exports)
    sequence = Sequence(here, tmp_path, random.Random(seed))
    for _ in range(STEPS):
        sequence.take()
    sequence.build()
    (tmp_path / "whole").mkdir()
    step_by_step = here.settings.warehouse
    whole = Path(shutil.copy2(tmp_path / "meterhouse.duckdb", tmp_path / "whole"))
    with warehouse.writer(whole) as connection:
        connection.execute("delete from meta.builds")
    sequence.here.settings = replace(here.settings, warehouse=whole)
    monkeypatch.setattr(windows, "ROWS_AT_ONCE", 1)
    sequence.build()
    with warehouse.reader(step_by_step) as connection:
        connection.execute(f"attach '{warehouse.read_copy(whole)}' as whole (read_only)")
        for name in load_models():
            if name.startswith(("marts.", "reports.")):
                for one, other in ((name, f"whole.{name}"), (f"whole.{name}", name)):
                    differs = f"from {one} except all from {other}"
                    assert connection.execute(differs).fetchall() == [], one
