"""`meterhouse platform-usage`: write a file to fill in, and check files before they are dropped."""

import sys
import textwrap
from pathlib import Path

import click

from pipelines.source import readable


@click.group("platform-usage")
def platform_usage() -> None:
    """Files of Atlassian platform usage: a template, and a check."""


@platform_usage.command()
@click.argument("path", type=click.Path(path_type=Path), default="platform-usage-template.csv")
def template(path: Path) -> None:
    """Write an empty file to fill in: a CSV, or a workbook where PATH ends in .xlsx."""
    try:
        _write_template(path)
    except OSError as error:
        reason = f"{path} cannot be written ({error.strerror}): name another file"
        raise click.ClickException(reason) from None
    click.echo(f"wrote {path}")


def _write_template(path: Path) -> None:
    """Comment lines, the file's own first and then one for each column, and the header."""
    from xlsxwriter import Workbook

    from pipelines.atlassian_usage.files.contract import COLUMNS

    skipped = "# save this under a name that does not end in template: such files are skipped"
    about = [f"# {c.name}: {'' if c.required else '(may be blank) '}{c.help}" for c in COLUMNS]
    rows = [[skipped], *([line] for line in about), [column.name for column in COLUMNS]]
    if path.suffix.casefold() == ".csv":
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(",".join(row) + "\n" for row in rows)
    elif path.suffix.casefold() == ".xlsx":
        with path.open("xb") as archive, Workbook(archive) as book:
            # as text: an id that looks like a number, and a date, stay what is typed
            sheet, as_text = book.add_worksheet("usage"), book.add_format({"num_format": "@"})
            sheet.set_column(0, 200, 20, as_text)
            for number, texts in enumerate(rows):
                sheet.write_row(number, 0, texts, as_text)
    else:
        raise click.UsageError(f"{path}: a template ends in .csv or .xlsx")


@platform_usage.command()
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=Path)
@click.option("--folder", type=Path, help="That of columns.toml. Default: PLATFORM_USAGE_DIR.")
@click.pass_context
def check(context: click.Context, paths: tuple[Path, ...], folder: Path | None) -> None:
    """Say what is wrong in each FILE, line by line; nothing is loaded.

    Of a file that is laid out in an unknown way, show what is seen and propose an entry of
    columns.toml. Exit code 1 where anything is wrong.
    """
    from pipelines.atlassian_usage.files import reading as files
    from pipelines.atlassian_usage.files.layouts import Layouts
    from pipelines.atlassian_usage.files.problems import Problem, RejectedFileError

    try:
        layouts = Layouts.in_folder(where := folder or _folder_that_is_set(context))
    except Problem as error:
        raise click.ClickException(f"{where / 'columns.toml'}: {error}") from None
    is_wrong = False
    for path in paths:
        try:
            table = files.read(path, context.obj(), layouts=layouts)
        except RejectedFileError as error:
            is_wrong = True
            what = "or more problem" if error.unlisted else "problem"
            _show(f"{path}: {_counted(len(error.problems) + error.unlisted, what)}")
            for problem in error.problems:
                _show(str(problem), indent="  ")
            if error.unlisted:
                _show(f"... the first {len(error.problems)} are listed", indent="  ")
            if seen := files.proposed(path):
                click.echo(readable(f"\n{seen}", keep="\n"))
        else:
            types = ", ".join(sorted({*table["usage_type"].to_pylist()}))
            _show(f"{path}: fine: {_counted(len(table), 'line')}, {types}")
    sys.exit(is_wrong)


def _folder_that_is_set(context: click.Context) -> Path:
    """The one that files are loaded from, so that they are checked as they will be loaded."""
    try:
        folder: Path = context.meta["settings_of"]("atlassian_usage").folder
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return folder


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _show(text: str, indent: str = "") -> None:
    """Print within 80 columns, values and paths never cut or broken."""
    shown = textwrap.fill(
        text,
        80,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    click.echo(readable(shown, keep="\n"))
