"""Neon's answers become rows as they are: exact numbers, all metrics, nothing personal."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from pipelines.decode import decode
from pipelines.neon.records import (
    AccountUsagePage,
    ProjectUsagePage,
    account_usage,
    usage_table,
)
from pipelines.windows import Window
from tests.conftest import Open

WINDOW = Window("daily", datetime(2026, 8, 2, tzinfo=UTC), datetime(2026, 8, 4, tzinfo=UTC))


def rows_of(body: str) -> list[dict[str, Any]]:
    """What a page of v2/projects becomes."""
    page = decode(body.encode(), ProjectUsagePage)
    table: pa.Table = usage_table("neon_project_usage", page.items, "org-1", WINDOW, {})
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def page(metrics: str, bucket: str = "", project: str = "") -> str:
    """A page with one project, one period and one day."""
    return (
        f'{{"projects":[{{"project_id":"quiet-sun-1"{project},"periods":[{{"period_id":"p-1",'
        '"period_plan":"launch","period_start":"2026-08-01T00:00:00Z","consumption":[{'
        f'"timeframe_start":"2026-08-02T00:00:00Z","timeframe_end":"2026-08-03T00:00:00Z"{bucket},'
        f'"metrics":[{metrics}]}}]}}]}}]}}'
    )


def metric(value: str, name: str = "compute_unit_seconds", more: str = "") -> str:
    """One metric."""
    return f'{{"metric_name":"{name}","value":{value}{more}}}'


def test_a_metric_becomes_a_row() -> None:
    """With its project, period, timeframe and bucket, in UTC."""
    assert rows_of(page(metric("82"))) == [
        {
            "project_id": "quiet-sun-1",
            "period_id": "p-1",
            "period_plan": "launch",
            "period_start": datetime(2026, 8, 1, tzinfo=UTC),
            "period_end": None,
            "timeframe_start": datetime(2026, 8, 2, tzinfo=UTC),
            "timeframe_end": datetime(2026, 8, 3, tzinfo=UTC),
            "metric_name": "compute_unit_seconds",
            "value": Decimal("82.000000000"),
            "extra": None,
            "org_id": "org-1",
            "granularity": "daily",
            "bucket_start": datetime(2026, 8, 2, tzinfo=UTC),
        }
    ]


def test_a_timeframe_clipped_by_a_period_lies_in_its_bucket() -> None:
    """A billing period that starts within a day clips the timeframe, not the bucket."""
    clipped = page(metric("82")).replace(
        'frame_start":"2026-08-02T00', 'frame_start":"2026-08-02T18'
    )
    (row,) = rows_of(clipped)
    assert row["timeframe_start"] == datetime(2026, 8, 2, 18, tzinfo=UTC)
    assert row["bucket_start"] == datetime(2026, 8, 2, tzinfo=UTC)


@pytest.mark.parametrize("more", ["", ',"note":"undocumented"'])
@pytest.mark.parametrize(
    "value",
    [
        "9007199254740993",  # 2**53 + 1
        "18446744073709551617",  # 2**64 + 1
        "99999999999999999999",
        "0.000000001",
        "0",
    ],
)
def test_numbers_are_exact(value: str, more: str) -> None:
    """Beyond what a float or 64 bits hold, also where an unknown field asks for a second look."""
    (row,) = rows_of(page(metric(value, more=more)))
    assert row["value"] == Decimal(value)


def test_unknown_fields_are_kept() -> None:
    """Whatever Neon says beyond its documentation is in `extra`, by where it said it."""
    body = page(
        metric("82", more=',"unit":"CU-s"'),
        bucket=',"partial":{"until":2.5}',
        project=',"project_slug":"sun"',
    )
    (row,) = rows_of(body)
    assert msgspec.json.decode(row["extra"]) == {
        "subject.project_slug": "sun",
        "timeframe.partial": {"until": 2.5},
        "metric.unit": "CU-s",
    }


def test_metrics_come_in_any_order_and_zero_is_no_absence() -> None:
    """An explicit zero is a row; a metric that is not there is none."""
    body = page(metric("0", "instant_restore_bytes_month") + "," + metric("7", "a_new_metric"))
    assert [(row["metric_name"], row["value"]) for row in rows_of(body)] == [
        ("instant_restore_bytes_month", 0),
        ("a_new_metric", 7),
    ]


def test_an_idle_project_has_no_rows() -> None:
    """`periods: []` is an answer."""
    assert rows_of('{"projects":[{"project_id":"quiet-sun-1","periods":[]}]}') == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (page(metric("82")).replace("02T00:00:00Z", "02T00:00:00"), "timeframe_start"),
        ('{"projects":[{"project_id":"quiet-sun-1"}]}', "periods"),
        (page(metric("82")).replace("consumption", "usage"), "consumption"),
        ('{"project":[]}', "projects"),
    ],
)
def test_another_shape_is_refused_by_name(body: str, path: str) -> None:
    """A time without a zone, a missing list: the error says where."""
    with pytest.raises(msgspec.ValidationError, match=path):
        rows_of(body)


def test_usage_under_another_name_is_no_idle_project() -> None:
    """As in an example in Neon's reference, which has the fields of the legacy calls."""
    legacy = page(metric("82")).replace('"metrics":[', '"active_time_seconds":7,"other":[')
    with pytest.raises(ValueError, match="no timeframe has metrics, but active_time_seconds, othe"):
        rows_of(legacy)
    assert rows_of(page("", bucket=',"note":"idle"')) == []


@pytest.mark.parametrize("value", ['"82 s"', '"1_000"', "null", "true"])
def test_a_value_that_is_no_number_refuses_its_bucket(value: str) -> None:
    """Text for a number: the error says what and whose; the other metrics are told."""
    body = page(metric("7", "a_new_metric") + "," + metric(value))
    items, refused = decode(body.encode(), ProjectUsagePage).items, dict[datetime, str]()
    told = usage_table("neon_project_usage", items, "org", WINDOW, refused)
    assert told["metric_name"].to_pylist() == ["a_new_metric"]
    ((bucket_start, why),) = refused.items()
    assert bucket_start == WINDOW.since
    assert re.fullmatch(r"compute\w+ .* is no quantity that can be added up \(quiet-sun-1\)", why)


def test_the_legacy_account_is_read_where_a_host_still_has_it(world: Open) -> None:
    """Its columns become metrics, explicit zeros included, equal to the company's own."""
    here = world(orgs=1, projects=3, legacy_account=True)
    window = here.reach("monthly")
    landing = here.land("neon_account_usage", window)
    (org,) = here.company.orgs
    assert (landing.failures, landing.notes) == ([], [])
    rows = here.raw(
        "select timeframe_start, sum(value) from raw.neon_account_usage"
        " where metric_name = 'compute_time_seconds' group by 1 order by 1"
    )
    projects = here.company.project_ids(org)
    assert {start: int(value) for start, value in rows} == {
        start: sum(
            here.company.value(org, project, None, "compute_unit_seconds", "monthly", start)
            for project in projects
        )
        for start, _ in rows
    }
    names = here.raw("select distinct metric_name from raw.neon_account_usage order by 1")
    assert [name for (name,) in names] == [
        "active_time_seconds",
        "compute_time_seconds",
        "data_storage_bytes_hour",
        "synthetic_storage_size_bytes",
        "written_data_bytes",
    ]


@pytest.mark.parametrize("value", ['"NaN"', '"12"', "null", "true", "[1]"])
def test_a_legacy_column_that_is_no_number_refuses_its_bucket(value: str) -> None:
    """It is never left out as if nothing had been used; the other metrics are told."""
    start = f"{WINDOW.since:%Y-%m-%dT%H:%M:%SZ}"
    bucket = (
        f'{{"timeframe_start":"{start}","compute_time_seconds":7,"written_data_bytes":{value}}}'
    )
    body = f'{{"periods":[{{"period_id":"p-1","consumption":[{bucket}]}}]}}'
    page, refused = decode(body.encode(), AccountUsagePage), dict[datetime, str]()
    told = usage_table("neon_account_usage", [account_usage(page.items)], "org", WINDOW, refused)
    assert told["metric_name"].to_pylist() == ["compute_time_seconds"]
    why = "written_data_bytes NaN is no quantity that can be added up (account)"
    assert refused == {WINDOW.since: why}


def test_the_retired_account_is_a_note_and_no_failure(world: Open) -> None:
    """Where the route is gone: it says so, no row lands and no receipt says that it is complete."""
    here = world(projects=3)
    landing = here.land("neon_account_usage", here.reach("daily"))
    assert landing.failures == []
    (note,) = {*landing.notes}
    retired = "retired by Neon on 2026-06-01; org totals come from v2/projects"
    assert note == f"neon account usage: {retired}"
    assert landing.rows == 0
    assert here.raw("select count(*) from raw.loads where complete") == [(0,)]


def test_personal_data_never_lands(world: Open) -> None:
    """Who made a branch or owns a project is in no column and in no `extra`."""
    here = world(projects=3)
    for table in ("neon_organizations", "neon_projects", "neon_branches"):
        assert here.land(table, None).failures == []
    for table in ("neon_projects", "neon_branches"):
        rows = here.raw("from query_table(['raw.' || ?])", table)
        assert rows
        text = repr(rows)
        assert "provisioner" in text or "init_source" in text
        for personal in ("created_by", "owner", "Ada"):
            assert personal not in text
