"""What the terminal shows: tables for people, plain lines elsewhere, nothing for --json."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import count

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from assets.runs.loading import Progress, forecast
from pipelines.endpoint import Endpoint
from pipelines.source import Slice, readable
from pipelines.windows import Window

LINE_EVERY_SECONDS = 60.0
ROWS_SHOWN = 12
# what everything fits into; where there is more room, names have it
NARROW = 80
# what is left of a name, however large numbers are
SHORTEST = 12
# told how many slices are done, of how many
Show = Callable[[int, int], None]

numbers = partial(Column, no_wrap=True, justify="right")


class Report:
    """A place to show progress and results; silent when a script asked for JSON, and where only
    what failed is wanted (`is_quiet`)."""

    def __init__(self, as_json: bool, is_quiet: bool = False) -> None:
        # names are the vendors': [/b] or :tada: in one is no markup
        plain = partial(Console, highlight=False, soft_wrap=True, markup=False, emoji=False)
        self.console = plain(quiet=as_json or is_quiet)
        self.errors = plain(stderr=True)
        self._failing = self.errors if is_quiet and not as_json else self.console

    def say(self, text: str) -> None:
        """A line, or some."""
        self.console.print(readable(text, keep="\n"))

    def fail(self, text: str, label: str = "FAILED", indent: str = "") -> None:
        """The same of what went wrong; lines below the first are rows, of which the start tells."""
        first, *rows = text.split("\n")
        cut = [row if len(row) < (w := self.console.width) else row[: w - 1] + "…" for row in rows]
        self._failing.print(_failed("\n".join([first, *cut]), label, indent))

    def end(self, text: str) -> None:
        """The last line of a command that failed; also where a script asked for JSON."""
        self.errors.print(_failed(text, "FAILED", ""))

    @contextmanager
    def loading(self, endpoint: Endpoint, window: Window | None) -> Iterator[Progress]:
        """Progress while an endpoint is loaded: a bar on a terminal, elsewhere a line a minute."""
        text = f"{endpoint.table} since {window.since:%Y-%m-%d}" if window else endpoint.table
        has_bar = self.console.is_terminal and not self.console.quiet
        with self._bar(text) if has_bar else self._lines(text) as show:

            def started(total: int, minutes: float) -> Callable[[Slice], None]:
                if minutes >= 1:
                    self.say(f"  {forecast(endpoint, total, minutes)}")
                done = count(1)
                show(0, total)
                return lambda _: show(next(done), total)

            yield started

    @contextmanager
    def _bar(self, text: str) -> Iterator[Show]:
        from rich import progress  # here: mostly nothing is due, or nobody looks on

        columns = (
            progress.SpinnerColumn(),
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(bar_width=10),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(),
        )
        with progress.Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(text, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    @contextmanager
    def _lines(self, text: str) -> Iterator[Show]:
        said_at = time.monotonic()

        def show(done: int, total: int) -> None:
            nonlocal said_at
            if time.monotonic() - said_at > LINE_EVERY_SECONDS:
                said_at = time.monotonic()
                self.say(f"  {text}: {done} of {total} done")

        yield show

    def words(self, heading: str, width: int | None = None, share: float = 1) -> Column:
        """A column of text: so wide at the most, and its share of the room that there is more."""
        more = int(max(self.console.width - NARROW, 0) * share)
        return Column(heading, max_width=width and width + more)

    def table(
        self,
        title: str,
        columns: Sequence[Column],
        lines: Sequence[Sequence[str]],
        totals: Sequence[Sequence[str]] = (),
    ) -> None:
        """The totals and the first lines of a table; where there is no room, words are cut, and no
        number."""
        shown = [*totals, *lines[:ROWS_SHOWN]]
        for column, *texts in zip(columns, *shown, strict=True):
            widest = max(map(len, map(readable, texts)), default=0)
            column.min_width = widest if column.justify == "right" else min(widest, SHORTEST)
        table = Table(*columns, title=title, title_justify="left", box=None, padding=(0, 0, 0, 1))
        for number, cells in enumerate(shown):
            style = "bold" if number < len(totals) else None
            table.add_row(*map(_one_line, cells), style=style)
        self.console.print(table)
        if len(lines) > ROWS_SHOWN:
            self.say(f" ... and {len(lines) - ROWS_SHOWN} more")


def short(instant: datetime, grain: str) -> str:
    """An instant, as precise as a grain."""
    formats = {"hourly": "%m-%d %H:%M", "daily": "%Y-%m-%d", "monthly": "%Y-%m"}
    return instant.strftime(formats[grain])


def _one_line(cell: str) -> Text:
    return Text(readable(cell), no_wrap=True, overflow="ellipsis")


def _failed(text: str, label: str, indent: str) -> Text:
    return Text.assemble(indent, (label, "bold red"), " ", readable(text, keep="\n"))
