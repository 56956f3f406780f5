"""A vendor added by following docs/adding_a_vendor.md to the letter: its usage becomes facts."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import duckdb
import pytest

from dbt_like_sql.engine.models import PACKAGE_FOLDER
from tests.conftest import Worlds

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "adding_a_vendor.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"`([\w/.]+\.\w+)`[^\n]*\n\n```(\w+)\n(.*?)```", re.S)
PRODUCT = ("pipelines", "assets", "dbt_like_sql")


def followed(folder: Path) -> list[str]:
    """A copy of the product with everything done that the page says; the files that it names."""
    for name in PRODUCT:
        # with what is compiled of it: of a file that is changed here it no longer counts
        shutil.copytree(ROOT / name, folder / name)
    named = []
    for path, kind, text in BLOCK.findall(PAGE):
        named.append(path)
        follow(folder / path, kind, text)
    return named


def follow(path: Path, kind: str, text: str) -> None:
    """One block: a new file, changed lines, added rows, or a SELECT of a union."""
    if kind == "diff":
        change(path, text)
    elif kind == "csv":
        append_rows(path, text)
    elif path.exists():
        before = path.read_text(encoding="utf-8")
        end = before.index("\n)", before.index("with usage as ("))
        path.write_text(before[:end] + "\n" + text.rstrip() + before[end:], encoding="utf-8")
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def change(path: Path, text: str) -> None:
    """Replace a line by the added one after it; add a line after the one that stands before it."""
    content, lines = path.read_text(encoding="utf-8"), text.splitlines()
    for before, line in pairwise(lines):
        if line.startswith("+"):
            old, new = before[1:], line[1:]
            assert old in content
            content = content.replace(old, new if before.startswith("-") else f"{old}\n{new}")
    path.write_text(content, encoding="utf-8")


def append_rows(path: Path, text: str) -> None:
    """Rows by the names of their columns; what is not named is blank."""
    with path.open(encoding="utf-8", newline="") as file:
        names = next(csv.reader(file))
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writerows(csv.DictReader(text.splitlines()))


def seconds(project: int, day: datetime) -> float:
    """What a project of Acme uses on a day."""
    return 100.5 * (project + 1) + day.day


class Acme(BaseHTTPRequestHandler):
    """Two projects, a page each, for every day that is asked for."""

    def do_GET(self) -> None:  # the library's name
        """GET /usage."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        since, until = (
            datetime.fromisoformat(asked[name]).replace(tzinfo=UTC) for name in ("since", "until")
        )
        page, days = int(asked["page"]), [since + timedelta(n) for n in range((until - since).days)]
        usage = [
            {"project": f"p{page}", "day": f"{day:%Y-%m-%d}", "seconds": seconds(page, day)}
            for day in days
        ]
        body = json.dumps({"usage": usage, "next_page": 2 if page == 1 else None}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@contextmanager
def served() -> Iterator[str]:
    """Acme on loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Acme) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


LOAD_AND_BUILD = """
from assets.cli import main

for command in ("load", "build"):
    main([command], standalone_mode=False)
"""


@pytest.mark.parametrize("are_all", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_vendor_is_a_folder_a_line_rows_a_staging_file_and_a_union(
    tmp_path: Path, worlds: Worlds, are_all: bool
) -> None:
    """It is asked, its two projects are facts, and nothing but that was changed: by `load` and
    `build`, of models of facts alone; and by `run`, of all."""
    (tmp_path / "warehouse").mkdir()
    models = worlds.begin(tmp_path / "warehouse", facts_alone=not are_all)
    named = followed(tmp_path)
    for path in PACKAGE_FOLDER.rglob("*.sql"):
        name = path.relative_to(PACKAGE_FOLDER)
        if not (models / name).exists():
            (tmp_path / "dbt_like_sql" / name).unlink()
    new = [path for path in named if not (ROOT / path).exists()]
    assert {path.rpartition("/")[0] for path in new} == {
        "pipelines/acme",
        "dbt_like_sql/staging/acme",
    }
    assert sorted(set(named) - set(new)) == [
        "assets/sources.py",
        "dbt_like_sql/intermediate/int_usage.sql",
        "dbt_like_sql/seeds/meters.csv",
        "dbt_like_sql/seeds/retention.csv",
    ]
    with served() as address:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": str(tmp_path),
            "ACME_TOKEN": "token",
            "ACME_BASE_URL": address,
        }
        how = ["-m", "assets.cli", "run"] if are_all else ["-c", LOAD_AND_BUILD]
        done = subprocess.run(
            [sys.executable, *how],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=n) for n in range(1, 90)]
    with duckdb.connect(tmp_path / "warehouse" / "meterhouse.read.duckdb", read_only=True) as copy:
        copy.execute("set TimeZone = 'UTC'")
        found = copy.execute(
            "select project_id, period_start, cast(quantity as double), unit from marts.fct_compute"
            " where source = 'acme' and period_start < ?",
            [today],
        ).fetchall()
    expected = {
        (f"p{page}", day.date(), seconds(page, day), "seconds") for page in (1, 2) for day in days
    }
    assert {(project, day.date(), used, unit) for project, day, used, unit in found} >= expected
