"""What the command costs where it has nothing to do: what it imports, and opens."""

import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.clock import NOW
from tests.conftest import Worlds

ROOT = Path(__file__).parents[2]
# of dlt, Arrow, pandas, HTTP and the parser each takes longer to import than all that is left
HEAVY = {"dagster", "dlt", "httpx", "numpy", "pandas", "pyarrow", "sqlglot"}
NOTHING_DUE = """
import sys
from datetime import datetime
import assets.settings
import duckdb
now, opened, connect = datetime.fromisoformat(sys.argv[1]), [], duckdb.connect
assets.settings.utc_now = lambda: now
duckdb.connect = lambda *given, **options: opened.append(1) or connect(*given, **options)
from assets.cli import main
try:
    main([sys.argv[2]])
finally:
    print(len(opened), *{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


def cpu_seconds(
    folder: Path, settings: Mapping[str, str], *arguments: str
) -> tuple[float, str, str]:
    """What Python takes for a program of its own, and what it said."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", *arguments],
        cwd=folder,
        env={**os.environ, **settings, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, done.stdout, done.stderr


def test_nothing_due(tmp_path: Path, worlds: Worlds) -> None:
    """No import that takes longer than all of it, and one look into the warehouse, or into the copy
    and whether the warehouse opens; the least that it could take is the import of duckdb: three
    times that is wanted, and a third of it is room."""
    worlds.begin(tmp_path)
    (tmp_path / "exports").mkdir()
    settings = {"WAREHOUSE": "meterhouse.duckdb", "PLATFORM_USAGE_DIR": "exports"}
    program = (NOTHING_DUE, NOW.isoformat())
    cpu_seconds(tmp_path, settings, *program, "run")  # publishes, and compiles what it imports
    least, _, _ = cpu_seconds(tmp_path, settings, "import duckdb")
    shows = ("run", "0 rows written in 0", 1), ("status", "Nothing needs you.", 2)
    for command, said, openings in shows:
        spent, shown, told = cpu_seconds(tmp_path, settings, *program, command)
        opened, *imported = told.splitlines()[-1].split()
        assert said in shown
        assert not HEAVY & {*imported}
        assert int(opened) == openings
        assert spent < 9 * least


def test_help_needs_no_warehouse(tmp_path: Path) -> None:
    """Nor anything to show tables with."""
    program = "import assets.cli, sys; print(*sys.modules)"
    _, imported, _ = cpu_seconds(tmp_path, {}, program)
    assert not (HEAVY | {"duckdb", "rich"}) & {*imported.split()}
