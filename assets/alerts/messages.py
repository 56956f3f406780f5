"""One message when a cause appears, and one when it is gone.

What was told stands beside the warehouse, so that Dagster, cron and a terminal tell it once between
them. Not here: what needs somebody (reports.needs_you, and what the moment adds: needs.py).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from assets.alerts.channels import DeliveryError, Send
from assets.runs.opening import Row
from dbt_like_sql.engine.warehouse import turn

# a message is sent within seconds, and others wait for it
WAITS_SECONDS = 120


def tell(
    channels: Mapping[str, Send],
    warehouse: Path,
    found: Iterable[Row],
    now: datetime,
    is_known: Callable[[str, str], bool] = lambda kind, subject: True,
) -> list[str]:
    """Tell what is new of these causes (rows as in reports.needs_you), and what is resolved.

    Of a kind and subject that the caller does not know of nothing is resolved. Gives what could not
    be told, and why: it is told by the next that tells. Where there is no channel, nothing is told,
    now or later.
    """
    if not channels:
        return []
    file = Path(f"{warehouse}.alerts.json")
    with turn(Path(f"{file}.lock"), "the list of alerts", "Run it again.", WAITS_SECONDS):
        # by channel: what one did not take is told again by that one alone
        told_by: dict[str, dict[str, str]] = json.loads(file.read_text()) if file.exists() else {}
        causes = {_key(row): row for row in found}
        failures = []
        for name, send in channels.items():
            told = told_by.setdefault(name, {})
            known = {key: text for key, text in told.items() if is_known(*_about(key))}
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
                _write(file, told_by)
    return failures


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


def _about(key: str) -> tuple[str, str]:
    kind, _, subject = json.loads(key)
    return kind, subject


def _text(row: Row) -> str:
    """A cause for the person on call: what, where, since when, until when, and what to do."""
    about = " ".join(filter(None, [row["kind"], row["source"]]))
    lines = [f"{about}: {row['what'].splitlines()[0]}", "", row["what_to_do"]]
    if row["since_at"]:
        lines.append(f"Since {row['since_at']:%Y-%m-%d %H:%MZ}.")
    if row["too_late_at"]:
        lines.append(f"It cannot be mended after {row['too_late_at']:%Y-%m-%d %H:%MZ}.")
    return "\n".join(lines)


def _write(file: Path, told: dict[str, dict[str, str]]) -> None:
    """All of it or nothing, also where this process is killed."""
    new = Path(f"{file}.new")
    new.write_text(json.dumps(told, indent=1))
    new.replace(file)
