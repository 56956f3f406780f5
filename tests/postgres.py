"""A Postgres of a test's own, on a socket of its own; it ends with the test."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DEBIANS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
FOLDERS = os.pathsep.join([*map(str, DEBIANS), os.environ.get("PATH", "")])
INITDB = shutil.which("initdb", path=FOLDERS)
# it refuses to be run as root
OWNER: dict[str, Any] = {"user": "nobody", "group": "nogroup"} if os.getuid() == 0 else {}

QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "cwd": "/", **OWNER}


@contextmanager
def postgres() -> Iterator[str]:
    """The address of an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # a path of a socket is short
    folder.chmod(0o777)
    initdb, data = Path(str(INITDB)), folder / "data"
    run = subprocess.run
    run([initdb, "-D", data, "-A", "trust", "-U", "me", "--no-sync"], check=True, **QUIET)
    # no address but the socket
    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    control: list[str | Path] = [initdb.parent / "pg_ctl", "-D", data, "-l", folder / "log", "-w"]
    run([*control, "-o", options, "start"], check=True, **QUIET)
    try:
        yield f"postgresql://me@/postgres?host={folder}"
    finally:
        run([*control, "-m", "immediate", "stop"], check=True, **QUIET)
        shutil.rmtree(folder)
