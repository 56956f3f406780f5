"""`meterhouse doctor`: what is set up and from where, and whether all of it can be used."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from assets.cli import main
from assets.settings import DOCUMENTED
from dbt_like_sql.engine import warehouse
from tests.conftest import Open, World

SMALL = {"orgs": 1, "projects": 1, "apps": 1, "workspaces": 1, "repositories": 1, "sites": 1}


@pytest.fixture
def here(world: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """Every vendor, asked from a folder without `.env`."""
    opened = world(**SMALL, meters_accounts=1)
    opened.configure(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return opened


def doctor(here: World, *arguments: str, **changed: str | None) -> Result:
    """Its answer, some settings changed."""
    nothing: dict[str, str | None] = dict.fromkeys(about.name for about in DOCUMENTED)
    runner = CliRunner(env=nothing | here.environment | changed)
    return runner.invoke(main, ["doctor", *arguments])


def test_every_vendor_is_asked_one_cheap_thing(here: World) -> None:
    """Each by its own client and budget; no value of a setting is shown."""
    asked = doctor(here)
    assert (asked.exit_code, asked.stderr) == (0, ""), asked.output
    lines = asked.stdout.splitlines()
    meters = "atlassian_platform (the meters API)"
    for name in ("neon", "forge", "bitbucket", meters):
        assert f"{name}: reached" in lines
    assert lines[0].startswith("python 3.")
    for package in ("meterhouse", "duckdb 1.5", "dlt 1.", "dagster 1."):
        assert package in lines[0]
    assert lines[-1] == "Nothing is wrong."
    assert [r.path for r in here.new_requests()] == ["/users/me/organizations"]
    assert len(here.sandbox.forge.requests) == len(here.sandbox.bitbucket.requests) == 1
    for name, value in here.environment.items():
        assert name.startswith("XDG") or any(name in line for line in lines)
        assert name == "WAREHOUSE" or value not in asked.output


def test_what_cannot_be_reached_is_told_with_what_to_do(here: World) -> None:
    """Each vendor for itself, and exit 1; --quiet prints that alone, --json all of it."""
    wrong = {"NEON_API_KEY": "wrong-key", "BITBUCKET_TOKEN__TEAM": "wrong-token"}
    asked = doctor(here, "--quiet", **wrong)
    assert (asked.exit_code, asked.stdout) == (1, "")
    neon, bitbucket = asked.stderr.splitlines()
    assert neon.startswith("FAILED neon organizations of this key: HTTP 401")
    assert bitbucket.startswith("FAILED bitbucket (account TEAM) workspaces of this token: HTTP")
    assert "set BITBUCKET_TOKEN__TEAM to" in bitbucket
    told = json.loads(doctor(here, "--json", **wrong).stdout)
    assert len(told["failures"]) == 2
    assert told["found"]["forge"] == told["found"]["bitbucket"] == "reached"
    assert "BITBUCKET_TOKEN__TEAM" in told["set_by"]
    assert "wrong-" not in json.dumps(told)


def test_where_a_setting_comes_from(here: World, tmp_path: Path) -> None:
    """The environment comes before `.env`; what is set to nothing is not set."""
    (tmp_path / ".env").write_text("NEON_API_KEY=in-file\nNEON_ORG_IDS=\nLIMIT_PAGES=7\n")
    only = {"LIMIT_PAGES": "8", "NEON_BASE_URL": here.sandbox.base_url}
    told = json.loads(doctor(here, "--json", **dict.fromkeys(here.environment) | only).stdout)
    about = {name: origin for name, origin in told["set_by"].items() if name[:2] in ("NE", "LI")}
    assert about == {
        "LIMIT_PAGES": "the environment",
        "NEON_API_KEY": ".env",
        "NEON_BASE_URL": "the environment",
    }
    assert told["found"]["bitbucket"] == "not asked, BITBUCKET_TOKEN is not set"


def test_who_holds_the_warehouse(here: World, tmp_path: Path) -> None:
    """A load or a build is none of one's trouble, somebody's client is."""
    nobody = {
        name: None for name in here.environment if name not in ("WAREHOUSE", "XDG_STATE_HOME")
    }
    with warehouse.writer(here.settings.warehouse):
        asked = doctor(here, **nobody)
        assert asked.exit_code == 0
        assert f"(pid {os.getpid()}) writes it" in asked.stdout
    opened = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", opened, str(here.settings.warehouse)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as client:
        assert client.stdout
        client.stdout.readline()
        asked = doctor(here, **nobody)
        client.communicate(b"\n")
    assert asked.exit_code == 1
    assert f"(PID {client.pid})" in asked.stdout
    assert doctor(here, **nobody | {"WAREHOUSE": str(tmp_path / "none.duckdb")}).exit_code == 0
    (tmp_path / "file").touch()
    asked = doctor(here, **nobody | {"WAREHOUSE": str(tmp_path / "file" / "none.duckdb")})
    assert asked.exit_code == 1
    assert f"can be made: {tmp_path / 'file'} may not be written" in asked.stdout
