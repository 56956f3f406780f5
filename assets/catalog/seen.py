"""What was loaded and built without Dagster becomes known to it.

A tick looks at what landed since the last one: its cost follows what is new. What a run of Dagster
tells itself is not told again: every event says as of when it is, by the warehouse's own instants.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus as Status,
)
from dagster._core.storage.event_log.base import AssetEntry

from assets.catalog import freshness
from assets.catalog.checks import Verdicts, standing
from assets.catalog.partitions import partition_key, whole_partitions
from assets.catalog.tables import AS_OF, BUILT, MODELS, model_key, raw_key, text_of
from assets.model_assets import SEEDS, SHOWN, about_rows, days_of, has_days
from assets.raw_assets import RECEIPTS
from assets.runs.opening import Row
from assets.settings import Settings
from assets.sources import ENDPOINTS
from dbt_like_sql.engine.build_state import last_built_at
from dbt_like_sql.engine.windows import due_windows
from pipelines import receipts
from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.receipts import Connection
from pipelines.windows import Window, floor, whole_buckets

Event = dg.AssetMaterialization | dg.AssetCheckEvaluation
# an event costs 10 ms and more: a warehouse that Dagster never saw is told in several ticks
MOST_EVENTS = 300


# the cursor of the sensor: the receipts that were told, the last build, and those that were in it,
# of one warehouse; with another it begins anew
NOTHING: Row = {"landed": "", "built": "", "through": ""}
WAREHOUSE = "warehouse"


class News(NamedTuple):
    """A table, or a partition of it, and as of when it is; `once`: told where nothing is known."""

    key: dg.AssetKey
    partition: str | None
    as_of: str
    metadata: Row | None = None
    once: bool = False

    def is_news(self, known: str | None) -> bool:
        """Whether it is, where the last event is as of `known` (None: there is none)."""
        return known is None or (known < self.as_of and not self.once)


def unseen(
    instance: dg.DagsterInstance,
    connection: Connection,
    settings: Settings,
    cursor: str | None,
    is_built: bool,
) -> tuple[list[Event], str]:
    """What to tell Dagster now, and the cursor that says up to where it is told then.

    `is_built`: every receipt is in every table. What is not told yet (a run is under way that may
    tell it, or there is too much at once) is told at a later tick.
    """
    told: Row = NOTHING | json.loads(cursor or "{}")
    ((its_id,),) = connection.execute("select cast(id as varchar) from meta.warehouse").fetchall()
    if told.setdefault(WAREHOUSE, its_id) != its_id:
        told = {**NOTHING, WAREHOUSE: its_id}
    landed, built = text_of(receipts.last_landed(connection)), text_of(last_built_at(connection))
    checks, news, after = freshness.verdicts(connection, settings), list[News](), {**told}
    if landed != told["landed"]:
        news += _loaded(connection, told["landed"], landed)
        after["landed"] = landed
    if is_built and landed and built != told["built"]:
        news += _seeds(connection)
        if not instance.get_runs(dg.RunsFilter(tags={BUILT: built}), limit=1):
            news += _models(connection, told["through"], built, settings.clock())
        checks |= standing(connection)
        after |= {"built": built, "through": landed}
    left, is_waiting = _left(instance, news)
    is_all = len(left) <= MOST_EVENTS and not is_waiting
    events = [*_events(connection, left, settings.clock())]
    verdicts = _differing(instance, checks, {event.asset_key for event in events})
    return [*events, *verdicts], json.dumps(after if is_all else told)


def _instant(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _loaded(connection: Connection, since: str, landed: str) -> Iterator[News]:
    """What landed after an instant: names, and partitions that every scope holds."""
    yield News(RECEIPTS.key, None, landed)
    endpoints = {endpoint.table: endpoint for endpoint in ENDPOINTS}
    found = receipts.landed_since(connection, _instant(since))
    known = (row for row in found if row[0] in endpoints)
    for (table, grain), group in groupby(known, lambda row: row[:2]):
        endpoint, windows = endpoints[table], [row[2:] for row in group]
        if grain == SNAPSHOT:
            yield News(raw_key(table, grain), None, text_of(max(at for *_, at in windows)))
            continue
        for shown in (each for each in endpoint.grains if endpoint.receipts_at(each) == grain):
            yield from _partitions(connection, endpoint, shown, grain, windows)


def _partitions(
    connection: Connection,
    endpoint: Endpoint,
    grain: str,
    of_receipts: str,
    windows: Iterable[tuple[datetime, datetime, datetime]],
) -> Iterator[News]:
    """The partitions of these windows that are whole."""
    landed: dict[str, str] = {}
    for since, until, at in windows:
        for start in whole_buckets(of_receipts, since, until):
            key = partition_key(grain, floor(start, grain))
            landed[key] = max(text_of(at), landed.get(key, ""))
    first, last = min(since for since, *_ in windows), max(until for _, until, _ in windows)
    window = Window(of_receipts, floor(first, grain), last)
    standings = receipts.standings(connection, endpoint.table, of_receipts)
    # without those that were never answered but with a refusal; what just failed may hold something
    there = {s: about for s, about in standings.items() if not about.is_ended}
    scopes = [s for s, about in there.items() if about.answered_at or not about.asked_at]
    for key, rows in whole_partitions(connection, endpoint, grain, window, scopes).items():
        if key in landed:
            counted = {"dagster/partition_row_count": rows}
            yield News(raw_key(endpoint.table, grain), key, landed[key], counted)


def _models(connection: Connection, through: str, built: str, now: datetime) -> Iterator[News]:
    """The tables that a build made, and the days that it was about."""
    days = sorted(days_of(due_windows(connection, _instant(through)), now))
    for model in MODELS.values():
        key = model_key(model.name)
        for day in days if has_days(model) else [None]:
            yield News(key, day, built, once=key not in SHOWN)


def _seeds(connection: Connection) -> Iterator[News]:
    """Seeds, as of when they were last read: no run tells of them."""
    found = connection.execute("select model, built_at from meta.builds").fetchall()
    read_at = {model_key(name): at for name, at in found}
    return (News(s.key, None, text_of(read_at[s.key])) for s in SEEDS if s.key in read_at)


def _events(
    connection: Connection, left: Sequence[News], now: datetime
) -> Iterator[dg.AssetMaterialization]:
    """As many as are told at once. The newest of each asset comes last, and after what it is made
    from; of what people read it says how many rows there are, and shows some."""
    newest = {it.key: it for it in left}
    older = [it for it in left if newest[it.key] is not it]
    older.sort(key=lambda it: it.partition or "")
    skipped = max(0, min(len(left) - MOST_EVENTS, len(older)))
    for it in [*older[skipped:], *newest.values()]:
        model = MODELS.get(".".join(it.key.path))
        metadata: Row = {AS_OF: it.as_of, **(it.metadata or {})}
        if model and it.key in SHOWN and newest[it.key] is it:
            metadata |= about_rows(connection, model, now)
        yield dg.AssetMaterialization(it.key, partition=it.partition, metadata=metadata)


# -- what Dagster knows -----------------------------------------------------------------------


def _left(instance: dg.DagsterInstance, news: Sequence[News]) -> tuple[list[News], bool]:
    """What Dagster does not know; True: of some a run is under way, which may tell it itself."""
    keys = [*dict.fromkeys(it.key for it in news)]
    records = instance.get_asset_records(keys) if keys else ()
    entries = {record.asset_entry.asset_key: record.asset_entry for record in records}
    alive = _alive(instance, {e.last_run_id for e in entries.values() if e.last_run_id})
    left: list[News] = []
    for key, group in groupby(news, lambda it: it.key):
        of_key, entry = [*group], entries.get(key)
        if entry and entry.last_run_id in alive:
            continue
        known = _known(instance, entry, of_key) if entry else {}
        left += [it for it in of_key if it.is_news(known.get(it.partition))]
    return left, bool(alive)


def _alive(instance: dg.DagsterInstance, run_ids: Collection[str]) -> set[str]:
    """Those of these runs that are under way."""
    runs = instance.get_runs(dg.RunsFilter(run_ids=[*run_ids])) if run_ids else ()
    return {run.run_id for run in runs if not run.is_finished}


def _known(
    instance: dg.DagsterInstance, entry: AssetEntry, news: Iterable[News]
) -> dict[str | None, str]:
    """As of when the last event of an asset is, and of those of its partitions that are in news."""
    records = [entry.last_materialization_record]
    if partitions := {it.partition for it in news if it.partition}:
        latest = instance.event_log_storage.get_latest_storage_id_by_partition(
            entry.asset_key, dg.DagsterEventType.ASSET_MATERIALIZATION, partitions
        )
        wanted = dg.AssetRecordsFilter(entry.asset_key, storage_ids=[*latest.values()])
        if latest:
            records += instance.fetch_materializations(wanted, limit=len(latest)).records
    events = [record.asset_materialization for record in records if record]
    return {event.partition: _as_of(event) for event in events if event}


def _as_of(event: dg.AssetMaterialization) -> str:
    """As of when an event is; one of before that was written down is of long ago."""
    return str(event.metadata[AS_OF].value) if AS_OF in event.metadata else ""


def _differing(
    instance: dg.DagsterInstance, checks: Verdicts, told: Collection[dg.AssetKey]
) -> Iterator[dg.AssetCheckEvaluation]:
    """The checks that Dagster has no result of, or another, or one of before what is told now: it
    shows that as not evaluated. Not those that a run under way tries."""
    known = instance.event_log_storage.get_latest_asset_check_execution_by_key([*checks])
    alive = _alive(instance, {record.run_id for record in known.values()})
    stands = {True: Status.SUCCEEDED, False: Status.FAILED}
    for key, it in checks.items():
        last = known.get(key)
        if last and last.run_id in alive:
            continue
        if not last or last.status != stands[it.passed] or key.asset_key in told:
            yield it
