"""What was loaded and built without Dagster becomes known to it, as materializations.

A tick looks at what landed since the last one: its cost follows what is new. What a run of Dagster
tells itself is not told again: every event says as of when it is, by the warehouse's own instants.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import groupby

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus as Status,
)
from dagster._core.storage.event_log.base import AssetEntry

from assets.catalog.checks import standing
from assets.catalog.freshness import evaluated
from assets.catalog.tables import (
    AS_OF,
    BUILT,
    MODELS,
    Row,
    model_key,
    raw_key,
    text_of,
    whole_partitions,
)
from assets.model_assets import SEEDS, SHOWN, about_rows, days_of, has_days
from assets.raw_assets import RECEIPTS
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


@dataclass(frozen=True)
class Told:
    """Up to where Dagster was told, as a sensor's cursor: receipts that landed, and the last build,
    with the receipts that were in it. Instants as text; empty: nothing was told."""

    landed: str = ""
    built: str = ""
    through: str = ""

    @classmethod
    def read(cls, cursor: str | None) -> "Told":
        """That of a cursor."""
        return cls(**json.loads(cursor)) if cursor else cls()

    def write(self) -> str:
        """As a cursor."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class News:
    """A table, or a partition of it, and as of when it is; `once`: told where nothing is known."""

    key: dg.AssetKey
    partition: str | None
    as_of: str
    rows: int | None = None
    once: bool = False

    def event(self, about: Row) -> dg.AssetMaterialization:
        """As Dagster takes it, with what else is to be shown."""
        metadata: Row = {AS_OF: self.as_of, **about}
        if self.rows is not None:
            metadata["dagster/partition_row_count"] = self.rows
        return dg.AssetMaterialization(self.key, partition=self.partition, metadata=metadata)


def unseen(
    instance: dg.DagsterInstance,
    connection: Connection,
    settings: Settings,
    told: Told,
    is_built: bool,
) -> tuple[list[Event], Told]:
    """What to tell Dagster now, and up to where it is told then.

    `is_built`: every receipt is in every table. What is not told yet (a run is under way that may
    tell it, or there is too much at once) is told at a later tick.
    """
    landed, built = receipts.last_landed(connection), text_of(last_built_at(connection))
    news: list[News] = []
    checks, after, now = evaluated(connection, settings), told, settings.clock()
    if landed and text_of(landed) != told.landed:
        news += _loaded(connection, _instant(told.landed), text_of(landed))
        after = replace(after, landed=text_of(landed))
    if is_built and landed and built != told.built:
        after = replace(after, built=built, through=text_of(landed))
        news += _seeds(connection)
        checks |= standing(connection)
        if not instance.get_runs(dg.RunsFilter(tags={BUILT: built}), limit=1):
            days = days_of(due_windows(connection, _instant(told.through)), now)
            news += _models(sorted(days), built)
    left, is_waiting = _left(instance, news)
    if is_waiting or len(left) > MOST_EVENTS:
        after = told
    return [*_events(connection, left, now), *_differing(instance, checks)], after


def _events(
    connection: Connection, left: Sequence[News], now: datetime
) -> Iterator[dg.AssetMaterialization]:
    """As many as are told at once. The newest of each asset comes last, and after what it is made
    from; of what people read it says how many rows there are, and shows some."""
    newest = {it.key: it for it in left}
    older = [it for it in left if newest[it.key] is not it]
    older.sort(key=lambda it: it.partition or "")
    room = max(0, MOST_EVENTS - len(newest))
    for it in older[len(older) - min(room, len(older)) :]:
        yield it.event({})
    for it in newest.values():
        model = MODELS.get(".".join(it.key.path))
        is_shown = model and it.key in SHOWN
        yield it.event(about_rows(connection, model, now) if model and is_shown else {})


def _differing(
    instance: dg.DagsterInstance, checks: Mapping[dg.AssetCheckKey, dg.AssetCheckEvaluation]
) -> Iterator[dg.AssetCheckEvaluation]:
    """The checks that Dagster has no result of, or another; not those that a run is to try."""
    known = instance.event_log_storage.get_latest_asset_check_execution_by_key([*checks])
    stands = {True: Status.SUCCEEDED, False: Status.FAILED}
    for key, evaluation in checks.items():
        if key not in known or known[key].status not in (Status.PLANNED, stands[evaluation.passed]):
            yield evaluation


def _instant(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _loaded(connection: Connection, since: datetime | None, landed: str) -> Iterator[News]:
    """What landed after an instant: names, and partitions that every scope holds."""
    yield News(RECEIPTS.key, None, landed)
    found = receipts.landed_since(connection, since)
    for (table, grain), group in groupby(found, lambda row: row[:2]):
        endpoint = next((e for e in ENDPOINTS if e.table == table), None)
        windows = [row[2:] for row in group]
        if endpoint and grain == SNAPSHOT:
            yield News(raw_key(table, grain), None, text_of(max(at for *_, at in windows)))
        elif endpoint and grain in endpoint.grains:
            yield from _partitions(connection, endpoint, grain, windows)


def _partitions(
    connection: Connection,
    endpoint: Endpoint,
    grain: str,
    windows: Iterable[tuple[datetime, datetime, datetime]],
) -> Iterator[News]:
    """The partitions of these windows that are whole, at each grain whose receipts these are."""
    fresh: dict[datetime, datetime] = {}
    for since, until, at in windows:
        for start in whole_buckets(grain, since, until):
            fresh[start] = max(at, fresh.get(start, at))
    for shown in [g for g in endpoint.grains if endpoint.receipts_at(g) == grain]:
        window = Window(grain, floor(min(fresh), shown), max(until for _, until, _ in windows))
        held = receipts.held_since(connection, endpoint.table, grain, window.since)
        standings = receipts.standings(connection, endpoint.table, grain)
        scopes = [s for s, about in standings.items() if about.answered_at and not about.is_ended]
        rows = receipts.row_counts(connection, endpoint, window)
        whole = whole_partitions(shown, window, [held[scope].keys() for scope in scopes])
        for partition, buckets in whole.items():
            if new := [fresh[bucket] for bucket in buckets if bucket in fresh]:
                count = sum(rows.get(bucket, 0) for bucket in buckets)
                yield News(raw_key(endpoint.table, shown), partition, text_of(max(new)), count)


def _models(days: Sequence[str], built: str) -> Iterator[News]:
    """The tables that a build made, and the days that it was about."""
    for model in MODELS.values():
        key = model_key(model.name)
        for day in days if has_days(model) else [None]:
            yield News(key, day, built, once=key not in SHOWN)


def _seeds(connection: Connection) -> Iterator[News]:
    """Seeds, as of when they were last read: no run tells of them."""
    found = connection.execute("select model, built_at from meta.builds").fetchall()
    read_at = {model_key(name): at for name, at in found}
    return (News(s.key, None, text_of(read_at[s.key])) for s in SEEDS if s.key in read_at)


def _left(instance: dg.DagsterInstance, news: Sequence[News]) -> tuple[list[News], bool]:
    """What Dagster does not know; True: of some a run is under way, which may tell it itself."""
    by_key: dict[dg.AssetKey, list[News]] = defaultdict(list)
    for it in news:
        by_key[it.key].append(it)
    records = instance.get_asset_records([*by_key]) if by_key else ()
    entries = {record.asset_entry.asset_key: record.asset_entry for record in records}
    runs = map(instance.get_run_by_id, {e.last_run_id for e in entries.values() if e.last_run_id})
    alive = {run.run_id for run in runs if run and not run.is_finished}
    left: list[News] = []
    for key, of_key in by_key.items():
        entry = entries.get(key)
        if entry is None:
            left += of_key
        elif entry.last_run_id not in alive:
            left += _unknown(instance, entry, of_key)
    return left, bool(alive)


def _unknown(
    instance: dg.DagsterInstance, entry: AssetEntry, news: Sequence[News]
) -> Iterator[News]:
    """What no event of this asset tells."""
    records = [entry.last_materialization_record]
    if partitions := {it.partition for it in news if it.partition}:
        latest = instance.event_log_storage.get_latest_storage_id_by_partition(
            entry.asset_key, dg.DagsterEventType.ASSET_MATERIALIZATION, partitions
        )
        wanted = dg.AssetRecordsFilter(entry.asset_key, storage_ids=[*latest.values()])
        if latest:
            records += instance.fetch_materializations(wanted, limit=len(latest)).records
    events = [record.asset_materialization for record in records if record]
    # one of before it was written down says of no instant
    known = {
        e.partition: str(e.metadata[AS_OF].value) if AS_OF in e.metadata else ""
        for e in events
        if e
    }
    for it in news:
        if it.partition not in known or (known[it.partition] < it.as_of and not it.once):
            yield it


def _told(event: dg.AssetMaterialization) -> str:
    """As of when an event is; those of before it was written down are of long ago."""
    return str(event.metadata[AS_OF].value) if AS_OF in event.metadata else ""
