"""What a build of a lake spills is beside the lake, and goes with its process."""

from pathlib import Path
from socket import gethostname

import pytest

from assets.settings import read_settings
from dbt_like_sql.engine import warehouse
from tests.lake.conftest import Lakes

# no process has it
MOST_PIDS = 2**30


@pytest.mark.slow
def test_what_needs_more_memory_spills(lakes: Lakes, tmp_path: Path) -> None:
    """And what one spilled that was killed is removed by the next."""
    left = tmp_path / f"lake.tmp-{gethostname()}-{MOST_PIDS}"
    left.mkdir()
    (left / "spilled").touch()
    at = read_settings(lakes(tmp_path)).warehouse
    with warehouse.writer(at) as connection:
        assert not left.exists()
        connection.execute("set memory_limit = '40MB'; set threads = 1")
        rows = "select md5(cast(range as varchar)) as text from range(800_000) order by text"
        connection.execute(f"create temp table much as {rows}")
        assert [*tmp_path.glob("lake.tmp-*")]
