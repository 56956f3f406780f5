"""What is in memory of the process from which those of tests are forked (processes.py)."""

import dlt.destinations
import dlt.pipeline
import duckdb
import pyarrow.parquet

import assets.loading
import pipelines.load
import tests.clock
from dbt_like_sql.engine.lineage import column_documentation
from dbt_like_sql.engine.models import load_models

__all__ = ["assets", "dlt", "duckdb", "pipelines", "pyarrow", "tests"]

column_documentation(load_models())
