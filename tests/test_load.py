"""A load appends, and its receipts come last: what has none counts for nothing."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from assets.loading import Loader
from assets.settings import read_settings
from assets.sources import endpoint_of
from dbt_like_sql.engine import warehouse
from pipelines.endpoint import Endpoint
from pipelines.http import VendorError
from pipelines.load import load
from pipelines.receipts import Landed
from pipelines.source import Ask, LoadResult, OutOfReachError, Pages, PartialAnswerError, Slice
from pipelines.windows import Window
from tests.clock import NOW, Clock, clock_from
from tests.conftest import USAGE_TABLES, Open
from tests.processes import ended, start
from tests.sandbox.desk import Fault

SCHEMA = pa.schema([("org_id", pa.string()), ("value", pa.int64())])
THINGS = Endpoint("neon", "things", "GET /things", "Things.", SCHEMA, ("daily",), ("org_id",))
WINDOW = Window("daily", datetime(2026, 8, 1, tzinfo=UTC), datetime(2026, 8, 4, tzinfo=UTC))


def page(org: str, *values: int) -> pa.Table:
    """A page of an answer."""
    return pa.table({"org_id": [org] * len(values), "value": values}, schema=SCHEMA)


def saying(*pages: pa.Table, then: Exception | None = None) -> Ask:
    """A call that answers these pages, and then breaks if it is to."""

    def ask(_: Window | None) -> Iterator[pa.Table]:
        yield from pages
        if then:
            raise then

    return ask


@dlt.source(name="things")
def things(pages: Pages) -> Iterator[DltResource]:
    """A vendor with one endpoint."""
    yield dlt.resource(pages(THINGS), name=THINGS.table, write_disposition="append")


CLOCK = Clock(lambda: NOW)


def land(
    folder: Path, window: Window | None = WINDOW, endpoint: Endpoint = THINGS, **scopes: Ask
) -> LoadResult:
    """One load into raw.things."""
    opened = partial(warehouse.writer, folder / "here.duckdb")
    slices = [Slice(scope, window, ask) for scope, ask in scopes.items()]
    return load(opened, endpoint, things, slices, CLOCK)


def rows(folder: Path, sql: str) -> list[tuple[object, ...]]:
    """What is in the warehouse."""
    with warehouse.writer(folder / "here.duckdb") as connection:
        return connection.execute(sql).fetchall()


RECEIPTS = "select scope, window_start, window_end, rows, pages, complete from raw.loads order by 1"
SINCE, UNTIL = WINDOW.since, WINDOW.until


def test_rows_and_their_receipt_land(tmp_path: Path) -> None:
    """Pages are counted, rows are stamped with their load and page, and the receipt says both."""
    landing = land(tmp_path, one=saying(page("one", 1, 2), page("one", 3)))
    assert rows(tmp_path, RECEIPTS) == [("one", SINCE, UNTIL, 3, 2, True)]
    assert rows(tmp_path, "select value, page, load_id from raw.things order by 1") == [
        (1, 1, landing.load_ids[0]),
        (2, 1, landing.load_ids[0]),
        (3, 2, landing.load_ids[0]),
    ]


def test_an_empty_answer_is_a_receipt_with_no_rows(tmp_path: Path) -> None:
    """Asked, and nothing was used: known, and not unknown."""
    land(tmp_path, one=saying(page("one")))
    assert rows(tmp_path, RECEIPTS) == [("one", SINCE, UNTIL, 0, 1, True)]
    assert rows(tmp_path, "select count(*) from raw.things") == [(0,)]


def test_a_scope_that_breaks_leaves_rows_and_no_receipt(tmp_path: Path) -> None:
    """What it said before is kept and counts for nothing; the next scope lands."""
    broken = saying(page("one", 1), then=VendorError("broke on page 2"))
    landing = land(tmp_path, one=broken, two=saying(page("two", 5)))
    assert [str(failure) for failure in landing.failures] == ["broke on page 2"]
    assert landing.rows == 1
    assert rows(tmp_path, RECEIPTS) == [("two", SINCE, UNTIL, 1, 1, True)]
    assert rows(tmp_path, "select value from raw.things order by 1") == [(1,), (5,)]


def test_when_every_scope_breaks_nothing_lands(tmp_path: Path) -> None:
    """Not even a table."""
    landing = land(tmp_path, one=saying(then=VendorError("no")))
    assert (landing.receipts, len(landing.failures)) == ([], 1)
    assert not (tmp_path / "here.duckdb").exists()


def test_a_partial_answer_is_marked(tmp_path: Path) -> None:
    """What the vendor did say lands, under a receipt that is not complete."""
    land(tmp_path, None, one=saying(page("one", 1), then=PartialAnswerError("left out 2")))
    assert rows(tmp_path, RECEIPTS) == [("one", None, None, 1, 1, False)]


def test_loads_append(tmp_path: Path) -> None:
    """A second load takes nothing away, and its receipt is later than the first."""
    for value in (1, 2):
        land(tmp_path, one=saying(page("one", value)))
    assert rows(tmp_path, "select value from raw.things order by 1") == [(1,), (2,)]
    landed = rows(tmp_path, "select landed_at from raw.loads order by load_id")
    assert len(landed) == 2
    assert landed[0] < landed[1]


def test_a_new_column_is_added(tmp_path: Path) -> None:
    """A table of an older version gains the column; its rows stay, with null in it."""
    land(tmp_path, one=saying(page("one", 1)))
    wider = pa.schema([*SCHEMA, ("note", pa.string())])
    noted = pa.table({"org_id": ["one"], "value": [2], "note": ["new"]}, schema=wider)
    assert not land(tmp_path, endpoint=replace(THINGS, schema=wider), one=saying(noted)).failures
    found = rows(tmp_path, "select value, note from raw.things order by 1")
    assert found == [(1, None), (2, "new")]


def test_out_of_reach_at_the_boundary_shortens_the_window(tmp_path: Path) -> None:
    """The oldest bucket aged out in this very moment: asked again, and a receipt for the rest."""
    asked: list[Window | None] = []

    def ask(window: Window | None) -> Iterator[pa.Table]:
        asked.append(window)
        if len(asked) == 1:
            raise OutOfReachError("too old", 406)
        yield page("one", 1)

    landing = land(tmp_path, one=ask)
    shorter = Window("daily", SINCE + timedelta(days=1), UNTIL)
    assert asked == [WINDOW, shorter]
    assert landing.failures == []
    assert rows(tmp_path, RECEIPTS) == [("one", shorter.since, UNTIL, 1, 2, True)]


def test_out_of_reach_twice_is_a_failure(tmp_path: Path) -> None:
    """It is tried once: a window that is far too old is not walked down bucket by bucket."""
    landing = land(tmp_path, one=saying(then=OutOfReachError("too old", 406)))
    assert [str(failure) for failure in landing.failures] == ["too old"]
    assert landing.receipts == []


def test_406_over_http_shortens_the_window(world: Open) -> None:
    """The same from a vendor: one more request, and the first hour stays unknown."""
    here = world(orgs=1, projects=3)
    window = here.reach("hourly")
    here.sandbox.faults.append(Fault("/consumption_history/v2/projects", 406))
    landing = here.land("neon_project_usage", window)
    assert landing.failures == []
    assert here.raw("select window_start, window_end from raw.loads") == [
        (window.since + timedelta(hours=1), window.until)
    ]
    assert [request.status for request in here.sandbox.requests[-2:]] == [406, 200]


def test_what_receipts_cover(tmp_path: Path) -> None:
    """Adjoining windows cover together; a hole, another scope or an incomplete one does not."""
    days = [SINCE + timedelta(days=n) for n in range(4)]
    for since, until in ((days[0], days[1]), (days[1], days[2])):
        land(tmp_path, Window("daily", since, until), one=saying(page("one", 1)))
    partial_answer = saying(page("one", 1), then=PartialAnswerError("left out 2"))
    land(tmp_path, Window("daily", days[2], days[3]), one=partial_answer)
    landed = Landed(partial(warehouse.writer, tmp_path / "here.duckdb"))
    held = Window("daily", days[0], days[2])
    assert landed.covers(THINGS, "one", held)
    assert not landed.covers(THINGS, "one", WINDOW)
    assert not landed.covers(THINGS, "two", held)
    assert not landed.covers(THINGS, "one", Window("hourly", days[0], days[1]))


def test_rows_without_a_receipt_name_no_project(world: Open) -> None:
    """A walk that broke shows projects with usage that nobody may count on."""
    here = world(orgs=1, page_size_cap=2)
    (org,) = here.company.orgs
    window = here.reach("daily")
    path = "/consumption_history/v2/projects"
    here.sandbox.faults.append(Fault(path, 404, skip=1))
    assert here.land("neon_project_usage", window).failures
    landed = Landed(partial(warehouse.writer, here.settings.warehouse))
    usage = endpoint_of("neon_project_usage")
    assert not landed.covers(usage, org, window)
    assert landed.values(usage, "project_id", org, window) == []
    assert not here.land("neon_project_usage", window).failures
    assert landed.covers(usage, org, window)
    used = {key[1] for key in here.expected("daily")}
    assert set(landed.values(usage, "project_id", org, window)) == used
    assert here.company.special["deleted"] in used


def load_one(table: str, window: Window, lent: str) -> None:
    """A load, in a process of its own."""
    with Loader(read_settings(clock=clock_from(lent))) as loader:
        assert not loader.load_window(endpoint_of(table), window).failures


def test_four_processes_at_once_load_into_one_warehouse(world: Open) -> None:
    """They wait for each other's turn; every load lands, and the facts are those of one process."""
    here = world(projects=5, facts_alone=True)
    started = [
        start(load_one, here.environment, table, here.reach(grain), here.clock.lent())
        for table in USAGE_TABLES
        for grain in ("daily", "monthly")
    ]
    assert [ended(process) for process in started] == [0, 0, 0, 0]
    here.build()
    assert here.facts() == here.expected("daily", "monthly")
