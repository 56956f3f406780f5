"""Tells, by every channel that is set up, what needs somebody now, or what the week was like.

One message when a cause appears, and one when it is gone. What was told is beside the warehouse,
so that Dagster, cron and a terminal tell it once between them. Not here: what needs somebody
(reports.needs_you, and what the moment adds: needs.py).
"""

import errno
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

import msgspec

from assets.alerts.channels import DeliveryError, Send
from assets.alerts.digest import digest
from assets.alerts.needs import Needs, need
from assets.report.page import Span, answers
from assets.runs.building import last_build
from assets.runs.opening import Row, write_note
from assets.settings import Settings, SettingsError, read_channels, utc_now, warehouse_at
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.lakes.address import beside
from dbt_like_sql.engine.warehouse import WarehouseError, turn

FAILED_RUN = "failed run"
# a message is sent within seconds, and others wait for it
WAITS_SECONDS = 120
# a disk that takes nothing is what somebody has to be told of
NO_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


def notify(settings: Settings, runs: Mapping[str, Iterable[str]]) -> list[str]:
    """Tell what is new of what needs somebody, and what is resolved; gives what could not be told.

    `runs` are those that the caller knows of, by name, each with what failed in its last run.
    """
    if not settings.channels:
        return []
    found = [_failed_run(name, failures) for name, told in runs.items() if (failures := [*told])]
    try:
        found += Needs(settings).found
        is_readable = True
    except WarehouseError as error:
        is_readable = False
        # before the first build there is nothing to read
        if last_build(settings.warehouse) or warehouse.damage(settings.warehouse):
            found.append(need("unreadable", None, "warehouse", f"{error}", "Mend that first."))

    def is_known(kind: str, source: str | None, subject: str) -> bool:
        return subject in runs if kind == FAILED_RUN else is_readable

    return tell(settings.channels, beside(settings.warehouse), found, settings.clock(), is_known)


def tell_of(error: SettingsError) -> None:
    """Tell that a setting cannot be used, unless it is one that says by what channel, or where the
    note of it is. Whether what was told before is over nobody knows meanwhile."""
    with suppress(SettingsError):
        channels, at = read_channels(), beside(warehouse_at())
        found = need("setting", None, f"{error}".partition(" ")[0], f"{error}", "Correct it.")
        tell(channels, at, [found], utc_now(), lambda *_: False)


def send_digest(settings: Settings) -> list[str]:
    """Send the week in a message; gives what could not be sent.

    Raises WarehouseError where nothing can be read.
    """
    needs = Needs(settings)
    span = Span.of(None, needs.now)
    with warehouse.reader(settings.warehouse) as connection:
        told = answers(connection, span)
    partial = {
        row["source"]
        for row in told["compared"]
        if row["period"] == "week" and not row["is_comparable"]
    }
    failed = [row for row in needs.found if row["is_failure"]]
    text = digest(span, told["things"], partial, failed)
    failures = []
    for send in settings.channels.values():
        try:
            send(text.partition("\n")[0], text)
        except DeliveryError as error:
            failures.append(f"the digest was not sent ({error})")
    return failures


def _failed_run(name: str, failures: list[str]) -> Row:
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    todo = "What else was due has landed. It is tried again by the next run."
    what = f"{name}: {failures[0].splitlines()[0]}{more}"
    return need(FAILED_RUN, None, name, what, todo)


def tell(
    channels: Mapping[str, Send],
    at: Path,
    found: Iterable[Row],
    now: datetime,
    is_known: Callable[[str, str | None, str], bool] = lambda kind, source, subject: True,
) -> list[str]:
    """Tell what is new of these causes (rows as in reports.needs_you), and what is resolved.

    Of a kind and subject that the caller does not know of nothing is resolved. Gives what could not
    be told, and why: it is told by the next that tells. Where there is no channel, nothing is told,
    now or later.
    """
    if not channels:
        return []
    file, causes = Path(f"{at}.alerts.json"), {_key(row): row for row in found}
    failures, unnoted = list[str](), set[str]()
    with ExitStack() as held:
        with _whatever_the_disk(set()):
            lock = Path(f"{file}.lock")
            held.enter_context(turn(lock, "the list of alerts", "Run it again.", WAITS_SECONDS))
        # by channel: what one did not take is told again by that one alone
        told_by = _noted(file)
        for name, send in channels.items():
            told = told_by.setdefault(name, {})
            known = {key: text for key, text in told.items() if is_known(*json.loads(key))}
            for key, text in _due(causes, told, known, now):
                subject = text.partition("\n")[0]
                try:
                    send(subject, text)
                except DeliveryError as error:
                    failures.append(f"not told: {subject} ({error})")
                    continue
                if key in causes:
                    told[key] = subject
                else:
                    del told[key]
                with _whatever_the_disk(unnoted):
                    write_note(file, json.dumps(told_by, indent=1))
    return [*failures, *unnoted]


@contextmanager
def _whatever_the_disk(unnoted: set[str]) -> Iterator[None]:
    """A disk that takes nothing keeps nobody from being told: that is `unnoted`."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_DISK:
            raise
        unnoted.add(f"what was told could not be noted, and is told again ({error})")


def _noted(file: Path) -> dict[str, dict[str, str]]:
    """By channel what was told, by its key; nothing where that is damaged: it is told again."""
    try:
        told = msgspec.json.decode(file.read_bytes(), type=dict[str, dict[str, str]])
        for key in (key for its in told.values() for key in its):
            msgspec.json.decode(key, type=tuple[str, str | None, str])
    except (FileNotFoundError, ValueError, msgspec.DecodeError):
        return {}
    return told


def _due(
    causes: dict[str, Row], told: dict[str, str], known: dict[str, str], now: datetime
) -> Iterator[tuple[str, str]]:
    """What is to be told, and what each message says: its first line is its subject."""
    for key in causes.keys() - told.keys():
        yield key, _text(causes[key])
    for key in known.keys() - causes.keys():
        yield key, f"resolved: {known[key]}\n\nAs of {now:%Y-%m-%d %H:%MZ}."


def _key(row: Row) -> str:
    return json.dumps([row["kind"], row["source"], row["subject"]])


def _text(row: Row) -> str:
    """A cause for the person on call: what, where, since when, until when, and what to do."""
    about = " ".join(filter(None, [row["kind"], row["source"]]))
    lines = [f"{about}: {row['what'].splitlines()[0]}", "", row["what_to_do"]]
    if row["since_at"]:
        lines.append(f"Since {row['since_at']:%Y-%m-%d %H:%MZ}.")
    if row["too_late_at"]:
        lines.append(f"It cannot be mended after {row['too_late_at']:%Y-%m-%d %H:%MZ}.")
    return "\n".join(lines)
