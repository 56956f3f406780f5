"""What changed the bill, and where it will end: literal usage in, numbers of a pencil out."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.atlassian_usage.folder import Exports
from tests.builds import write_models_alone
from tests.conftest import Worlds
from tests.landed import Neon, land
from tests.models.test_cost import COMPUTE, opened

Rows = list[tuple[Any, ...]]


def opened_at(now: str, folder: Path, worlds: Worlds, *models: str) -> Exports:
    """A warehouse of these models, in which nothing was loaded, at an hour."""
    here = opened(folder, worlds)
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    settings = replace(here.settings, clock=lambda: at)
    return replace(here, settings=settings, models=write_models_alone(folder / "models", *models))


def compute(project: str, at: str, hours: int, **more: Any) -> Neon:
    """So many CU-hours on Launch, of 10.6 cents each."""
    return Neon(project, COMPUTE, at, hours * 3600, "launch", **more)


def test_what_changed_the_bill(tmp_path: Path, worlds: Worlds) -> None:
    """Up to yesterday against as many days of the month before: +$2.12 of p and -$1.06 of q are
    two thirds and one third of what changed. The whole of July against June: all but p."""
    here = opened_at("2026-08-11T09:00", tmp_path, worlds, "reports.cost_drivers")
    land(
        here.settings,
        compute("p", "2026-07-05", 10),
        compute("p", "2026-08-05", 30, branch="main"),
        compute("p", "2026-08-05", 30),
        compute("q", "2026-07-02", 10),
        compute("q", "2026-07-11", 100),
        compute("q", "2026-08-11", 1000),
        compute("r", "2026-06", 20),
    )
    here.build()

    def drivers(comparison: str, dimension: str) -> Rows:
        return here.read(
            "select thing_id, cost, cost_before, change, round(change_share, 3), change_rank,"
            " day_count, day_count_before from reports.cost_drivers"
            " where comparison = $1 and dimension = $2 order by change_rank, thing_id",
            comparison,
            dimension,
        )

    up, down = Decimal("2.12"), Decimal("-1.06")
    assert drivers("month to date", "project") == [
        ("p", Decimal("3.18"), Decimal("1.06"), up, 0.667, 1, 1, 2),
        ("q", 0, Decimal("1.06"), down, 0.333, 2, 1, 2),
    ]
    assert drivers("month to date", "branch") == [
        ("main", Decimal("3.18"), 0, Decimal("3.18"), 0.6, 1, 1, 2),
        (None, 0, Decimal("2.12"), Decimal("-2.12"), 0.4, 2, 1, 2),
    ]
    (of_owner,) = drivers("month to date", "owner")
    assert of_owner[:4] == ("unassigned", Decimal("3.18"), Decimal("2.12"), Decimal("1.06"))
    assert drivers("last month", "project") == [
        ("q", Decimal("11.66"), 0, Decimal("11.66"), 0.786, 1, 3, 1),
        ("r", 0, Decimal("2.12"), Decimal("-2.12"), 0.143, 2, 3, 1),
        ("p", Decimal("1.06"), 0, Decimal("1.06"), 0.071, 3, 3, 1),
    ]
