"""What is in memory of the process from which those of tests are forked (processes.py)."""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa

import assets.runs.loading  # noqa: F401
import pipelines.atlassian_usage.files.reading  # noqa: F401
from assets.sources import endpoint_of, source_of
from dbt_like_sql.engine import warehouse
from pipelines.load import load
from pipelines.source import Slice
from pipelines.windows import Window
from tests.builds import read_models
from tests.clock import NOW, Clock

ORGANIZATIONS = endpoint_of("neon_organizations")


def a_row(_: Window | None) -> Iterator[pa.Table]:
    """An answer."""
    columns = {field.name: pa.nulls(1, field.type) for field in ORGANIZATIONS.schema}
    yield pa.table(columns, schema=ORGANIZATIONS.schema)


def load_once() -> None:
    """A first load imports half of what dlt needs, which takes a second."""
    with tempfile.TemporaryDirectory() as folder:
        opened = partial(warehouse.writer, Path(folder) / "here.duckdb")
        slices, resources = [Slice("org", None, a_row)], source_of(ORGANIZATIONS).resources
        assert not load(opened, ORGANIZATIONS, resources, slices, Clock(lambda: NOW)).failures


read_models()
load_once()
