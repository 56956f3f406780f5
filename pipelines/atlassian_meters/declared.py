"""The meters API as a file declares it: three requests, and where in their answers things are.

Not here: how they are sent (client.py). The file is meters_api.toml, or that of METERS_API_FILE.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, quote, urlsplit

import msgspec

SHIPPED = Path(__file__).with_name("meters_api.toml")
# what a request may hold in braces; a list of ids is a list where it stands alone, else has commas
PLACEHOLDERS = ("org_id", "meter_key", "meter_id", "account_ids", "cursor")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
# how a next page is called, and no next renewal
_NEXT = re.compile(r"next([-_/]?(page|cursor|token|link|ur[il]|href|id|start|after))*$", re.I)
# a path, or a JSON pointer (RFC 6901); blank while it is not known
_Slashed = Annotated[str, msgspec.Meta(pattern="^(/|$)")]
# what an operation's answer has to tell, and may
REQUIRED = {
    "find_meter": ("meter_key", "meter_id"),
    "organization": ("used", "cycle_start", "cycle_end"),
    "accounts": ("account_id", "used"),
    "list_accounts": ("account_id",),
}
_OPTIONAL = {
    "find_meter": ("pay_as_you_go",),
    "organization": ("limit", "allowance", "pay_as_you_go"),
    "accounts": ("limit", "error", "cycle_start", "cycle_end"),
    "list_accounts": (),
}


class _Struct(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pass


class Meter(_Struct):
    """A meter by the API's key, and what it is called in facts."""

    key: str
    usage_type: str
    unit: str


class Operation(_Struct):
    """A request, and where in its answer things are: JSON pointers.

    `items` points to a list in the answer, and `fields` into each of its items; without it, into
    the answer. `next_cursor` is what {cursor} is in the request for the next page.
    """

    path: _Slashed
    fields: dict[str, str]
    method: Literal["GET", "POST"] = "GET"
    params: dict[str, Any] = {}
    body: Any = None
    items: _Slashed = ""
    next_cursor: _Slashed = ""

    def request(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What httpx needs for it; a parameter that stands for nothing is left out."""
        about = {"params": _filled(self.params, values)}
        return about if self.body is None else about | {"json": _filled(self.body, values)}

    def path_for(self, values: Mapping[str, Any]) -> str:
        """The path with its placeholders filled."""
        return _PLACEHOLDER.sub(lambda found: quote(_text(values[found[1]]), safe=""), self.path)

    def next_elsewhere(self, answer: Any) -> str:
        """Where an answer with items tells of a next page, which is not where it is declared."""
        return next(_named_next(answer), "") if self.items else ""

    def next_of(self, answer: Any) -> Any:
        """The cursor of the next page, also where the answer gives its address; None: there is
        none. An address is not followed: what is asked, and with which key, is declared."""
        found = pointed(answer, self.next_cursor) if self.next_cursor else None
        names = [name for name, value in self.params.items() if value == "{cursor}"]
        told = parse_qs(urlsplit(found).query) if isinstance(found, str) else {}
        return next((told[name][0] for name in names if name in told), found)


class Declaration(_Struct):
    """All of it. Without paths the API is off."""

    find_meter: Operation
    organization: Operation
    accounts: Operation
    meters: tuple[Meter, ...]
    accounts_complete_since: date
    list_accounts: Operation | None = None
    accounts_at_once: int = 100

    @property
    def operations(self) -> dict[str, Operation]:
        """The operations by name."""
        named = {name: getattr(self, name) for name in REQUIRED}
        return {name: operation for name, operation in named.items() if operation}

    @property
    def is_off(self) -> bool:
        """No path is written down."""
        return not any(operation.path for operation in self.operations.values())


def declaration(value: str) -> Declaration:
    """The declaration in a file; ValueError with what it has to be."""
    path = Path(value).expanduser() if value else SHIPPED
    try:
        declared = msgspec.toml.decode(path.read_bytes(), type=Declaration)
    except OSError as error:
        raise ValueError(f"a file that can be read ({error.strerror})") from None
    except msgspec.DecodeError as error:
        hint = ": a path or a JSON pointer starts with a slash" if "regex" in str(error) else ""
        raise ValueError(f"a file like {SHIPPED.name}: {error}{hint}") from None
    for problem in () if declared.is_off else _problems(declared):
        raise ValueError(f"a file like {SHIPPED.name}: {problem}")
    return declared


def _problems(declared: Declaration) -> Iterator[str]:
    """What no type says: all that is needed is there, and nothing that means nothing."""
    for name, operation in declared.operations.items():
        known = REQUIRED[name] + _OPTIONAL[name]
        if not operation.path:
            yield f"{name}.path is missing"
        for field in REQUIRED[name]:
            if not operation.fields.get(field):
                yield f"{name}.fields.{field} is missing: a JSON pointer like /data/id"
        for field, at in operation.fields.items():
            if field not in known:
                yield f"{name}.fields.{field} is not known: there are {', '.join(known)}"
            if at and not at.startswith("/"):
                yield f"{name}.fields.{field} is {at!r}: a JSON pointer starts with a slash"
        request = msgspec.json.encode([operation.path, operation.params, operation.body]).decode()
        placeholders = {*_PLACEHOLDER.findall(request)}
        for unknown in placeholders - {*PLACEHOLDERS}:
            there_are = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
            yield f"{name} has {{{unknown}}}, and there are {there_are}"
        if operation.next_cursor and "cursor" not in placeholders:
            yield f"{name} has a next_cursor, and no {{cursor}} to put it"
        if name == "accounts" and "account_ids" not in placeholders:
            yield "accounts has no {account_ids}: it has to be asked about some"


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    """A template with its placeholders filled; keys whose value is nothing are left out."""
    if isinstance(value, dict):
        filled = {key: _filled(each, values) for key, each in value.items()}
        return {key: each for key, each in filled.items() if each is not None}
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    if not isinstance(value, str):
        return value
    if alone := _PLACEHOLDER.fullmatch(value):
        return values[alone[1]]
    return _PLACEHOLDER.sub(lambda found: _text(values[found[1]]), value)


# -- answers ----------------------------------------------------------------------------------


def pointed(value: Any, pointer: str) -> Any:
    """What a JSON pointer points to; None where nothing is there."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict):
            value = value.get(key)
        else:
            return None
    return value


def _named_next(value: Any, at: str = "") -> Iterator[str]:
    """Pointers to what is there and called like a next page, in objects: a list is of items."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _named_next(each, f"{at}/{key}")
    elif value and isinstance(value, str | int) and _NEXT.search(at):
        yield at


def without(value: Any, pointers: set[str], at: str = "") -> Any:
    """The rest of an answer: all but what these pointers point to; None: nothing else is there."""
    if at in pointers or not isinstance(value, dict):
        return None if at in pointers else value
    rest = {
        key: without(each, pointers, f"{at}/{key.replace('~', '~0').replace('/', '~1')}")
        for key, each in value.items()
    }
    return {key: each for key, each in rest.items() if each is not None} or None


def quantity(value: Any) -> Decimal | None:
    """A number, or one as text; ValueError where it is none that can be kept."""
    from pipelines.decode import quantity as kept  # here: it takes Arrow

    number = None if value is None else kept(value)
    if number and number < 0:
        raise ValueError(f"{number} is below zero")
    return number


def instant(value: Any) -> datetime | None:
    """An ISO instant, a date, or milliseconds since 1970; ValueError where it is none of the years
    2000 to 2199: what is told in seconds would be one of 1970."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        found = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
    elif isinstance(value, str):
        found = datetime.fromisoformat(value)
    else:
        raise ValueError(f"{value!r} is no instant")
    if not 2000 <= found.year < 2200:
        raise ValueError(
            f"{value} would be of the year {found.year}: let METERS_API_FILE name an instant in "
            "ISO 8601, or in milliseconds since 1970"
        )
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
