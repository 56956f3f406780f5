"""How a vendor declares its settings: once, for the code, the README and .env.example.

Not here: the environment, which assets/settings.py alone reads.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx


@dataclass(frozen=True)
class Setting:
    """One environment variable of a source.

    `read` gives the value of a text, or raises ValueError with what it has to be. `is_required`:
    the source is skipped without it. `is_of_account`: another account (`NAME__ACCOUNT`) has its
    own; every other setting holds for all accounts that do not set it.
    """

    name: str
    default: str
    help: str
    read: Callable[[str], Any]
    is_required: bool = False
    is_of_account: bool = False


def url(value: str) -> str:
    """An address."""
    try:
        address = httpx.URL(value)
    except httpx.InvalidURL:
        address = httpx.URL()
    if address.scheme not in ("http", "https") or not address.host:
        raise ValueError("an address like https://host/path")
    return value


def listed(value: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def positive(value: str) -> int:
    """A whole number above zero."""
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise ValueError("a whole number above zero")
    return int(value)


def size(value: str) -> str:
    """An amount of memory, as DuckDB writes it."""
    if not re.fullmatch(r"\d+(\.\d+)? ?[KMGT]i?B", value):
        raise ValueError("an amount like 512MB or 2GB")
    return value


def yes_or_no(value: str) -> bool:
    """yes or no."""
    if value.lower() not in ("yes", "no"):
        raise ValueError("yes or no")
    return value.lower() == "yes"


def path(value: str) -> Path:
    """A path, ~ expanded."""
    return Path(value).expanduser()


def existing_file(value: str) -> Path:
    """The path of a file that is there."""
    if not path(value).is_file():
        raise ValueError("the path of a file that is there")
    return path(value)


def setting(
    name: str,
    default: str,
    help: str,
    read: Callable[[str], Any] = str,
    **kind: bool,
) -> Any:
    """A field of a vendor's settings: written here once, for the code, README and .env.example."""
    about = Setting(name, default, help, read, **kind)
    return field(default=read(default), metadata={"setting": about})


def credential(name: str, help: str, read: Callable[[str], Any] = str) -> Any:
    """One that the source is skipped without, and that every account has its own of."""
    return setting(name, "", help, read, is_required=True, is_of_account=True)


def settings_of(kind: type[Any]) -> dict[str, Setting]:
    """The settings of a source, by the name of their field."""
    return {name: about.metadata["setting"] for name, about in kind.__dataclass_fields__.items()}
