"""Exports in Dagster: the sensor of the folder, the assets, and `dagster dev` by itself.

Not here: what exports come to (test_facts.py).
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from assets.automation import FILES_SENSORS, WHAT
from assets.catalog.partitions import partition_key
from assets.catalog.tables import model_key, raw_key
from assets.cli import main
from assets.definitions import defs
from assets.settings import read_settings, utc_now
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.lakes.address import beside
from dbt_like_sql.engine.models import load_models
from pipelines.atlassian_usage import SOURCE, Settings
from pipelines.http import VendorError
from pipelines.source import Account
from pipelines.windows import floor
from tests.atlassian_usage.folder import Exports, Line
from tests.clock import TODAY
from tests.conftest import Open, Worlds
from tests.proxy import listening
from tests.sandbox.platform_exports import write_broken

ROOT = Path(__file__).parents[2]
PARTITION_RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


def line(quantity: str = "5", at: str = "2026-02-02") -> Line:
    """A month of Rovo credits."""
    return Line("rovo_credits", "org", "2026-01", quantity, at)


@pytest.fixture
def exports(tmp_path: Path, worlds: Worlds) -> Exports:
    """An empty folder."""
    worlds.begin(tmp_path)
    return Exports.in_folder(tmp_path)


@pytest.fixture
def files(tmp_path: Path, worlds: Worlds) -> Exports:
    """An empty folder, of which only facts and what was rejected are built."""
    return Exports.in_folder(tmp_path, worlds.begin(tmp_path, facts_alone=True))


@pytest.fixture
def environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings that runs read, pointed at the folder of the test."""
    name = "files" if "files" in request.fixturenames else "exports"
    here: Exports = request.getfixturevalue(name)
    found = {
        "WAREHOUSE": str(here.settings.warehouse),
        "PLATFORM_USAGE_DIR": str(here.folder),
        "XDG_STATE_HOME": str(here.settings.state_dir.parent),
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


def fingerprint(exports: Exports, days_ago: int = 0) -> str:
    """What the sensor remembers of the folder, of when, and of the warehouse."""
    day = datetime.now(UTC) - timedelta(days=days_ago)
    account = Account("", Settings(exports.folder), exports.folder, utc_now)
    return f"{SOURCE.client(account).fingerprint()} {day:%Y-%m-%d} {exports.settings.warehouse}"


def sense(cursor: str | None = None, status: str = "SUCCESS") -> Any:
    """A tick of the sensor, after the run that it asked for with this cursor came to `status`:
    the run that it asks for, or why it asks for none."""
    repository = defs.get_repository_def()
    with dg.DagsterInstance.ephemeral() as instance:
        if cursor:
            asked = {WHAT: cursor}
            ended = dg.DagsterRunStatus[status]
            job = "load_platform_usage_files"
            instance.add_run(dg.DagsterRun(job, str(uuid.uuid4()), tags=asked, status=ended))
        context = dg.build_sensor_context(instance, cursor, repository_def=repository)
        data = FILES_SENSORS[0].evaluate_tick(context)
        return data.run_requests[0] if data.run_requests else data.skip_message


def says_nothing_is_new(said: Any) -> bool:
    """Whether a tick found nothing to do, and no file that was rejected."""
    return str(said).startswith("no new file; run ") and "\n" not in said


def rejected(exports: Exports) -> list[tuple[Any, ...]]:
    """What the report says of what has landed, at the next build."""
    report = load_models()["reports.rejected_files"].sql
    return exports.raw(
        f"select file_name, line, column_name, reason from ({report}) order by 1, 2"  # noqa: S608
    )


@pytest.mark.slow
def test_an_empty_folder_asks_for_a_run_only_where_it_held_something(
    files: Exports, environment: dict[str, str]
) -> None:
    """Never a file: no run. A file: a run. It is gone: one, and no more."""
    assert sense() == "no file yet"
    files.write("a.csv", "org", line())
    first = sense()
    assert first.tags[WHAT].startswith(fingerprint(files))
    (files.folder / "a.csv").unlink()
    gone = sense(first.tags[WHAT]).tags[WHAT]
    assert gone.startswith("no file ")
    assert says_nothing_is_new(sense(gone))


def test_a_broken_file_stops_no_other_and_is_named_until_it_is_mended(
    files: Exports, environment: dict[str, str]
) -> None:
    """Exit code 1, the good file is a fact, the broken one is in the report and in the sensor's
    words; it is read once; mended or deleted, the report is empty."""
    files.write("good.csv", "org", line())
    broken = write_broken(files.folder, "wrong_number")
    write_broken(files.folder, "other_kind")
    done = CliRunner().invoke(main, ["load"])
    assert done.exit_code == 1
    files.build()
    assert files.facts("org") == [("", "2026-01", "5")]
    (csv, other) = files.read(
        "select file_name, line, column_name from reports.rejected_files order by file_name desc"
    )
    assert csv == ("wrong_number.csv", 2, "quantity")
    assert other[0] == "other_kind.tsv"
    skipped = sense(fingerprint(files))
    assert "rejected: file wrong_number.csv, line 2, column quantity, reason " in skipped
    listings = "select count(distinct load_id) from raw.platform_usage_files"
    assert files.raw(listings) == [(1,)]
    again = files.land()
    assert (again.receipts, again.failures) == ([], [])
    assert files.raw(listings) == [(1,)]
    broken.unlink()
    files.write("wrong_number.csv", "org-2", line("7"))
    (files.folder / "other_kind.tsv").unlink()
    assert not files.land().failures
    assert rejected(files) == []
    files.build()
    assert files.facts("org-2") == [("", "2026-01", "7")]
    assert says_nothing_is_new(sense(fingerprint(files)))


@pytest.mark.slow
def test_a_file_whose_name_is_no_text_stops_no_other(
    files: Exports, environment: dict[str, str]
) -> None:
    """It is rejected by its name; the sensor and the file beside it go on."""
    good = files.write("good.csv", "org", line())
    Path(os.fsdecode(os.fsencode(files.folder) + b"/caf\xe9.csv")).write_bytes(good.read_bytes())
    assert sense().run_key
    (failure,) = files.land().failures
    assert "has a name that is not UTF-8" in str(failure)
    ((name, *_),) = rejected(files)
    assert name == "caf\\udce9.csv"
    files.build()
    assert files.facts("org") == [("", "2026-01", "5")]


@pytest.mark.slow
def test_what_was_rejected_for_its_date_loads_when_that_has_come(
    files: Exports, environment: dict[str, str]
) -> None:
    """The content is the same, and what is wrong with it is not: it is no longer named either."""
    files.write("a.csv", "org", line(at="2026-02-02"))
    os.utime(files.folder / "a.csv")
    today = files.settings
    # before the exports of these tests
    files.settings = read_settings(environment, clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    (failure,) = files.land().failures
    files.settings = today
    assert "is yet to come" in str(failure)
    assert len(rejected(files)) == 1
    assert not files.land().failures
    assert rejected(files) == []
    assert says_nothing_is_new(sense(fingerprint(files)))
    files.build()
    assert files.facts("org") == [("", "2026-01", "5")]


def test_the_same_folder_is_listed_once(files: Exports, environment: dict[str, str]) -> None:
    """Whether a folder stands before a file or behind it."""
    (files.folder / "2026").mkdir()
    files.write("2026/jan.csv", "org", line())
    files.write("2026-02.csv", "org", line("6"))
    for _ in range(3):
        files.land()
    listings = "select count(*) from raw.loads where resource = 'platform_usage_files'"
    assert files.raw(listings) == [(1,)]


def test_the_sensor_asks_for_a_run_when_the_folder_differs(
    files: Exports, environment: dict[str, str]
) -> None:
    """A new file, a changed one, one that is gone: each is one run; else one a day."""
    files.write("b.csv", "org", line())
    keys = [sense().run_key]
    for change in (
        lambda: files.write("a.csv", "org", line()),
        lambda: files.write("a.csv", "org", line("66")),
        lambda: (files.folder / "a.csv").unlink(),
    ):
        before = fingerprint(files)
        assert says_nothing_is_new(sense(before))
        change()
        keys.append(sense(before).run_key)
    # the folder is what it was at first, and that is news
    assert len(set(keys)) == 4
    assert says_nothing_is_new(sense(fingerprint(files)))
    assert sense(fingerprint(files, days_ago=1)).run_key not in keys


def test_another_warehouse_gets_the_same_files(
    files: Exports, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the same day: what was loaded into the one before is not in it."""
    files.write("a.csv", "org", line())
    before = fingerprint(files)
    assert says_nothing_is_new(sense(before))
    monkeypatch.setenv("WAREHOUSE", str(files.folder.parent / "another.duckdb"))
    assert isinstance(sense(before), dg.RunRequest)


@pytest.mark.parametrize("status", ["FAILURE", pytest.param("CANCELED", marks=pytest.mark.slow)])
def test_the_sensor_asks_again_for_what_was_not_loaded(
    files: Exports, environment: dict[str, str], status: str
) -> None:
    """The folder is the same, and the run that it was for failed or was canceled."""
    files.write("a.csv", "org", line())
    before = f"{fingerprint(files)} 2026-11-26T12:00:00+00:00"
    again = sense(before, status)
    assert again.run_key == f"{before}, attempt 2"
    assert says_nothing_is_new(sense(before, "STARTED"))
    assert says_nothing_is_new(sense(before, "SUCCESS"))


def test_a_folder_that_was_set_and_is_not_there_is_an_error(
    files: Exports, environment: dict[str, str]
) -> None:
    """For the sensor and for the terminal: not a source that is skipped."""
    files.folder.rmdir()
    with pytest.raises(VendorError, match=f"{files.folder} .PLATFORM_USAGE_DIR.: cannot be"):
        sense()
    done = CliRunner().invoke(main, ["load"])
    assert done.exit_code == 1
    assert "(PLATFORM_USAGE_DIR): cannot be listed (No such file or directory)" in " ".join(
        done.output.split()
    )
    assert "atlassian_usage skipped" not in done.output


def test_without_a_setting_the_sensor_says_why_it_does_nothing(
    files: Exports, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nobody is expected to have the default folder."""
    monkeypatch.setenv("PLATFORM_USAGE_DIR", "")
    monkeypatch.chdir(tmp_path)
    assert sense() == "there is no folder platform_usage (PLATFORM_USAGE_DIR)"


@pytest.mark.slow
def test_a_file_is_the_same_however_its_name_is_written(
    files: Exports, environment: dict[str, str]
) -> None:
    """Some systems write accents in two characters: a mended file replaces what it said before, and
    two names that look the same are one too many."""
    written_in_two = files.write("re\u0301sume\u0301.csv", "org", line("5"), line_of_bob())
    files.land()
    written_in_two.unlink()
    files.write("r\u00e9sum\u00e9.csv", "org", line("6"))
    files.land()
    assert rejected(files) == []
    files.build()
    assert files.facts("org") == [("", "2026-01", "6")]
    files.write("re\u0301sume\u0301.csv", "org", line("7"))
    (failure,) = files.land().failures
    assert "has the name of another file, but for how accents are written" in str(failure)
    assert len(rejected(files)) == 1


def line_of_bob() -> Line:
    """A month of bob's."""
    return Line("rovo_credits", "user:bob", "2026-01", "3", "2026-02-02")


@pytest.mark.slow
def test_the_asset_shows_how_many_rows_it_landed(
    files: Exports, environment: dict[str, str]
) -> None:
    """The run that the sensor asks for: raw/platform_usage materializes with its rows; a broken
    file fails its run after the others have landed."""
    assert FILES_SENSORS[0].default_status == dg.DefaultSensorStatus.RUNNING
    files.write("a.csv", "org", line("3"), line_of_bob())
    load = defs.resolve_job_def("load_platform_usage_files")
    with dg.DagsterInstance.ephemeral() as instance:
        done = load.execute_in_process(instance=instance, tags=sense().tags)
        (event,) = done.get_asset_materialization_events()
        landed = event.step_materialization_data.materialization
        assert landed.asset_key == raw_key("platform_usage", "snapshot")
        metadata = landed.metadata
        assert (metadata["rows landed"].value, metadata["dagster/row_count"].value) == (2, 2)
        write_broken(files.folder, "wrong_unit")
        files.write("c.csv", "org-2", line())
        failed = load.execute_in_process(instance=instance, tags=sense().tags, raise_on_error=False)
        assert not failed.success
    assert files.raw("select count(*) from raw.platform_usage where org_id = 'org-2'") == [(1,)]


@pytest.mark.slow  # by default tests/dagster/test_definitions.py has a build that is about today
def test_days_of_a_correction_turn_green(exports: Exports, environment: dict[str, str]) -> None:
    """Those that differ, though the build is about today, and none of Neon's usage."""
    february = Line("rovo_credits", "org", "2026-02-01", "5", "2026-03-02")
    exports.write("a.csv", "org", line("3"), february)
    today = partition_key("daily", floor(datetime.now(UTC), "daily"))
    build, tags = defs.resolve_job_def("build"), dict.fromkeys(PARTITION_RANGE, today)
    facts, neon = model_key("marts.fct_credits"), model_key("intermediate.int_neon_usage")
    built = {facts, neon, model_key("intermediate.int_platform_usage")}
    with dg.DagsterInstance.ephemeral() as instance:
        assert not exports.land().failures
        exports.build()
        assert exports.facts("org") != []
        days = [Line("rovo_credits", "org", f"2026-02-{n:02}", "7", "2026-03-03") for n in (1, 20)]
        exports.write("b.csv", "org", *days)
        assert not exports.land().failures
        assert build.execute_in_process(
            instance=instance, tags=tags, asset_selection=[*built]
        ).success
        assert instance.get_materialized_partitions(facts) == {"2026-02-01", "2026-02-20", today}
        assert instance.get_latest_materialization_event(neon)


@pytest.mark.slow  # by default tests/dagster/test_definitions.py has it, of 168 hours of Neon
def test_one_run_turns_ten_days_of_bitbucket_green(
    world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backfill of ten daily partitions is one run and one walk, and all ten materialize."""
    here = world(orgs=1, projects=1, branches=1, apps=1, repositories=2, built=True)
    here.configure(monkeypatch)
    keys = [partition_key("daily", TODAY - timedelta(days=n)) for n in range(9, -1, -1)]
    with dg.DagsterInstance.ephemeral() as instance:
        done = defs.resolve_job_def("load_bitbucket_daily").execute_in_process(
            instance=instance, tags=dict(zip(PARTITION_RANGE, (keys[0], keys[-1]), strict=True))
        )
        assert done.success
        key = raw_key("bitbucket_pipeline_runs", "daily")
        assert instance.get_materialized_partitions(key) == set(keys)
    walks = [r for r in here.sandbox.bitbucket.requests if r.path.endswith("/pipelines")]
    assert len(walks) == 4


@contextmanager
def dagster_dev(home: Path, environment: dict[str, str], kill: bool = False) -> Iterator[str]:
    """A running `dagster dev` with its own home; the address of its UI. It ends as a terminal ends
    it, or killed with all that it started."""
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "meterhouse"), "ui", "--port", str(port)]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | environment | {"DAGSTER_HOME": str(home)},
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            if kill:
                os.killpg(process.pid, signal.SIGKILL)
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_file_that_is_dropped_becomes_a_fact_by_itself(
    exports: Exports, environment: dict[str, str], tmp_path: Path
) -> None:
    """`dagster dev`, as it is installed: a tick of one sensor loads, and one of another builds.

    All the while nobody elsewhere is contacted, and no telemetry is kept to be sent later.
    """
    home = tmp_path / "home"
    with listening() as proxy, dagster_dev(home, environment | proxy.environment(home)) as address:
        wait_for(lambda: bool(ask(address)), 180)
        exports.write("a.csv", "org", line())
        wait_for(lambda: beside(exports.settings.warehouse).exists() and read_facts(exports), 300)
        assert exports.facts("org") == [("", "2026-01", "5")]
        with dg.DagsterInstance.from_config(str(home)) as instance:
            facts = model_key("marts.fct_credits")
            wait_for(lambda: bool(runs_that_made(instance, facts)), 60)
            (loaded,) = runs_that_made(instance, raw_key("platform_usage", "snapshot"))
            assert loaded not in runs_that_made(instance, facts)
            # by no run: the sensor tells of receipts
            receipts = model_key("raw.loads")
            wait_for(lambda: bool(instance.get_latest_materialization_event(receipts)), 60)
            assert runs_that_made(instance, receipts) == [""]
        said = (home / "log").read_text()
        assert f"Warehouse: {exports.settings.warehouse}" in said
        assert "WARNING" not in said
        assert proxy.requests == []
    assert [*home.glob("logs/*"), *home.glob(".logs_queue/*")] == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_build_is_done_although_everything_was_killed_in_it(
    exports: Exports, environment: dict[str, str], tmp_path: Path
) -> None:
    """Twice killed with `dagster dev` and all, in step `models`: started again, it is built."""
    home = tmp_path / "home"
    exports.write("a.csv", "org", line())
    exports.land()
    environment["PLATFORM_USAGE_DIR"] = str(tmp_path / "none")  # the sensor of builds alone
    for count in (1, 2):
        with dagster_dev(home, environment, kill=True):
            wait_for(lambda: steps_begun(home) == count, 300, every=0.05)  # noqa: B023
        assert not read_facts(exports)
    with dagster_dev(home, environment):
        wait_for(lambda: read_facts(exports), 300)
    assert exports.facts("org") == [("", "2026-01", "5")]
    with dg.DagsterInstance.from_config(str(home)) as instance:
        builds = [run for run in instance.get_runs() if run.job_name == "build"]
    assert [run.status for run in builds[1:]] == [dg.DagsterRunStatus.FAILURE] * 2
    assert len({run.tags["dagster/run_key"] for run in builds}) == 3


def steps_begun(home: Path) -> int:
    """How many runs have started a step."""
    step = dg.DagsterEventType.STEP_START
    with dg.DagsterInstance.from_config(str(home)) as instance:
        runs = [run.run_id for run in instance.get_runs()]
        return len([run_id for run_id in runs if instance.all_logs(run_id, of_type=step)])


def runs_that_made(instance: dg.DagsterInstance, key: dg.AssetKey) -> list[str]:
    """The runs that materialized an asset, the latest first."""
    records = instance.fetch_materializations(key, limit=9).records
    return list(dict.fromkeys(record.run_id for record in records))


def read_facts(exports: Exports) -> bool:
    """Whether the read copy has a fact."""
    try:
        return bool(exports.facts("org"))
    except warehouse.WarehouseError:
        return False


def ask(address: str) -> Any:
    """The version of a running UI; None while there is none."""
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=5) as answer:  # noqa: S310
            return json.load(answer)
    except OSError:
        return None


def wait_for(is_so: Any, seconds: float, every: float = 1) -> None:
    """Look again every second until it is so."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        threading.Event().wait(every)
