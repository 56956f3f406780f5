"""A load of Forge that ends with no farewell at its fifth slice (see processes.py)."""

import os
import signal
from typing import Any

from assets.runs.loading import Loader
from assets.settings import read_settings
from assets.sources import endpoint_of
from pipelines import load, receipts
from pipelines.forge import client
from pipelines.windows import Window
from tests.clock import clock_from

# killed where this is about to be called for the fifth time
POINTS: dict[str, tuple[Any, str]] = {
    "before receipts": (receipts, "write"),
    "while asking": (client.Forge, "usage"),
}


def load_until_killed(point: str, window: Window, lent: str) -> None:
    """The totals of a window, landed slice by slice."""
    owner, name = POINTS[point]
    real, calls = getattr(owner, name), list[None]()

    def dying(*args: Any, **named: Any) -> Any:
        calls.append(None)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **named)

    setattr(owner, name, dying)
    load.LAND_EVERY_SECONDS = 0
    with Loader(read_settings(clock=clock_from(lent))) as loader:
        loader.load_window(endpoint_of("forge_app_usage"), window)
