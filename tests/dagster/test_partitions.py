"""Buckets start where UTC says, reach as far as the vendor keeps, and are read again a while."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from assets.retention import retention
from assets.runs import planning
from assets.sources import endpoint_of
from pipelines.windows import Window

USAGE = "neon_project_usage"
USAGE_ENDPOINT = endpoint_of(USAGE)
NOW = datetime(2026, 11, 21, 8, 20, 30, tzinfo=UTC)


def at(text: str) -> datetime:
    """A UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("grain", "since", "until", "count"),
    [
        ("hourly", "2026-11-14T09:00", "2026-11-21T09:00", 168),
        ("daily", "2026-09-23", "2026-11-22", 60),
        ("monthly", "2025-12-01", "2026-12-01", 12),
    ],
)
def test_reach_is_what_the_vendor_keeps(grain: str, since: str, until: str, count: int) -> None:
    """168 hours, 60 days, 12 months, the open bucket among them."""
    reach = planning.everything_in_reach(USAGE, grain, NOW)
    assert reach == Window(grain, at(since), at(until))
    assert len(reach.buckets()) == count


def test_reach_leaves_a_margin_at_the_boundary() -> None:
    """Seconds before the vendor's clock drops an hour, that hour is no longer asked for."""
    hour = at("2026-11-14T08:00")
    kept = timedelta(hours=168)
    assert planning.earliest(USAGE, "hourly", hour + kept - timedelta(seconds=61)) == hour
    later = at("2026-11-14T09:00")
    assert planning.earliest(USAGE, "hourly", hour + kept - timedelta(seconds=59)) == later


@pytest.mark.parametrize(
    ("grain", "since", "until"),
    [
        ("hourly", "2026-11-21T02:00", "2026-11-21T09:00"),
        ("daily", "2026-11-18", "2026-11-22"),
        ("monthly", "2026-09-01", "2026-12-01"),
    ],
)
def test_trailing_windows_are_read_again(grain: str, since: str, until: str) -> None:
    """The open bucket and the 6 hours, 3 days or 2 months before it."""
    assert planning.trailing(USAGE, grain, NOW) == Window(grain, at(since), at(until))


def test_once_a_day_hours_are_read_as_far_as_days() -> None:
    """In the hour of the daily tick, so that a late correction reaches days served by hours."""
    window = planning.trailing(USAGE, "hourly", at("2026-11-21T02:20"))
    assert window == Window("hourly", at("2026-11-18"), at("2026-11-21T03:00"))


def test_a_year_turns() -> None:
    """Months before January are those of the year before."""
    window = planning.trailing(USAGE, "monthly", at("2027-01-01T00:00"))
    assert window == Window("monthly", at("2026-11-01"), at("2027-02-01"))


def test_a_window_is_clipped_to_reach() -> None:
    """What is older than the vendor keeps or not begun is cut off; nothing left is None."""
    wide = Window("hourly", at("2026-11-01"), at("2026-12-01"))
    assert planning.within_reach(USAGE_ENDPOINT, wide, NOW) == Window(
        "hourly", at("2026-11-14T09:00"), at("2026-11-21T09:00")
    )
    old = Window("hourly", at("2026-11-01"), at("2026-11-02"))
    assert planning.within_reach(USAGE_ENDPOINT, old, NOW) is None


@pytest.mark.parametrize(
    ("grain", "since", "until"),
    [
        ("hourly", "2026-11-20T13:00", "2026-11-21T09:00"),
        ("daily", "2026-11-20", "2026-11-22"),
        ("monthly", "2026-11-01", "2026-12-01"),
    ],
)
def test_any_instants_become_whole_buckets(grain: str, since: str, until: str) -> None:
    """Widened outwards to where buckets start and end, and not beyond the open one."""
    window = Window(grain, at(since), at(until))
    asked = partial(planning.reachable, USAGE_ENDPOINT, grain, now=NOW)
    for end in ("2026-11-21T08:10", "2026-11-21T09:00", "2027-01-05", "9999-12-31T23:59:59"):
        assert asked(at("2026-11-20T13:30"), at(end)) == window
    assert asked(at("2026-12-01"), at("2026-12-02")) is None


def test_out_of_reach_says_what_still_reaches() -> None:
    """How long Neon keeps it, what was asked for, and which grain reaches that: none, perhaps."""

    def said(grain: str, since: str) -> str:
        return planning.out_of_reach(USAGE_ENDPOINT, grain, at(since), NOW)

    assert said("hourly", "2026-11-01T05:00") == (
        "Neon keeps hourly for 168 hours; asked for 2026-11-01T05:00Z; daily reaches it. "
        "What is older was not asked, and nothing that landed before is touched."
    )
    assert "; monthly reaches it." in said("hourly", "2026-06-01")
    assert "; monthly reaches it." in said("daily", "2026-06-01")
    assert "; no grain reaches it." in said("hourly", "2020-01-01")
    assert "; no grain reaches it." in said("monthly", "2020-01-01")
    assert planning.kept_for(endpoint_of("platform_readings"), "daily") == "1 day"


@pytest.mark.parametrize(
    ("grain", "now", "tick"),
    [
        ("hourly", "2026-11-21T08:19:59", "2026-11-21T07:20"),
        ("hourly", "2026-11-21T08:20", "2026-11-21T08:20"),
        ("hourly", "2026-11-21T00:10", "2026-11-20T23:20"),
        ("daily", "2026-11-21T02:19", "2026-11-20T02:20"),
        ("daily", "2026-11-21T02:20", "2026-11-21T02:20"),
        ("monthly", "2026-11-21T03:19", "2026-11-20T03:20"),
        ("monthly", "2026-12-01T03:20", "2026-12-01T03:20"),
    ],
)
def test_a_grain_is_due_at_its_tick(grain: str, now: str, tick: str) -> None:
    """At :20 every hour; days at 02:20 and months at 03:20 UTC, every day."""
    assert planning.last_tick(USAGE, grain, at(now)) == at(tick)


def test_a_resource_without_retention_is_an_error() -> None:
    """Nothing is guessed."""
    with pytest.raises(KeyError, match=r"retention\.csv has no row for nobody, hourly"):
        retention("nobody", "hourly")
