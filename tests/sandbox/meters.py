"""Which meters run on a simulated project and its branches, and at what level."""

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

from tests.sandbox.usage import UNKNOWN_METRIC, Pattern, Stream, number

Streams = dict[tuple[str | None, str], list[Stream]]
USED_PATTERNS: tuple[Pattern, ...] = ("steady", "office", "nightly", "bursts")
# An hour of it is more than 2**53 / 100, a day more than 2**53, a year more than 2**63
HUGE_BYTES_A_MONTH = 10**18


class Metered(Protocol):
    """What a meter has to know of a branch."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def parent_id(self) -> str | None: ...  # noqa: D102
    @property
    def logical_size(self) -> int: ...  # noqa: D102
    @property
    def hours(self) -> tuple[int, int]: ...  # noqa: D102


class Meters:
    """The meters of one project, by branch (None = the project's own) and metric."""

    def __init__(self, name: str, own_hours: tuple[int, int]) -> None:
        self.streams: Streams = defaultdict(list)
        self._name, self._own_hours = name, own_hours
        self._chance = random.Random(f"meters {name}")

    def run(self, index: int, role: str, branches: Sequence[Metered], oddities: bool) -> None:
        """Start every meter of the project."""
        for branch in branches:
            self._run_branch(index, branch)
        if role == "huge" and oddities:
            self._add(branches[0], "private_network_transfer_bytes", HUGE_BYTES_A_MONTH, "steady")
        if role == "surplus" or index % 10 == 6:
            self._add(None, "compute_unit_seconds", 7_000, "steady")
        if index % 5 == 1:
            self._add(None, "snapshot_storage_bytes_month", self._chance.randrange(10**8, 10**10))
        if role == "unknown_metric" and oddities:
            self._add(None, UNKNOWN_METRIC, 12_345_678)

    def _run_branch(self, index: int, branch: Metered) -> None:
        chance, size = self._chance, branch.logical_size
        pattern = chance.choice(USED_PATTERNS)
        growth_percent = 3 if index % 6 == 5 else 0
        if branch.parent_id is None:
            self._add(branch, "root_branch_bytes_month", size, "flat", growth_percent)
            self._add(branch, "instant_restore_bytes_month", size // 50 + 300, "bursts")
        else:
            self._add(branch, "child_branch_bytes_month", size // 20 + 1_000_000)
            extra = Stream("extra_branches_month", 0, *branch.hours, level=1)
            self.streams[None, extra.metric].append(extra)
        if chance.random() < 0.8:
            self._add(branch, "compute_unit_seconds", int(10 ** chance.uniform(3, 6.3)), pattern)
        if chance.random() < 0.7:
            level = int(10 ** chance.uniform(6, 11.7))
            self._add(branch, "public_network_transfer_bytes", level, pattern)
        if index % 13 == 3:
            level = int(10 ** chance.uniform(8, 11))
            self._add(branch, "private_network_transfer_bytes", level, pattern)

    def _add(
        self,
        branch: Metered | None,
        metric: str,
        level: int,
        pattern: Pattern = "flat",
        growth_percent: int = 0,
    ) -> None:
        first, last = branch.hours if branch else self._own_hours
        branch_id = branch.id if branch else None
        key = number(self._name, branch_id, metric)
        stream = Stream(metric, key, first, last, level, pattern, growth_percent)
        self.streams[branch_id, metric].append(stream)
