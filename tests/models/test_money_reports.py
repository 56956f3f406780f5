"""What changed the bill, and where it will end: literal usage in, numbers of a pencil out."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.atlassian_usage.folder import Exports
from tests.builds import write_models_alone
from tests.conftest import Worlds
from tests.landed import Neon, Receipt, land, receive
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


def test_where_the_month_will_end(tmp_path: Path, worlds: Worlds) -> None:
    """16 hours on 8 settled days, one of them without usage, are 62 on 31; 15 on the last 7 of them
    make 16 + 23 * 15 / 7. The 2nd, which nobody asked about, and the 10th, which was asked before
    its end, are open: they count as the others do, and not as 0."""
    here = opened_at("2026-08-11T09:00", tmp_path, worlds, "reports.forecast")
    used = {1: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 9: 10}
    land(here.settings, *(compute("p", f"2026-08-{day:02}", n) for day, n in used.items()))
    receive(
        here.settings,
        Receipt("neon_project_usage", "daily", "2026-08-10", "2026-08-08", "2026-08-09"),
        Receipt("neon_project_usage", "daily", "2026-08-10T20:00", "2026-08-10", "2026-08-11"),
    )
    here.build()
    ((found, known, open_days, coming),) = here.read(
        "select [quantity / 3600, straight_line_quantity / 3600, last_7_days_quantity / 3600,"
        " cost, straight_line_cost, last_7_days_cost], known_day_count, open_day_count,"
        " coming_day_count from reports.forecast"
    )
    week = 16 + 23 * 15 / 7
    assert found == pytest.approx([16, 62, week, 16 * 0.106, 62 * 0.106, week * 0.106])
    assert (known, open_days, coming) == (8, 2, 21)


def test_every_forecast_is_kept_with_its_error(tmp_path: Path, worlds: Worlds) -> None:
    """An hour a day, and ten on the last of July, are 40: whoever went on as before said 31, which
    is 0.225 too low. A correction of a day is a correction of the forecasts of its month alone."""
    here = opened_at("2026-08-11T09:00", tmp_path, worlds, "reports.forecast_history")
    land(
        here.settings,
        *(compute("p", f"2026-07-{day:02}", 10 if day == 31 else 1) for day in range(1, 32)),
        *(compute("p", f"2026-06-{day:02}", 1) for day in range(1, 9)),
    )
    here.build()
    read = (
        "select strftime(day_start at time zone 'UTC', '%m-%d') as day, known_day_count,"
        " straight_line_error, last_7_days_error, straight_line_cost_error"
        " from reports.forecast_history"
        " where day in ('06-08', '07-06', '07-15', '07-31') order by day"
    )
    low = pytest.approx(31 / 40 - 1)
    assert here.read(read) == [
        ("06-08", 8, None, None, None),
        ("07-06", 6, low, None, low),
        ("07-15", 15, low, low, low),
        ("07-31", 31, 0, 0, pytest.approx(0)),
    ]
    land(here.settings, compute("p", "2026-07-31", 1))
    report = here.build()
    assert [row[2] for row in here.read(read)][1:] == [pytest.approx(0)] * 3
    (history,) = (m for m in report.models if m.name == "reports.forecast_history")
    assert {(w.since.month, w.until.month) for w in history.windows} == {(7, 8)}


def test_a_day_that_is_out_of_line(tmp_path: Path, worlds: Worlds) -> None:
    """20 hours where Tuesdays were 8 to 12: the median is 10, the median distance from it 1, which
    makes 10 / 1.4826 spreads. What hardly varies has a tenth of its median for a spread: 14 for 10
    is 4 of them, and none at all is 10. What is tiny, or new, says nothing."""
    here = opened_at("2026-08-11T09:00", tmp_path, worlds, "reports.anomalies")
    tuesdays = ("06-30", "07-07", "07-14", "07-21", "07-28", "08-04")
    hours = {
        "varies": (10, 12, 8, 10, 11, 20),
        "steady": (10, 10, 10, 10, 10, 14),
        "gone": (10, 10, 10, 10, 10, 0),
        "new": (0, 0, 0, 10, 10, 90),
    }
    used = {name: dict(zip(tuesdays, values, strict=True)) for name, values in hours.items()}
    land(
        here.settings,
        *(compute(name, f"2026-{day}", n) for name in used for day, n in used[name].items() if n),
        *(Neon("tiny", COMPUTE, f"2026-{day}", 600 if day == "08-04" else 60) for day in tuesdays),
        compute("gone", "2026-08-03", 10),
        # a day that is known, and not whole yet, is not judged
        compute("gone", "2026-08-10 05", 1),
    )
    here.build()
    columns = "project_id, quantity / 3600, usual_quantity / 3600, usual_distance / 3600, score"
    found = here.read(f"select {columns} from reports.anomalies order by 1")  # noqa: S608
    assert found == [
        ("gone", 0, 10, 0, -10),
        ("varies", 20, 10, 1, pytest.approx(10 / 1.4826)),
    ]
    explained = here.read("select explanation from reports.anomalies order by project_id")
    assert explained[1] == (
        "compute_unit_seconds of varies was 72000.00 CU-seconds on Tuesday, 2026-08-04,"
        " where 36000.00 is the median of 5 such weekdays before",
    )
