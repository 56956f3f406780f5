"""`meterhouse ui` says on what Dagster will stand; a long test of Dagster starts it."""

from pathlib import Path

from click.testing import CliRunner

from assets.cli import main
from assets.settings import read_settings
from assets.terminal.ui import stands_on
from tests.conftest import Open

NEON = {"NEON_API_KEY": "key-1", "WAREHOUSE": "/srv/meterhouse.duckdb"}


def test_it_says_which_vendors_are_asked_and_why_others_are_not() -> None:
    """By their names; which setting is missing; and where the warehouse is."""
    lines = [*stands_on(read_settings(NEON | {"NEON_API_KEY__ACME": "key-2"}))]
    assert lines[0] == "Asked: Neon."
    assert "Not asked: Bitbucket, for BITBUCKET_TOKEN is not set." in lines
    assert lines[-1] == "Warehouse: /srv/meterhouse.duckdb"
    assert not any("key-" in line for line in lines)


def test_it_says_what_of_it_is_the_sandbox(world: Open) -> None:
    """Vendors that are asked on this very machine are stand-ins."""
    here = world(projects=1, branches=1, orgs=1, apps=1, workspaces=1)
    lines = [*stands_on(here.settings)]
    assert lines[0] == (
        "Sandbox: stand-ins on this machine, for Neon, Forge, Bitbucket, Atlassian meters."
    )
    assert lines[1].startswith("Not asked: Atlassian platform usage, for ")


def test_a_wrong_setting_is_said_too() -> None:
    """As any command says it."""
    lines = [*stands_on(read_settings(NEON | {"NEON_REQUESTS_PER_MINUTE": "many"}))]
    assert any(line.startswith("NEON_REQUESTS_PER_MINUTE is 'many'") for line in lines)


def test_where_dagster_can_keep_no_history_it_does_not_begin(tmp_path: Path) -> None:
    """A disk that is full or read-only, or a folder that is none: in a sentence, where Dagster
    tells two pages of stack."""
    home = tmp_path / "file"
    home.touch()
    done = CliRunner(env={"DAGSTER_HOME": str(home)}).invoke(main, ["ui"])
    assert done.exit_code == 2
    said = f"DAGSTER_HOME is {home}, where Dagster can keep no history (Not a directory): let this"
    assert said in " ".join(done.output.split())
    assert "Traceback" not in done.output
