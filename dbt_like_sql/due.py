"""Whether a build is due, and of which days, without building it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from dbt_like_sql.ledger import Ledger
from dbt_like_sql.models import PACKAGE_FOLDER, load_models
from dbt_like_sql.windows import Windows, due_windows


@dataclass(frozen=True)
class Due:
    """Days that a build would cover. `token` differs whenever what is due differs."""

    windows: Windows
    token: str


def due(connection: duckdb.DuckDBPyConnection, folder: Path = PACKAGE_FOLDER) -> Due | None:
    """What a build would cover now; None when every receipt is in every table.

    `connection` is the open writer (warehouse.writer) with raw.loads in it.
    """
    models = load_models(folder)
    ledger = Ledger(connection)
    through = ledger.built_through(models)
    (landed_at,) = connection.execute("select max(landed_at) from raw.loads").fetchone() or (None,)
    stale = any(ledger.is_stale(model.name, model.fingerprint) for model in models.values())
    if landed_at is None or (not stale and through is not None and landed_at <= through):
        return None
    windows = due_windows(connection, None if stale else through)
    # the newest receipt, and what the models are: a model's fingerprint covers its inputs'
    prints = hashlib.sha256("".join(m.fingerprint for m in models.values()).encode())
    return Due(windows, f"{landed_at:%Y-%m-%dT%H:%M:%S.%f} {prints.hexdigest()[:12]}")


def last_built_at(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    """When a build last made or checked a model; None before the first one."""
    Ledger(connection)  # makes meta.builds where it is not there
    row = connection.execute("select max(built_at) from meta.builds").fetchone()
    return row[0] if row else None
