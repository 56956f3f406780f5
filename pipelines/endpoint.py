"""What a vendor is asked for: an endpoint, its grains, and the table that its answers go to."""

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

# the grain of what has no window: names as they are now
SNAPSHOT = "snapshot"


@dataclass(frozen=True)
class Endpoint:
    """One vendor endpoint: where its answers go (raw.<table>), and at which grains it is asked.

    `source`: the family of its facts. `records`: the module whose TABLES has the columns of its
    rows. `key`: those by which a row of one scope is known again. `withdraws`: a row that a later
    answer lacks is no longer so; of what happened once it still is. `needs`: tables that its slices
    are worked out from, loaded first.
    `only_backfilled`: grains that are partitions to backfill by, of receipts of the first grain.
    `once_a_tick`: what was asked since the last tick is not asked again, whoever asks. `any_time`:
    due at every run. `part_of`: the table that it is loaded with. `retired_on`: since when the
    vendor has no answer any more (a host may still have one).
    """

    source: str
    table: str
    request: str
    description: str
    records: str
    grains: tuple[str, ...] = (SNAPSHOT,)
    key: tuple[str, ...] = ()
    withdraws: bool = True
    needs: tuple[str, ...] = ()
    only_backfilled: tuple[str, ...] = ()
    once_a_tick: bool = False
    any_time: bool = False
    part_of: str | None = None
    retired_on: str | None = None

    @cached_property
    def schema(self) -> "pa.Schema":
        """The columns of its rows."""
        found: pa.Schema = import_module(self.records).TABLES[self.table]  # late: Arrow is dear
        return found

    @property
    def values(self) -> tuple[str, ...]:
        """What a row says of its key: the other columns."""
        return tuple(name for name in self.schema.names if name not in self.key)

    @property
    def is_windowed(self) -> bool:
        """Its rows lie in buckets; what has none is a snapshot."""
        return self.grains != (SNAPSHOT,)

    @property
    def tells_grain(self) -> bool:
        """Its rows lie in buckets of several grains, and say of which."""
        return self.is_windowed and "granularity" in self.schema.names

    def receipts_at(self, grain: str) -> str:
        """The grain of the receipts that a load at this one writes."""
        return self.grains[0] if grain in self.only_backfilled else grain
