"""An empty file to fill in, with a line of help for every column before its header."""

import csv
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

from pipelines.atlassian_usage.files.contract import COLUMNS
from pipelines.atlassian_usage.files.xlsx import SHEET

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {
    "[Content_Types].xml": f"""<Types xmlns="{_PACKAGE}/content-types">\
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>\
<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>\
<Override PartName="/xl/styles.xml" ContentType="{_KIND}.styles+xml"/>\
<Override PartName="/xl/sheet.xml" ContentType="{_KIND}.worksheet+xml"/></Types>""",
    "_rels/.rels": f"""<Relationships xmlns="{_PACKAGE}/relationships">\
<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>\
</Relationships>""",
    "xl/workbook.xml": f"""<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>\
<sheet name="{SHEET}" sheetId="1" r:id="rId1"/></sheets></workbook>""",
    "xl/_rels/workbook.xml.rels": f"""<Relationships xmlns="{_PACKAGE}/relationships">\
<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="sheet.xml"/>\
<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>""",
    # style 1 is text: an id that looks like a number, and a date, stays what was typed
    "xl/styles.xml": f"""<styleSheet xmlns="{_MAIN}"><fonts count="1"><font/></fonts>\
<fills count="1"><fill><patternFill/></fill></fills><borders count="1"><border/></borders>\
<cellStyleXfs count="1"><xf/></cellStyleXfs>\
<cellXfs count="2"><xf/><xf numFmtId="49" applyNumberFormat="1"/></cellXfs>\
<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>\
</styleSheet>""",
}


def template(path: Path) -> None:
    """Write an empty .csv or .xlsx file; FileExistsError where something is there already.

    Another ending is a ValueError.
    """
    writers = {".csv": _write_csv, ".xlsx": _write_xlsx}
    write = writers.get(path.suffix.casefold())
    if write is None:
        raise ValueError(f"{path}: a template ends in .csv or .xlsx")
    path.touch(exist_ok=False)
    write(path, _help(), [column.name for column in COLUMNS])


def _help() -> list[str]:
    """The comment lines, the file's own first."""
    lines = [
        f"# {column.name}: {'' if column.required else '(may be blank) '}{column.help}"
        for column in COLUMNS
    ]
    return [
        "# save this under a name that does not end in template: such files are skipped",
        *lines,
    ]


def _write_csv(path: Path, lines: list[str], names: list[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(f"{line}\n" for line in lines)
        csv.writer(file, lineterminator="\n").writerow(names)


def _write_xlsx(path: Path, lines: list[str], names: list[str]) -> None:
    rows = "".join(map(_row, [[line] for line in lines] + [names], range(1, len(lines) + 2)))
    columns = f'<cols><col min="1" max="{len(names)}" width="20" style="1"/></cols>'
    sheet = f'<worksheet xmlns="{_MAIN}">{columns}<sheetData>{rows}</sheetData></worksheet>'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, xml in (_PARTS | {"xl/sheet.xml": sheet}).items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>\n{xml}')


def _row(texts: list[str], number: int) -> str:
    cells = (
        f'<c r="{chr(ord("A") + at)}{number}" s="1" t="inlineStr"><is><t>{text}</t></is></c>'
        for at, text in enumerate(map(escape, texts))
    )
    return f'<row r="{number}">{"".join(cells)}</row>'
