"""Files in a layout that columns.toml explains load as those of the contract do; no others do."""

import hashlib
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from assets.cli import main
from pipelines.atlassian_usage.files import reading
from pipelines.atlassian_usage.files.layouts import Layouts
from pipelines.atlassian_usage.files.problems import Problem, RejectedFileError
from pipelines.atlassian_usage.files.rows import identity
from tests.atlassian_usage.folder import Exports
from tests.clock import NOW
from tests.conftest import Worlds
from tests.sandbox.platform_exports import Row, write_rows

USERS = """
[[layout]]
name = "credits by user"
headers = ["Tag", "Nutzer", "Verbrauch"]
date_format = "%d.%m.%Y"
decimal = ","
[layout.columns]
period_start = "Tag"
scope_id = "Nutzer"
quantity = "Verbrauch"
[layout.constants]
org_id = "orgx"
usage_type = "rovo_credits"
scope_type = "user"
granularity = "day"
unit = "credits"
[layout.leave_out]
Nutzer = ["Summe"]
"""
LINES = "Tag;Nutzer;Verbrauch;Notiz\n05.11.2026;ann@x;1.234,5;\n05.11.2026;Summe;1.234,5;\n"


def saved(folder: Path, columns: str, name: str, content: bytes) -> Path:
    """A file, and columns.toml beside it."""
    (folder / "columns.toml").write_text(columns)
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize(
    "content",
    [
        LINES.encode(),
        LINES.encode("utf-8-sig"),
        LINES.encode("utf-16"),
        LINES.replace("\n", "\r\n").encode(),
        LINES.replace(";", "\t").encode("utf-16"),
        LINES.replace("1.234,5", '"1.234,5"').replace(";", ",").encode(),
        LINES.replace("1.234,5", "1\u202f234,5").encode(),
    ],
)
def test_a_file_of_a_known_layout_loads(tmp_path: Path, content: bytes) -> None:
    """Whatever its encoding, line ends and delimiter; a total is left out."""
    path = saved(tmp_path, USERS, "credits 2026-11-20.csv", content)
    (row,) = reading.read(path, NOW, layouts=Layouts.in_folder(tmp_path)).to_pylist()
    told = {name: value for name, value in row.items() if value is not None}
    del told["file_name"], told["file_sha256"]
    assert told == {
        "contract_version": "1",
        "org_id": "orgx",
        "usage_type": "rovo_credits",
        "scope_type": "user",
        "scope_id": "ann@x",
        "period_start": datetime(2026, 11, 5, tzinfo=UTC),
        "period_end": datetime(2026, 11, 6, tzinfo=UTC),
        "granularity": "day",
        "quantity": Decimal("1234.5"),
        "unit": "credits",
        "is_final": False,
        "exported_at": datetime(2026, 11, 20, tzinfo=UTC),
        "source": "ui_export",
        "line": 2,
    }


def quantities(path: Path) -> list[Decimal]:
    """Of a file, as the columns.toml beside it has them."""
    layouts = Layouts.in_folder(path.parent)
    rows = reading.read(path, NOW, layouts=layouts).to_pylist()
    return [row["quantity"] for row in rows]


@pytest.mark.parametrize("above", ["# by the page\n", "\n", ";;;\n"])
def test_a_header_below_others_and_over_two_lines_is_found(tmp_path: Path, above: str) -> None:
    """Its separator is that of the first row that is neither blank nor a comment."""
    lines = above + LINES.replace("Notiz", '"No\ntiz; a"')
    path = saved(tmp_path, USERS, "2026-11-20.csv", lines.encode())
    assert quantities(path) == [Decimal("1234.5")]


def test_a_number_of_a_workbook_has_a_point_whatever_the_layout_says(tmp_path: Path) -> None:
    """A cell that is a number is none of decimal commas: 1234.567 was read as 1234567."""
    path = saved(tmp_path, USERS, "2026-11-20.xlsx", b"")
    line: Row = {"Tag": "05.11.2026", "Nutzer": "ann", "Verbrauch": Decimal("1234.567")}
    write_rows(path, [line, line | {"Tag": "06.11.2026", "Verbrauch": "1.234,567"}], "xlsx")
    assert quantities(path) == [Decimal("1234.567"), Decimal("1234.567")]


@pytest.mark.parametrize("number", ["1.5", "0.125", "1234.567", "1.2345", "1.234.56", "1,2,3"])
def test_a_point_that_parts_no_groups_of_three_is_refused(tmp_path: Path, number: str) -> None:
    """Where decimals have a comma: it is not taken away, as if it did."""
    path = saved(tmp_path, USERS, "2026-11-20.csv", LINES.replace("1.234,5", number).encode())
    with pytest.raises(RejectedFileError, match="line 2, column quantity: "):
        quantities(path)


CYCLES = """
[[layout]]
name = "cycles"
headers = ["From", "To", "Org", "Used", "At"]
date_format = "%d %b %Y %H:%M"
zone = "Australia/Sydney"
last_day = true
[layout.columns]
period_start = "From"
period_end = "To"
org_id = "Org"
scope_id = "Org"
quantity = "Used"
exported_at = "At"
[layout.constants]
usage_type = "rovo_credits"
scope_type = "org"
granularity = "month"
unit = "credits"
"""


def test_a_month_from_a_day_that_the_next_one_lacks_has_no_end(tmp_path: Path) -> None:
    """Where it ends nobody said: it is asked for, line by line, and not guessed."""
    months = USERS.replace('granularity = "day"', 'granularity = "month"')
    lines = LINES.replace("05.11.2026", "31.08.2026").encode()
    path = saved(tmp_path, months, "credits 2026-11-20.csv", lines)
    with pytest.raises(RejectedFileError, match="line 2, column period_end: is blank") as caught:
        reading.read(path, NOW, layouts=Layouts.in_folder(tmp_path))
    assert [problem.line for problem in caught.value.problems] == [2]


def test_last_days_and_a_zone(tmp_path: Path) -> None:
    """A period ends after its last day; a time of day is one of the zone, a date is a date."""
    line = 'From,To,Org,Used,At\n2026-10-15,2026-11-14,o,"1,000.5",20 Nov 2026 09:30\n'
    path = saved(tmp_path, CYCLES, "a.csv", line.encode())
    (row,) = reading.read(path, NOW, layouts=Layouts.in_folder(tmp_path)).to_pylist()
    found = {row[name] for name in ("period_start", "period_end", "exported_at", "quantity")}
    assert found == {
        datetime(2026, 10, 15, tzinfo=UTC),
        datetime(2026, 11, 15, tzinfo=UTC),
        datetime(2026, 11, 19, 22, 30, tzinfo=UTC),
        Decimal("1000.5"),
    }


@pytest.mark.parametrize("at", ["01.11.2026 00:00", "2026-11-01 00:00:00", "2026-10-31T23:00Z"])
def test_midnight_is_a_time_of_day_of_a_reading(tmp_path: Path, at: str) -> None:
    """In Berlin it is read in October, UTC; the midnight of a day is its date, as in a workbook."""
    columns = USERS.replace("%d.%m.%Y", '%d.%m.%Y %H:%M"\nzone = "Europe/Berlin')
    columns = columns.replace('"day"', '"snapshot"')
    columns = columns.replace("quantity =", 'exported_at = "Tag"\nquantity =')
    path = saved(tmp_path, columns, "a.csv", f"Tag;Nutzer;Verbrauch\n{at};ann@x;7\n".encode())
    (row,) = reading.read(path, NOW, layouts=Layouts.in_folder(tmp_path)).to_pylist()
    read_at = datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert {row[name] for name in ("period_start", "period_end", "exported_at")} == {read_at}
    saved(tmp_path, columns.replace('"snapshot"', '"day"'), "a.csv", path.read_bytes())
    if at.endswith("Z"):
        return
    (row,) = reading.read(path, NOW, layouts=Layouts.in_folder(tmp_path)).to_pylist()
    assert row["period_start"] == datetime(2026, 11, 1, tzinfo=UTC)
    assert row["exported_at"] == read_at


@pytest.mark.parametrize("last_day", [True, False])
def test_a_period_ends_by_its_own_granularity(tmp_path: Path, last_day: bool) -> None:
    """However that is written; a reading ends when it is read, where a period_end is the last day,
    too."""
    columns = USERS.replace('granularity = "day"\n', "").replace('", "V', '", "Was", "V')
    columns = columns.replace("[layout.columns]", '[layout.columns]\ngranularity = "Was"')
    if last_day:
        columns = columns.replace('", "V', '", "Bis", "V').replace("date", "last_day = true\ndate")
        columns = columns.replace("[layout.columns]", '[layout.columns]\nperiod_end = "Bis"')
    starts = ("05.11.2026", "01.11.2026", "2026-11-05T09:30")
    ends = ("05.11.2026", "30.11.2026", "2026-11-05T09:30")
    lines = "Tag;Nutzer;Was;Bis;Verbrauch\n" + "".join(
        f"{start};ann@x;{granularity};{end};7\n"
        for start, granularity, end in zip(starts, ("Day", "MONTH", " Snapshot"), ends, strict=True)
    )
    path = saved(tmp_path, columns, "2026-11-20.csv", lines.encode())
    rows = reading.read(path, NOW, layouts=Layouts.in_folder(tmp_path)).to_pylist()
    assert [row["period_end"] for row in rows] == [
        datetime(2026, 11, 6, tzinfo=UTC),
        datetime(2026, 12, 1, tzinfo=UTC),
        datetime(2026, 11, 5, 9, 30, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.csv", LINES, "line 2, column exported_at: is blank and may not be"),
        ("2026-11-20.csv", LINES.replace("05.11.", "05.31."), "line 2, column period_start: "),
        ("2026-11-20.csv", LINES.replace("1.234,5", "viel"), "'viel' is no plain number"),
        ("2026-11-20.csv", LINES.replace("Nutzer", "User"), "has no header with columns of the"),
        ("2026-11-20.csv", LINES.replace("Notiz", "Tag"), "'Tag' is there twice, and columns.toml"),
        ("2026-11-01 2026-11-20.csv", LINES, "line 2, column exported_at: is blank"),
    ],
)
def test_what_means_nothing_is_refused(
    tmp_path: Path, name: str, content: str, problem: str
) -> None:
    """With its line and the contract's column; and nothing of an unknown layout loads."""
    path = saved(tmp_path, USERS, name, content.encode())
    with pytest.raises(RejectedFileError) as rejected:
        reading.read(path, NOW, layouts=Layouts.in_folder(tmp_path))
    assert any(problem in str(each) for each in rejected.value.problems), rejected.value.problems


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("decimal", "decimals", "Object contains unknown field `decimals`"),
        ("scope_id", "scope", "scope is no column of the contract"),
        ('quantity = "Verbrauch"', 'quantity = "Used"', "'Used' is not among the headers"),
        ('decimal = ","', 'zone = "Mars"', "'Mars' is no time zone"),
        ("[[layout]]", "[layout", "is no file of layouts"),
    ],
)
def test_a_layout_that_cannot_be_meant_is_a_problem(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    """Of columns.toml, by the layout's name."""
    (tmp_path / "columns.toml").write_text(USERS.replace(old, new, 1))
    with pytest.raises(Problem, match=why):
        Layouts.in_folder(tmp_path)


@pytest.mark.slow
def test_a_wrong_columns_toml_keeps_no_file_of_the_contract_from_loading(
    tmp_path: Path, worlds: Worlds
) -> None:
    """It is named; once it is corrected, files in its layouts load; corrected again, anew, and what
    they said before counts no more."""
    exports = Exports.in_folder(tmp_path, worlds.begin(tmp_path, facts_alone=True))
    saved(exports.folder, "[[layout", "2026-11-20.csv", LINES.encode())
    failures = [str(failure) for failure in exports.land().failures]
    assert sum("columns.toml: is no file of layouts" in failure for failure in failures) == 1
    (exports.folder / "columns.toml").write_text(USERS)
    assert not exports.land().failures
    (exports.folder / "columns.toml").write_text(USERS.replace("orgx", "orgy"))
    assert not exports.land().failures
    assert exports.land().receipts == []
    listed = exports.raw("select file_name, file_sha256 from raw.platform_usage_files")
    corrected = hashlib.sha256(USERS.replace("orgx", "orgy").encode()).hexdigest()
    assert ("columns.toml", corrected) in listed
    exports.build()
    rows = exports.read("select org_id, quantity from marts.fct_credits order by all")
    assert rows == [("orgy", Decimal("1234.5"))]


def test_a_header_is_read_once_for_the_same_layouts(tmp_path: Path) -> None:
    """A file is known by what it was taken for then, whatever it looks like; a file of the contract
    by its content alone."""
    saved(tmp_path, USERS, "2026-11-20.csv", LINES.encode())
    layouts = Layouts.in_folder(tmp_path)
    laid_out, other = (identity(text, ".csv", layouts) for text in (LINES.encode(), b"a,b"))
    assert other == hashlib.sha256(b"a,b").hexdigest() != laid_out
    taken = f"{other}-{hashlib.sha256(USERS.encode()).hexdigest()}"
    assert identity(b"a,b", ".csv", layouts, {taken}) == taken
    plain = hashlib.sha256(LINES.encode()).hexdigest()
    assert identity(LINES.encode(), ".csv", layouts, {plain}) == plain
    assert identity(LINES.encode(), ".csv", layouts, {taken, other}) == laid_out


def test_check_proposes_a_layout_that_loads(tmp_path: Path) -> None:
    """It shows the header and three rows; what it proposes needs the constants filled in alone."""
    content = "Date,User email,Credits used\n2026-11-05,ann@x,5\n2026-11-05,bob@x,7\n"
    path = saved(tmp_path, "", "usage 2026-11-20.csv", content.encode())
    (tmp_path / "columns.toml").unlink()
    arguments = ["platform-usage", "check", str(path), "--folder", str(tmp_path)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert "Date | User email | Credits used\n  2026-11-05 | ann@x | 5" in done.output
    entry = done.output.partition("in the folder:\n\n")[2]
    for name, value in {
        "org_id": "orgx",
        "usage_type": "rovo_credits",
        "scope_type": "user",
        "granularity": "day",
        "unit": "credits",
    }.items():
        assert f'{name} = ""' in entry
        entry = entry.replace(f'{name} = ""', f'{name} = "{value}"')
    entry = entry.replace('exported_at = ""', "")
    (tmp_path / "columns.toml").write_text(entry)
    done = CliRunner().invoke(main, arguments)
    assert not done.exit_code
    assert " ".join(done.output.split()) == f"{path}: fine: 2 lines, rovo_credits"


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_check_looks_where_files_are_loaded_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A layout beside the files holds without --folder, wherever PLATFORM_USAGE_DIR is set."""
    (tmp_path / "exports").mkdir()
    path = saved(tmp_path / "exports", USERS, "2026-11-20.csv", LINES.encode())
    monkeypatch.chdir(tmp_path)
    arguments = ["platform-usage", "check", str(path)]
    monkeypatch.delenv("PLATFORM_USAGE_DIR", raising=False)
    assert "no header with columns" in " ".join(CliRunner().invoke(main, arguments).output.split())
    if place == ".env":
        (tmp_path / ".env").write_text("PLATFORM_USAGE_DIR=exports\n")
    else:
        monkeypatch.setenv("PLATFORM_USAGE_DIR", "exports")
    done = CliRunner().invoke(main, arguments)
    assert not done.exit_code, done.output
    (tmp_path / ".env").write_bytes(b"A=\xff")
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert ".env cannot be read: it has to be text in UTF-8" in done.output


def test_what_a_terminal_would_obey_is_only_shown(tmp_path: Path) -> None:
    """Of a header, of a cell, and of a name that is told as wrong."""
    for header in ("Date\x1b[2J,Credits used", "usage_type,Credits\x1b[2J used"):
        path = saved(tmp_path, "", "a.csv", f"{header}\n2026-11-05,\x1b]0;me\x07\n".encode())
        said = CliRunner().invoke(main, ["platform-usage", "check", str(path)]).output
        assert "\N{REPLACEMENT CHARACTER}[2J" in said
        assert not {*said} & {"\x1b", "\x07"}


def proposed(path: Path, **constants: str) -> str:
    """What check proposes for a file, with these constants filled in."""
    arguments = ["platform-usage", "check", str(path), "--folder", str(path.parent / "none")]
    entry = CliRunner().invoke(main, arguments).output.partition("in the folder:\n\n")[2]
    for name, value in constants.items():
        entry = re.sub(f'^{name} = ""', f'{name} = "{value}"', entry, flags=re.M)
    return entry


CYCLES_OF_APPS = """\
Period start;Period end;Read;Feature;Used;Cost;Limit
15. Oct 2026;14. Nov 2026;20. Nov 2026;Chat;5;1;1,500
15. Oct 2026;14. Nov 2026;20. Nov 2026;Search;6;3;1,500
Subtotal;14. Nov 2026;20. Nov 2026;Apps;11;4;1,500
Total;14. Nov 2026;20. Nov 2026;;11;4;1,500
"""


def test_a_proposal_loads_nothing_wrong_and_what_its_blanks_say(tmp_path: Path) -> None:
    """How dates and decimals are written, of which zone times are, whether a period_end is the last
    day, which of two columns is meant, and totals under any header: each has to be filled in."""
    path = saved(tmp_path, "", "a.csv", CYCLES_OF_APPS.encode())
    known = {"org_id": "o", "usage_type": "rovo_credits", "scope_type": "org", "scope_id": "o"}
    entry = proposed(path, **known, granularity="month", unit="credits", exported_at="2026-11-20")
    assert '# what one of these says goes above: ["Feature"]\n' in entry
    entry = entry.replace("[layout.columns]", '[layout.columns]\napp = "Feature"')
    for blank, meant in (
        ('date_format = ""', 'date_format = "%d. %b %Y"'),
        ('last_day = ""', "last_day = true"),
        ('decimal = ""', 'decimal = "."'),
        ('period_start = ""', 'period_start = "Period start"'),
        ('quantity = ""', 'quantity = "Used"'),
        ('"" = ["Subtotal","Total"]', '"Period start" = ["Subtotal","Total"]'),
        ('"" = ["Apps",""]', '"Feature" = ["Apps", ""]'),
    ):
        (tmp_path / "columns.toml").write_text(entry)
        with pytest.raises(Problem):
            quantities(path)
        assert entry.count(blank) == 1, entry
        entry = entry.replace(blank, meant)
    (tmp_path / "columns.toml").write_text(entry)
    rows = reading.read(path, NOW, layouts=Layouts.in_folder(tmp_path)).to_pylist()
    told = ("app", "quantity", "extra_usage_limit", "period_start", "period_end")
    cycle = (datetime(2026, 10, 15, tzinfo=UTC), datetime(2026, 11, 15, tzinfo=UTC))
    assert [tuple(row[name] for name in told) for row in rows] == [
        ("Chat", 5, 1500, *cycle),
        ("Search", 6, 1500, *cycle),
    ]


@pytest.mark.parametrize(
    ("first", "blank"),
    [
        (datetime.fromisoformat("2026-11-05T09:30"), 'zone = ""  # of "2026-11-05T09:30:00"'),
        (datetime.fromisoformat("2026-11-05"), ""),
        ("November 5, 2026", 'date_format = ""  # of "November 5, 2026"'),
        ("Nov 5, 2026 9:30 PM", 'zone = ""  # of "Nov 5, 2026 9:30 PM"'),
        ("5/11/26", 'date_format = ""  # of "5/11/26"'),
        (20261105, ""),
    ],
)
def test_a_proposal_asks_how_a_date_is_meant(tmp_path: Path, first: Any, blank: str) -> None:
    """Where it can be meant in another way than ISO dates are; numbers are no dates."""
    line: Row = {"Day": first, "Who": "ann@x", "Credits": "4 336 780"}
    path = write_rows(tmp_path / "a.xlsx", [line], "xlsx")
    entry = proposed(path)
    assert 'period_start = "Day"' in entry
    assert 'quantity = "Credits"' in entry
    assert blank in entry
    assert ("zone" in entry, "date_format" in entry) == (
        "zone" in blank,
        isinstance(first, str),
    )


def test_what_may_be_meant_in_two_ways_is_blank_in_a_proposal(tmp_path: Path) -> None:
    """Which of two numbers, whether a comma is for decimals, what may be a total: pasted with all
    else filled in it loads nothing, and loads the right lines once that is, too."""
    lines = "Day;Who;Left;Credits\n" + "".join(
        f"2026-11-{day:02};{who};9;{used}\n"
        for day in (5, 6)
        for who, used in (("ann@x", "1,500"), ("bob@x", "0,250"), ("Alle", "1,750"))
    )
    path = saved(tmp_path, "", "2026-11-20.csv", lines.encode())
    (tmp_path / "columns.toml").unlink()
    arguments = ["platform-usage", "check", str(path), "--folder", str(tmp_path)]
    entry = CliRunner().invoke(main, arguments).output.partition("in the folder:\n\n")[2]
    entry = entry.replace('exported_at = ""', "").replace('usage_type = ""', 'usage_type = "steps"')
    for name in ("org_id", "unit", "scope_type", "granularity"):
        value = {"scope_type": "user", "granularity": "day"}.get(name, "x")
        entry = entry.replace(f'{name} = ""', f'{name} = "{value}"')
    for blank, meant in (
        ('quantity = ""', 'quantity = "Credits"'),
        ('decimal = ""', 'decimal = ","'),
        ('"" = ["Alle"]', 'Who = ["Alle"]'),
    ):
        (tmp_path / "columns.toml").write_text(entry)
        with pytest.raises(Problem):
            quantities(path)
        assert entry.count(blank) == 1
        entry = entry.replace(blank, meant)
    (tmp_path / "columns.toml").write_text(entry)
    assert quantities(path) == [Decimal("1.5"), Decimal("0.25")] * 2
