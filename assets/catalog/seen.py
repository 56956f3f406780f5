"""What was loaded and built without Dagster becomes known to it, as materializations.

A tick looks at what landed since the last one: its cost follows what is new. What a run of Dagster
tells itself is not told again: every event says as of when it is, by the warehouse's own instants.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby

import dagster as dg
from dagster._core.storage.event_log.base import AssetEntry

from assets.catalog.tables import AS_OF, BUILT, Row, as_of, model_key, raw_key, whole_partitions
from assets.model_assets import MODELS, SEEDS, SHOWN, days_of, has_days
from assets.raw_assets import RECEIPTS
from assets.sources import ENDPOINTS
from dbt_like_sql.engine.build_state import last_built_at
from dbt_like_sql.engine.windows import due_windows
from pipelines import receipts
from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.receipts import Connection
from pipelines.windows import Window, floor, whole_buckets

# an event costs 10 ms and more: a warehouse that Dagster never saw is told in several ticks
MOST_EVENTS = 300
COUNT = "dagster/partition_row_count"


@dataclass(frozen=True)
class Told:
    """Up to where Dagster was told, as the cursor of a sensor: receipts that landed, and the last
    build, with the receipts that were in it. Instants as text; empty: nothing was told."""

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
    """A table, or a partition of it, that is as of an instant; `once`: told where never told."""

    key: dg.AssetKey
    partition: str | None
    as_of: datetime
    metadata: Row = field(default_factory=dict)
    once: bool = False

    def event(self) -> dg.AssetMaterialization:
        """As Dagster takes it."""
        metadata = {**as_of(self.as_of), **self.metadata}
        return dg.AssetMaterialization(self.key, partition=self.partition, metadata=metadata)


def unseen(
    instance: dg.DagsterInstance, connection: Connection, told: Told, now: datetime, is_built: bool
) -> tuple[list[dg.AssetMaterialization], Told]:
    """What to tell Dagster now, the newest partitions last, and up to where it is told then.

    `is_built`: every receipt is in every table. What is not told yet (a run is under way that may
    tell it, or there is too much at once) is told at a later tick.
    """
    landed = receipts.last_landed(connection)
    built_at = last_built_at(connection)
    news: list[News] = []
    after = told
    if landed and landed.isoformat() != told.landed:
        news += _loaded(connection, told.landed, landed)
        after = replace(after, landed=landed.isoformat())
    if is_built and landed and built_at and built_at.isoformat() != told.built:
        after = replace(after, built=built_at.isoformat(), through=landed.isoformat())
        if not instance.get_runs(dg.RunsFilter(tags={BUILT: after.built}), limit=1):
            news += _built(connection, told.through, built_at, now)
        news += _seeds(connection)
    left, is_waiting = _left(instance, news)
    left.sort(key=lambda it: it.partition or "9", reverse=True)
    if is_waiting or len(left) > MOST_EVENTS:
        after = told
    return [it.event() for it in reversed(left[:MOST_EVENTS])], after


# -- loads ------------------------------------------------------------------------------------


def _loaded(connection: Connection, since: str, landed: datetime) -> Iterator[News]:
    """What landed after an instant: names, and partitions that every scope holds."""
    found = receipts.landed_since(connection, datetime.fromisoformat(since) if since else None)
    yield News(RECEIPTS.key, None, landed)
    for (table, grain), group in groupby(found, lambda row: row[:2]):
        endpoint = next((e for e in ENDPOINTS if e.table == table), None)
        windows = [row[2:] for row in group]
        if endpoint and grain == SNAPSHOT:
            yield News(raw_key(table, grain), None, max(at for *_, at in windows))
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
                counted = {COUNT: sum(rows.get(bucket, 0) for bucket in buckets)}
                yield News(raw_key(endpoint.table, shown), partition, max(new), counted)


# -- builds -----------------------------------------------------------------------------------


def _built(connection: Connection, since: str, built_at: datetime, now: datetime) -> Iterator[News]:
    """The tables that a build made, and the days that it was about."""
    through = datetime.fromisoformat(since) if since else None
    days = sorted(days_of(due_windows(connection, through), now))
    for model in MODELS.values():
        key = model_key(model.name)
        for day in days if has_days(model) else [None]:
            yield News(key, day, built_at, once=key not in SHOWN)


def _seeds(connection: Connection) -> Iterator[News]:
    """Seeds, as of when they were last read: no run tells of them."""
    found = connection.execute("select model, built_at from meta.builds").fetchall()
    read_at = {model_key(name): at for name, at in found}
    return (News(s.key, None, read_at[s.key]) for s in SEEDS if s.key in read_at)


# -- what Dagster knows -----------------------------------------------------------------------


def _left(instance: dg.DagsterInstance, news: Sequence[News]) -> tuple[list[News], bool]:
    """What Dagster does not know; True: of some a run is under way, which may tell it itself."""
    by_key: dict[dg.AssetKey, list[News]] = defaultdict(list)
    for it in news:
        by_key[it.key].append(it)
    records = instance.get_asset_records([*by_key]) if by_key else ()
    entries = {record.asset_entry.asset_key: record.asset_entry for record in records}
    runs = {entry.last_run_id for entry in entries.values() if entry.last_run_id}
    alive = {
        run_id for run_id in runs if (r := instance.get_run_by_id(run_id)) and not r.is_finished
    }
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
    partitions = {it.partition for it in news if it.partition}
    latest = (
        instance.event_log_storage.get_latest_storage_id_by_partition(
            entry.asset_key, dg.DagsterEventType.ASSET_MATERIALIZATION, partitions
        )
        if partitions
        else {}
    )
    wanted = dg.AssetRecordsFilter(entry.asset_key, storage_ids=[*latest.values()])
    records = instance.fetch_materializations(wanted, limit=len(latest)).records if latest else ()
    events = [record.asset_materialization for record in records]
    if entry.last_materialization:
        events.append(entry.last_materialization.asset_materialization)
    known = {event.partition: _instant(event) for event in events if event}
    for it in news:
        at = known.get(it.partition)
        if at is None or (at < it.as_of and not it.once):
            yield it


def _instant(event: dg.AssetMaterialization) -> datetime:
    """As of when an event is; those of before it was written down are of long ago."""
    at = event.metadata.get(AS_OF)
    return datetime.fromtimestamp(float(str(at.value)) if at else 0, UTC)
