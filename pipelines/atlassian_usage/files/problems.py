"""What is wrong with a platform usage file, and how that is said."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipelines.source import VendorError

LISTED = 100


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818 - mostly listed, and raised where nothing can be read on
    """One thing wrong, and what to do about it.

    `line` is the line of a CSV or the row of a worksheet, counted from 1; None where the whole
    file is meant. `column` is the contract's name or, where it has none, the file's own.
    """

    reason: str
    line: int | None = None
    column: str | None = None

    def __str__(self) -> str:
        where = [f"line {self.line}"] if self.line is not None else []
        where += [f"column {self.column}"] if self.column else []
        return f"{', '.join(where)}: {self.reason}" if where else self.reason


class RejectedFileError(VendorError):
    """A platform usage file that breaks the contract, of which therefore nothing is loaded.

    `problems` are at most a hundred, one of a cell and in the order of the file; where there are
    that many values or lines that mean nothing, the file was read no further than to the end of the
    batch that has the hundredth. `unlisted` counts the rest of what was found.
    """

    def __init__(self, path: Path, problems: Iterable[Problem]) -> None:
        self.path = path
        cells: dict[tuple[int | None, str | None], Problem] = {}
        for its in problems:
            # anew: the traceback of one that was raised holds all that was read
            cells.setdefault((its.line, its.column), Problem(its.reason, its.line, its.column))
        found = sorted(cells.values(), key=lambda problem: problem.line or 0)
        self.problems, self.unlisted = found[:LISTED], len(found[LISTED:])
        more, least = len(found) - 1, "at least " if len(found) >= LISTED else ""
        rest = f"; and {least}{more} more (`meterhouse platform-usage check` lists them)"
        super().__init__(
            f"Platform usage file {path}: {found[0]}{rest if more else ''}. Nothing of this file "
            "was loaded; other files are loaded all the same."
        )
