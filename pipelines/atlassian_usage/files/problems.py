"""What is wrong with a platform usage file, and how that is said and kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.http import VendorError

LISTED = 100


@dataclass(frozen=True)
class Problem:
    """One thing wrong, and what to do about it.

    `line` is the line of a CSV or the row of a worksheet, counted from 1; None where the whole
    file is meant. `column` is the contract's name or, where it has none, the file's own.
    """

    line: int | None
    column: str | None
    reason: str

    def __str__(self) -> str:
        where = [f"line {self.line}"] if self.line is not None else []
        where += [f"column {self.column}"] if self.column else []
        return f"{', '.join(where)}: {self.reason}" if where else self.reason


class BrokenError(Exception):
    """A file that cannot be read any further."""

    def __init__(self, line: int | None, reason: str, column: str | None = None) -> None:
        super().__init__(reason)
        self.problem = Problem(line, column, reason)


class Problems:
    """What was found so far in one file: the first hundred, and how many there are beyond."""

    def __init__(self) -> None:
        self._found: list[Problem] = []
        self._cells: set[tuple[int | None, str | None]] = set()
        self.lines: set[int | None] = set()
        self.unlisted = 0

    def add(self, line: int | None, column: str | None, reason: str) -> None:
        """Note a problem, unless there is one of the same cell already."""
        if column is not None and (line, column) in self._cells:
            return
        self._cells.add((line, column))
        self.lines.add(line)
        if self.full:
            self.unlisted += 1
        else:
            self._found.append(Problem(line, column, reason))

    @property
    def full(self) -> bool:
        """As many as are listed have been found."""
        return len(self._found) >= LISTED

    def listed(self) -> list[Problem]:
        """At most a hundred, in the order of the file."""
        return sorted(self._found, key=lambda problem: problem.line or 0)


class RejectedFileError(VendorError):
    """A platform usage file that breaks the contract, of which therefore nothing is loaded.

    `problems` lists at most a hundred; where there are that many, the file was read no further
    than to the end of the batch that has the hundredth, and `unlisted` counts that batch's rest.
    """

    def __init__(
        self, path: Path, problems: Sequence[Problem], sha256: str | None = None, unlisted: int = 0
    ) -> None:
        self.path = path
        self.problems = list(problems)
        self.file_sha256 = sha256
        self.unlisted = unlisted
        super().__init__(
            f"Platform usage file {path}: {self.problems[0]}{self._rest()}. Nothing of this file "
            "was loaded; other files are loaded all the same."
        )

    def _rest(self) -> str:
        more = len(self.problems) - 1 + self.unlisted
        if not more:
            return ""
        at_least = "at least " if len(self.problems) >= LISTED else ""
        return f"; and {at_least}{more} more (`meterhouse platform-usage check` lists them)"
