"""An empty file to fill in, with a line of help for every column."""

import csv
import os
from pathlib import Path

from pipelines.atlassian_usage.files.contract import COLUMNS
from pipelines.atlassian_usage.files.xlsx import SHEET


def template(path: Path) -> None:
    """Write an empty .csv or .xlsx file; FileExistsError where something is there already.

    In a CSV, `# column: help` lines stand before the header; in a workbook, on a second sheet.
    Another ending is a ValueError.
    """
    writers = {".csv": _write_csv, ".xlsx": _write_xlsx}
    write = writers.get(path.suffix.casefold())
    if write is None:
        raise ValueError(f"{path}: a template ends in .csv or .xlsx")
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    write(path)


def _help() -> list[str]:
    """The lines of help, the file's own first."""
    lines = [
        f"{column.name}: {'' if column.required else '(may be blank) '}{column.help}"
        for column in COLUMNS
    ]
    return ["save this under a name that does not end in template: such files are skipped", *lines]


def _write_csv(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(f"# {line}\n" for line in _help())
        csv.writer(file, lineterminator="\n").writerow(column.name for column in COLUMNS)


def _write_xlsx(path: Path) -> None:
    import openpyxl  # type: ignore[import-untyped]  # here, because it costs half a second

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = SHEET
    sheet.append([column.name for column in COLUMNS])
    about = book.create_sheet("help")
    for line in _help():
        about.append([line])
    book.save(path)
