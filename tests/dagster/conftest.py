"""A company that the terminal loaded and built."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.windows import Window, next_bucket
from tests.conftest import World, Worlds

HOURS = 20


def land_and_build(here: World) -> None:
    """The latest hours, and all models."""
    end = next_bucket(here.company.now, "hourly")
    window = Window("hourly", end - timedelta(hours=HOURS), end)
    assert not here.land("neon_project_usage", window).failures
    here.build()


@pytest.fixture
def built_hours(tmp_path: Path, worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Hours of today and yesterday, landed and built, with the settings that runs read pointed at
    the vendor of this company."""
    small: dict[str, Any] = {"projects": 2, "branches": 1, "orgs": 2, "apps": 0, "workspaces": 0}
    with worlds.opened(tmp_path, "built hours", land_and_build, oddities=False, **small) as here:
        here.configure(monkeypatch)
        yield here
