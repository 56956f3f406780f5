"""Where a warehouse is: a DuckDB file, or a lake. What opens either is warehouse.py."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

LAKE = "ducklake:postgres:"
_HOST = r"(?:\[[^]/?#@]*\]|[^:/?#@,[\]]*)(?::\d*)?"
# where libpq finds a password in an address, and what is none of it
_URL = re.compile(rf"\w+://(?:[^/?#@]*@)?({_HOST}(?:,{_HOST})*(?:/[^/?#@]*)?)(?:\?\w+=.*)?")


@dataclass(frozen=True)
class Lake:
    """Tables as Parquet files below `data`, a folder or an address like s3://bucket/folder, and
    their catalogue in a Postgres database.

    `catalog` is how libpq connects to that: a password may be in it, so it is never shown.
    """

    catalog: str = field(repr=False)
    data: str

    def __str__(self) -> str:
        if _is_url(self.catalog):
            found = _URL.fullmatch(self.catalog)
            where = f"//{found[1]}" if found else ""
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


def _is_url(catalog: str) -> bool:
    """As libpq tells an address from keywords and values."""
    return catalog.startswith(("postgresql://", "postgres://"))


def address(text: str) -> Warehouse:
    """What a setting says; where a lake has its data is another."""
    if text.startswith(LAKE):
        catalog = text.removeprefix(LAKE)
        if _is_url(catalog) and not _URL.fullmatch(catalog):
            raise ValueError(
                f"{LAKE} and an address like postgresql://user@host/database, in which signs of a "
                "password are written as %40 for @, %2F for / and the like"
            )
        return Lake(catalog, "")
    if text.startswith("ducklake:"):
        raise ValueError(f"a path, or {LAKE} and how to connect to that Postgres")
    return Path(text).expanduser()
