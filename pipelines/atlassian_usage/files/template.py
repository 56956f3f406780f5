"""An empty file to fill in, with a line of help for every column."""

import csv
import os
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

from pipelines.atlassian_usage.files.contract import COLUMNS
from pipelines.atlassian_usage.files.xlsx import SHEET

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {
    "[Content_Types].xml": f"""<Types xmlns="{_PACKAGE}/content-types">\
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>\
<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>\
<Override PartName="/xl/styles.xml" ContentType="{_KIND}.styles+xml"/>\
<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_KIND}.worksheet+xml"/>\
<Override PartName="/xl/worksheets/sheet2.xml" ContentType="{_KIND}.worksheet+xml"/></Types>""",
    "_rels/.rels": f"""<Relationships xmlns="{_PACKAGE}/relationships">\
<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>\
</Relationships>""",
    "xl/workbook.xml": f"""<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>\
<sheet name="{SHEET}" sheetId="1" r:id="rId1"/><sheet name="help" sheetId="2" r:id="rId2"/>\
</sheets></workbook>""",
    "xl/_rels/workbook.xml.rels": f"""<Relationships xmlns="{_PACKAGE}/relationships">\
<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>\
<Relationship Id="rId2" Type="{_OFFICE}/worksheet" Target="worksheets/sheet2.xml"/>\
<Relationship Id="rId3" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>""",
    # style 1 is text: an id that looks like a number stays what was typed
    "xl/styles.xml": f"""<styleSheet xmlns="{_MAIN}"><fonts count="1"><font/></fonts>\
<fills count="1"><fill><patternFill/></fill></fills><borders count="1"><border/></borders>\
<cellStyleXfs count="1"><xf/></cellStyleXfs>\
<cellXfs count="2"><xf/><xf numFmtId="49" applyNumberFormat="1"/></cellXfs>\
<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>\
</styleSheet>""",
}


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
    parts = _PARTS | {
        "xl/worksheets/sheet1.xml": _sheet([[column.name for column in COLUMNS]]),
        "xl/worksheets/sheet2.xml": _sheet([[line] for line in _help()]),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, xml in parts.items():
            archive.writestr(name, _XML + xml)


def _sheet(rows: list[list[str]]) -> str:
    """A worksheet of texts, whose columns are text."""
    lines = []
    for number, row in enumerate(rows, start=1):
        cells = (
            f'<c r="{chr(ord("A") + at)}{number}" s="1" t="inlineStr"><is><t>{text}</t></is></c>'
            for at, text in enumerate(map(escape, row))
        )
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    columns = f'<cols><col min="1" max="{len(rows[0])}" width="20" style="1"/></cols>'
    return (
        f'<worksheet xmlns="{_MAIN}">{columns}<sheetData>{"".join(lines)}</sheetData></worksheet>'
    )
