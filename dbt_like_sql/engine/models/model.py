"""One model, as the rest of the engine knows it: nothing here needs the parser."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from dbt_like_sql.engine.warehouse import literal
from dbt_like_sql.engine.windows import ALL_TIME, EVERYTHING, Windows, condition

_IN_WINDOW = re.compile(r'IN_WINDOW\("(.+?)"\)')
# an input table, and its column
Source = tuple[str, str]
SCHEMAS = ("staging", "intermediate", "marts", "reports")


class ModelError(ValueError):
    """A model file that cannot be used, as `file:line: why`."""

    def __init__(self, path: Path, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}")


@dataclass(frozen=True)
class Model:
    """One model: what its file says, what it reads and a fingerprint of what it computes.

    `window` is the column by which a table is built a window at a time and a view is filtered, with
    `by_month` by whole months, for what looks across the days of one.
    `column_docs`: what columns mean, by their own comment or that of the one column they pass on.
    `lineage`: the columns of its inputs that each is made from, () where none is told.
    `expects_no_rows`: each row that it holds is trouble. `keeps_grain`: its rows are those of its
    one input, or some of them, so their grain holds where that of the input does.
    `fingerprint` covers the SELECT, the header words, the input models and seeds; not comments.
    `whole` and `windowed` are its SELECT as a build runs it, over all of time and over a window;
    `IN_WINDOW("column")`, `$now` and `$today` stand for what a build puts there.
    """

    name: str
    schema: str
    table: str
    path: Path
    sql: str
    description: str
    grain: tuple[str, ...]
    checks: tuple[str, ...]
    window: str | None
    by_month: bool
    is_view: bool
    expects_no_rows: bool
    inputs: tuple[str, ...]
    columns: tuple[str, ...]
    column_docs: Mapping[str, str]
    fingerprint: str
    whole: str
    # what follows from other files, too
    windowed: str = ""
    keeps_grain: bool = False
    lineage: Mapping[str, tuple[Source, ...]] = field(default_factory=dict)

    @property
    def is_windowed_table(self) -> bool:
        """Built a window at a time; every other table is built whole."""
        return self.window is not None and not self.is_view

    def moment(self, instant: datetime | None) -> str:
        """What its rows follow of the time, though no input changes: the hour, or the day where it
        asks for no more; nothing where it does not ask."""
        precision = "%Y-%m-%d" if "$today" in self.whole else ""
        precision = "%Y-%m-%d %H" if "$now" in self.whole else precision
        return instant.astimezone(UTC).strftime(precision) if instant else ""

    def select(self, windows: Windows = EVERYTHING, now: datetime | None = None) -> str:
        """The SELECT over windows; over all of time it is the SELECT as written.

        `now` is the answer wherever it asks for the time; without it the question stays. Windows
        are a filter on each windowed input and again round the output: DuckDB does not push the
        outer one through casts (a day took 280 ms with it alone, 10 ms with the inner one).
        """
        if ALL_TIME in windows or self.window is None:
            utc = now.astimezone(UTC) if now else None
            today = f"date '{utc:%Y-%m-%d}'" if utc else "current_date"
            asked = self.whole.replace("$now", literal(utc) if utc else "current_timestamp")
            return asked.replace("$today", today)
        filtered = _IN_WINDOW.sub(lambda of: condition(of[1], windows), self.windowed)
        return f"select * from ({filtered}) as built where {condition(self.window, windows)}"  # noqa: S608


def fingerprinted(models: Iterable[Model], seeds: Mapping[str, str]) -> Iterator[Model]:
    """The models, inputs before readers, whose fingerprints are of their own text as yet, with
    fingerprints that cover what they read, too: `seeds` by their hash, and each other."""
    prints = dict(seeds)
    for model in models:
        read = (f"{name} {prints.get(name, '')}" for name in model.inputs)
        text = "\n".join([model.fingerprint, *read])
        prints[model.name] = hashlib.sha256(text.encode()).hexdigest()
        yield replace(model, fingerprint=prints[model.name])
