"""Kinds of trouble, each as what it makes of a good answer."""

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from tests.faults.front import Asked, Reply, Spoil

NUMBERS = (
    *("value", "tokensConsumed", "build_seconds_used", "size", "logical_size", "pg_version"),
    "amount",
)
TIMES = ("timeframe_start", "period", "created_on", "created_at", "from")
IDS = ("project_id", "groupValue", "uuid", "id", "resolution")
LISTS = (
    *("projects", "branches", "organizations", "periods", "resourceUsage", "values"),
    *("meters", "accounts"),
)
# what usage is told by besides
CARRIERS = (
    "build_seconds_used",
    *("consumption", "metrics", "metric_name", "value"),
    *("groups", "tokensConsumed", "tokenUnit", "amount", "timeframe_start", "period"),
    *("period_id", "cycle"),
)
# how pages are told
PAGES = ("next", "cursor", "pagination", "size", "pagelen", "page", "pageSize")
# stands for a number that no JSON library would write
PLACE = '"@number@"'


@dataclass(frozen=True)
class Trouble:
    """What is wrong, of which kind. `may_be_so`: what is answered may be true. `ends_run`: nothing
    more is asked of that vendor."""

    name: str
    kind: str
    spoil: Spoil
    may_be_so: bool = False
    ends_run: bool = False
    # seconds that a request may take meanwhile, where that is what it is about
    patience: int = 120


def _status(status: int, headers: dict[str, str], asked: Asked, reply: Reply) -> None:
    reply.status = status
    reply.headers = {"content-type": "application/json", **headers}
    reply.say({"message": f"scripted {status}"})


def _broken(share: float, asked: Asked, reply: Reply) -> None:
    reply.broken_after = int(len(reply.body) * share)


def _slow(asked: Asked, reply: Reply) -> None:
    reply.seconds_per_byte = 0.1


def _said(body: bytes, headers: dict[str, str], asked: Asked, reply: Reply) -> None:
    reply.headers |= headers
    reply.say(body)


def _bomb(asked: Asked, reply: Reply) -> None:
    reply.headers["content-encoding"] = "gzip"
    reply.say(gzip.compress(b'{"a": "' + b"a" * 4_000_000 + b'"}'))


def _wrapped(asked: Asked, reply: Reply) -> None:
    reply.say({"message": "Internal error", "code": "INTERNAL"})


def _nested(asked: Asked, reply: Reply) -> None:
    reply.say(b'{"deep": ' + b"[" * 200_000 + b"]" * 200_000 + b"," + reply.body.lstrip()[1:])


def _found(page: Any, names: tuple[str, ...]) -> Iterator[tuple[dict[str, Any], str]]:
    """Where these fields are, depth first."""
    if isinstance(page, dict):
        yield from ((page, name) for name in names if name in page)
        page = list(page.values())
    for inner in page if isinstance(page, list) else []:
        yield from _found(inner, names)


def _set(names: tuple[str, ...], value: Any, asked: Asked, reply: Reply) -> None:
    """Another value where the first of these fields is."""
    page = reply.json
    for place, name in _found(page, names):
        if value is None:
            del place[name]
        else:
            place[name] = value
        break
    reply.say(page)


def _renamed(name: str, asked: Asked, reply: Reply) -> None:
    """A field has another name, wherever it is."""
    page = reply.json
    for place, _ in [*_found(page, (name,))]:
        place[f"new_{name}"] = place.pop(name)
    reply.say(page)


def _renamed_of_page(name: str, asked: Asked, reply: Reply) -> None:
    """The same, but in what is listed."""
    page = reply.json
    levels = [page, *(inner for inner in page.values() if isinstance(inner, dict))]
    if "data" in page:
        levels += [page["data"]["ecosystem"]["devConsole"]["appResourceUsage"]]
        levels += [levels[-1]["pagination"]]
    for level in levels:
        if name in level:
            level[f"new_{name}"] = level.pop(name)
    reply.say(page)


def _null_list(asked: Asked, reply: Reply) -> None:
    page = reply.json
    for place, name in _found(page, LISTS):
        place[name] = None
        break
    else:
        page = None
    reply.say(page)


def _number(literal: str, asked: Asked, reply: Reply) -> None:
    _set(NUMBERS, json.loads(PLACE), asked, reply)
    reply.say(reply.body.replace(PLACE.encode(), literal.encode()))


def _cursor(make: Callable[[Asked], str], is_empty: bool, asked: Asked, reply: Reply) -> None:
    """Another page after this one, whatever there is."""
    page = reply.json
    for place, name in _found(page, LISTS) if is_empty else ():
        place[name] = []
        break
    cursor = make(asked)
    if "values" in page:
        page["next"] = f"{asked.origin}{asked.path}?pagelen=100&page={cursor}"
    elif "accounts" in page:
        page["next"] = cursor
    elif "data" in page:
        for place, _ in _found(page, ("groupValue",)):
            place["groupValue"] += cursor
        for place, _ in _found(page, ("pageSize",)):
            place["pageSize"] = 1
    else:
        page["pagination"] = {"cursor": cursor, "next": cursor}
    reply.say(page)


def _http() -> Iterator[Trouble]:
    for status in (204, 400, 401, 403, 404, 422):
        refused = partial(_status, status, {})
        yield Trouble(f"{status}", "refusals", refused, ends_run=status == 401)
    for status in (408, 429, 500, 503, 522):
        yield Trouble(f"{status}", "outages", partial(_status, status, {}))
    for status in (301, 308):
        moved = partial(_status, status, {"location": "https://elsewhere.example/"})
        yield Trouble(f"{status}", "redirects", moved)
    come_back = partial(_status, 429, {"retry-after": "86400"})
    yield Trouble("come back tomorrow", "waits", come_back, ends_run=True)
    yield Trouble("reset", "connections", partial(_broken, 0.0))
    yield Trouble("cut", "connections", partial(_broken, 0.5))
    yield Trouble("slow", "slowness", _slow, patience=1)


def _bodies() -> Iterator[Trouble]:
    html = b"<!doctype html><h1>Just a moment...</h1>"
    yield Trouble("html", "bodies", partial(_said, html, {"content-type": "text/html"}))
    for name, body in {
        "empty": b"",
        "no JSON": b"{",
        "null": b"null",
        "object": b"{}",
        "no UTF-8": b'{"a": "\xff"}',
    }.items():
        yield Trouble(name, "bodies", partial(_said, body, {}))
    yield Trouble("error in a 200", "bodies", _wrapped)
    yield Trouble("no gzip", "bodies", partial(_said, b"{}", {"content-encoding": "gzip"}))
    yield Trouble("bomb", "sizes", _bomb)
    yield Trouble("huge", "sizes", partial(_said, b" " * 4_000_000 + b"{}", {}))
    yield Trouble("nested", "nesting", _nested)
    yield Trouble("an id is an object", "shapes", partial(_set, IDS, {"a": 1}))
    yield Trouble("an id is missing", "shapes", partial(_set, IDS, None))
    yield Trouble("a list is null", "shapes", _null_list)
    for name in (*LISTS, *CARRIERS):
        yield Trouble(f"{name} renamed", "renames", partial(_renamed, name))
    yield Trouble("an id is overlong", "ids", partial(_set, IDS, "x" * 300_000))
    yield Trouble("an id has a line break", "ids", partial(_set, IDS, "a\x1b[31m\nb"))


def _numbers() -> Iterator[Trouble]:
    for literal in ("NaN", "Infinity", "1e400", "1e99999999999999999999", "9" * 40, "true", '"x"'):
        yield Trouble(literal[:9], "numbers", partial(_number, literal))
    for literal in ("-1", "0.0000000000000000000000000001"):
        yield Trouble(literal[:9], "odd numbers", partial(_number, literal), may_be_so=True)


def _times() -> Iterator[Trouble]:
    for name, instant in {
        "year 1": "0001-01-01T00:00:00+14:00",
        "no time": "yesterday",
        "year 10000": "10000-01-01T00:00:00Z",
    }.items():
        yield Trouble(name, "times", partial(_set, TIMES, instant))
    naive = partial(_set, TIMES, "2026-11-20T00:00:00")
    yield Trouble("naive", "times without a zone", naive)
    yield Trouble("2099", "times to come", partial(_set, TIMES, "2099-01-01T00:00:00Z"))


def _paging() -> Iterator[Trouble]:
    always_new = partial(_cursor, lambda asked: f"made-{uuid4().hex}")
    yield Trouble("always another page", "paging", partial(always_new, False))
    yield Trouble("always an empty page", "empty pages", partial(always_new, True))
    yield Trouble("the same page", "paging", partial(_cursor, lambda asked: "made-1", False))


TROUBLES = [*_http(), *_bodies(), *_numbers(), *_times(), *_paging()]
# of endpoints that have several pages
LOST_PAGES = [Trouble(f"{n} renamed", "lost pages", partial(_renamed_of_page, n)) for n in PAGES]
