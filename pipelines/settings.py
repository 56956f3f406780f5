"""How a vendor declares its settings: once, for the code, the README and .env.example.

Not here: the environment, which assets/settings.py alone reads.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

# what is longer is no id, whatever it is
LONGEST_ID = 500
# a longer word is more likely a credential than what a setting may be
LONGEST_SHOWN = 20


@dataclass(frozen=True)
class Setting:
    """One environment variable of a source.

    `read` gives the value of a text, or raises ValueError with what it has to be. `is_required`:
    the source is skipped without it. `is_of_account`: another account (`NAME__ACCOUNT`) has its
    own; every other setting holds for all accounts that do not set it. `is_secret`: it is never
    shown, as a key is not.
    """

    name: str
    default: str
    help: str
    read: Callable[[str], Any]
    is_required: bool = False
    is_of_account: bool = False
    is_secret: bool = False

    def shown(self, text: str) -> str:
        """What is wrong may be shown, but for a credential: also one within an address, or one
        that was set under this name by mistake."""
        if (
            self.is_secret
            or self.read is key
            or (len(text) > LONGEST_SHOWN and not re.search(r"[/.]", text))
        ):
            return "set"
        return repr(re.sub(r"(?<=//).*@|:[^:@]*@|\?.*|(?i:passw).*", "***", text))


def parts_of(value: str) -> SplitResult:
    """The parts of an address; all empty where it is none, or its port is no number above zero."""
    try:
        address = urlsplit(value)
        return urlsplit("") if address.port == 0 else address
    except ValueError:
        return urlsplit("")


def url(value: str) -> str:
    """An address; of another machine https alone, for a credential is sent there."""
    address = parts_of(value)
    host = address.hostname or ""
    is_safe = address.scheme == "https" or (address.scheme == "http" and is_loopback(host))
    is_plain = host and "@" not in address.netloc and not address.query
    if not (is_safe and is_plain and re.fullmatch(r"[!-~]+", value)):
        raise ValueError("an address like https://host/path")
    return value


def is_loopback(host: str) -> bool:
    """Whether this is the machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def between_commas(is_one: Callable[[str], object], what: str) -> Callable[[str], tuple[str, ...]]:
    """Reads what stands between commas, of which each has to be one."""

    def read(value: str) -> tuple[str, ...]:
        parts = tuple(filter(None, map(str.strip, value.split(","))))
        if not all(map(is_one, parts)):
            raise ValueError(what)
        return parts

    return read


def is_id(text: str) -> bool:
    """Whether a vendor may know something by it."""
    return text.isprintable() and " " not in text and 0 < len(text) <= LONGEST_ID


listed = between_commas(is_id, "ids between commas, without spaces and line breaks in them")
owners = between_commas(
    re.compile(r"team:\S+|[^@\s]+@[^@\s]+\.[^@\s]+").fullmatch,
    "mail addresses and team:NAME, between commas",
)


def header(value: str, shown: str = "") -> str:
    """What a header of a request may hold."""
    if not (value.isascii() and value.isprintable()):
        raise ValueError(f"{shown}ASCII characters, without line breaks")
    return value


def key(value: str) -> str:
    """A key or token."""
    return header(value, "as the vendor shows it: ")


def positive(value: str) -> int:
    """A whole number above zero."""
    if not re.fullmatch("[0-9]{1,9}", value) or int(value) < 1:
        raise ValueError("a whole number above zero")
    return int(value)


def size(value: str) -> str:
    """An amount of memory, as DuckDB writes it."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})? ?[KMGT]i?B", value):
        raise ValueError("an amount like 512MB or 2GB")
    return value


def byte_count(value: str) -> int:
    """An amount of memory, in bytes."""
    number, letter, is_binary = re.split("([KMGT])(i?)B", size(value))[:3]
    step = 1024 if is_binary else 1000
    return int(float(number) * step ** (1 + "KMGT".index(letter)))


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
    name: str, default: str, help: str, read: Callable[[str], Any] = str, **kind: bool
) -> Any:
    """A field of a vendor's settings: written here once, for the code, README and .env.example."""
    about = Setting(name, default, help, read, **kind)
    return field(default=read(default), metadata={"setting": about})


def credential(name: str, help: str, read: Callable[[str], Any] = str) -> Any:
    """One that the source is skipped without, and that every account has its own of."""
    return setting(name, "", help, read, is_required=True, is_of_account=True)


def ids(name: str, help: str) -> Any:
    """Ids between commas, of which every account has its own, or none."""
    return setting(name, "", help, listed, is_of_account=True)


def settings_of(kind: type[Any]) -> dict[str, Setting]:
    """The settings of a source, by the name of their field."""
    return {name: about.metadata["setting"] for name, about in kind.__dataclass_fields__.items()}
