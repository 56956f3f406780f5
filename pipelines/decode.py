"""From bytes to typed records: wrong shapes are refused by name, unknown fields are kept."""

from decimal import Decimal
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec

T = TypeVar("T")
_UNTYPED = msgspec.json.Decoder(float_hook=Decimal)
_JSON = msgspec.json.Encoder(decimal_format="number")


class Record(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of everything a vendor answers; what it says beyond the known fields is kept."""

    unknown_fields: dict[str, Any] = {}


def decode(body: bytes, kind: type[T]) -> T:
    """`body` as `kind`; raises msgspec.ValidationError naming the path, or DecodeError.

    The fast strict reading comes first. Only an answer with undocumented fields (Neon has some:
    `slug`, `annotations`) is read a second time, and these fields set apart.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        return msgspec.convert(_set_unknown_apart(_UNTYPED.decode(body), kind), kind)


def _set_unknown_apart(value: Any, kind: Any) -> Any:
    if get_origin(kind) in (Union, UnionType):
        kind = next((arm for arm in get_args(kind) if arm is not type(None)), kind)
    if get_origin(kind) is list and isinstance(value, list):
        return [_set_unknown_apart(item, get_args(kind)[0]) for item in value]
    if isinstance(kind, type) and issubclass(kind, Record) and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        del fields["unknown_fields"]
        known = {k: _set_unknown_apart(v, fields[k]) for k, v in value.items() if k in fields}
        unknown = {k: v for k, v in value.items() if k not in fields}
        return {**known, "unknown_fields": unknown}
    return value


def unknown_as_json(**levels: Record) -> str | None:
    """What these nested records said beyond the known fields, as JSON `{"level.field": value}`."""
    found = {
        f"{level}.{field}": value
        for level, record in levels.items()
        for field, value in record.unknown_fields.items()
    }
    return _JSON.encode(found).decode() if found else None
