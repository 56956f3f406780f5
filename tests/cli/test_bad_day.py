"""The log of a bad day, as who is on call reads it."""

import re
import socket
from typing import Any

import pytest
from click.testing import CliRunner, Result

from assets.cli import main
from dbt_like_sql.engine.models import load_models
from tests.conftest import Open, World
from tests.sandbox.desk import Fault

PROJECT_USAGE = "/consumption_history/v2/projects"
SMALL: dict[str, Any] = {"orgs": 1, "projects": 1, "apps": 0, "workspaces": 1, "repositories": 1}


@pytest.fixture
def here(world: Open, monkeypatch: pytest.MonkeyPatch) -> World:
    """Every vendor, and nobody who waits."""
    opened = world(**SMALL)
    opened.configure(monkeypatch)
    monkeypatch.setattr("pipelines.http.Budget.pause", lambda *_: None)
    return opened


def load(here: World, **changed: str) -> Result:
    """The command, of two days: a vendor after the other."""
    runner = CliRunner(env=here.environment | changed)
    return runner.invoke(main, ["load", "--grain", "daily", "--since", "2026-11-20"])


def test_each_trouble_is_said_once_and_the_rest_lands(
    here: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody hears at one vendor, and it is not asked for ever; the other is loaded, and exit 1.
    A wait is said while it lasts, what failed in the end, and in the last line what landed."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/api/v2"
    done = load(here, NEON_BASE_URL=nobody)
    assert done.exit_code == 1, done.output
    for said in ("nobody answers at NEON_BASE_URL", "Neon is asked nothing more in this run"):
        assert done.output.count(said) == 1
    (waited,) = caplog.messages
    assert re.fullmatch(r"Neon: ConnectError: .*; try 3 of 4, next in [234] s", waited)
    assert done.stdout.count("    FAILED neon organizations of this key: nobody answers") == 1
    # of what is not asked any more there is no line
    assert [line for line in done.stdout.splitlines() if " 0 req " in line] == []
    rest = "[0-9]+ rows of bitbucket, atlassian_platform landed"
    assert re.fullmatch(
        rf"FAILED neon, neon_legacy, a window out of reach; {rest}\.\n", done.stderr
    )
    assert "Traceback" not in done.output
    landed = here.raw("select distinct resource from raw.loads where complete order by 1")
    assert ("bitbucket_pipeline_runs",) in landed


def test_a_setting_that_cannot_be_used_costs_its_vendor_alone(here: World) -> None:
    """It is refused by name, not shown, and nothing is sent by it; the rest lands, and exit 2."""
    done = load(here, NEON_API_KEY="napi_planted\nab")
    assert done.exit_code == 2, done.output
    assert done.output.count("NEON_API_KEY is set: it has to be as the vendor shows it") == 1
    assert "planted" not in done.output
    assert here.new_requests() == []
    landed = here.raw("select distinct resource from raw.loads where complete")
    assert ("bitbucket_pipeline_runs",) in landed


@pytest.mark.slow
def test_a_second_endpoint_that_needs_the_same_does_not_say_it_again(here: World) -> None:
    """Branches are asked of the projects that had usage: where nobody can tell which, both tables
    lack it for one reason, however often it was tried."""
    here.sandbox.faults[:] = [Fault(PROJECT_USAGE, "drop", count=100)]
    done = load(here)
    assert done.exit_code == 1, done.output
    assert done.stdout.count("FAILED neon v2/projects of org-") == 1
    assert done.stdout.count("Check the network and https://neonstatus.com") == 1


@pytest.mark.slow
@pytest.mark.parametrize("vendor", ["neon", "bitbucket"])
def test_what_failed_before_anything_of_it_landed_is_asked_for_by_the_next_run(
    world: Open, monkeypatch: pytest.MonkeyPatch, vendor: str
) -> None:
    """The settings name no organization and no workspace, and of one of two nothing is known: it is
    due all the same, and does not wait for the tick at which it is looked again which there are."""
    two: dict[str, Any] = SMALL | {"orgs": 2, "workspaces": 2}
    here = world(**two)
    here.configure(monkeypatch)
    monkeypatch.setattr("pipelines.http.Budget.pause", lambda *_: None)
    desk, failing = here.sandbox.neon, Fault(PROJECT_USAGE, 400, skip=1, count=99)
    if vendor == "bitbucket":
        desk = here.sandbox.bitbucket
        failing = Fault(f"/repositories/{here.company.atlassian.workspaces[0].uuid}", 400, count=99)
    again = ["load", "--source", vendor, "--grain", "daily"]
    runner = CliRunner(env=here.environment)
    desk.faults[:] = [failing]
    for _ in range(2):  # for as long as it lasts
        assert runner.invoke(main, again).exit_code == 1
        failing.skip, failing.count = 0, 99
    table = {"neon": "neon_branch_usage", "bitbucket": "bitbucket_pipeline_runs"}[vendor]
    unanswered = (
        f"from ({load_models()['staging.stg_loads__unanswered'].sql}) where resource = '{table}'"
    )
    assert len(here.raw(unanswered)) == 1
    desk.faults.clear()
    assert runner.invoke(main, again).exit_code == 0
    assert here.raw(unanswered) == []
    answered = (
        "select distinct scope from raw.loads where resource = ? and window_start is not null"
    )
    assert len(here.raw(answered, table)) == 2
    desk.requests.clear()
    assert runner.invoke(main, again).exit_code == 0
    assert desk.requests == []
