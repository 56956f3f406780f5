"""An empty file to fill in, with a line of help for every column before its header."""

import zipfile
from pathlib import Path
from string import ascii_uppercase
from xml.sax.saxutils import escape

from pipelines.atlassian_usage.files.contract import COLUMNS

# the parts of a workbook, whose sheet is still without rows
_WORKBOOK = Path(__file__).with_name("workbook")


def template(path: Path) -> None:
    """Write an empty .csv or .xlsx file; FileExistsError where something is there already.

    Another ending is a ValueError.
    """
    if path.suffix.casefold() == ".csv":
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(",".join(row) + "\n" for row in _rows())
    elif path.suffix.casefold() == ".xlsx":
        with path.open("xb") as book, zipfile.ZipFile(book, "w", zipfile.ZIP_DEFLATED) as archive:
            for part in sorted(part for part in _WORKBOOK.rglob("*") if part.is_file()):
                xml = part.read_text(encoding="utf-8").replace("<sheetData/>", _sheet_data())
                archive.writestr(part.relative_to(_WORKBOOK).as_posix(), xml)
    else:
        raise ValueError(f"{path}: a template ends in .csv or .xlsx")


def _rows() -> list[list[str]]:
    """The comment lines, the file's own first, and the header."""
    skipped = "# save this under a name that does not end in template: such files are skipped"
    lines = [f"# {c.name}: {'' if c.required else '(may be blank) '}{c.help}" for c in COLUMNS]
    return [[skipped], *([line] for line in lines), [column.name for column in COLUMNS]]


def _sheet_data() -> str:
    rows = ""
    for number, texts in enumerate(_rows(), start=1):
        cells = (
            f'<c r="{ascii_uppercase[at]}{number}" s="1" t="inlineStr"><is><t>{text}</t></is></c>'
            for at, text in enumerate(map(escape, texts))
        )
        rows += f'<row r="{number}">{"".join(cells)}</row>'
    return f"<sheetData>{rows}</sheetData>"
