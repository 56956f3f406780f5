"""Processes of the product that tests start and kill, forked from one that has imported it all.

What a fresh interpreter would spend four seconds of CPU on, each of them has in memory.
"""

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from typing import Any

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.preloaded"])


def start(
    work: Callable[..., None], environment: Mapping[str, str], *arguments: Any
) -> ForkServerProcess:
    """A process in which a function of a module works, these variables added to those of tests."""
    process = _FORKS.Process(target=_work, args=(work, dict(environment), arguments))
    process.start()
    return process


def ended(process: ForkServerProcess) -> int:
    """Its exit code, once it is gone; of one that was killed, the negative signal."""
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _work(
    work: Callable[..., None], environment: Mapping[str, str], arguments: tuple[Any, ...]
) -> None:
    os.environ.update(environment)
    tempfile.tempdir = None  # asked for again, of this environment
    work(*arguments)
