"""The command: exit codes, JSON for scripts, and what people are told."""

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from assets.cli import main
from assets.settings import DOCUMENTED
from assets.terminal.console import Report
from assets.terminal.facts import show_facts
from dbt_like_sql.engine import publishing, warehouse
from dbt_like_sql.engine.build_state import publish_later
from tests.clock import NOW
from tests.conftest import Open, World, Worlds
from tests.proxy import listening
from tests.sandbox.desk import Fault

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
METERS = "the meters API"
NOTHING_SET: dict[str, str | None] = dict.fromkeys(
    [*(about.name for about in DOCUMENTED), "XDG_STATE_HOME"]
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` and no warehouse of the checkout is met."""
    monkeypatch.chdir(tmp_path)


def call(*arguments: str, **environment: str) -> Result:
    """Run the command in this process, with these settings and no others."""
    runner = CliRunner()
    return runner.invoke(main, arguments, env={**NOTHING_SET, **environment})


def answered(result: Result) -> Any:
    """What a command printed with --json."""
    return json.loads(result.stdout)


def test_a_cluster_is_named_by_its_settings() -> None:
    """A build on Spark without them is wrong usage, and says what is missing."""
    result = call("build", "--spark", SPARK_REMOTE="sc://127.0.0.1:15002")
    assert result.exit_code == 2
    assert "needs SPARK_REMOTE and SPARK_DIR" in result.stderr


@pytest.mark.parametrize("is_process", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_run_status_and_run_again(
    world: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_process: bool
) -> None:
    """Every vendor is asked, all is shown, nobody else is told; then nothing is at risk, and
    nothing is asked again. In this process, and as it is installed."""
    small: dict[str, Any] = {"orgs": 1, "branches": 1, "apps": 1, "sites": 1, "workspaces": 1}
    small |= {"repositories": 1, "built": True}
    here, started = (
        world(now=None, projects=2, oddities=False, **small),
        datetime.now(UTC),
    )
    with listening() as proxy:
        if is_process:
            done = proxy.run(tmp_path, BIN / "meterhouse", "run", **here.environment)
            code, said = done.returncode, done.stdout
        else:
            first = call("run", **proxy.environment(tmp_path) | here.environment)
            code, said = first.exit_code, first.stdout
        assert code == 0, said
        assert proxy.requests == []
    assert here.sandbox.requests
    assert here.sandbox.forge.requests
    assert here.sandbox.bitbucket.requests
    for text in (
        "neon_project_usage",
        "retired by Neon on 2026-06-01",
        "Neon, last 30 days",
        "so far, an estimate: ",
    ):
        assert text in said
    (above,) = here.read("select count(*) from reports.allowance where overage_quantity > 0")
    assert above[0] > 0
    assert "Allowances exhausted, or projected to be, before renewal" in said
    assert "duckdb -readonly " in said
    # whatever has fallen due meanwhile
    monkeypatch.setattr("assets.settings.utc_now", lambda: started)
    status = call("status", "--json", **here.environment)
    assert status.exit_code == 0, status.output
    assert {row["verdict"] for row in answered(status)["sources"]} == {"ok", "never loaded"}
    assert answered(status)["failures"] == []
    again = call("run", "--json", **here.environment)
    assert again.exit_code == 0, again.output
    assert (answered(again)["asked"], answered(again)["requests"]) == ([], 0)


@pytest.mark.slow  # by default tests/cli/test_status.py has it
def test_a_check_that_fails_is_exit_1(landed_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unknown metric fails its report's check at every build, and is named."""
    landed_world.configure(monkeypatch)
    result = call("build", "--json", **landed_world.environment)
    assert result.exit_code == 1
    (failure,) = answered(result)["failures"]
    assert failure == "reports.unmapped_meters: 1 row where there should be none"
    status = call("status", **landed_world.environment)
    assert status.exit_code == 1
    assert "UNKNOWN METER" in status.output


def test_names_are_shown_as_they_are(
    landed_world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a terminal or a table would take for an order is only text in a project's name."""
    name = "[/b] :x: \x1b[J"
    with warehouse.writer(landed_world.settings.warehouse) as connection:
        connection.execute("update reports.last_30_days set project_label = $1", [name])
        publish_later(connection, "reports.last_30_days")
        publishing.publish(connection, landed_world.settings.warehouse)
    show_facts(Report(as_json=False), landed_world.settings)
    assert name.replace("\x1b", "\N{REPLACEMENT CHARACTER}") in capsys.readouterr().out


def test_a_source_that_fails_is_exit_1(world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other org lands; the failure is in the JSON and no traceback is shown."""
    here = world(projects=2, branches=1, apps=0, workspaces=0)
    here.configure(monkeypatch)
    here.sandbox.faults.append(Fault("/consumption_history/v2/projects", 404))
    result = call("load", "--source", "neon", "--grain", "daily", "--json", **here.environment)
    assert result.exit_code == 1
    (failure,) = answered(result)["failures"]
    assert "HTTP 404" in failure
    usage = [row for row in answered(result)["asked"] if row["table"] == "raw.neon_project_usage"]
    assert [len(row["scopes"]) for row in usage] == [1]
    assert "Traceback" not in result.output


@pytest.mark.slow
def test_a_file_that_is_taken_away_troubles_no_later_run(tmp_path: Path, worlds: Worlds) -> None:
    """Though nothing else is due, and the hour is the same: what it broke is worked out anew."""
    worlds.begin(tmp_path)
    (tmp_path / "exports").mkdir()
    broken = tmp_path / "exports" / "broken.csv"
    broken.write_text("no usage", encoding="utf-8")
    only_files = {
        "WAREHOUSE": str(tmp_path / "meterhouse.duckdb"),
        "PLATFORM_USAGE_DIR": str(broken.parent),
        "XDG_STATE_HOME": str(tmp_path),
    }
    done = call("run", **only_files)
    assert (done.exit_code, done.stdout.count("usage file broken.csv: ")) == (1, 1)
    broken.unlink()
    assert call("run", **only_files).exit_code == 0


def test_a_source_without_settings_is_skipped_and_says_so() -> None:
    """Exit 0: it is no error."""
    result = call("load")
    assert result.exit_code == 0
    for text in (
        "neon skipped: NEON_API_KEY is not set",
        "forge skipped: ATLASSIAN_EMAIL, ATLASSIAN_API_TOKEN, FORGE_APP_IDS are not set",
        "bitbucket skipped: BITBUCKET_TOKEN is not set",
        "atlassian_platform (files in PLATFORM_USAGE_DIR) skipped: there is no folder",
        f"atlassian_platform ({METERS}) skipped: ATLASSIAN_ORG_ID, ATLASSIAN_ORG_API_KEY are",
    ):
        assert text in result.output
    hint = "To look around without an account"
    assert hint in result.output
    some = call("load", "--gaps", NEON_API_KEY="napi_of_nobody")
    assert hint not in some.output
    assert "There is no gap to close (what never answered is none" in some.output
    as_json = call("load", "--json")
    assert as_json.exit_code == 0
    skipped = {row["source"]: row["why"] for row in answered(as_json)["skipped"]}
    platform = {f"atlassian_platform ({it})" for it in ("files in PLATFORM_USAGE_DIR", METERS)}
    assert skipped.keys() == {"neon", "forge", "bitbucket", *platform}
    assert skipped["neon"] == "NEON_API_KEY is not set"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("load", "--since", "soon"), "is no date and no UTC instant"),
        (("load", "--since", "0001-01-01T00:00+05:00"), "is no date and no UTC instant"),
        (("report", "--month", "0001-01"), "'0001-01' is no month of these years"),
        (("export", "csv", "--month", "9999-12"), "'9999-12' is no month of these years"),
        (("load", "--since", "2100-01-01"), "2100-01-01T00:00Z is yet to come"),
        (("load", "--since", "2015-12-31T23:00Z"), "--since is before 2016-01-01: no fact has an"),
        (("load", "--until", "2026-11-01"), "--until needs --since"),
        (
            ("load", "--since", "2026-11-02", "--until", "2026-11-01"),
            "--since has to be before --until",
        ),
        (("load", "--source", "noen"), "'noen' is not one of"),
        (("load", "--source", "noen"), "Did you mean 'neon'?"),
        (("load", "--sorce", "neon"), "'--source'"),
        (("build", "--show-sql", "marts.fct_compue"), "Did you mean 'marts.fct_compute'?"),
        (("statsu",), "Did you mean 'status'?"),
        (("load", "--grain", "weekly"), "'weekly' is not one of"),
        (("load", "--gaps", "--since", "2026-11-02"), "--gaps finds its windows itself"),
        (("build", "--until", "2026-11-01"), "--until needs --since"),
        (
            ("build", "--since", "2026-11-02", "--until", "2026-11-02"),
            "--since has to be before --until",
        ),
        (("paint",), "No such command"),
    ],
)
def test_wrong_usage_is_exit_2(arguments: tuple[str, ...], said: str) -> None:
    """And says what is wrong."""
    result = call(*arguments)
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize("value", ["many", "0", "-1", "4.5"])
def test_a_setting_that_cannot_be_used_is_exit_2(value: str) -> None:
    """It is named, with its value."""
    result = call("load", NEON_REQUESTS_PER_MINUTE=value)
    assert result.exit_code == 2
    assert f"NEON_REQUESTS_PER_MINUTE is '{value}'" in result.output


def test_a_window_out_of_reach_is_exit_1(world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked, and it is said which grain reaches it; with that one it is exit 0."""
    here = world(now=NOW, projects=3, apps=0, workspaces=0)
    here.configure(monkeypatch)
    month = ("load", "--source", "neon", "--since", "2026-01-01", "--until", "2026-02-01")
    alone = call(*month, "--grain", "hourly", "--json", **here.environment)
    assert alone.exit_code == 1
    (failure,) = answered(alone)["failures"]
    assert failure.startswith(
        "Neon keeps hourly for 168 hours; asked for 2026-01-01T00:00Z; monthly"
    )
    assert [r for r in here.sandbox.requests if "consumption" in r.path] == []
    assert (
        call(*month, "--grain", "hourly", "--grain", "monthly", **here.environment).exit_code == 0
    )
    ages_ago = ("load", "--source", "neon", "--since", "2024-05-01", "--until", "2024-05-02")
    never = call(*ages_ago, **here.environment)
    assert never.exit_code == 1
    assert never.stdout.count("Neon keeps monthly for 365 days") == 1
    assert never.stdout.count("keeps") == never.stdout.count("FAILED") == 1
    assert never.stderr == "FAILED a window out of reach; nothing landed.\n"


@pytest.mark.slow
def test_days_are_said_as_people_say_them(world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole UTC days, by the clock of the command; --quiet says nothing where nothing failed."""
    here = world(now=NOW, projects=1, apps=0, workspaces=0)
    here.configure(monkeypatch)
    days = ("load", "--source", "neon", "--grain", "daily", "--since", "2d")
    asked = answered(call(*days, "--until", "yesterday", "--json", **here.environment))["asked"][0]
    assert (asked["since"][:16], asked["until"][:16]) == ("2026-11-19 00:00", "2026-11-20 00:00")
    quiet = call(*days, "--until", "today", "--quiet", **here.environment)
    assert (quiet.exit_code, quiet.output) == (0, "")


def test_version_and_shell_completion() -> None:
    """The version is the package's; a shell is offered commands, choices and models."""
    assert call("--version").output == f"meterhouse, version {version('meterhouse')}\n"
    offered = {
        ("st",): ["plain,status"],
        ("load", "--source", "f"): ["plain,forge"],
        ("build", "--show-sql", "marts.fct_comp"): ["plain,marts.fct_compute"],
    }
    for words, expected in offered.items():
        given = {"COMP_WORDS": " ".join(["meterhouse", *words]), "COMP_CWORD": str(len(words))}
        complete = {"_METERHOUSE_COMPLETE": "bash_complete", **given}
        found = CliRunner(env=complete).invoke(main, prog_name="meterhouse")
        assert found.output.split() == expected


def test_show_sql_prints_what_will_run() -> None:
    """The SELECT, with no warehouse and no setting."""
    result = call("build", "--show-sql", "marts.fct_compute")
    assert result.exit_code == 0, result.output
    assert "CREATE OR REPLACE VIEW marts.fct_compute" in result.output
    assert "marts.fct_usage" in result.output
    assert "family = 'compute'" in result.output
    as_json = call("build", "--show-sql", "marts.fct_compute", "--json")
    assert answered(as_json)["model"] == "marts.fct_compute"
    assert not Path("warehouse").exists()


def test_show_sql_of_no_model_is_an_error_without_a_traceback() -> None:
    """The name is repeated."""
    result = call("build", "--show-sql", "marts.nothing")
    assert result.exit_code == 2
    assert "marts.nothing" in result.output
    assert isinstance(result.exception, SystemExit)


def test_status_before_anything_was_built_says_what_to_do() -> None:
    """No traceback: run `meterhouse run`."""
    result = call("status")
    assert result.exit_code == 1
    assert "meterhouse run" in result.output
    assert isinstance(result.exception, SystemExit)


def test_an_interruption_is_exit_130_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says how far a load got; also where the command has only begun to be read."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt("87 of 216 loaded")

    monkeypatch.setattr("assets.terminal.runs.load_due", interrupted)
    result = call("load")
    assert result.exit_code == 130
    assert result.output == "Interrupted. 87 of 216 loaded; run the same again.\n"
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().err == "Interrupted. Run the same again.\n"


@pytest.mark.parametrize("command", ["build", "load", "status"])
def test_a_warehouse_that_cannot_be_used_is_exit_1(tmp_path: Path, command: str) -> None:
    """In one sentence, and as JSON where a script reads it."""
    (tmp_path / "here.duckdb").write_text("hello")
    source = {"NEON_API_KEY": "key", "NEON_BASE_URL": "http://127.0.0.1:9/"}
    result = call(command, "--json", WAREHOUSE=str(tmp_path / "here.duckdb"), **source)
    assert result.exit_code == 1
    (failure,) = answered(result)["failures"]
    assert "here.duckdb cannot be used: it is no DuckDB database. Put a backup" in failure
    assert result.stderr == f"FAILED {failure}\n"


def test_sandbox_passes_the_exit_code_on(tmp_path: Path) -> None:
    """The command runs with the stand-in vendor's settings, and its exit code is the answer."""
    script = "import os, sys; print(os.environ['NEON_BASE_URL']); sys.exit(3)"
    command = ["--projects", "2", "--", sys.executable, "-c", script]
    finished = subprocess.run(
        [sys.executable, "-m", "assets.cli", "sandbox", *command],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 3, finished.stderr
    assert finished.stdout.startswith("http://127.0.0.1:")


@pytest.mark.slow
def test_stand_ins_take_no_place_of_a_vendor_that_is_set_up_wrongly(tmp_path: Path) -> None:
    """Their company would land in the warehouse that is set: the command runs, and says it."""
    wrong = {"BITBUCKET_TOKEN": "t", "BITBUCKET_REQUESTS_PER_HOUR": "many"}
    there = {"WAREHOUSE": str(tmp_path / "mine.duckdb")}
    command = ["sandbox", "--unless-configured", "--", sys.executable, "-m", "assets.cli", "run"]

    def ran(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "assets.cli", *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | there | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    of_vendor = ran(*command, **wrong)
    assert of_vendor.returncode == 2
    assert "BITBUCKET_REQUESTS_PER_HOUR is 'many'" in of_vendor.stdout
    assert "sandbox: stand-in" not in of_vendor.stderr
    of_house = ran(*command, MEMORY_LIMIT="much")
    assert of_house.returncode == 2
    assert "Error: MEMORY_LIMIT is 'much'" in of_house.stderr
    for arguments, said in (
        ((), "which COMMAND?"),
        (("--", "no-such"), "no-such cannot be run: No such file or directory"),
    ):
        none = ran(*command[:2], *arguments, **wrong)
        assert none.returncode == 2
        assert f"Error: {said}" in none.stderr


def test_dagster_is_not_started_where_its_port_is_taken() -> None:
    """It would go on in the background, with no page."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = call("ui", "--port", f"{port}")
    assert told.exit_code == 2
    assert f"port {port}: Address already in use" in told.output


def test_no_page_is_served_where_the_port_is_taken(landed_world: World) -> None:
    """It is no file and no budget that cannot be used; and there are 65,535 ports."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = call("report", "--serve", "--port", f"{port}", **landed_world.environment)
    assert told.exit_code == 2
    assert f"port {port}: Address already in use. Name another, with --port" in told.output
    assert "70000 is not in the range" in call("ui", "--port", "70000").output
