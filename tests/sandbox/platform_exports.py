"""Export files of Platform usage, as an admin drops them into a folder; good ones and bad ones.

The columns are those of contract version 1, which is this project's own. Not here: the
figures (atlassian_usage.py).
"""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import openpyxl  # type: ignore[import-untyped]

from tests.sandbox.atlassian_org import AtlassianOrg
from tests.sandbox.atlassian_usage import UNITS, PlatformUsage, Reading

COLUMNS = (
    "contract_version",
    "org_id",
    "usage_type",
    "app",
    "scope_type",
    "scope_id",
    "period_start",
    "period_end",
    "granularity",
    "quantity",
    "unit",
    "included_quantity",
    "extra_usage_limit",
    "forecast_quantity",
    "allowance_reset_at",
    "is_final",
    "exported_at",
    "exported_by",
    "source",
)
CONTRACT_VERSION = 1
Format = Literal["csv", "xlsx"]
Row = dict[str, Any]


def write(
    org: AtlassianOrg,
    folder: Path,
    fmt: Format = "csv",
    usage_types: Iterable[str] = tuple(UNITS),
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    exported_at: datetime | None = None,
    file_name: str | None = None,
) -> list[Path]:
    """Export what Platform usage shows now: `<folder>/<org id>/<year>/<file>`, a file per org.

    Everything since the history began, where no window is given. An org of which there is nothing
    to show has no file.
    """
    exported_at = exported_at or org.now
    since, until = since or org.history_start, until or org.now
    readings = PlatformUsage(org).readings(since, until, usage_types)
    name = file_name or f"platform-usage-{since:%Y%m%d}-{until:%Y%m%d}.{fmt}"
    written = []
    for organization in org.organizations:
        rows = [row_of(r, exported_at) for r in readings if r.org_id == organization.id]
        if rows:
            path = folder / organization.id / f"{exported_at:%Y}" / name
            written.append(write_rows(path, rows, fmt))
    return written


def row_of(reading: Reading, exported_at: datetime) -> Row:
    """A reading as a row of the contract, every value as a person would see it."""
    listed = {name: getattr(reading, name) for name in COLUMNS[1:16]}
    row = {"contract_version": CONTRACT_VERSION, **listed, "exported_at": exported_at}
    row |= {"exported_by": "admin@example.com", "source": "ui_export"}
    return {name: _shown(value) for name, value in row.items()}


def write_rows(path: Path, rows: Sequence[Row], fmt: Format) -> Path:
    """Write rows of the contract to `path`; the columns are those of the first row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes({"csv": _csv, "xlsx": _xlsx}[fmt](rows))
    return path


def _shown(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value


def _csv(rows: Sequence[Row]) -> bytes:
    """UTF-8 text; nothing where there is no value."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(rows[0])
    for row in rows:
        table.writerow(_csv_value(value) for value in row.values())
    return text.getvalue().encode()


def _csv_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return "" if value is None else str(value)


def _xlsx(rows: Sequence[Row]) -> bytes:
    """One sheet; numbers and booleans are cells of their kind, instants are text."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Platform usage")
    sheet.append([*rows[0]])
    for row in rows:
        sheet.append([*row.values()])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _example(**changed: Any) -> list[Row]:
    """One good row, and then what is wrong with it."""
    row: Row = {
        "contract_version": CONTRACT_VERSION,
        "org_id": "5f8e2c1a-0000-4000-8000-000000000001",
        "usage_type": "rovo_credits",
        "app": "Rovo",
        "scope_type": "org",
        "scope_id": "5f8e2c1a-0000-4000-8000-000000000001",
        "period_start": "2026-11-01T00:00:00Z",
        "period_end": "2026-11-02T00:00:00Z",
        "granularity": "day",
        "quantity": Decimal("123.4"),
        "unit": "credits",
        "included_quantity": Decimal(9000),
        "extra_usage_limit": None,
        "forecast_quantity": None,
        "allowance_reset_at": "2026-12-01T00:00:00Z",
        "is_final": True,
        "exported_at": "2026-11-03T08:00:00Z",
        "exported_by": "admin@example.com",
        "source": "ui_export",
    }
    return [row | changed]


def _without(column: str) -> list[Row]:
    return [{name: value for name, value in row.items() if name != column} for row in _example()]


BROKEN: dict[str, tuple[str, Callable[[], bytes]]] = {
    "wrong_column": ("csv", lambda: _csv(_example(surprise=Decimal(1)))),
    "missing_column": ("csv", lambda: _csv(_without("quantity"))),
    "wrong_unit": ("csv", lambda: _csv(_example(unit="GiB"))),
    "wrong_date": ("csv", lambda: _csv(_example(period_start="11/01/2026"))),
    "wrong_period": ("csv", lambda: _csv(_example(period_end="2026-10-31T00:00:00Z"))),
    "wrong_number": ("csv", lambda: _csv(_example(quantity="1.234,5"))),
    "wrong_version": ("csv", lambda: _csv(_example(contract_version=2))),
    "formula": ("csv", lambda: _csv(_example(app='=HYPERLINK("http://example.com")'))),
    "wrong_encoding": ("csv", lambda: _csv(_example(app="Größe")).decode().encode("latin-1")),
    "html": ("csv", lambda: b"<!doctype html><html><body>Log in</body></html>"),
    "empty": ("csv", lambda: b""),
    "formula_xlsx": ("xlsx", lambda: _xlsx(_example(quantity="=1+1"))),
    "truncated_xlsx": ("xlsx", lambda: _xlsx(_example())[:2000]),
    "other_kind": ("tsv", lambda: _csv(_example()).replace(b",", b"\t")),
}


def write_broken(folder: Path, kind: str) -> Path:
    """Write a file that is bad in one way, a key of BROKEN, as `<folder>/<kind>.<format>`."""
    fmt, content = BROKEN[kind]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}.{fmt}"
    path.write_bytes(content())
    return path
