"""Broken files of platform usage: one clear error each, and good ones that only look broken."""

import io
import os
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pytest

from pipelines.atlassian_usage.client import find
from pipelines.atlassian_usage.files import reading as platform_usage
from pipelines.atlassian_usage.files.content import content_of
from pipelines.atlassian_usage.files.problems import Problem, RejectedFileError

NOW = datetime(2026, 12, 31, tzinfo=UTC)
Line = dict[str, Any]
GOOD: Line = {
    "contract_version": "1",
    "org_id": "org-1",
    "usage_type": "rovo_credits",
    "app": "Jira",
    "scope_type": "site",
    "scope_id": "site-1",
    "period_start": "2026-11-01",
    "period_end": "2026-12-01",
    "granularity": "month",
    "quantity": "1234.5",
    "unit": "credits",
    "included_quantity": "2500",
    "extra_usage_limit": "",
    "forecast_quantity": "",
    "allowance_reset_at": "2026-12-01",
    "is_final": "true",
    "exported_at": "2026-11-20T09:30:00Z",
    "exported_by": "ada",
    "source": "ui_export",
}
COLUMNS = list(GOOD)


def good(**changed: Any) -> Line:
    """A line that loads, but for what is changed."""
    return GOOD | changed


def quoted(value: str) -> str:
    """A CSV field."""
    return '"' + value.replace('"', '""') + '"' if set(value) & set(',"\n\r') else value


def csv_text(*lines: Line, header: list[str] | None = None, separator: str = ",") -> str:
    """A CSV of these lines."""
    rows = [header or COLUMNS, *([quoted(str(v)) for v in line.values()] for line in lines)]
    return "".join(separator.join(row) + "\n" for row in rows)


def csv_file(folder: Path, *lines: Line) -> Path:
    """A CSV file of these lines."""
    return written(folder / "usage.csv", csv_text(*lines))


def written(path: Path, content: str | bytes) -> Path:
    """A file with this content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def workbook(*rows: list[Any], title: str = "usage") -> openpyxl.Workbook:
    """A workbook with one sheet of these rows."""
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    return book


def saved(folder: Path, book: openpyxl.Workbook) -> Path:
    """The workbook as a file."""
    book.save(folder / "usage.xlsx")
    return folder / "usage.xlsx"


def xlsx_file(folder: Path, *lines: Line) -> Path:
    """A workbook of these lines."""
    return saved(folder, workbook(COLUMNS, *([*line.values()] for line in lines)))


def refused(path: Path) -> RejectedFileError:
    """The error that reading gives."""
    with pytest.raises(RejectedFileError) as caught:
        platform_usage.read(path, NOW)
    assert caught.value.path == path
    return caught.value


def only(path: Path) -> Problem:
    """The one problem of a file, which its error says: file, line, column, reason."""
    error = refused(path)
    (problem,) = error.problems
    assert str(error) == (
        f"Platform usage file {path}: {problem}. Nothing of this file was loaded; other files are "
        "loaded all the same."
    )
    return problem


def where(problem: Problem) -> tuple[int | None, str | None]:
    """Its line and column."""
    return problem.line, problem.column


# a value that is wrong, the column it is in, and what is said of it
WRONG_VALUES = [
    ("quantity", "1,5", "has a comma or groups of digits: write 1234.56"),
    ("quantity", "1,234", "has a comma or groups of digits: write 1234.56"),
    ("quantity", "1,234.50", "has a comma or groups of digits: write 1234.56"),
    ("quantity", "1.234,50", "has a comma or groups of digits: write 1234.56"),
    ("quantity", "1 234", "has a comma or groups of digits: write 1234.56"),
    ("quantity", "$12", "has a currency or percent sign"),
    ("quantity", "12 €", "has a currency or percent sign"),
    ("quantity", "12 GB", "has letters"),
    ("quantity", "-1", "is negative"),
    ("quantity", "NaN", "is no number"),
    ("quantity", "inf", "is no number"),
    ("quantity", "1e400", "has an exponent"),
    ("quantity", "1E+12", "has an exponent"),
    ("quantity", "0.1234567891", "has more than 9 decimals"),
    ("quantity", "1" * 21, "has more than 20 digits"),
    ("quantity", "١٢", "is no plain number"),
    ("quantity", "1_000", "has a comma or groups of digits: write 1234.56"),
    ("quantity", "=1+2", "is a formula"),
    ("quantity", "", "is blank"),
    ("included_quantity", "-2500", "is negative"),
    ("app", "=1+2", "is a formula"),
    ("app", "#REF!", "is an error of a spreadsheet"),
    ("app", "+1", "starts like a formula"),
    ("exported_by", "@SUM(A1)", "starts like a formula"),
    ("exported_by", "ada\nlovelace", "has a line break or another control character"),
    ("app", "Ji\x07ra", "has a line break or another control character"),
    ("app", "x" * 501, "is longer than 500 characters"),
    (
        "period_start",
        "31/12/2026",
        "is no date of the years 2000 to 2199 that can be read in one way only",
    ),
    ("period_start", "2026-02-30", "is no date of the years 2000 to 2199"),
    ("period_start", "0226-11-01", "is no date of the years 2000 to 2199"),
    ("period_start", "46000", "is a spreadsheet's day number"),
    ("period_start", "=TODAY()", "is a formula"),
    ("period_start", "", "is blank"),
    ("allowance_reset_at", "29d 31m", "is no date"),
    ("exported_at", "2199-01-01", "is yet to come"),
    ("contract_version", "2", "is not what this column may have: write 1"),
    ("scope_type", "team", "write org or site or workspace or user or repository"),
    ("granularity", "week", "write day or month or snapshot"),
    ("source", "guess", "write ui_export or manual or bitbucket_api or billing_invoice"),
    ("is_final", "perhaps", "is neither true nor false"),
    ("unit", "GB", "is no unit of rovo_credits, which is in credits"),
    ("unit", "", "is blank"),
    ("org_id", "", "is blank"),
    ("org_id", "   ", "is blank"),
    ("scope_id", "6.23456789012345E+23", "was made a number by a spreadsheet"),
    ("scope_id", "623456789012345000000000", "was made a number by a spreadsheet"),
    ("org_id", "5E+10", "was made a number by a spreadsheet"),
    ("usage_type", "2 fast", "is no name of a usage type"),
    ("period_end", "2026-10-31", "is before period_start"),
    ("period_end", "2026-12-31", "a month has 27 to 32 days"),
    ("period_end", "2026-11-08", "a month has 27 to 32 days"),
]


@pytest.mark.parametrize(("column", "value", "reason"), WRONG_VALUES)
def test_a_wrong_value_is_named_with_its_line(
    tmp_path: Path, column: str, value: str, reason: str
) -> None:
    """The second line is wrong, and the first is not."""
    problem = only(csv_file(tmp_path, good(scope_id="site-0"), good(**{column: value})))
    assert where(problem) == (3, column)
    assert reason in problem.reason


def test_names_in_capital_letters_are_the_same_names(tmp_path: Path) -> None:
    """A line that says the same of Ann and of ann says it twice."""
    lines = [good(scope_type="user", scope_id=name, app=app) for name, app in
             (("Ann", "Jira"), ("ann", "JIRA"))]  # fmt: skip
    problem = only(csv_file(tmp_path, *lines))
    assert where(problem) == (3, "period_start")
    assert "the same usage, scope and period as in line 2" in problem.reason


def test_names_that_look_the_same_are_the_same_names(tmp_path: Path) -> None:
    """A character that nobody sees, or an accent written in two ways, makes no second one."""
    for first, second in (("ann", "a\u200bnn"), ("andré", "andre\u0301"), ("a b", "a\u00a0 b")):
        lines = [good(scope_type="user", scope_id=name) for name in (first, second)]
        problem = only(csv_file(tmp_path, *lines))
        assert "the same usage, scope and period as in line 2" in problem.reason


def sheets(**titles: str) -> openpyxl.Workbook:
    """A workbook of these sheets: with usage, with a note, blank or hidden."""
    book = openpyxl.Workbook()
    del book["Sheet"]
    for number, (title, what) in enumerate(titles.items(), start=1):
        sheet = book.create_sheet(title)
        rows: dict[str, list[list[Any]]] = {"note": [["x"]], "blank": []}
        usage = [COLUMNS, [*good(quantity=f"{number}").values()]]
        for row in rows.get(what, usage):
            sheet.append(row)
        sheet.sheet_state = "hidden" if what == "hidden" else "visible"
    return book


def test_the_one_sheet_with_usage_is_read_wherever_it_is(tmp_path: Path) -> None:
    """Beside blank and hidden ones, help and notes."""
    for titles in (
        {"a": "blank", "october": "usage"},
        {"help": "note", "Usage": "usage", "Notes": "note", "c": "blank"},
        {"a": "hidden", "b": "usage"},
        {"notes": "note", "a": "usage"},
    ):
        number = [*titles.values()].index("usage") + 1
        table = platform_usage.read(saved(tmp_path, sheets(**titles)), NOW)
        assert table["quantity"].to_pylist() == [Decimal(number)]


def test_a_second_sheet_that_is_filled_is_named(tmp_path: Path) -> None:
    """Only one is loaded, and none is left out in silence."""
    for titles in (
        {"october": "usage", "november": "usage"},
        {"usage": "usage", "november": "usage"},
        {"usage": "usage", "november": "note"},
    ):
        first, second = titles
        reason = only(saved(tmp_path, sheets(**titles))).reason
        assert f"has something on the sheets '{first}', '{second}', and one is loaded" in reason


def test_a_hidden_sheet_is_not_read(tmp_path: Path) -> None:
    """What nobody sees is not what was exported."""
    book = workbook(COLUMNS, [*good(quantity="1").values()], title="old")
    book.active.sheet_state = "hidden"
    book.create_sheet("new")
    for row in (COLUMNS, [*good(quantity="2").values()]):
        book["new"].append(row)
    assert platform_usage.read(saved(tmp_path, book), NOW)["quantity"].to_pylist() == [Decimal(2)]


def test_an_organization_is_one_scope(tmp_path: Path) -> None:
    """Two scopes of it would be two totals: its scope_id is its org_id, in small letters or not."""
    problem = only(csv_file(tmp_path, good(scope_type="org", scope_id="org-2")))
    assert where(problem) == (2, "scope_id")
    assert "'org-2' is not the org_id" in problem.reason
    lines = csv_file(tmp_path, good(scope_type="org", scope_id="Org-1"))
    assert len(platform_usage.read(lines, NOW))


WRONG_PERIODS = [
    ("day", "2026-11-01", "2026-11-03", "a day goes from midnight UTC to the next"),
    ("day", "2026-11-01", "2026-11-01", "a day goes from midnight UTC to the next"),
    ("day", "2026-11-01T12:00", "2026-11-02T12:00", "a day goes from midnight UTC to midnight"),
    ("day", "2026-11-01T00:00+02:00", "2026-11-02T00:00+02:00", "a day goes from midnight UTC"),
    ("month", "2026-11-01T00:00+11:00", "2026-12-01T00:00+11:00", "a month goes from midnight UTC"),
    ("month", "2026-11-01T00:00-08:00", "2026-12-01T00:00-08:00", "a month goes from midnight UTC"),
    ("month", "2026-10-15T08:00", "2026-11-15T08:00", "write the dates alone"),
    ("month", "2026-10-01", "2026-10-31T23:59:59", "write the dates alone"),
    ("month", "2026-10-01", "2026-10-31", "2026-10-31 is the last day of the month"),
    ("month", "2026-02-01", "2026-02-28", "2026-02-28 is the last day of the month"),
    ("snapshot", "2026-11-01", "2026-11-02", "a snapshot has no length"),
]


@pytest.mark.parametrize(("granularity", "start", "end", "reason"), WRONG_PERIODS)
def test_a_period_has_the_length_of_its_granularity(
    tmp_path: Path, granularity: str, start: str, end: str, reason: str
) -> None:
    """A day is one UTC day, a month is whole UTC days, and a snapshot an instant."""
    line = good(granularity=granularity, period_start=start, period_end=end)
    problem = only(csv_file(tmp_path, line))
    assert where(problem) == (2, "period_end")
    assert reason in problem.reason


GOOD_VALUES: list[tuple[Line, str, Any]] = [
    ({"quantity": " 12.5\t"}, "quantity", Decimal("12.500000000")),
    ({"quantity": "0"}, "quantity", Decimal(0)),
    (
        {"quantity": "12345678901234567890.123456789"},
        "quantity",
        Decimal("12345678901234567890.123456789"),
    ),
    ({"org_id": "\u00a0org-1 "}, "org_id", "org-1"),
    ({"scope_id": "si\u200bte-1\ufeff"}, "scope_id", "site-1"),
    ({"org_id": "\u2060org\u00ad-1\u200e"}, "org_id", "org-1"),
    ({"app": "Re\u0301sume\u0301 Bot"}, "app", "Résumé Bot"),
    ({"app": "e\u200b\u0301"}, "app", "é"),
    ({"app": "Jira\u00a0 Cloud"}, "app", "Jira Cloud"),
    ({"exported_by": "A\u030angstro\u0308m"}, "exported_by", "Ångström"),
    ({"scope_id": "12345678"}, "scope_id", "12345678"),
    ({"usage_type": "Rovo Dev credits"}, "usage_type", "rovo_dev_credits"),
    ({"usage_type": "Rovo-Credits", "unit": "Credit"}, "unit", "credits"),
    ({"usage_type": "Git LFS", "unit": "gigabytes"}, "unit", "GB"),
    ({"usage_type": "Teapots served", "unit": "runners"}, "usage_type", "teapots_served"),
    ({"usage_type": "Teapots served", "unit": "runners"}, "unit", "runners"),
    ({"usage_type": "Teapots served", "unit": "cups"}, "unit", "cups"),
    ({"scope_type": "Site"}, "scope_type", "site"),
    ({"source": "UI export"}, "source", "ui_export"),
    ({"is_final": ""}, "is_final", False),
    ({"is_final": "TRUE"}, "is_final", True),
    ({"app": ""}, "app", None),
    ({"app": "-".join("ab")}, "app", "a-b"),
    ({"forecast_quantity": ""}, "forecast_quantity", None),
    ({"scope_type": "repository", "scope_id": "acme/site"}, "scope_id", "acme/site"),
    (
        {"scope_type": "repository", "scope_id": "{3f0e1d2c-0000-4000-8000-00000000000a}"},
        "scope_id",
        "{3f0e1d2c-0000-4000-8000-00000000000a}",
    ),
    (
        {"exported_at": "2026-11-20T09:30:00.25+02:00"},
        "exported_at",
        datetime(2026, 11, 20, 7, 30, 0, 250_000, UTC),
    ),
    ({"exported_at": "2026-11-20 09:30"}, "exported_at", datetime(2026, 11, 20, 9, 30, tzinfo=UTC)),
    (
        {"exported_at": "2026-11-20 09:30 UTC"},
        "exported_at",
        datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
    ),
    (
        {"period_start": "2026-10-15", "period_end": "2026-11-15"},
        "period_end",
        datetime(2026, 11, 15, tzinfo=UTC),
    ),
    (
        {
            "granularity": "snapshot",
            "period_start": "2026-11-20T09:30Z",
            "period_end": "2026-11-20T09:30Z",
        },
        "period_start",
        datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
    ),
]


@pytest.mark.parametrize(("changed", "column", "value"), GOOD_VALUES)
def test_a_good_value_is_read_exactly(
    tmp_path: Path, changed: Line, column: str, value: Any
) -> None:
    """Whitespace is trimmed, names are folded, instants are UTC, numbers are exact."""
    (row,) = platform_usage.read(csv_file(tmp_path, good(**changed)), NOW).to_pylist()
    assert row[column] == value


def test_a_repository_is_a_slug_or_a_uuid(tmp_path: Path) -> None:
    """Anything else could not be joined to a repository."""
    problem = only(csv_file(tmp_path, good(scope_type="repository", scope_id="site")))
    assert where(problem) == (2, "scope_id")
    assert "write workspace/repo-slug or its uuid" in problem.reason


def without(column: str) -> str:
    """A good CSV that lacks a column."""
    line = {name: value for name, value in GOOD.items() if name != column}
    return csv_text(line, header=list(line))


BROKEN_TEXTS: list[tuple[str | bytes, int | None, str | None, str]] = [
    (without("org_id"), 1, "org_id", "is missing: add the column"),
    (
        csv_text(good(color="x"), header=[*COLUMNS, "Quantitty"]),
        1,
        "Quantitty",
        "is no column of the contract: did you mean quantity?",
    ),
    (
        csv_text(good(color="x"), header=[*COLUMNS, "Used"]),
        1,
        "quantity",
        "is there twice, as 'quantity' and 'Used'",
    ),
    (csv_text(good(color="x"), header=[*COLUMNS, ""]), 2, None, "field 20 has a value under no"),
    (csv_text(GOOD).partition("\n")[2], 1, None, "has no header with columns of the contract"),
    (b"", None, None, "is empty (0 bytes)"),
    ("\n\n \n", None, None, "has no usage lines"),
    (csv_text(), None, None, "has no usage lines"),
    (csv_text() + ",,,\n" + "," * 18 + "\n", None, None, "has no usage lines"),
    ("<!DOCTYPE html><html>Log in</html>", None, None, "is a web page, perhaps a login page"),
    (b"\xef\xbb\xbf\n <HTML>", None, None, "is a web page"),
    (b"PK\x03\x04rest", None, None, "give it its own ending, .xlsx"),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        None,
        None,
        "an old .xls workbook or one with a password",
    ),
    (b"%PDF-1.7", None, None, "is a PDF"),
    (b"\x1f\x8b\x08", None, None, "is compressed with gzip"),
    (csv_text(GOOD).encode("utf-16-le"), 1, None, "has the byte 0x00, which is no text in UTF-8"),
    (csv_text(GOOD).encode("utf-32"), 1, None, "has the byte 0x00"),
    (
        csv_text(GOOD, good(app="Caf\u00e9")).encode("latin-1"),
        3,
        None,
        "has the byte 0xE9, which is no text in UTF-8",
    ),
    (csv_text(GOOD).replace("Jira", "Ji\0ra"), 2, None, "has the byte 0x00"),
    (csv_text(GOOD, separator=";"), 1, None, "the fields are parted by semicolons"),
    (csv_text(GOOD, separator="\t"), 1, None, "the fields are parted by tabs"),
    (csv_text(GOOD, separator="|"), 1, None, "the fields are parted by vertical bars"),
    (csv_text(GOOD) + "1,org-1\n", 3, None, "has 2 fields where the header has 19"),
    (csv_text(GOOD).replace("1234.5", "1,234.5"), 2, None, "has 20 fields where the header has 19"),
    (csv_text(GOOD).replace("Jira", '"Jira'), 2, None, 'has a quote (") that is never closed'),
    (
        csv_text(GOOD) + csv_text(GOOD).replace("Jira", '"Jira').partition("\n")[2] * 2000,
        3,
        None,
        'has a quote (")',
    ),
    # of a header, which is looked at before that for what parts it
    (csv_text(GOOD).replace("org_id", '"org_id') + "x" * 200_000, 1, None, 'has a quote (")'),
    (csv_text(GOOD).replace("Jira", '"Ji"ra'), 2, None, "or one inside a quoted field"),
]


@pytest.mark.parametrize(("content", "line", "column", "reason"), BROKEN_TEXTS)
def test_a_broken_csv_is_one_clear_error(
    tmp_path: Path, content: str | bytes, line: int | None, column: str | None, reason: str
) -> None:
    """It says the line, the column where there is one, the reason and what to do."""
    problem = only(written(tmp_path / "usage.csv", content))
    assert where(problem) == (line, column)
    assert reason in problem.reason


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_marks_and_line_ends_do_not_matter(tmp_path: Path, encoding: str, newline: str) -> None:
    """A mark of UTF-8 or UTF-16 is dropped, and a line ends as each system has it."""
    text = csv_text(good(app="Café"), good(app="Jira")).replace("\n", newline)
    table = platform_usage.read(written(tmp_path / "usage.csv", text.encode(encoding)), NOW)
    assert table["app"].to_pylist() == ["Café", "Jira"]
    assert table["line"].to_pylist() == [2, 3]


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    """Comments, blank lines and a quoted line break count."""
    text = "# a comment, with a comma\n\n" + csv_text(good(app="a\nb")) + "\n"
    text += csv_text(good(quantity="x"), good(scope_id="s")).partition("\n")[2]
    problems = refused(written(tmp_path / "usage.csv", text)).problems
    assert [where(problem) for problem in problems] == [(4, "app"), (7, "quantity")]


def test_headers_are_what_an_admin_may_call_them(tmp_path: Path) -> None:
    """Case, spaces, underscores and hyphens do not matter, and there are other names."""
    called = {"org_id": "Organisation ID", "app": "Product", "quantity": "Used", "unit": "UNITS"}
    called |= {"scope_id": "scope-id", "included_quantity": "Allowance"}
    header = [called.get(name, name.replace("_", " ").title()) for name in COLUMNS]
    table = platform_usage.read(written(tmp_path / "a.csv", csv_text(GOOD, header=header)), NOW)
    same = platform_usage.read(written(tmp_path / "b.csv", csv_text(GOOD)), NOW)
    assert table.select(COLUMNS) == same.select(COLUMNS)


def test_two_lines_that_say_the_same_are_refused(tmp_path: Path) -> None:
    """Also where the quantities differ, and where the app is blank in both."""
    lines = (good(app=""), good(app="Jira"), good(app="", quantity="7"))
    problem = only(csv_file(tmp_path, *lines))
    assert where(problem) == (4, "period_start")
    assert "the same usage, scope and period as in line 2" in problem.reason


def test_periods_that_overlap_are_refused(tmp_path: Path) -> None:
    """Each names the first line into whose period it reaches."""
    lines = [
        good(period_start=start, period_end=end)
        for start, end in (
            ("2026-10-01", "2026-11-01"),
            ("2026-11-01", "2026-12-01"),
            ("2026-11-15", "2026-12-15"),
        )
    ]
    problem = only(csv_file(tmp_path, *lines, good(scope_id="other")))
    assert where(problem) == (4, "period_start")
    assert "overlaps that of line 3" in problem.reason


def test_months_that_end_with_their_last_day_are_refused(tmp_path: Path) -> None:
    """The next one begins a day later, and that day would be in neither."""
    lines = [
        good(period_start=start, period_end=end)
        for start, end in (("2026-09-15", "2026-10-14"), ("2026-10-15", "2026-11-14"))
    ]
    problem = only(csv_file(tmp_path, *lines))
    assert where(problem) == (3, "period_start")
    assert "the month before it, in line 2, ends a day earlier" in problem.reason


def test_days_beside_their_month_are_fine(tmp_path: Path) -> None:
    """Both may be given: they are two resolutions of one thing."""
    day = good(granularity="day", period_end="2026-11-02")
    assert len(platform_usage.read(csv_file(tmp_path, GOOD, day), NOW)) == 2


def test_all_problems_are_found_in_one_go(tmp_path: Path) -> None:
    """In the order of the file; the message has the first, and how many there are."""
    text = csv_text(
        good(color="x", quantity="1,5", unit="GB"),
        good(color="x", org_id="", scope_id="b"),
        header=[*COLUMNS, "Color"],
    )
    error = refused(written(tmp_path / "usage.csv", text + "1,2\n"))
    assert [where(problem) for problem in error.problems] == [
        (1, "Color"),
        (2, "quantity"),
        (2, "unit"),
        (3, "org_id"),
        (4, None),
    ]
    assert "line 1, column Color: is no column" in str(error)
    assert "; and 4 more (`meterhouse platform-usage check` lists them). Nothing" in str(error)


def test_at_most_a_hundred_problems_are_listed(tmp_path: Path) -> None:
    """However many there are."""
    lines = (good(quantity="x", unit="", scope_id=str(number)) for number in range(300))
    error = refused(csv_file(tmp_path, *lines))
    assert len(error.problems) == 100
    assert "; and at least 201 more (" in str(error)


def zipped(path: Path, parts: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip archive of these parts."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def parts_of(path: Path) -> dict[str, bytes]:
    """The parts of a zip archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_sheet(folder: Path, change: Callable[[bytes], bytes]) -> Path:
    """A good workbook whose sheet is changed behind its back."""
    path = xlsx_file(folder, GOOD)
    parts = parts_of(path)
    parts["xl/worksheets/sheet1.xml"] = change(parts["xl/worksheets/sheet1.xml"])
    return zipped(path, parts)


def bomb(folder: Path) -> Path:
    """A workbook whose sheet is 40 MB of blanks."""
    return with_sheet(folder, lambda sheet: sheet + b" " * 40_000_000)


def too_large(folder: Path) -> Path:
    """A workbook whose directory says that each of its parts has 60 MB."""
    path = xlsx_file(folder, GOOD)
    first, *entries = path.read_bytes().split(b"PK\x01\x02")
    size = (60_000_000).to_bytes(4, "little")
    return written(path, b"PK\x01\x02".join([first, *(e[:20] + size + e[24:] for e in entries)]))


def lying(folder: Path) -> Path:
    """A workbook whose directory says that a sheet of 5 MB has a hundred bytes."""
    path = with_sheet(folder, lambda sheet: sheet + b"<!-- x -->" * 500_000)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("xl/worksheets/sheet1.xml").file_size.to_bytes(4, "little")
    return written(path, content.replace(size, (100).to_bytes(4, "little")))


def locked(folder: Path) -> Path:
    """A workbook whose parts say that they are encrypted."""
    path = xlsx_file(folder, GOOD)
    content = bytearray(path.read_bytes())
    start = content.find(b"PK\x01\x02")
    content[start + 8] |= 1
    return written(path, bytes(content))


def with_cell(folder: Path, cell: str, value: Any) -> Path:
    """A workbook of a good line, but for one cell."""
    book = workbook(COLUMNS, list(GOOD.values()))
    book.active[cell] = value
    return saved(folder, book)


def merged(folder: Path) -> Path:
    """A workbook whose header has merged cells."""
    book = workbook(COLUMNS, list(GOOD.values()))
    book.active.merge_cells("B1:C1")
    return saved(folder, book)


def unordered(sheet: bytes) -> bytes:
    """The sheet with a cell of its second row in the first."""
    return sheet.replace(b'r="A2"', b'r="A1"')


def entities(sheet: bytes) -> bytes:
    """The sheet with a document type of its own."""
    return b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + sheet.partition(b"?>")[2]


BROKEN_WORKBOOKS: list[tuple[Callable[[Path], Path], int | None, str | None, str]] = [
    (lambda f: written(f / "a.xlsx", b""), None, None, "is empty (0 bytes)"),
    (lambda f: written(f / "a.xlsx", csv_text(GOOD)), None, None, "is it a CSV? Name it .csv"),
    (lambda f: written(f / "a.xlsx", "<html></html>"), None, None, "is a web page"),
    (
        lambda f: written(f / "a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 99),
        None,
        None,
        "one with a password",
    ),
    (
        lambda f: written(f / "a.xlsx", xlsx_file(f, GOOD).read_bytes()[:3000]),
        None,
        None,
        "cannot be read as a workbook",
    ),
    (lambda f: zipped(f / "a.xlsx", {"a.txt": b"a"}), None, None, "but no workbook"),
    (
        lambda f: zipped(f / "a.xlsx", {"xl/workbook.xml": b"<a>"}),
        None,
        None,
        "cannot be read as a workbook",
    ),
    (bomb, None, None, "unpacks to 40 MB in 9 parts"),
    (too_large, None, None, "unpacks to 540 MB in 9 parts"),
    (lying, None, None, "cannot be read as a workbook"),
    (locked, None, None, "has a password"),
    (lambda f: with_sheet(f, entities), None, None, "declares XML entities"),
    (lambda f: with_sheet(f, unordered), 1, None, "are not in order"),
    (lambda f: with_sheet(f, lambda s: s[:-40]), None, None, "cannot be read as a workbook"),
    (merged, 1, None, "the cells B1:C1 are merged: unmerge them"),
    (lambda f: with_cell(f, "J2", "=1+2"), 2, "quantity", "'=1+2' is a formula"),
    (lambda f: with_cell(f, "J2", "#N/A"), 2, "quantity", "'#N/A' is an error of a spreadsheet"),
    (lambda f: with_cell(f, "T2", "x"), 2, None, "field 20 has a value under no header"),
    (lambda f: with_cell(f, "J2", 0.12345678912), 2, "quantity", "has more than 9 decimals"),
    (lambda f: with_cell(f, "G2", 46000), 2, "period_start", "is a spreadsheet's day number"),
    (lambda f: saved(f, workbook()), None, None, "has no usage lines"),
    (lambda f: saved(f, workbook(COLUMNS)), None, None, "has no usage lines"),
]


@pytest.mark.parametrize(("make", "line", "column", "reason"), BROKEN_WORKBOOKS)
def test_a_broken_workbook_is_one_clear_error(
    tmp_path: Path,
    make: Callable[[Path], Path],
    line: int | None,
    column: str | None,
    reason: str,
) -> None:
    """A line is the number of a row, and cells are named."""
    problem = only(make(tmp_path))
    assert where(problem) == (line, column)
    assert reason in problem.reason


def test_a_workbook_may_have_dates_numbers_and_other_sheets(tmp_path: Path) -> None:
    """Cells are what they are, and the sheet is the one called usage."""
    line = good(contract_version=1, quantity=0.1, included_quantity=2500.0, is_final=True)
    line |= {"period_start": date(2026, 11, 1), "period_end": datetime(2026, 12, 1)}  # noqa: DTZ001
    book = workbook(["notes"], title="Notes")
    sheet = book.create_sheet("Usage")
    for row in (["# a comment"], [], COLUMNS, [], list(line.values())):
        sheet.append(row)
    (row,) = platform_usage.read(saved(tmp_path, book), NOW).to_pylist()
    assert (row["quantity"], row["included_quantity"]) == (Decimal("0.1"), Decimal(2500))
    assert row["period_end"] == datetime(2026, 12, 1, tzinfo=UTC)
    assert (row["is_final"], row["line"]) == (True, 5)


@pytest.mark.parametrize(
    ("stored", "quantity"),
    [
        (b"1234.5600000000002", "1234.56"),
        (b"0.30000000000000004", "0.3"),
        (b"2.9999999999999996", "3"),
        (b"1E3", "1000"),
        (b"123456789012345", "123456789012345"),
    ],
)
def test_a_number_is_what_the_sheet_shows(tmp_path: Path, stored: bytes, quantity: str) -> None:
    """15 digits: what a double has beyond them is its rounding."""
    path = with_cell(tmp_path, "J2", 7777)
    parts = parts_of(path)
    sheet = parts["xl/worksheets/sheet1.xml"].replace(b"<v>7777</v>", b"<v>" + stored + b"</v>")
    parts["xl/worksheets/sheet1.xml"] = sheet
    (found,) = platform_usage.read(zipped(path, parts), NOW)["quantity"].to_pylist()
    assert found == Decimal(quantity)


@pytest.mark.parametrize(
    ("cell", "value", "column"),
    [
        ("F2", 6.23456789012345e23, "scope_id"),
        ("F2", 123, "scope_id"),
        ("B2", 5e10, "org_id"),
        ("F2", date(2026, 3, 1), "scope_id"),
    ],
)
def test_an_id_that_a_spreadsheet_made_something_else_is_refused(
    tmp_path: Path, cell: str, value: Any, column: str
) -> None:
    """Its digits are gone, or it is another id."""
    problem = only(with_cell(tmp_path, cell, value))
    assert where(problem) == (2, column)
    assert "is a number or a date for the spreadsheet" in problem.reason


def test_a_formula_beyond_what_is_filled_is_refused(tmp_path: Path) -> None:
    """A reader of cells sees nothing there: below the last line, and right of the last column."""
    below = refused(with_cell(tmp_path, "P3", "=P2")).problems
    assert (3, "is_final", "'=P2' is a formula: paste its value instead") in [
        (*where(problem), problem.reason) for problem in below
    ]
    assert where(only(with_cell(tmp_path, "U2", "=P2"))) == (2, None)


def test_a_cell_far_off_is_refused_before_memory_runs_out(tmp_path: Path) -> None:
    """A sheet is as large as its last cell says."""
    for cell, row in (("XFD2", 2), ("A1048576", 1048576)):
        problem = only(with_cell(tmp_path, cell, "x"))
        assert (problem.line, problem.reason[: len(cell) + 5]) == (row, f"cell {cell}")


def test_dates_that_count_from_1904_are_what_they_show(tmp_path: Path) -> None:
    """Old workbooks of the Mac."""
    book = workbook(COLUMNS, list(good(period_start=date(2026, 11, 1)).values()))
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    table = platform_usage.read(saved(tmp_path, book), NOW)
    assert table["period_start"].to_pylist() == [datetime(2026, 11, 1, tzinfo=UTC)]


def test_a_sheet_that_lies_about_its_size_is_read_whole(tmp_path: Path) -> None:
    """Some programs write a dimension of one cell."""
    path = with_sheet(tmp_path, lambda s: s.replace(b'ref="A1:S2"', b'ref="A1"'))
    assert platform_usage.read(path, NOW)["source"].to_pylist() == ["ui_export"]


def test_a_folder_with_the_name_of_a_file_is_refused(tmp_path: Path) -> None:
    """What is in it is found."""
    (tmp_path / "x.csv").mkdir()
    assert "is a folder, or no regular file" in only(tmp_path / "x.csv").reason
    inside = csv_file(tmp_path / "x.csv", GOOD)
    assert find(tmp_path) == [inside]


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """Opening one blocks until somebody writes."""
    os.mkfifo(tmp_path / "x.csv")
    assert "is a folder, or no regular file" in only(tmp_path / "x.csv").reason
    assert find(tmp_path) == [tmp_path / "x.csv"]
    with pytest.raises(Problem, match="is a folder, or no regular file"):
        content_of(tmp_path / "x.csv")


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    """It was found, and then moved away."""
    path = csv_file(tmp_path, GOOD)
    (found,) = find(tmp_path)
    path.unlink()
    assert "cannot be read (No such file or directory)" in only(found).reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    """The reason is the system's."""
    path = csv_file(tmp_path, GOOD)
    path.chmod(0)
    assert "cannot be read (Permission denied)" in only(path).reason


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    """Its size says so."""
    path = written(tmp_path / "usage.csv", "")
    os.truncate(path, 200_000_001)
    assert "is larger than 200 MB" in only(path).reason


@pytest.mark.parametrize(
    "ending", ["xls", "xlsm", "ods", "numbers", "tsv", "txt", "zip", "json", "part"]
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, ending: str) -> None:
    """By its ending; it is found, and not left out in silence."""
    path = written(tmp_path / f"usage.csv.{ending}", csv_text(GOOD))
    reason = only(path).reason
    assert reason.startswith(f"ends in .{ending}: save it as .csv (UTF-8, with commas) or .xlsx")
    assert find(tmp_path) == [path]
    with pytest.raises(Problem, match=f"ends in .{ending}"):
        content_of(path)


def test_both_formats_read_equal(tmp_path: Path) -> None:
    """The same lines are the same table, but for the file."""
    lines = [
        GOOD,
        good(app="Confluence, Café", quantity="0.000000001", exported_by='"Ada"', is_final=""),
        good(usage_type="Git LFS", unit="gigabyte", app="", allowance_reset_at="2026-12-01T01:00Z"),
    ]
    tables = [platform_usage.read(make(tmp_path, *lines), NOW) for make in (csv_file, xlsx_file)]
    first, other = (table.select([*COLUMNS, "line"]) for table in tables)
    assert first == other


def test_bytes_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    """Whatever they are, the error is one of ours."""
    random = io.BytesIO(os.urandom(3000)).getvalue()
    for ending in ("csv", "xlsx"):
        refused(written(tmp_path / f"usage.{ending}", random))
