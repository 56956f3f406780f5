"""CONTRIBUTING.md: what it tells to run is there, and CI and pre-commit run the same."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import CURRENT, PAGES, ROOT, blocks, read, section, table, words_in_code

MAKEFILE = read(ROOT / "Makefile")
# target -> its comment, and its commands
HELP = dict(re.findall(r"^([a-z-]+):.*?  ## (.+)$", MAKEFILE, re.M))
CHECK = re.findall(r"^check:.*\n((?:\t.+\n)+)", MAKEFILE, re.M)[0].split("\n\t")
PAGE = PAGES["CONTRIBUTING.md"]


def test_every_target_says_what_it_does() -> None:
    """In the Makefile, in `make help` and in CONTRIBUTING.md the same."""
    assert set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M)) == HELP.keys()
    listed = [tuple(row) for row in table(section("CONTRIBUTING.md", "Set up"))]
    assert listed == [(f"make {name}", about) for name, about in HELP.items()]
    done = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)
    shown = [tuple(re.split(r"\s{1,}", line, maxsplit=2)) for line in done.stdout.splitlines()]
    assert shown == [("make", name, about) for name, about in HELP.items()]


@pytest.mark.parametrize("page", CURRENT)
def test_the_make_targets_are_there(page: str) -> None:
    """Every `make` target that a page names exists."""
    text = "\n".join([*words_in_code(CURRENT[page]), *blocks(CURRENT[page], "sh")])
    assert set(re.findall(r"\bmake ([a-z-]+)", text)) <= HELP.keys()


def test_its_commands_are_there() -> None:
    """What is in .venv/bin/ is installed, and the tests that are named are tests."""
    (block,) = blocks(PAGE, "sh")
    lines = [line.partition("#")[0].split() for line in block.splitlines()]
    assert len(lines) == 4
    for program, *arguments in lines:
        assert program == ".venv/bin/python"
        assert arguments[:2] == ["-m", "pytest"]
        path, _, name = arguments[2].partition("::")
        assert (ROOT / path).exists()
        assert not name or f"def {name}(" in read(ROOT / path)
        if "-k" in arguments:
            files = map(read, (ROOT / path).glob("*.py"))
            assert any(f"{arguments[-1]}" in text for text in files)
    for program in ("ruff", "mypy"):
        assert (Path(sys.executable).parent / program).exists()


def test_ci_runs_what_it_says() -> None:
    """`make check` and `make test`, and nothing else."""
    ran = re.findall(r"^make (\w+)$", read(ROOT / ".ci" / "run"), re.M)
    assert ran == ["check", "test"]
    assert "`make check` and `make test` are what CI runs" in PAGE


def test_pre_commit_runs_what_make_check_runs() -> None:
    """The same commands, by hooks of our own that download nothing."""
    config = read(ROOT / ".pre-commit-config.yaml")
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in CHECK]
    assert re.findall(r"entry: (.+)", config) == commands
    assert re.findall(r"repo: (.+)", config) == ["local"]
    assert set(re.findall(r"language: (.+)", config)) == {"system"}
    assert len(re.findall(r"pass_filenames: false", config)) == len(commands)


def test_the_floor_of_coverage_is_the_one_that_is_named() -> None:
    """The number in CONTRIBUTING.md is pyproject's, and what is covered is above it."""
    (floor,) = re.findall(r"^fail_under = (\d+)$", read(ROOT / "pyproject.toml"), re.M)
    (covered, named) = re.findall(r"(\d+)\s%", PAGE)
    assert named == floor
    assert int(covered) >= int(floor)


def test_the_lock_names_no_host() -> None:
    """Whoever installs it takes packages from the index that they have."""
    assert not re.findall(r"https?://|index-url|find-links", read(ROOT / "requirements.lock"))
