"""The pages of the documentation, and what stands in them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# followed to the letter by tests/test_adding_a_vendor.py: what it names is yet to be made
ADDING_A_VENDOR = DOCS / "adding_a_vendor.md"
# a question in bold, SQL, and the table printed below it
_ANSWERS = re.compile(
    r"\*\*([^*]+\?)\*\*[^`]*?(?:`[^`\n]+`[^`]*?)*```sql\n(.*?)```\n\n(\|.*?)\n\n", re.S
)
_BLOCK = re.compile(r"```.*?```", re.S)


def read(path: Path) -> str:
    """A page as text."""
    return path.read_text(encoding="utf-8")


PAGES = {
    path.relative_to(ROOT).as_posix(): read(path)
    for path in [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
}
# what is said of the product as it is: neither history nor a vendor that is yet to come
CURRENT = {
    name: text
    for name, text in PAGES.items()
    if name not in ("CHANGELOG.md", "docs/adding_a_vendor.md")
}


def answers(text: str) -> dict[str, tuple[str, str]]:
    """By question its SQL and the table printed below it."""
    return {question: (sql, table) for question, sql, table in _ANSWERS.findall(text + "\n\n")}


def section(page: str, heading: str) -> str:
    """The text under a heading of a page, up to the next one."""
    return re.split(r"\n#+ ", re.split(rf"\n#+ {re.escape(heading)}\n", PAGES[page])[1])[0]


def cells(line: str) -> list[str]:
    """The cells of a line of a table, without code marks."""
    return [cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")]


def table(text: str) -> list[list[str]]:
    """The cells of the lines below the header of the one table in a text."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [cells(line) for line in lines[2:]]


def words_in_code(text: str) -> set[str]:
    """What stands between backticks, outside of blocks."""
    return set(re.findall(r"`([^`\n]+)`", _BLOCK.sub("", text)))


def blocks(text: str, kind: str) -> list[str]:
    """The blocks of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.S | re.M)
