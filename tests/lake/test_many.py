"""Two machines that load into one lake at once: each window is asked for once, by one budget."""

from pathlib import Path
from typing import Any

import pytest

from assets.settings import read_settings
from assets.terminal import runs
from assets.terminal.console import Report
from tests.clock import clock_from
from tests.conftest import open_world
from tests.lake.conftest import Lakes, on_lake
from tests.processes import ended, start


def load_due(lent: str) -> None:
    """The days and names that are due of Neon, in a process of its own."""
    settings = read_settings(clock=clock_from(lent))
    assert runs.load_due(settings, Report(True), ("neon",), ("daily",)).failures == []


@pytest.mark.slow
def test_two_at_once_ask_for_each_window_once(lakes: Lakes, tmp_path: Path) -> None:
    """Nothing but the lake is common to them: whoever comes second finds that all is held."""
    small: dict[str, Any] = {"projects": 2, "branches": 1, "orgs": 1, "apps": 0, "workspaces": 0}
    with open_world(tmp_path, **small) as on_file:
        here = on_lake(on_file, lakes, tmp_path)
        homes = [{"XDG_STATE_HOME": str(tmp_path / name)} for name in ("one", "two")]
        both = [start(load_due, here.environment | home, here.clock.lent()) for home in homes]
        assert [ended(process) for process in both] == [0, 0]
        usage = [request for request in here.new_requests() if "consumption" in request.path]
        asked = [f"{request.path} {request.query}" for request in usage]
        assert len(asked) == len({*asked}) == 2
