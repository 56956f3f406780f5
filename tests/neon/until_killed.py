"""Loads and builds that end with no farewell where they are told to (see processes.py)."""

import os
import signal
from pathlib import Path
from typing import Any

import dlt

from assets.runs import planning
from assets.runs.loading import Loader
from assets.settings import read_settings
from assets.sources import endpoint_of
from assets.terminal import runs
from assets.terminal.console import Report
from dbt_like_sql.engine import build_state, publishing
from pipelines import receipts
from pipelines.windows import GRAINS
from tests import builds
from tests.clock import clock_from

USAGE = ("neon_project_usage", "neon_branch_usage")


def die(*_: Any, **__: Any) -> None:
    """Nothing of Python's tidying up."""
    os.kill(os.getpid(), signal.SIGKILL)


write = receipts.write


def write_and_die(*arguments: Any) -> None:
    """The receipts are there, and the folder of the load is too."""
    write(*arguments)
    die()


Point = tuple[Any, str, Any]
# killed where this is about to be called
OF_A_LOAD: dict[str, Point] = {
    "after extract": (dlt.Pipeline, "normalize", die),
    "after normalize": (dlt.Pipeline, "load", die),
    "before receipts": (receipts, "write", die),
    "after receipts": (receipts, "write", write_and_die),
}
OF_A_BUILD: dict[str, Point] = {
    "before the build commits": (build_state.Ledger, "save", die),
    "before publishing": (publishing, "publish", die),
    "before the new copy replaces the old": (publishing, "_sync", die),
}
POINTS = OF_A_LOAD | OF_A_BUILD


def load_hours(point: str, lent: str, _: Path) -> None:
    """The trailing hours of usage; killed at this point, or nowhere."""
    _arm(point)
    settings = read_settings(clock=clock_from(lent))
    with Loader(settings) as loader:
        for table in USAGE:
            window = planning.trailing(table, "hourly", settings.clock())
            assert not loader.load_window(endpoint_of(table), window).failures


def build(point: str, lent: str, models: Path) -> None:
    """A build of what landed; killed at this point, or nowhere."""
    _arm(point)
    builds.build(read_settings(clock=clock_from(lent)), models)


def run(_: str, lent: str, models: Path) -> None:
    """All that is due of Neon, and a build, as the command does; killed by somebody else."""
    settings = read_settings(clock=clock_from(lent))
    assert not runs.load_due(settings, Report(True), ("neon",), GRAINS).failures
    builds.build(settings, models)


def _arm(point: str) -> None:
    if point:
        setattr(*POINTS[point])
