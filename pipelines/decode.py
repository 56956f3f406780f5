"""From bytes to typed records to Arrow: wrong shapes are refused, unknown fields are kept."""

import re
import threading
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec
import pyarrow as pa

T = TypeVar("T")
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
TEXT, INSTANT, NUMBER = pa.string(), pa.timestamp("us", "UTC"), pa.decimal128(38, 9)
# Any: a number, or null; of a text that looks like one no table is made
_ARROW = {
    Any: NUMBER,
    str: TEXT,
    datetime: INSTANT,
    Decimal: NUMBER,
    int: pa.int64(),
    bool: pa.bool_(),
}
# msgspec crashes where two threads look at a type for the first time, and garbage is collected
_LOCK = threading.Lock()
_JSON = msgspec.json.Encoder(decimal_format="number")
# people, links, and what may hold anything: they land nowhere, in whatever depth they are told
LEFT_OUT = frozenset(
    {"account", "account_id", "actor", "author", "created_by", "creator", "displayName"}
    | {"display_name", "email", "links", "nickname", "owner", "owner_id", "parent", "picture"}
    | {"publicName", "raw", "repository", "user", "username", "variables"}
)
ACCOUNT_TYPES = frozenset({"account", "app_user", "team", "user"})


# without gc: nothing here refers to itself, and to be looked through as they come takes the garbage
# collector four times as long as to decode them
class Record(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Base of everything a vendor answers; what it says beyond the known fields is kept."""

    unknown_fields: dict[str, Any] = {}


def decode(body: bytes, kind: type[T]) -> T:
    """`body` as `kind`; raises msgspec.ValidationError naming the path, or DecodeError.

    As an object it is whatever JSON says; no number passes through a float, whatever its type.

    The fast strict reading comes first. Only an answer with undocumented fields (Neon has some:
    `slug`, `annotations`) is read a second time, and these fields set apart.
    """
    try:
        try:
            found: T = _decoder(kind).decode(body)  # type: ignore[arg-type]
            return found
        except msgspec.ValidationError:
            return typed(_decoder(object).decode(body), kind)
    # nested too deeply, too large for memory, no number, no UTF-8: that cannot be read either
    except (RecursionError, MemoryError, ArithmeticError, UnicodeDecodeError) as error:
        raise msgspec.DecodeError(f"{type(error).__name__}: {error}") from None


def typed(value: Any, kind: type[T]) -> T:
    """What was decoded already (numbers as Decimal) as `kind`; raises msgspec.ValidationError."""
    return msgspec.convert(_set_unknown_apart(value, _plan(kind)), kind)  # type: ignore[arg-type]


@cache
def _decoder(kind: Any) -> Any:
    with _LOCK:
        return msgspec.json.Decoder(kind, float_hook=Decimal)


@cache
def _plan(kind: Any) -> Any:
    """Where records are in a type: {field: plan} of a record, [plan] of a list, None: nowhere."""
    kind = _without_none(kind)
    if get_origin(kind) is list:
        inner = _plan(get_args(kind)[0])
        return None if inner is None else [inner]
    record = get_origin(kind) or kind
    if isinstance(record, type) and issubclass(record, Record):
        fields = {field.encode_name: _plan(field.type) for field in msgspec.structs.fields(kind)}
        del fields["unknown_fields"]
        return fields
    return None


def _without_none(kind: Any) -> Any:
    if get_origin(kind) not in (Union, UnionType):
        return kind
    return next(arm for arm in get_args(kind) if arm is not type(None))


def _set_unknown_apart(value: Any, plan: Any) -> Any:
    if isinstance(plan, list) and isinstance(value, list):
        return [_set_unknown_apart(item, plan[0]) for item in value]
    if not isinstance(plan, dict) or not isinstance(value, dict):
        return value
    known = {k: _set_unknown_apart(v, plan[k]) for k, v in value.items() if k in plan}
    if len(known) < len(value):
        known["unknown_fields"] = {k: v for k, v in value.items() if k not in plan}
    return known


def unknown_as_json(**levels: Record) -> str | None:
    """What these nested records said beyond the known fields, as JSON `{"level.field": value}`;
    LEFT_OUT and accounts are left out."""
    found = {
        f"{level}.{field}": value
        for level, record in levels.items()
        for field, value in impersonal(record.unknown_fields).items()
    }
    return as_json(found) if found else None


def impersonal(value: Any) -> Any:
    """A value without LEFT_OUT and accounts, at any depth."""
    if isinstance(value, list):
        return [impersonal(item) for item in value if not _is_account(item)]
    if not isinstance(value, dict):
        return value
    return {
        name: impersonal(item)
        for name, item in value.items()
        if name not in LEFT_OUT and not _is_account(item)
    }


def _is_account(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") in ACCOUNT_TYPES


def as_json(value: Any) -> str:
    """A value as JSON, numbers to the last digit."""
    return _JSON.encode(value).decode()


def schema_of(kind: type[Record], leave: str = "", **before: pa.DataType) -> pa.Schema:
    """The columns of a table of records: `before`, the record's own but one to leave, `extra`."""
    not_columns = ("unknown_fields", leave)
    fields = [field for field in msgspec.structs.fields(kind) if field.name not in not_columns]
    own = {field.name: _column_type(field.type) for field in fields}
    return pa.schema({**before, **own, "extra": TEXT})


def _column_type(kind: Any) -> pa.DataType:
    kind = _without_none(kind)
    if get_origin(kind) is Annotated:
        kind, meta = get_args(kind)
        return (meta.extra or {}).get("column", _ARROW[kind])
    return _ARROW[kind]


def table_of(
    schema: pa.Schema, records: Iterable[Record], level: str = "item", **before: Any
) -> pa.Table:
    """Records as a table of `schema_of` their kind; unknown fields as JSON in `extra`."""
    rows = (
        msgspec.structs.asdict(record) | before | {"extra": unknown_as_json(**{level: record})}
        for record in records
    )
    return pa.Table.from_pylist(list(rows), schema=schema)


# a billion of these still fit into NUMBER when they are added up
LARGEST, LONGEST_NUMBER = Decimal(10) ** 20, 40


# Decimal() takes "1_000", " 5 " and digits of other alphabets, too
_AS_JSON = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def quantity(value: Any, decimals: int = NUMBER.scale) -> Decimal:
    """A number, or a text that is one in JSON; ValueError says why it is none that can be kept
    exactly and added up."""
    is_number = type(value) in (int, Decimal) or (
        isinstance(value, str) and _AS_JSON.fullmatch(value)
    )
    number, why = Decimal(value if is_number else "NaN"), ""
    _, digits, exponent = number.as_tuple()
    if not number.is_finite() or abs(number) >= LARGEST:
        why = "is no quantity that can be added up"
    elif (beyond := -int(exponent) - decimals) > 0 and any(digits[-beyond:]):
        why = f"has more than {decimals} decimals"
    if why:
        raise ValueError(f"{f'{value}'[:LONGEST_NUMBER]} {why}")
    return number
