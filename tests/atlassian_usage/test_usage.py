"""Files of platform usage: which are found, how they are read, and the command."""

import hashlib
import os
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import openpyxl  # type: ignore[import-untyped]
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from assets.cli import main
from pipelines.atlassian_usage.client import find
from pipelines.atlassian_usage.files import reading as platform_usage
from pipelines.atlassian_usage.files.content import content_of
from pipelines.atlassian_usage.files.contract import COLUMNS, UNITS
from pipelines.atlassian_usage.files.problems import Problem, RejectedFileError
from pipelines.atlassian_usage.files.reading import SCHEMA
from pipelines.http import VendorError

NOW = datetime(2026, 12, 31, tzinfo=UTC)
HEADER = ",".join(column.name for column in COLUMNS)
LINE = (
    "1,org-1,rovo_credits,Jira,site,site-1,2026-11-01,2026-12-01,month,1234.5,credits,2500,,,"
    "2026-12-01,true,2026-11-20T09:30:00Z,ada,ui_export"
)


def usage_file(path: Path, *lines: str) -> Path:
    """A CSV of these lines, or of one that is good."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEADER, *(lines or [LINE])]) + "\n", encoding="utf-8")
    return path


def problems_of(path: Path) -> list[Problem]:
    """What is wrong with a file."""
    try:
        platform_usage.read(path, NOW)
    except RejectedFileError as error:
        return error.problems
    return []


def test_whatever_may_be_an_export_is_found_wherever_it_is(tmp_path: Path) -> None:
    """Sorted, in folders of any depth; what cannot be loaded is refused later, by its name."""
    names = ["2026/10/b.xls", "2026/a.xlsx", "a.CSV", "b.csv.part", "c.json", "z.csv"]
    for name in reversed(names):
        usage_file(tmp_path / name)
    found = [path.relative_to(tmp_path).as_posix() for path in find(tmp_path)]
    assert found == names


def test_what_is_no_export_is_not_found(tmp_path: Path) -> None:
    """Hidden and lock files, files about the folder, templates, what systems leave behind."""
    for name in (
        ".hidden.csv",
        ".git/a.csv",
        "~$usage.xlsx",
        "README.csv",
        "readme-first.txt",
        "Platform-Usage-Template.csv",
        "Thumbs.db",
        "desktop.ini",
    ):
        usage_file(tmp_path / name)
    assert find(tmp_path) == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """So is a file in its place."""
    for place in (tmp_path / "not there", usage_file(tmp_path / "a.csv")):
        with pytest.raises(VendorError, match=r"\(PLATFORM_USAGE_DIR\): cannot be listed"):
            find(place)


def test_links_that_lead_out_of_the_folder_are_refused_by_name(tmp_path: Path) -> None:
    """To a file, to a folder, to nothing; one that stays inside is a file like any other."""
    outside = usage_file(tmp_path / "outside" / "secret.csv")
    folder = tmp_path / "folder"
    inside = usage_file(folder / "a.csv")
    (folder / "b.csv").symlink_to(outside)
    (folder / "c").symlink_to(outside.parent)
    (folder / "d.csv").symlink_to(inside)
    (folder / "e.csv").symlink_to(tmp_path / "nowhere.csv")
    (folder / "f").symlink_to(folder)
    found = find(folder)
    assert [path.name for path in found] == ["a.csv", "b.csv", "c", "d.csv", "e.csv"]
    for path in found:
        if path.name in ("a.csv", "d.csv"):
            assert content_of(path, folder) == inside.read_bytes()
        else:
            with pytest.raises(Problem, match="is a link that leads out of the folder"):
                content_of(path, folder)


def test_links_that_lead_to_each_other_are_refused_by_name(tmp_path: Path) -> None:
    """The files beside them are found."""
    (tmp_path / "a.csv").symlink_to("b.csv")
    (tmp_path / "b.csv").symlink_to("a.csv")
    usage_file(tmp_path / "c.csv")
    *links, _ = found = find(tmp_path)
    assert [path.name for path in found] == ["a.csv", "b.csv", "c.csv"]
    for path in links:
        with pytest.raises(Problem, match="Too many levels of symbolic links"):
            content_of(path, tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    """Its files would be missed without a word."""
    usage_file(tmp_path / "closed" / "a.csv")
    (tmp_path / "closed").chmod(0)
    with pytest.raises(VendorError, match="cannot be listed"):
        find(tmp_path)


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    """It stands with every line."""
    path = usage_file(tmp_path / "a.csv")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert platform_usage.read(path, NOW)["file_sha256"].to_pylist() == [sha256]


def test_a_line_is_read_as_the_contract_says(tmp_path: Path) -> None:
    """Every column, with its type, and where the line comes from."""
    path = usage_file(tmp_path / "a.csv")
    table = platform_usage.read(path, NOW, "2026/a.csv")
    assert table.schema == SCHEMA
    assert table.to_pylist() == [
        {
            "contract_version": "1",
            "org_id": "org-1",
            "usage_type": "rovo_credits",
            "app": "Jira",
            "scope_type": "site",
            "scope_id": "site-1",
            "period_start": datetime(2026, 11, 1, tzinfo=UTC),
            "period_end": datetime(2026, 12, 1, tzinfo=UTC),
            "granularity": "month",
            "quantity": Decimal("1234.5"),
            "unit": "credits",
            "included_quantity": Decimal(2500),
            "extra_usage_limit": None,
            "forecast_quantity": None,
            "allowance_reset_at": datetime(2026, 12, 1, tzinfo=UTC),
            "is_final": True,
            "exported_at": datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
            "exported_by": "ada",
            "source": "ui_export",
            "file_name": "2026/a.csv",
            "file_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "line": 2,
        }
    ]
    assert platform_usage.read(path, NOW)["file_name"].to_pylist() == [path.as_posix()]
    assert problems_of(path) == []


@pytest.mark.parametrize(("usage_type", "unit"), UNITS.items())
def test_every_known_usage_type_has_its_unit(tmp_path: Path, usage_type: str, unit: str) -> None:
    """And no other."""
    line = LINE.replace("rovo_credits", usage_type)
    good = usage_file(tmp_path / "a.csv", line.replace(",credits,", f",{unit},"))
    assert problems_of(good) == []
    wrong = usage_file(tmp_path / "b.csv", line.replace(",credits,", ",GiB,"))
    (problem,) = problems_of(wrong)
    assert problem.column == "unit"
    assert f"which is in {unit}" in problem.reason


def test_an_empty_template_has_help_for_every_column(tmp_path: Path) -> None:
    """It is read as a file without lines; filled in under another name, it loads."""
    path = tmp_path / "template.csv"
    call("template", path)
    text = path.read_text(encoding="utf-8")
    assert [line.split(":")[0] for line in text.splitlines()[1:-1]] == [
        f"# {column.name}" for column in COLUMNS
    ]
    assert text.endswith(f"\n{HEADER}\n")
    assert "has no usage lines" in problems_of(path)[0].reason
    filled = tmp_path / "november.csv"
    filled.write_text(text + LINE + "\n", encoding="utf-8")
    assert platform_usage.read(filled, NOW)["line"].to_pylist() == [len(COLUMNS) + 3]
    assert find(tmp_path) == [filled]


def test_a_workbook_template_is_the_same_in_cells(tmp_path: Path) -> None:
    """Help above the header; what is filled in below it is read."""
    for name in ("template.csv", "november.xlsx"):
        call("template", tmp_path / name)
    path = tmp_path / "november.xlsx"
    assert "has no usage lines" in problems_of(path)[0].reason
    book = openpyxl.load_workbook(path)
    *told, header = ([cell.value for cell in row if cell.value] for row in book["usage"])
    text = (tmp_path / "template.csv").read_text(encoding="utf-8")
    assert text == "".join(line + "\n" for (line,) in told) + ",".join(header) + "\n"
    book["usage"].append(LINE.split(","))
    book.save(path)
    assert platform_usage.read(path, NOW)["line"].to_pylist() == [len(COLUMNS) + 3]


def test_an_id_typed_into_the_workbook_template_stays_text(tmp_path: Path) -> None:
    """Its columns are formatted so, and a spreadsheet makes no number of it."""
    path = tmp_path / "november.xlsx"
    call("template", path)
    columns = openpyxl.load_workbook(path)["usage"].column_dimensions
    assert columns["A"].number_format == "@"


def test_a_template_does_not_overwrite(tmp_path: Path) -> None:
    """What is there may have been filled in."""
    path = usage_file(tmp_path / "usage.csv")
    assert "cannot be written (File exists)" in call("template", path).output
    assert len(platform_usage.read(path, NOW)) == 1


def test_nothing_heavy_is_imported_until_a_file_is_read() -> None:
    """Commands and Dagster import this module only to know what there is."""
    script = (
        "import sys; import pipelines.atlassian_usage.files.reading, assets.cli;"
        "print([m for m in ('pandas', 'python_calamine') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def large_file(path: Path, lines: int) -> Path:
    """Days of many users, each line different."""
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER + "\n")
        for number in range(lines):
            user, day = divmod(number, 300)
            start = date(2026, 1, 1) + timedelta(days=day)
            file.write(
                f"1,org-1,rovo_credits,Jira,user,user-{user:06},{start},{start + timedelta(1)},day,"
                f"{number}.{number % 1000:03},credits,,,,,true,2026-11-20T09:30:00Z,ada,ui_export\n"
            )
    return path


def read_whole(path: Path, lines: int) -> pa.Table:
    """Read such a file; every line is there, and the sum is exact."""
    table = platform_usage.read(path, NOW)
    assert len(table) == lines
    assert table["line"].to_pylist()[-1] == lines + 1
    whole = lines * (lines - 1) // 2
    thousandths = sum(number % 1000 for number in range(lines))
    assert sum(table["quantity"].to_pylist()) == whole + Decimal(thousandths) / 1000
    return table


@pytest.mark.slow
def test_twenty_thousand_lines_are_read(tmp_path: Path) -> None:
    """An org's month by user."""
    read_whole(large_file(tmp_path / "usage.csv", 20_000), 20_000)


@pytest.mark.slow
def test_a_problem_in_a_later_batch_keeps_its_line(tmp_path: Path) -> None:
    """Batches of 50,000 lines are read one after the other, and compared all together."""
    path = large_file(tmp_path / "usage.csv", 51_000)
    lines = path.read_text(encoding="utf-8").splitlines()
    for at in (10, 50_500):
        lines[at] = lines[at].replace(",credits,", ",GB,")
    path.write_text("\n".join([*lines, lines[5]]) + "\n", encoding="utf-8")
    found = [(problem.line, problem.column) for problem in problems_of(path)]
    assert found == [(11, "unit"), (50_501, "unit"), (51_002, "period_start")]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_million_lines_are_read_in_bounded_time_and_memory(tmp_path: Path) -> None:
    """Some minutes and two gigabytes at the very most, in a process of its own."""
    path, script = large_file(tmp_path / "usage.csv", 1_000_000), tmp_path / "read.py"
    script.write_text(
        "import resource, sys; from pathlib import Path;"
        "from pipelines.atlassian_usage.files import reading;"
        "from datetime import UTC, datetime;"
        "print(len(reading.read(Path(sys.argv[1]), datetime(2026, 12, 31, tzinfo=UTC))));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, script, path], capture_output=True, text=True)
    seconds = time.monotonic() - started
    lines, megabytes = map(int, done.stdout.split())
    assert lines == 1_000_000
    assert megabytes < 2_000
    assert seconds < 300


def call(*arguments: str | Path) -> Result:
    """Run the command as a person does, in this process."""
    return CliRunner().invoke(main, ["platform-usage", *map(str, arguments)])


def test_the_command_writes_a_template_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time it is refused, and nothing is overwritten."""
    monkeypatch.chdir(tmp_path)
    first = call("template")
    assert (first.exit_code, first.output) == (0, "wrote platform-usage-template.csv\n")
    again = call("template")
    assert again.exit_code == 1
    assert "platform-usage-template.csv cannot be written (File exists)" in again.output
    assert call("template", "nowhere/a.csv").exit_code == 1
    assert call("template", "a.xlsx").exit_code == 0
    assert call("template", "a.ods").exit_code == 2


def test_the_command_says_of_each_file_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Line by line, within 80 columns; exit code 1 where anything is wrong."""
    monkeypatch.chdir(tmp_path)
    usage_file(Path("good.csv"))
    usage_file(Path("bad.csv"), LINE.replace(",1234.5,", ',"1,5",').replace("site-1", ""), "1,2")
    fine = call("check", "good.csv")
    assert (fine.exit_code, fine.output) == (0, "good.csv: fine: 1 line, rovo_credits\n")
    result = call("check", "bad.csv", "good.csv", "gone.csv")
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "bad.csv: 3 problems",
        "  line 2, column scope_id: is blank and may not be: give a value",
        "  line 2, column quantity: '1,5' has a comma or groups of digits: write 1234.56",
        "  line 3: has 2 fields where the header has 19: write a comma for every empty",
        '    field, too, and a value with a comma inside in "quotes"',
        "good.csv: fine: 1 line, rovo_credits",
        "gone.csv: 1 problem",
        "  cannot be read (No such file or directory): put it back, or let the account",
        "    that runs meterhouse read it",
    ]


def test_the_command_lists_a_hundred_problems_and_says_so(tmp_path: Path) -> None:
    """The rest would say the same."""
    lines = (LINE.replace("site-1", f"s{n}").replace("1234.5", "x") for n in range(150))
    result = call("check", usage_file(tmp_path / "bad.csv", *lines))
    assert result.exit_code == 1
    assert "bad.csv: 101 or more problems" in " ".join(result.output.split())
    assert "... the first 100 are listed" in result.output


def test_a_header_without_an_end_is_said(tmp_path: Path) -> None:
    """More than the longest field that is read stands behind its quote."""
    bad = tmp_path / "bad.csv"
    bad.write_text('Date,"User email\n' + "2026-11-05,ann\n" * 10_000)
    result = call("check", str(bad))
    assert isinstance(result.exception, SystemExit)
    assert 'line 1: has a quote (") that is never closed' in result.output


def test_the_command_needs_a_file() -> None:
    """Wrong usage is 2."""
    assert call("check").exit_code == 2
