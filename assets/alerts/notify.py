"""Tells, by every channel that is set up, what needs somebody now, or what the week was like."""

from collections.abc import Iterable, Mapping

from assets.alerts.channels import DeliveryError
from assets.alerts.digest import digest
from assets.alerts.messages import tell
from assets.alerts.needs import Needs, need
from assets.report.page import Span, answers
from assets.runs.opening import Row
from assets.settings import Settings
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.lakes.address import beside
from dbt_like_sql.engine.warehouse import WarehouseError

FAILED_RUN = "failed run"


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
        found.append(need("unreadable", None, "warehouse", f"{error}", "Mend that first."))
        is_readable = False

    def is_known(kind: str, subject: str) -> bool:
        return subject in runs if kind == FAILED_RUN else is_readable

    return tell(settings.channels, beside(settings.warehouse), found, settings.clock(), is_known)


def send_digest(settings: Settings) -> list[str]:
    """Send the week in a message; gives what could not be sent.

    Raises WarehouseError where nothing can be read.
    """
    needs = Needs(settings)
    span = Span.of(None, needs.now)
    with warehouse.reader(settings.warehouse) as connection:
        things = answers(connection, span)["things"]
    text = digest(span, things, [row for row in needs.found if row["is_failure"]])
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
