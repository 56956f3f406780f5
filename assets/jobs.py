"""Loads and builds as the terminal runs them: what is due, or a window, source by source."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Protocol

from assets import asking_forge, asking_platform_usage, building, calls, partitions
from assets.due import due_window, snapshot_is_due
from assets.settings import Settings
from assets.vendors import SNAPSHOT, Call, Vendors, open_warehouse
from dbt_like_sql.engine import models, runner
from dbt_like_sql.engine.runner import CheckFailedError
from pipelines.http import VendorError
from pipelines.load import Connection, Window

# the window to ask for, None where nothing is to be asked
Choose = Callable[[Connection, Call, str], Window | None]


class Show(Protocol):
    """Where progress and results are shown (assets/console.py)."""

    def asking(self, call: Call, window: Window | None) -> Any:
        """A context within which one call is under way; it gives a place to show its pieces."""

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
        return due_window(connection, call, grain, now, calls.known_scopes(settings, call))

    return _load(settings, show, _due(sources, grains), choose, only_due=True)


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
        window = Window(call.receipts_at(grain), partitions.floor(since, grain), until)
        reach = partitions.clip_to_reach(call.table, window, now)
        if reach is None or reach.since > window.since:
            show.say(partitions.out_of_reach(call.table, grain, window.since))
        return reach

    return _load(settings, show, _of_grains(sources, grains), choose, only_due=False)


def _due(sources: Iterable[str], grains: Iterable[str]) -> list[tuple[Call, str]]:
    """The calls of these sources that fall due at these granularities, and the names of things."""
    wanted = {*grains, SNAPSHOT}
    return [
        (call, grain)
        for call in calls.CALLS
        if call.source in sources and call.part_of is None
        for grain in call.granularities
        if grain in wanted and grain not in call.only_backfilled
    ]


def _of_grains(sources: Iterable[str], grains: Iterable[str]) -> list[tuple[Call, str]]:
    """The calls of these sources at these granularities; the same receipts are not asked twice."""
    wanted = set(grains)
    return [
        (call, grain)
        for call in calls.CALLS
        if call.source in sources
        for grain in call.granularities
        if grain in wanted
        and not (grain in call.only_backfilled and call.granularities[0] in wanted)
    ]


def _load(
    settings: Settings,
    show: Show,
    wanted: list[tuple[Call, str]],
    choose: Choose,
    only_due: bool,
) -> dict[str, Any]:
    result: dict[str, Any] = {"asked": [], "skipped": [], "failures": [], "refused": set()}
    with Vendors(settings) as vendors:
        askable = [(call, grain) for call, grain in wanted if _can_ask(settings, call, result)]
        _say_forecast(vendors, show, askable, choose, only_due)
        for call, grain in askable:
            if call.source not in result["refused"]:  # a key that is not valid is not tried again
                _load_one(vendors, show, call, grain, choose, only_due, result)
        result["requests"] = vendors.requests_sent
        result["rate_limited"] = vendors.rate_limited
    result["refused"] = sorted(result["refused"])
    _say_outcome(show, result)
    return result


def _can_ask(settings: Settings, call: Call, result: dict[str, Any]) -> bool:
    missing = calls.missing_settings(settings, call)
    skipped = {"source": call.source, "why": missing}
    if missing and skipped not in result["skipped"]:
        result["skipped"].append(skipped)
    return missing is None and calls.is_wanted(settings, call)


def _say_forecast(
    vendors: Vendors, show: Show, askable: list[tuple[Call, str]], choose: Choose, only_due: bool
) -> None:
    """Forge's budget makes a load take minutes or hours: say so before it starts."""
    count = 0
    for call, grain in askable:
        if call in asking_forge.CALLS:
            with open_warehouse(vendors.settings) as connection:
                window = choose(connection, call, grain)
            count += len(calls.pieces(vendors, call, window, only_due)) if window else 0
    if count:
        show.say(asking_forge.forecast(vendors.settings, count))


def _say_outcome(show: Show, result: dict[str, Any]) -> None:
    reasons = dict.fromkeys(skipped["why"] for skipped in result["skipped"])
    for why in reasons:
        sources = " and ".join(row["source"] for row in result["skipped"] if row["why"] == why)
        show.say(f"{sources} skipped: {why}.")
    if result["skipped"] and not result["asked"]:
        show.say("To look around without an account: meterhouse sandbox -- meterhouse run")
    if result["asked"]:
        rows = sum(row["rows"] for row in result["asked"])
        limited = f", {result['rate_limited']} answered 429" if result["rate_limited"] else ""
        show.say(f"{result['requests']} requests sent{limited}, {rows:,} rows landed.")
    elif not result["skipped"]:
        show.say(f"Nothing is due before the next :{partitions.TICK_MINUTE}; no request was sent.")


def _load_one(
    vendors: Vendors,
    show: Show,
    call: Call,
    grain: str,
    choose: Choose,
    only_due: bool,
    result: dict[str, Any],
) -> None:
    window, due = None, True
    if call != asking_platform_usage.FILES:  # a file may come at any time
        with open_warehouse(vendors.settings) as connection:
            if grain == SNAPSHOT:
                due = snapshot_is_due(connection, call, datetime.now(UTC))
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
        with show.asking(call, window) as shown:
            landing = calls.land(vendors, call, window, only_due, shown)
    except VendorError as error:
        failures, notes, rows, scopes = [error], [], 0, []
    else:
        failures, notes, rows = landing.failures, landing.notes, landing.rows
        scopes = sorted({receipt.scope for receipt in landing.receipts})
    if call == asking_platform_usage.FILES and not (scopes or failures):
        return
    row |= {"requests": vendors.requests_sent - before, "rows": rows, "scopes": scopes}
    row |= {"notes": notes, "failed": list(dict.fromkeys(map(str, failures)))}
    result["asked"].append(row)
    result["failures"] += [text for text in row["failed"] if text not in result["failures"]]
    if any(failure.status == 401 for failure in failures):
        result["refused"].add(call.source)
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
        "failures": [check.sentence for check in report.failed_checks],
    }


def show_sql(
    show: Show, name: str, since: datetime | None, until: datetime | None
) -> dict[str, Any]:
    """The SQL that a build of this model would run."""
    sql = runner.show_sql(models.load_models(), name, since, until)
    show.say(sql)
    return {"model": name, "sql": sql}
