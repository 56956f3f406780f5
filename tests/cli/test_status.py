"""`meterhouse status`: whether all is well, by the clock of now."""

import json
import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from assets.cli import main
from assets.settings import DOCUMENTED, read_settings
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.models import PACKAGE_FOLDER
from tests import builds
from tests.clock import NOW
from tests.conftest import Worlds
from tests.landed import Neon, Receipt, land, receive

HOUR = timedelta(hours=1)
# a block of what no allowance is taken off cannot be
PRICES = (PACKAGE_FOLDER / "seeds" / "price_overrides.csv").read_text()
NO_PRICE = PRICES + "neon,compute,,compute_unit_seconds,,CU-hour,1,,,,,,10,,,contract,\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Path:
    """A warehouse with usage of Neon up to 15:00, built at half past."""
    folder = tmp_path_factory.mktemp("status")
    worlds.begin(folder)
    environment = {"WAREHOUSE": str(folder / "meterhouse.duckdb"), "XDG_STATE_HOME": str(folder)}
    settings = read_settings(environment, lambda: NOW)
    land(settings, Neon("p", "compute_unit_seconds", "2026-11-21 14", 3600))
    hours = ("2026-11-21 15:20", "2026-11-21 00:00", "2026-11-21 16:00")
    receive(settings, Receipt("neon_project_usage", "hourly", *hours))
    builds.build(settings)
    return folder


class Here:
    """The terminal of somebody beside a copy of it, at an instant."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.warehouse, self.patch = folder / "meterhouse.duckdb", patch
        self.settings = dict.fromkeys(about.name for about in DOCUMENTED) | {
            "WAREHOUSE": str(self.warehouse),
            "XDG_STATE_HOME": str(folder),
            "NEON_API_KEY": "key",
        }

    def call(self, *arguments: str, now: datetime = NOW) -> Result:
        """Run the command."""
        self.patch.setattr("assets.settings.utc_now", lambda: now)
        return CliRunner().invoke(main, arguments, env=self.settings)

    def status(self, now: datetime = NOW) -> tuple[int, list[str]]:
        """Its exit code, and the lines that it shows."""
        shown = self.call("status", now=now)
        return shown.exit_code, shown.stdout.splitlines()


@pytest.fixture
def here(tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """A copy of the warehouse."""
    for file in built.glob("meterhouse.*"):
        shutil.copy2(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return Here(tmp_path, monkeypatch)


def test_all_is_well(here: Here) -> None:
    """A line per source; of what is not set up it says so; exit 0."""
    code, lines = here.status()
    assert lines[:4] == [
        "atlassian_platform  NOT SET UP",
        "bitbucket           NOT SET UP",
        "forge               NOT SET UP",
        "neon                OK      30 min ago (hourly)   held to 15:00Z",
    ]
    assert (code, lines[-2:]) == (0, ["Last build 0 min ago.", "Nothing needs you."])


def test_it_goes_by_the_clock_and_not_by_the_last_build(here: Here) -> None:
    """Where nothing runs any more nothing is built either: it is late all the same, and exit 1."""
    code, lines = here.status(NOW + 5 * HOUR)
    assert lines[3] == "neon                LATE    5 h ago (hourly)      held to 15:00Z"
    assert (code, lines[-2:]) == (
        1,
        [
            "LATE neon: nothing newer was told, nor built, since 18:20Z. Run `meterhouse run`.",
            "1 thing needs you.",
        ],
    )
    told = json.loads(here.call("status", "--json", now=NOW + 5 * HOUR).stdout)
    assert [(row["verdict"], row["age_hours"]) for row in told["sources"][3:4]] == [("late", 5.5)]
    del here.settings["NEON_API_KEY"]
    here.settings["NEON_API_KEY"] = None
    _, lines = here.status(NOW + 30 * HOUR)
    assert lines[3].endswith("held to 11-21 15:00Z, not set up any more")
    assert lines[-2].endswith("since 11-21 18:20Z. NEON_API_KEY is not set: set it again.")
    _, lines = here.status(NOW + timedelta(days=365))
    assert lines[3].endswith("held to 2026-11-21 15:00Z, not set up any more")


@pytest.mark.parametrize("command", ["status", "report"])
def test_what_was_loaded_and_never_built_is_not_called_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """As after a first `meterhouse load`, or a disk that was full before the first build."""
    here = Here(tmp_path, monkeypatch)
    environment = {"WAREHOUSE": str(here.warehouse), "XDG_STATE_HOME": str(tmp_path)}
    land(
        read_settings(environment, lambda: NOW),
        Neon("p", "compute_unit_seconds", "2026-11-21 14", 3600),
    )
    shown = here.call(command)
    assert (shown.exit_code, shown.stderr) == (
        1,
        "FAILED nothing has been built yet: run `meterhouse build`\n",
    )


@pytest.mark.slow
def test_a_build_that_failed_is_told_until_one_does_not(here: Here, tmp_path: Path) -> None:
    """With its reason, also in the last line on stderr; readers have what was built before."""
    own = tmp_path / "own.csv"
    own.write_text(NO_PRICE)
    here.settings["PRICE_BOOK_OVERRIDES"] = str(own)
    build = here.call("build")
    assert build.exit_code == 1
    promise = "intermediate.int_price_rules: check `allowed_per is not null"
    assert build.stdout.startswith(f"FAILED {promise}")
    assert build.stderr == "FAILED the build; readers see the build before it.\n"
    code, lines = here.status()
    assert code == 1
    (told,) = [line for line in lines if line.startswith("FAILED BUILD")]
    assert promise in told
    assert told.endswith("Readers see the build before it: mend that, and run `meterhouse build`.")
    here.settings["PRICE_BOOK_OVERRIDES"] = None
    assert here.call("build").exit_code == 0  # all that there is was built before
    assert here.status()[1][-1] == "Nothing needs you."


@pytest.mark.slow
def test_a_note_of_a_build_that_cannot_be_read_is_told_until_the_next(here: Here) -> None:
    """As after a power failure: nobody knows how it ended."""
    for damage in (b"", b"{", b"null", b"[]", b'{"started_at": 5}', b"\xff"):
        here.warehouse.with_suffix(".build.json").write_bytes(damage)
        code, lines = here.status()
        assert (code, lines[-1]) == (1, "1 thing needs you."), damage
        assert "build.json, which says how it ended, cannot be read, since" in lines[-2]
    assert here.call("build").exit_code == 0
    assert here.status()[0] == 0


def test_budgets_that_cannot_be_kept_keep_nobody_from_reading(here: Here, tmp_path: Path) -> None:
    """All else is shown, and which place it is about: it is not the warehouse's."""
    (tmp_path / "file").touch()
    here.settings["XDG_STATE_HOME"] = f"{tmp_path}/file"
    code, lines = here.status()
    assert (code, lines[3][:27]) == (1, "neon                OK     ")
    assert f"the request budget {tmp_path}/file/meterhouse/neon-consumption-" in lines[-2]
    assert "or set XDG_STATE_HOME to another place; nothing was changed. Nothing is" in lines[-2]
    assert here.call("doctor").stdout.splitlines()[-1] == "1 to be mended."


def test_it_is_told_while_somebody_writes_and_after_that_was_killed(here: Here) -> None:
    """The read copy is read; what is under way has not failed."""
    note = here.warehouse.with_suffix(".build.json")
    note.write_text(json.dumps({"started_at": f"{NOW}"}))
    with warehouse.writer(here.warehouse):
        code, lines = here.status()
        assert code == 0
        assert "(pid " in lines[-2]
        assert lines[-2].endswith("writes the warehouse: this is as of the last build.")
    code, lines = here.status(NOW + HOUR)
    assert (code, lines[-2:]) == (
        1,
        [
            "FAILED BUILD it was killed, since 15:30Z. Readers see the build before it: run "
            "`meterhouse build`.",
            "1 thing needs you.",
        ],
    )


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_text("hello, I am no database"), "it is no DuckDB database. Put"),
        (lambda path: os.truncate(path, 100_000), "Could not read enough bytes from file"),
        (Path.unlink, "No such file or directory"),
    ],
)
def test_a_damaged_warehouse_is_told_beside_a_copy_that_can_be_read(
    here: Here, damage: Callable[[Path], object], words: str
) -> None:
    """Not only once nothing new came for hours; and not what somebody writes at this moment."""
    damage(here.warehouse)
    with warehouse.writer_lock(here.warehouse):
        assert here.status()[0] == 0
    code, lines = here.status()
    assert (code, lines[-1]) == (1, "1 thing needs you.")
    assert lines[-2].startswith(f"UNREADABLE warehouse: {here.warehouse} cannot be used: {words}")
    assert lines[-2].endswith("Readers see the build before it.")


def test_a_source_that_is_set_up_and_cannot_be_used_needs_somebody(here: Here) -> None:
    """Also one of which nothing ever landed; what failed is all that --quiet prints."""
    here.settings |= {"NEON_REQUESTS_PER_MINUTE": "many", "BITBUCKET_TOKEN": "key"}
    shown = here.call("status", "--quiet")
    assert (shown.exit_code, shown.stdout) == (1, "")
    setting, never = shown.stderr.splitlines()
    assert setting.startswith("SETTING NEON_REQUESTS_PER_MINUTE is 'many': it has to be")
    assert never == "NEVER LOADED bitbucket: it is set up. Run `meterhouse run`."


def test_a_script_reads_one_document(here: Here) -> None:
    """The same, with every row of the reports behind it."""
    shown = here.call("status", "--json", now=NOW + 5 * HOUR)
    told: dict[str, Any] = json.loads(shown.stdout)
    assert (shown.exit_code, shown.stderr) == (1, "")
    assert {row["source"]: row["verdict"] for row in told["sources"]}["neon"] == "late"
    assert told["failures"] == [
        "late: neon: nothing newer was told, nor built, since 18:20Z. Run `meterhouse run`."
    ]
    assert [(row["kind"], row["subject"]) for row in told["needs_you"]] == [("late", "neon")]
    assert told["requests_left"] == {"neon": [45, 45]}
    assert told["last_build"]["started_at"] == f"{NOW}"


@pytest.mark.slow
def test_a_source_of_which_a_part_is_late_has_a_line_of_each(here: Here) -> None:
    """The one that is late is named."""
    settings = read_settings({"WAREHOUSE": str(here.warehouse)}, lambda: NOW)
    old = ("2026-11-21 10:20", "2026-11-21 00:00", "2026-11-21 11:00")
    receive(settings, Receipt("neon_project_usage", "hourly", *old, scope="org-b"))
    builds.build(settings)
    code, lines = here.status()
    assert lines[3:5] == [
        "neon                LATE    5 h ago (hourly)      held to 10:00Z, of 1: org-b",
        "neon                OK      30 min ago (hourly)   held to 15:00Z, of 1: org",
    ]
    assert code == 1
    assert lines[-2] == (
        "LATE neon: nothing newer was told, of org-b for one, since 13:20Z. Run `meterhouse run`, "
        "and see why it fails, or why no schedule runs it."
    )
    here.settings["NEON_API_KEY"] = None
    assert here.status()[1][-2].endswith("since 13:20Z. NEON_API_KEY is not set: set it again.")


@pytest.mark.slow
def test_a_page_of_an_earlier_build_is_written_again_by_the_next_run(here: Here) -> None:
    """Whose own run was killed in between; what nobody wrote is not begun, nor what is up to date
    written again."""
    here.settings["NEON_API_KEY"] = None
    page = here.warehouse.with_suffix(".report.html")
    assert here.call("run").exit_code == 0
    assert not page.exists()
    page.write_text("before")
    assert here.call("run").exit_code == 0
    assert page.read_text() == "before"
    os.utime(page, (0, 0))
    assert here.call("run").exit_code == 0
    assert page.read_text().startswith("<!doctype html>")
