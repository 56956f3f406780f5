"""An empty file to fill in, with a line of help for every column before its header."""

from pathlib import Path

from xlsxwriter import Workbook

from pipelines.atlassian_usage.files.contract import COLUMNS


def template(path: Path) -> None:
    """Write an empty .csv or .xlsx file; FileExistsError where something is there already.

    Another ending is a ValueError.
    """
    if path.suffix.casefold() == ".csv":
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(",".join(row) + "\n" for row in _rows())
    elif path.suffix.casefold() == ".xlsx":
        with path.open("xb") as archive, Workbook(archive) as book:
            # as text: an id that looks like a number, and a date, stay what is typed
            sheet, as_text = book.add_worksheet("usage"), book.add_format({"num_format": "@"})
            sheet.set_column(0, 200, 20, as_text)
            for number, texts in enumerate(_rows()):
                sheet.write_row(number, 0, texts, as_text)
    else:
        raise ValueError(f"{path}: a template ends in .csv or .xlsx")


def _rows() -> list[list[str]]:
    """The comment lines, the file's own first, and the header."""
    skipped = "# save this under a name that does not end in template: such files are skipped"
    lines = [f"# {c.name}: {'' if c.required else '(may be blank) '}{c.help}" for c in COLUMNS]
    return [[skipped], *([line] for line in lines), [column.name for column in COLUMNS]]
