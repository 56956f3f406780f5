"""Nothing but the configured vendors is contacted: a proxy listens for everything else.

`dagster dev` is listened to in test_platform_assets.py.
"""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.atlassian_usage.folder import Exports, Line
from tests.conftest import Open
from tests.proxy import Proxy, listening

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
# what pipelines/ keeps dlt from
DLT_ALONE = """
import dlt
pipeline = dlt.pipeline("p", destination=dlt.destinations.duckdb("p.duckdb"), pipelines_dir=".")
pipeline.run([{"a": 1}], table_name="t")
"""
OPEN_THE_WAREHOUSE = """
import sys
from pathlib import Path
from dbt_like_sql.engine.warehouse import writer
with writer(Path(sys.argv[1]), 5):
    pass
"""


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """The proxy of every process of the test."""
    with listening() as opened:
        yield opened


def run(
    proxy: Proxy,
    folder: Path,
    *command: str | Path,
    cwd: Path | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[str]:
    """Run a command with an empty home of its own in `folder`."""
    home = folder / "home"
    home.mkdir()
    off = ("DAGSTER_HOME", "DAGSTER_DISABLE_TELEMETRY", "RUNTIME__DLTHUB_TELEMETRY")
    environment = {name: value for name, value in os.environ.items() if name not in off}
    return subprocess.run(
        command,
        cwd=cwd or folder,
        env=environment | proxy.environment(home) | dict(settings),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_contacts_the_vendors_alone(proxy: Proxy, tmp_path: Path, world: Open) -> None:
    """`meterhouse run`: every vendor is asked, all is built, and nobody else is told."""
    small = {"branches": 1, "apps": 1, "sites": 1, "workspaces": 1, "repositories": 1}
    here = world(orgs=1, projects=1, oddities=False, **small)
    done = run(proxy, tmp_path, BIN / "meterhouse", "run", settings=here.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Neon, last 30 days" in done.stdout
    assert here.sandbox.forge.requests
    assert here.sandbox.bitbucket.requests
    assert proxy.requests == []


def test_a_run_of_dagster_contacts_nobody(proxy: Proxy, tmp_path: Path) -> None:
    """Without DAGSTER_HOME, it loads with dlt and builds, and keeps no telemetry to send later."""
    exports = Exports.in_folder(tmp_path)
    exports.write("a.csv", "org", Line("rovo_credits", "org", "2026-01", "5", "2026-02-02"))
    settings = exports.settings
    select = 'key:"raw/platform_usage" or key:"staging/stg_atlassian__platform_usage"'
    command = (BIN / "dagster", "asset", "materialize", "-m", "assets.definitions")
    paths = {"WAREHOUSE": settings.warehouse, "PLATFORM_USAGE_DIR": exports.folder}
    done = run(
        proxy,
        tmp_path,
        *(*command, "--select", select),
        cwd=ROOT,
        settings={name: str(path) for name, path in paths.items()},
    )
    assert done.returncode == 0, done.stderr
    assert exports.facts("org") == [("", "2026-01", "5")]
    assert proxy.requests == []
    assert not (tmp_path / "home" / ".dagster" / "logs").exists()


def test_what_is_no_warehouse_is_not_looked_up_elsewhere(proxy: Proxy, tmp_path: Path) -> None:
    """For a SQLite file DuckDB would download an extension; it is refused as it is."""
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as connection:
        connection.execute("create table t (x)")
    connection.close()
    done = run(proxy, tmp_path, sys.executable, "-c", OPEN_THE_WAREHOUSE, file, cwd=ROOT)
    assert done.returncode == 1
    assert "sqlite" in done.stderr
    assert proxy.requests == []


def test_the_proxy_hears_what_is_told(proxy: Proxy, tmp_path: Path) -> None:
    """dlt by itself reports to its makers: the tests above would hear it."""
    done = run(proxy, tmp_path, sys.executable, "-c", DLT_ALONE)
    assert done.returncode == 0, done.stderr
    assert {request.split(":")[0] for request in proxy.requests} == {
        "CONNECT telemetry.scalevector.ai"
    }
