"""An empty file to fill in, with a line of help for every column before its header."""

import zipfile
from pathlib import Path
from string import ascii_uppercase
from xml.sax.saxutils import escape

from pipelines.atlassian_usage.files.contract import COLUMNS

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
<sheet name="usage" sheetId="1" r:id="rId1"/></sheets></workbook>""",
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
    if path.suffix.casefold() == ".csv":
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(",".join(row) + "\n" for row in _rows())
    elif path.suffix.casefold() == ".xlsx":
        with path.open("xb") as book, zipfile.ZipFile(book, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, xml in (_PARTS | {"xl/sheet.xml": _sheet()}).items():
                archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>\n{xml}')
    else:
        raise ValueError(f"{path}: a template ends in .csv or .xlsx")


def _rows() -> list[list[str]]:
    """The comment lines, the file's own first, and the header."""
    skipped = "# save this under a name that does not end in template: such files are skipped"
    lines = [f"# {c.name}: {'' if c.required else '(may be blank) '}{c.help}" for c in COLUMNS]
    return [[skipped], *([line] for line in lines), [column.name for column in COLUMNS]]


def _sheet() -> str:
    rows = ""
    for number, texts in enumerate(_rows(), start=1):
        cells = (
            f'<c r="{ascii_uppercase[at]}{number}" s="1" t="inlineStr"><is><t>{text}</t></is></c>'
            for at, text in enumerate(map(escape, texts))
        )
        rows += f'<row r="{number}">{"".join(cells)}</row>'
    columns = f'<cols><col min="1" max="{len(COLUMNS)}" width="20" style="1"/></cols>'
    return f'<worksheet xmlns="{_MAIN}">{columns}<sheetData>{rows}</sheetData></worksheet>'
