"""Where a warehouse is: a DuckDB file, or a lake. What opens either is warehouse.py."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

LAKE = "ducklake:postgres:"


@dataclass(frozen=True)
class Lake:
    """Tables as Parquet files below `data`, a folder or an address like s3://bucket/folder, and
    their catalogue in a Postgres database.

    `catalog` is how libpq connects to that: a password may be in it, so it is never shown.
    """

    catalog: str = field(repr=False)
    data: str

    def __str__(self) -> str:
        if "://" in self.catalog:
            parts = urlsplit(self.catalog)
            where = f"//{parts.netloc.rpartition('@')[2]}{parts.path}"
        else:
            plain = re.sub(r"'(\\.|[^'\\])*'", "", self.catalog)  # a password may be quoted
            where = " ".join(re.findall(r"\b(?:service|host|port|dbname)\s*=\s*[^\s=]+", plain))
        return f"{LAKE}{where}"


Warehouse: TypeAlias = Path | Lake


def beside(at: Warehouse) -> Path:
    """The path beside which this machine keeps what it notes of a warehouse, and writes pages."""
    if isinstance(at, Path):
        return at
    parent, _, name = at.data.rstrip("/").rpartition("/")
    return Path("warehouse" if "://" in parent else f"{parent}/") / name


def exists(at: Warehouse) -> bool:
    """Whether something may be in it: what is in a lake, only its catalogue knows."""
    return isinstance(at, Lake) or at.exists()


def address(text: str) -> Warehouse:
    """What a setting says; where a lake has its data is another."""
    if text.startswith(LAKE):
        return Lake(text.removeprefix(LAKE), "")
    if text.startswith("ducklake:"):
        raise ValueError(f"a path, or {LAKE} and how to connect to that Postgres")
    return Path(text).expanduser()
