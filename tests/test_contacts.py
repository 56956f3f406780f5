"""Nothing but the configured vendors is contacted: a proxy listens for everything else.

The command is listened to in cli/test_cli.py, `dagster dev` in atlassian_usage/test_dagster.py.
"""

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from assets.settings import read_settings
from tests.atlassian_usage.folder import Line, facts_of
from tests.conftest import Worlds
from tests.proxy import Proxy, listening
from tests.sandbox.platform_exports import write_rows

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
# what pipelines/ keeps dlt from
DLT_ALONE = """
import dlt
from dlt.common.runtime import run_context
run_context.global_dir = lambda: "."  # root's is /var/dlt
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


# what asks somebody elsewhere, through the proxy that its environment names
ASK = "import httpx; httpx.get('https://telemetry.scalevector.ai')"


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """The proxy of every process of the test."""
    with listening() as opened:
        yield opened


@pytest.mark.slow  # by default the command is listened to
def test_a_run_of_dagster_contacts_nobody(proxy: Proxy, tmp_path: Path, worlds: Worlds) -> None:
    """With no setting at all, and no DAGSTER_HOME, it loads with dlt and builds, and keeps no
    telemetry to send later."""
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    (tmp_path / "warehouse").mkdir()
    worlds.begin(tmp_path / "warehouse")
    folder = tmp_path / "platform_usage"
    folder.mkdir()
    line = Line("rovo_credits", "org", "2026-01", "5", "2026-02-02")
    write_rows(folder / "a.csv", [line.row("org")], "csv")
    select = 'key:"raw/platform_usage" or key:"staging/stg_atlassian__platform_usage"'
    command = (BIN / "dagster", "asset", "materialize", "-m", "assets.definitions")
    done = proxy.run(tmp_path, *command, "--select", select)
    assert done.returncode == 0, done.stderr
    warehouse = str(tmp_path / "warehouse" / "meterhouse.duckdb")
    assert facts_of(read_settings({"WAREHOUSE": warehouse}), "org") == [("", "2026-01", "5")]
    assert proxy.requests == []
    assert not (tmp_path / "home" / ".dagster" / "logs").exists()


def test_what_is_no_warehouse_is_not_looked_up_elsewhere(proxy: Proxy, tmp_path: Path) -> None:
    """For a SQLite file DuckDB would download an extension; it is refused as it is."""
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as connection:
        connection.execute("create table t (x)")
    connection.close()
    done = proxy.run(tmp_path, sys.executable, "-c", OPEN_THE_WAREHOUSE, file)
    assert done.returncode == 1
    assert "it is no DuckDB database" in done.stderr
    assert proxy.requests == []


@pytest.mark.parametrize(
    ("program", "code"), [(ASK, 1), pytest.param(DLT_ALONE, 0, marks=pytest.mark.slow)]
)
def test_the_proxy_hears_what_is_told(
    proxy: Proxy, tmp_path: Path, program: str, code: int
) -> None:
    """dlt by itself reports to its makers: the tests above would hear it."""
    done = proxy.run(tmp_path, sys.executable, "-c", program)
    assert done.returncode == code, done.stderr
    assert {request.split(":")[0] for request in proxy.requests} == {
        "CONNECT telemetry.scalevector.ai"
    }
