"""Loads and builds as the terminal runs them: what is due, or a window, source by source."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Protocol

from assets import building, partitions
from assets.calls import CALLS, SNAPSHOT, Call, Vendors, land, missing_settings, open_warehouse
from assets.due import due_window, snapshot_is_due
from assets.settings import Settings
from dbt_like_sql import models, runner
from dbt_like_sql.runner import CheckFailedError
from pipelines.http import VendorError
from pipelines.load import Connection, Window

# the window to ask for, None where nothing is to be asked
Choose = Callable[[Connection, Call, str], Window | None]


class Show(Protocol):
    """Where progress and results are shown (assets/report.py)."""

    def asking(self, call: Call, window: Window | None) -> Any:
        """A context within which one call is under way."""

    def asked(self, row: dict[str, Any]) -> None:
        """One call is done."""

    def say(self, text: str) -> None:
        """A line."""

    def built(self, report: runner.BuildReport) -> None:
        """What a build did."""


def load_due(
    settings: Settings, show: Show, sources: Iterable[str], grains: Iterable[str]
) -> dict[str, Any]:
    """Ask for everything that is due now; names of things too."""
    now = datetime.now(UTC)

    def choose(connection: Connection, call: Call, grain: str) -> Window | None:
        return due_window(connection, call, grain, now, settings.neon_org_ids)

    return _load(settings, show, sources, grains, choose, names=True)


def load_window(
    settings: Settings,
    show: Show,
    sources: Iterable[str],
    grains: Iterable[str],
    since: datetime,
    until: datetime,
) -> dict[str, Any]:
    """Ask for [since, until), as far as the vendor still answers."""
    now = datetime.now(UTC)

    def choose(_: Connection, call: Call, grain: str) -> Window | None:
        window = Window(grain, partitions.floor(since, grain), until)
        reach = partitions.clip_to_reach(call.table, window, now)
        if reach is None or reach.since > window.since:
            show.say(partitions.out_of_reach(call.table, grain, window.since))
        return reach

    return _load(settings, show, sources, grains, choose, names=False)


def _load(
    settings: Settings,
    show: Show,
    sources: Iterable[str],
    grains: Iterable[str],
    choose: Choose,
    names: bool,
) -> dict[str, Any]:
    result: dict[str, Any] = {"asked": [], "skipped": [], "failures": [], "refused": False}
    with Vendors(settings) as vendors:
        for call, grain in _wanted(sources, grains, names):
            missing = missing_settings(settings, call)
            if missing:
                skipped = {"source": call.source, "why": missing}
                result["skipped"] += [] if skipped in result["skipped"] else [skipped]
                continue
            _load_one(vendors, show, call, grain, choose, result)
            if result["refused"]:  # a key that is not valid is not tried call by call
                break
        result["requests"] = vendors.requests_sent
        result["rate_limited"] = vendors.rate_limited
    _say_outcome(show, result)
    return result


def _wanted(
    sources: Iterable[str], grains: Iterable[str], names: bool
) -> Iterator[tuple[Call, str]]:
    for call in CALLS:
        if call.source in sources:
            for grain in call.granularities:
                if grain in grains or (names and grain == SNAPSHOT):
                    yield call, grain


def _say_outcome(show: Show, result: dict[str, Any]) -> None:
    for why in dict.fromkeys(skipped["why"] for skipped in result["skipped"]):
        show.say(f"neon is skipped: {why}. To look around: meterhouse sandbox -- meterhouse run")
    if result["asked"]:
        rows = sum(row["rows"] for row in result["asked"])
        limited = f", {result['rate_limited']} answered 429" if result["rate_limited"] else ""
        show.say(f"{result['requests']} requests sent{limited}, {rows:,} rows landed.")
    elif not result["skipped"]:
        show.say(f"Nothing is due before the next :{partitions.TICK_MINUTE}; no request was sent.")


def _load_one(
    vendors: Vendors, show: Show, call: Call, grain: str, choose: Choose, result: dict[str, Any]
) -> None:
    with open_warehouse(vendors.settings) as connection:
        if grain == SNAPSHOT:
            window, due = None, snapshot_is_due(connection, call, datetime.now(UTC))
        else:
            window = choose(connection, call, grain)
            due = window is not None
    if not due:
        return
    before = vendors.requests_sent
    row: dict[str, Any] = {"call": call.request, "table": f"raw.{call.table}", "grain": grain}
    if window:
        row |= {"since": window.since, "until": window.until}
    try:
        with show.asking(call, window):
            landing = land(vendors, call, window)
    except VendorError as error:
        failures, notes, rows, scopes = [error], [], 0, []
    else:
        failures, notes, rows = landing.failures, landing.notes, landing.rows
        scopes = [receipt.scope for receipt in landing.receipts]
    row |= {"requests": vendors.requests_sent - before, "rows": rows, "scopes": scopes}
    row |= {"notes": notes, "failed": [str(failure) for failure in failures]}
    result["asked"].append(row)
    result["failures"] += row["failed"]
    result["refused"] = any(failure.status == 401 for failure in failures)
    show.asked(row)


def build(
    settings: Settings, show: Show, since: datetime | None = None, until: datetime | None = None
) -> dict[str, Any]:
    """Build what is due and show what happened; checks that do not hold are failures."""
    try:
        report = building.build(settings, since, until)
    except CheckFailedError as error:
        show.say(str(error))
        return {"failures": [str(error)]}
    show.built(report)
    return {
        "models": [
            {"model": m.name, "built": m.action, "rows": m.rows_total} for m in report.models
        ],
        "failures": [
            f"{check.model}: {check.failing_rows} rows where not ({check.expression})"
            for check in report.failed_checks
        ],
    }


def show_sql(
    show: Show, name: str, since: datetime | None, until: datetime | None
) -> dict[str, Any]:
    """The SQL that a build of this model would run."""
    sql = runner.show_sql(models.load_models(), name, since, until)
    show.say(sql)
    return {"model": name, "sql": sql}
