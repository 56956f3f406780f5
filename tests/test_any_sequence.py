"""Whatever is loaded in whatever order, the facts are those of a model of a few lines of Python."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from assets.settings import Settings, read_settings
from assets.sources import endpoint_of, source_of
from dbt_like_sql.engine import warehouse
from pipelines.http import VendorError
from pipelines.load import load
from pipelines.neon.records import Bucket, Metric, Period, ProjectUsage, usage_table
from pipelines.source import Slice
from pipelines.windows import Window, floor, next_bucket, whole_buckets
from tests.builds import build
from tests.conftest import Worlds

USAGE = endpoint_of("neon_project_usage")
# the turn of a month, long settled
DAYS = whole_buckets("daily", datetime(2026, 10, 31, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))
HOURS = whole_buckets("hourly", DAYS[0], next_bucket(DAYS[-1], "daily"))
BUCKETS = {"hourly": HOURS, "daily": DAYS, "monthly": [floor(day, "monthly") for day in DAYS]}
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
# of what happened: ("load", grain, first bucket, buckets), ("broken", the same), ("says", first
# hour, hours, value), ("clock", hours), ("build",)
Step = tuple[str | int, ...]
Facts = dict[tuple[str, datetime], int]


@dataclass
class Model:
    """What the vendor would say of each hour, and what it said when it was last asked."""

    says: dict[datetime, int] = field(default_factory=lambda: dict.fromkeys(HOURS, 1))
    said: dict[tuple[str, datetime], int] = field(default_factory=dict)

    def answer(self, window: Window) -> dict[datetime, int]:
        """What it says of each bucket."""
        sums = dict.fromkeys(window.buckets(), 0)
        for hour, value in self.says.items():
            if window.since <= hour < window.until:
                sums[floor(hour, window.grain)] += value
        return sums

    def facts(self) -> Facts:
        """A month that was asked, else days by all of their hours, else as they were asked."""
        facts: Facts = {}
        for day in DAYS:
            month = "monthly", floor(day, "monthly")
            hours = [("hourly", hour) for hour in HOURS if floor(hour, "daily") == day]
            held = [hour for hour in hours if hour in self.said]
            serving = held if held == hours or ("daily", day) not in self.said else [("daily", day)]
            facts |= {
                key: self.said.get(key, 0) for key in ([month] if month in self.said else serving)
            }
        return {key: value for key, value in facts.items() if value}


@dataclass
class Here:
    """A warehouse, what asks for it, and the model beside it."""

    settings: Settings
    models: Path
    model: Model = field(default_factory=Model)
    now: datetime = NOW

    def take(self, step: Step) -> None:
        """One step."""
        kind, *rest = step
        if kind == "clock":
            self.now += timedelta(hours=int(rest[0]))
        elif kind == "build":
            build(self.settings, self.models)
        elif kind == "says":
            first, count, value = map(int, rest)
            self.model.says |= dict.fromkeys(HOURS[first : first + count], value)
        else:
            grain, first, count = str(rest[0]), int(rest[1]), int(rest[2])
            starts = BUCKETS[grain][first : first + count] or BUCKETS[grain][-1:]
            window = Window(grain, starts[0], next_bucket(starts[-1], grain))
            self.ask(window, is_broken=kind == "broken")

    def ask(self, window: Window, is_broken: bool) -> None:
        """A load, the hour of each bucket on a page of its own; a broken one breaks at the end."""
        answer = self.model.answer(window)
        told = {start: Decimal(value) for start, value in answer.items() if value}

        def ask(_: Window) -> Iterator[pa.Table]:
            metric = "compute_unit_seconds"
            buckets = [
                Bucket(timeframe_start=start, metrics=[Metric(metric_name=metric, value=value)])
                for start, value in told.items()
            ]
            usage = ProjectUsage(
                project_id="p", periods=[Period(period_id="one", consumption=buckets)]
            )
            yield usage_table(USAGE.table, [usage], "org", window, {})
            if is_broken:
                raise VendorError("broke on page 2")

        opened = partial(warehouse.writer, self.settings.warehouse)
        self.now += timedelta(seconds=1)
        slices = [Slice("org", window, ask)]
        load(opened, USAGE, source_of(USAGE).resources, slices, lambda: self.now)
        if not is_broken:
            self.model.said |= {(window.grain, start): value for start, value in answer.items()}

    def check(self) -> None:
        """Facts, and what receipts cover, are those of the model."""
        build(self.settings, self.models)
        with warehouse.writer(self.settings.warehouse) as connection:
            facts = connection.execute(
                "select granularity, period_start, quantity from marts.fct_compute"
            ).fetchall()
            asked = connection.execute(
                "select granularity, bucket_start from staging.stg_loads__buckets"
            ).fetchall()
        assert {(grain, start): int(value) for grain, start, value in facts} == self.model.facts()
        assert {*asked} == {*self.model.said}


@contextmanager
def opened(worlds: Worlds) -> Iterator[Here]:
    """A warehouse in which nothing was loaded."""
    with TemporaryDirectory() as folder:
        models = worlds.begin(Path(folder), facts_alone=True)
        found = read_settings({"WAREHOUSE": f"{folder}/meterhouse.duckdb"})
        here = Here(found, models)
        here.settings = replace(found, clock=lambda: here.now)
        yield here


def test_a_sequence_that_meets_all_rules(worlds: Worlds) -> None:
    """A day that its hours cover and one that they do not, a correction, an answer that broke."""
    steps: list[Step] = [
        ("load", "daily", 0, 2),
        ("load", "hourly", 24, 24),
        ("says", 22, 10, 3),
        ("load", "hourly", 20, 10),
        ("broken", "daily", 0, 1),
    ]
    with opened(worlds) as here:
        for step in steps:
            here.take(step)
        here.check()
        facts = here.model.facts()
    assert facts["daily", DAYS[0]] == 24
    assert (facts["hourly", HOURS[29]], facts["hourly", HOURS[30]]) == (3, 1)


_LOADS = some.one_of(
    some.tuples(some.just("hourly"), some.integers(0, 47), some.integers(1, 48)),
    some.tuples(some.just("daily"), some.integers(0, 1), some.integers(1, 2)),
    some.tuples(some.just("monthly"), some.integers(0, 1), some.integers(1, 2)),
)
_STEPS = some.one_of(
    some.tuples(some.sampled_from(["load", "load", "load", "broken"]), _LOADS).map(
        lambda step: (step[0], *step[1])
    ),
    some.tuples(some.just("says"), some.integers(0, 47), some.integers(1, 24), some.integers(0, 9)),
    some.tuples(some.just("clock"), some.integers(1, 72)),
    some.tuples(some.just("build")),
)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=some.lists(_STEPS, min_size=1, max_size=14))
def test_any_sequence_gives_the_facts_of_the_model(worlds: Worlds, steps: list[Step]) -> None:
    """Loads at any windows, again, broken, empty, corrected; builds and steps of the clock."""
    with opened(worlds) as here:
        for step in steps:
            here.take(step)
        here.check()


@pytest.mark.slow
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(loads=some.lists(_LOADS, min_size=2, max_size=5), order=some.randoms(use_true_random=False))
def test_the_order_of_loads_does_not_matter(
    worlds: Worlds, loads: list[Step], order: Random
) -> None:
    """Of a vendor that corrects nothing in between."""
    shuffled = sorted(loads, key=lambda _: order.random())
    facts = []
    for loaded in (loads, shuffled):
        with opened(worlds) as here:
            for step in loaded:
                here.take(("load", *step))
            here.check()
            facts.append(here.model.facts())
    assert facts[0] == facts[1]


@given(first=some.integers(0, 40), count=some.integers(1, 30), less=some.sets(some.integers(0, 60)))
def test_a_window_less_some_buckets_is_the_others(first: int, count: int, less: set[int]) -> None:
    """Each bucket in one window, in as few windows as there are runs of them."""
    start = HOURS[0] + first * timedelta(hours=1)
    window = Window("hourly", start, start + count * timedelta(hours=1))
    gone = {HOURS[0] + number * timedelta(hours=1) for number in less}
    left = window.without(gone)
    buckets = [bucket for each in left for bucket in each.buckets()]
    assert buckets == [bucket for bucket in window.buckets() if bucket not in gone]
    assert all(one.until < other.since for one, other in pairwise(left))
