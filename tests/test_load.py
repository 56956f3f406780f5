"""A load appends, and its receipts come last: what has none counts for nothing."""

import fcntl
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from threading import Thread

import dlt
import pyarrow as pa
import pytest
from dlt.extract import DltResource
from filelock import FileLock

from assets.runs.loading import OF_THE_HOUSE, Loader
from assets.settings import read_settings
from assets.sources import endpoint_of
from assets.terminal import runs
from assets.terminal.console import Report
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.warehouse import WarehouseError
from pipelines import receipts
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

DAYS = [datetime(2026, 8, day, tzinfo=UTC) for day in (1, 2, 3, 4)]
SINCE, UNTIL = DAYS[0], DAYS[3]
WINDOW = Window("daily", SINCE, UNTIL)
SCHEMA = pa.schema(
    {"thing_id": pa.string(), "bucket_start": pa.timestamp("us", "UTC"), "value": pa.int64()}
)
KEY = ("thing_id", "bucket_start")
TABLES = {"things": SCHEMA}
THINGS = Endpoint("neon", "things", "GET /things", "Things.", __name__, ("daily",), KEY)
NAMES = Endpoint(
    "neon", "things", "GET /things", "Things as they are now.", __name__, key=("thing_id",)
)
Row = tuple[str | None, datetime, int]


def page(*rows: Row) -> pa.Table:
    """A page of an answer: what each thing used on a day."""
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA)


def saying(*pages: pa.Table, then: BaseException | None = None) -> Ask:
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


def land(
    folder: Path,
    window: Window | None = WINDOW,
    endpoint: Endpoint = THINGS,
    asked_at: datetime = NOW,
    **scopes: Ask,
) -> LoadResult:
    """One load into raw.things."""
    opened = partial(warehouse.writer, folder / "here.duckdb")
    slices = [Slice(scope, window, ask) for scope, ask in scopes.items()]
    return load(opened, endpoint, things, slices, Clock(lambda: asked_at))


def rows(folder: Path, sql: str) -> list[tuple[object, ...]]:
    """What is in the warehouse."""
    with warehouse.writer(folder / "here.duckdb") as connection:
        return connection.execute(sql).fetchall()


RECEIPTS = "select scope, window_start, window_end, rows, pages, complete from raw.loads order by 1"
# a minus: withdrawn
LOG = """
    select scope, thing_id, bucket_start, case when is_withdrawn then -value else value end
    from raw.things order by landed_at, scope, bucket_start, thing_id
"""
A, B = ("a", SINCE, 1), ("b", SINCE, 2)


def test_rows_and_their_receipt_land(tmp_path: Path) -> None:
    """Pages are counted, and rows carry scope, load and place of the receipt that told them."""
    landing = land(tmp_path, one=saying(page(A, B), page(("c", DAYS[1], 3))))
    assert rows(tmp_path, RECEIPTS) == [("one", SINCE, UNTIL, 3, 2, True)]
    found = rows(
        tmp_path,
        "select thing_id, row.scope, row.load_id, row.landed_at = receipt.landed_at, is_withdrawn"
        " from raw.things row, raw.loads receipt order by 1",
    )
    assert found == [(name, "one", landing.load_ids[0], True, False) for name in "abc"]


def test_an_empty_answer_is_a_receipt_with_no_rows(tmp_path: Path) -> None:
    """Asked, and nothing was used: known, and not unknown."""
    land(tmp_path, one=saying(page()))
    assert rows(tmp_path, RECEIPTS) == [("one", SINCE, UNTIL, 0, 1, True)]
    assert rows(tmp_path, "select count(*) from raw.things") == [(0,)]


def test_settings_of_dlt_that_are_for_others_are_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever uses dlt besides has them in the environment: here, it would lose the answers."""
    monkeypatch.setenv("DESTINATION__FILESYSTEM__LAYOUT", "{table_name}.{ext}")
    land(tmp_path, one=saying(page(A)))
    assert rows(tmp_path, LOG) == [("one", *A)]


def test_a_scope_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    """Neither rows nor a receipt, and what it said before stands; the next scope lands."""
    land(tmp_path, one=saying(page(A)))
    broken = saying(page(B), then=VendorError("broke on page 2"))
    landing = land(tmp_path, one=broken, two=saying(page(A)))
    assert [str(failure) for failure in landing.failures] == ["broke on page 2"]
    assert landing.rows == 1
    assert rows(tmp_path, LOG) == [("one", *A), ("two", *A)]
    assert [row[0] for row in rows(tmp_path, RECEIPTS)] == ["one", "two"]


def test_when_every_scope_breaks_nothing_lands(tmp_path: Path) -> None:
    """Not even a table for it."""
    landing = land(tmp_path, one=saying(then=VendorError("no")))
    assert (landing.receipts, len(landing.failures)) == ([], 1)
    tables = "select schema_name, table_name from duckdb_tables() where not temporary"
    found = rows(tmp_path, f"{tables} and schema_name = 'raw' order by all")
    assert found == [("raw", "asked"), ("raw", "loads")]
    assert rows(tmp_path, RECEIPTS) == []


@pytest.mark.parametrize(
    "error",
    [
        OverflowError("date value out of range"),
        RecursionError("maximum recursion depth exceeded"),
        MemoryError(),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
        KeyError("uuid\x1b[31m"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_nobody_thought_of_is_a_refusal(tmp_path: Path, error: Exception) -> None:
    """Of that slice alone, in words: whose, of which window, what is safe; the next one lands."""
    landing = land(tmp_path, one=saying(page(A), then=error), two=saying(page(A)))
    (failure,) = landing.failures
    assert re.fullmatch(
        rf"neon GET /things of one, {WINDOW}: what was answered cannot be used "
        rf"\({type(error).__name__}: .*\). If it stays, please report it with this text. Nothing "
        "of this window was recorded as loaded; everything landed before is untouched.",
        str(failure),
    )
    assert str(failure).isprintable()
    assert [row[0] for row in rows(tmp_path, RECEIPTS)] == ["two"]


def test_a_warehouse_that_cannot_be_used_is_no_refusal_of_a_vendor(tmp_path: Path) -> None:
    """A slice looks into it in a bad moment: the load ends with the sentence that says what to do,
    and no answer is blamed."""
    file = tmp_path / "here.duckdb"
    opened = partial(warehouse.writer, file)

    def looks(_: Window | None) -> Iterator[pa.Table]:
        whole = file.read_bytes()
        file.write_bytes(b"no warehouse")
        try:
            Landed(opened).scopes(THINGS)
        finally:
            file.write_bytes(whole)
        yield page(A)

    slices, clock = [Slice("one", WINDOW, looks)], Clock(lambda: NOW)
    with pytest.raises(WarehouseError, match=r"^\S+ cannot be used: it is no DuckDB database\. "):
        load(opened, THINGS, things, slices, clock, of_the_machine=OF_THE_HOUSE)
    assert rows(tmp_path, RECEIPTS) == []


@pytest.mark.parametrize(
    ("thing_id", "said"),
    [("x" * 501, "has more than 500"), *((it, "is empty, or has control") for it in ("x\n", ""))],
)
def test_what_is_no_id_is_refused(tmp_path: Path, thing_id: str, said: str) -> None:
    """It would be asked with again for ever, and what it used told twice; the row of another scope
    lands."""
    landing = land(tmp_path, one=saying(page((thing_id, SINCE, 1))), two=saying(page(A)))
    assert f"thing_id {said}" in str(landing.failures[0])
    assert rows(tmp_path, LOG) == [("two", *A)]


def test_of_a_listing_only_what_is_strange_is_refused(tmp_path: Path) -> None:
    """It is named, once for all pages, and is known as before; the others land, none is taken for
    gone, and it is asked for again."""
    land(tmp_path, None, NAMES, one=saying(page(A, B)))
    west = timezone(timedelta(hours=14))
    strange = [("b", datetime(1, 1, 1, tzinfo=west), 5), ("", SINCE, 6), ("x\x1b", SINCE, 7)]
    pages = page(("a", SINCE, 3), strange[0]), page(*strange[1:], ("c", SINCE, 4))
    landing = land(tmp_path, None, NAMES, one=saying(*pages))
    (failure,) = landing.failures
    assert str(failure).startswith(
        "neon GET /things of one: it lists what cannot be kept (b: bucket_start is before the year "
        "1, or after 9999; : thing_id is empty, or has control characters; x\ufffd: thing_id is"
    )
    assert rows(tmp_path, LOG)[2:] == [("one", "a", SINCE, 3), ("one", "c", SINCE, 4)]
    assert [receipt.complete for receipt in landing.receipts] == [False]


@pytest.mark.parametrize(("status", "is_failure"), [(404, False), (403, False), (500, True)])
def test_a_part_that_did_not_answer_fails_the_run(
    tmp_path: Path, status: int, is_failure: bool
) -> None:
    """Unless it is not there, or not for this key: that is a note. The rest lands either way."""
    partial_answer = PartialAnswerError("left out 1", [VendorError("no", status)])
    landing = land(tmp_path, None, NAMES, one=saying(page(A), then=partial_answer))
    told = [*map(str, landing.failures if is_failure else landing.notes)]
    assert (told, len(landing.failures)) == (["left out 1"], is_failure)
    assert rows(tmp_path, LOG) == [("one", *A)]


def test_what_is_the_same_again_is_not_stored_again(tmp_path: Path) -> None:
    """Nor is the receipt of which the next one says the same; a wider one is another."""
    land(tmp_path, one=saying(page(A)))
    for _ in range(3):
        land(tmp_path, Window("daily", SINCE, DAYS[1]), one=saying(page(A)))
    assert rows(tmp_path, LOG) == [("one", *A)]
    held = "select window_end, rows, landed_at > (select min(landed_at) from raw.loads)"
    assert rows(tmp_path, f"{held} from raw.loads order by landed_at") == [
        (UNTIL, 1, False),
        (DAYS[1], 1, True),
    ]


@pytest.mark.slow
def test_a_receipt_from_before_a_change_is_kept(tmp_path: Path) -> None:
    """It tells until when the vendor said the first; of those since then the last one does."""
    told = [A, A, ("a", SINCE, 5), ("a", SINCE, 5), ("a", SINCE, 5)]
    asked = [NOW + timedelta(hours=hours) for hours in range(len(told))]
    for asked_at, row in zip(asked, told, strict=True):
        land(tmp_path, asked_at=asked_at, one=saying(page(row)))
    kept = rows(tmp_path, "select date_part('hour', asked_at) from raw.loads order by landed_at")
    assert kept == [(at.hour,) for at in asked if at != asked[3]]


def test_what_changed_is_appended(tmp_path: Path) -> None:
    """A corrected value, a row that is no longer there, a new one, and one that comes back."""
    for answer in ([A, B], [("a", SINCE, 5), B], [("c", SINCE, 3), B], [A, B, ("c", SINCE, 3)]):
        land(tmp_path, one=saying(page(*answer)), two=saying(page(A)))
    assert rows(tmp_path, LOG) == [
        *[("one", *A), ("one", *B), ("two", *A)],
        ("one", "a", SINCE, 5),
        *[("one", "a", SINCE, -5), ("one", "c", SINCE, 3)],
        ("one", *A),
    ]


def test_of_a_key_told_twice_the_last_word_counts(tmp_path: Path) -> None:
    """A page may repeat what it said, or an earlier one; a key may have nothing in a column."""
    changed = ("b", SINCE, 3)
    said = page(("a", SINCE, 9), (None, SINCE, 9)), page((None, SINCE, 1), A, *[B] * 9, changed)
    for _ in range(2):
        land(tmp_path, one=saying(*said))
    assert rows(tmp_path, LOG) == [("one", *A), ("one", *changed), ("one", None, SINCE, 1)]


def test_what_was_not_asked_for_is_not_touched(tmp_path: Path) -> None:
    """A window speaks of its buckets: nothing else is withdrawn, and what is beside it is left."""
    later = ("a", DAYS[2], 7)
    land(tmp_path, one=saying(page(A, later)))
    land(tmp_path, Window("daily", SINCE, DAYS[1]), one=saying(page(("b", DAYS[1], 4))))
    assert rows(tmp_path, LOG) == [("one", *A), ("one", *later), ("one", "a", SINCE, -1)]


def test_a_partial_answer_withdraws_nothing(tmp_path: Path) -> None:
    """What the vendor did say lands, under a receipt that is not complete."""
    land(tmp_path, None, NAMES, one=saying(page(A, B)))
    left_out = PartialAnswerError("left out 2")
    land(tmp_path, None, NAMES, one=saying(page(("a", SINCE, 3)), then=left_out))
    assert rows(tmp_path, LOG) == [("one", *A), ("one", *B), ("one", "a", SINCE, 3)]
    assert rows(tmp_path, "select complete from raw.loads order by landed_at") == [
        (True,),
        (False,),
    ]


def test_what_happened_once_is_not_withdrawn(tmp_path: Path) -> None:
    """Of an endpoint that forgets: what it told stays told."""
    forgets = replace(THINGS, withdraws=False)
    land(tmp_path, endpoint=forgets, one=saying(page(A, B)))
    land(tmp_path, endpoint=forgets, one=saying(page(("b", SINCE, 5))))
    assert rows(tmp_path, LOG) == [("one", *A), ("one", *B), ("one", "b", SINCE, 5)]


@pytest.mark.parametrize("ahead", [timedelta(minutes=-5), timedelta(days=30)])
def test_an_answer_that_was_overtaken_says_nothing(tmp_path: Path, ahead: timedelta) -> None:
    """What was asked later counts, although it landed first; where that did not ask, this does.
    Whatever the clocks say."""
    later = ("a", DAYS[2], 7)

    def overtaken(_: Window | None) -> Iterator[pa.Table]:
        window = Window("daily", SINCE, DAYS[1])
        other = Thread(target=lambda: land(tmp_path, window, one=saying(page(A))))
        other.start()
        other.join()
        yield page(("a", SINCE, 9), B, later)

    land(tmp_path, asked_at=NOW + ahead, one=overtaken)
    assert rows(tmp_path, LOG) == [("one", *A), ("one", *later)]


@pytest.mark.parametrize("step", [timedelta(days=-30), timedelta(hours=-3), timedelta(days=30)])
def test_the_later_answer_counts_whatever_the_clock_did(tmp_path: Path, step: timedelta) -> None:
    """Set back or forth between two answers; what receipts say was last asked is the second."""
    land(tmp_path, one=saying(page(A)))
    land(tmp_path, asked_at=NOW + step, one=saying(page(("a", SINCE, 5))))
    assert rows(tmp_path, LOG) == [("one", *A), ("one", "a", SINCE, 5)]
    with warehouse.writer(tmp_path / "here.duckdb") as connection:
        answers = receipts.Answers(connection, {("things", "daily"): SINCE})
    held, (_, last) = answers.held("things", "daily"), answers.last["things"]
    assert held["one"][SINCE] - (NOW + step) < timedelta(seconds=1)
    assert last == held["one"][SINCE]


def test_a_new_column_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of an older version gains the column; its rows stay, with null in it."""
    land(tmp_path, one=saying(page(A)))
    wider = pa.schema([*SCHEMA, ("note", pa.string())])
    noted = page(B).append_column("note", pa.array(["new"])).cast(wider)
    monkeypatch.setitem(TABLES, "things", wider)
    found = land(tmp_path, endpoint=replace(THINGS), one=saying(noted), two=saying(noted))
    assert not found.failures
    told = rows(tmp_path, "select scope, thing_id, note, is_withdrawn from raw.things order by all")
    assert told == [
        ("one", "a", None, False),
        ("one", "a", None, True),
        ("one", "b", "new", False),
        ("two", "b", "new", False),
    ]


def test_out_of_reach_at_the_boundary_shortens_the_window(tmp_path: Path) -> None:
    """The oldest bucket aged out in this very moment: asked again, and a receipt for the rest."""
    asked: list[Window | None] = []

    def ask(window: Window | None) -> Iterator[pa.Table]:
        asked.append(window)
        if len(asked) == 1:
            raise OutOfReachError("too old", 406)
        yield page(A)

    landing = land(tmp_path, one=ask)
    shorter = Window("daily", SINCE + timedelta(days=1), UNTIL)
    assert asked == [WINDOW, shorter]
    assert landing.failures == []
    assert rows(tmp_path, RECEIPTS) == [("one", shorter.since, UNTIL, 1, 1, True)]


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
    days = DAYS
    for since, until in ((days[0], days[1]), (days[1], days[2])):
        land(tmp_path, Window("daily", since, until), one=saying(page(A)))
    partial_answer = saying(page(A), then=PartialAnswerError("left out 2"))
    land(tmp_path, Window("daily", days[2], days[3]), one=partial_answer)
    landed = Landed(partial(warehouse.writer, tmp_path / "here.duckdb"))
    held = Window("daily", days[0], days[2])
    assert landed.lacking(THINGS, {"one": held, "two": held}) == {"two": {*days[:2]}}
    assert landed.lacking(THINGS, {"one": WINDOW}) == {"one": {days[2]}}
    hours = Window("hourly", days[0], days[1])
    assert landed.lacking(THINGS, {"one": hours}) == {"one": {*hours.buckets()}}


@pytest.mark.slow
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
    assert landed.lacking(usage, {org: window}) == {org: {*window.buckets()}}
    assert landed.values(usage, "project_id", org, window) == []
    assert not here.land("neon_project_usage", window).failures
    assert landed.lacking(usage, {org: window}) == {}
    used = {key[1] for key in here.expected("daily")}
    assert set(landed.values(usage, "project_id", org, window)) == used
    assert here.company.special["deleted"] in used


def load_one(table: str, window: Window, lent: str) -> None:
    """A load, in a process of its own."""
    with Loader(read_settings(clock=clock_from(lent))) as loader:
        assert not loader.load_window(endpoint_of(table), window).failures


@pytest.mark.slow  # by default two load at once, below
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


def load_due(lent: str) -> None:
    """The days and names that are due of Neon, in a process of its own."""
    settings = read_settings(clock=clock_from(lent))
    assert runs.load_due(settings, Report(True), ("neon",), ("daily",)).failures == []


def test_two_loads_at_once_ask_for_each_window_once(world: Open) -> None:
    """Whoever comes second waits, and finds that what was due is held."""
    here = world(projects=2, branches=1, orgs=1, apps=0, workspaces=0)
    both = [start(load_due, here.environment, here.clock.lent()) for _ in range(2)]
    assert [ended(process) for process in both] == [0, 0]
    usage = [request for request in here.new_requests() if "consumption" in request.path]
    asked = [f"{request.path} {request.query}" for request in usage]
    assert len(asked) == len({*asked}) == 2


def test_what_was_answered_before_a_ctrl_c_lands(tmp_path: Path) -> None:
    """It says how far it got, and the same again goes on from there: also with scopes that no
    setting names, of which nothing else would tell that they are due."""
    one, two = saying(page(A)), saying(page(B), then=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt, match=r"^1 of 3 loaded$"):
        land(tmp_path, one=one, two=two, three=saying(page(A)))
    seen = [(scope, None, None, 0, 0, False) for scope in ("three", "two")]
    assert rows(tmp_path, RECEIPTS) == [("one", SINCE, UNTIL, 1, 1, True), *seen]
    assert rows(tmp_path, LOG) == [("one", *A)]


@pytest.mark.slow
def test_what_a_killed_load_did_not_reach_is_known_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first landing on, once; what answers later is not told of again."""
    monkeypatch.setattr("pipelines.load.LAND_EVERY_SECONDS", 0)
    standings: list[dict[str, bool]] = []

    def looks(_: Window | None) -> Iterator[pa.Table]:
        with warehouse.writer(tmp_path / "here.duckdb") as connection:
            found = receipts.standings(connection, "things", "daily")
        standings.append({scope: bool(about.answered_at) for scope, about in found.items()})
        yield page(A)

    land(tmp_path, one=saying(page(A)), two=looks, three=looks)
    assert standings == [
        {"one": True, "two": False, "three": False},
        {"one": True, "two": True, "three": False},
    ]
    assert rows(tmp_path, "select count(*) from raw.loads where granularity = 'seen'") == [(2,)]


def test_folders_of_killed_loads_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the next load, whenever they were killed; those of loads that live are not."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("dead", "half-removed", "living", "not-made-yet"):
        (tmp_path / f"meterhouse-dlt-{name}.lock").touch()
    for name in ("dead", "half-removed", "living"):
        (tmp_path / f"meterhouse-dlt-{name}").mkdir()
    (tmp_path / "meterhouse-dlt-dead" / "page").touch()
    with FileLock(tmp_path / "meterhouse-dlt-living.lock"):
        land(tmp_path, one=saying(page(A)))
    found = sorted(path.name for path in tmp_path.glob("meterhouse-*"))
    assert found == ["meterhouse-dlt-living", "meterhouse-dlt-living.lock"]


def test_a_run_of_which_nothing_is_due_removes_them_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a load leaves that is killed when all has landed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "meterhouse-dlt-dead").mkdir()
    (tmp_path / "meterhouse-dlt-dead.lock").touch()
    with Loader(read_settings({"WAREHOUSE": str(tmp_path / "here.duckdb")})):
        pass
    assert [*tmp_path.iterdir()] == []


@pytest.mark.slow
def test_a_load_that_begins_meanwhile_takes_no_other_for_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even in the moment in which the lock of the other is there, and not held yet."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    flock, others = fcntl.flock, iter(["other"])

    def after_another(opened: int, how: int) -> None:
        file = Path(f"/dev/fd/{opened}").resolve()
        for other in others if file.name.startswith("meterhouse-dlt-") else ():
            (tmp_path / other).mkdir()
            land(tmp_path / other, two=saying(page(B)))
        flock(opened, how)

    monkeypatch.setattr("fcntl.flock", after_another)
    land(tmp_path, one=saying(page(A)))
    assert rows(tmp_path, LOG) == [("one", *A)]
    assert rows(tmp_path / "other", LOG) == [("two", *B)]
    assert [*tmp_path.glob("meterhouse-*")] == []
