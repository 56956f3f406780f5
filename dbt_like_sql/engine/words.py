"""What a warehouse says when it cannot be used, and what every connection to one has in common."""

import contextlib
import re
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb

from dbt_like_sql.engine.lakes.address import Warehouse

NOTHING_BUILT = "nothing has been built yet: run `meterhouse run`"
# a wait this long is worth a word
SILENT_SECONDS = 1.0
# a variable of a connection to a lake: the path beside which this machine keeps its notes of it
BESIDE = "meterhouse_beside"
# nothing is fetched to read a file that is none of DuckDB's
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
# whatever was set in an engine before; a worker of Dagster's is no file, which DuckDB takes for a
# person at a prompt, to whom it shows a bar
AS_BEFORE = (
    "set TimeZone = 'UTC'; set enable_progress_bar = false; reset memory_limit; reset threads"
)

# what comes of a disk or a file, and not of a query
_OF_STORAGE = (
    OSError,
    sqlite3.Error,
    duckdb.IOException,
    duckdb.TransactionException,
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.SerializationException,
    duckdb.OutOfMemoryException,
)
_SAFE = "Nothing of this step was kept, what landed before is untouched: then run the same again."
_ADVICE = {
    "not a database|malformed": "Delete it under $XDG_STATE_HOME/meterhouse: it is made anew.",
    "(?i)is a directory|is no file": "Move it away, it stands in the place of a file; nothing was"
    " changed.",
    "(?i)request budget.*(permission|not permitted|read-?only|directory|file exists)": "Let this"
    " user write there, or set XDG_STATE_HOME to another place; nothing was changed.",
    "No space left|is full|quota|max_temp_directory_size|too large|disk I/O": "Free some space. "
    f"{_SAFE}",
    "(?i)permission|not permitted|read-?only|directory|file exists": "Let this user write its"
    " folder and its files, or set WAREHOUSE to another place; nothing was changed.",
    "set lock": "A load or a build holds it: try again in a moment.",
    "memory": f"Raise MEMORY_LIMIT, or free some memory. {_SAFE}",
    "version number": "A newer DuckDB wrote it: use the meterhouse that did; nothing was changed.",
    "(?i)no DuckDB|corrupt|enough bytes|wal|internal|invalidated": "Put a backup in its place, or "
    "move it away and load again what the vendors still keep; nothing was changed.",
    "": f"See what is wrong with it. {_SAFE}",
}


class WarehouseError(RuntimeError):
    """The warehouse, or a file beside it, cannot be used; the text says why, and what to do."""


class WarehouseBusyError(WarehouseError):
    """Somebody else held the warehouse for longer than we were ready to wait."""


@contextlib.contextmanager
def in_words(
    path: Warehouse | str = "a temporary file or a request budget", advice: str = ""
) -> Iterator[None]:
    """What a disk or a file does not allow, and what a model or a seed cannot be built of, is a
    WarehouseError of one sentence."""
    try:
        yield
    except _OF_STORAGE as error:
        text = f"{path} cannot be used: {_of_storage(str(error), advice)}"
        raise WarehouseError(text) from None
    except (duckdb.DataError, duckdb.ProgrammingError) as error:
        where = " ".join(getattr(error, "__notes__", ()))
        if not where:  # of no model and no seed: a fault of the code
            raise
        text = f"{where}: {_of_model(str(error).splitlines())}"
        raise WarehouseError(text) from None
    except duckdb.Error as error:
        if type(error) is not duckdb.Error:
            raise
        # of a catalogue that is gone, in the middle of a query to it
        what = re.sub(r' Failed to \w+ [A-Z]+ ".*":|\n.*', "", str(error), flags=re.S)
        raise WarehouseError(f"{path} cannot be used: {what}. {_ADVICE['']}") from None
    except RuntimeError as error:
        if str(error) != "Query interrupted":  # how DuckDB takes a Ctrl-C
            raise
        raise KeyboardInterrupt from None


def _of_storage(error: str, advice: str) -> str:
    """What a disk or a file does not allow, and what to do."""
    cause = error.rpartition("Original error: ")[2]  # why a checkpoint failed
    what = re.sub(r"^(\[Errno \d+\]|\w+ Error:) |[!.]?(\n.*)?$", "", cause, flags=re.S)
    found = (said for pattern, said in _ADVICE.items() if re.search(pattern, what))
    return f"{what}. {advice or next(found)}"


def _of_model(lines: list[str]) -> str:
    """What is wrong with a model or a seed: of a CSV the first line of an error says in which line,
    and another what is wrong there."""
    wrong = (line for line in lines[1:] if line.startswith(("Error when", "Expected Number")))
    what = ". ".join(line.rstrip(".") for line in (lines[0], *wrong))
    return f"{what}. Nothing was changed; readers see the build before it."


@contextlib.contextmanager
def in_place_of(file: Path) -> Iterator[Path]:
    """Where to write what takes the place of a file in one step; what failed or was killed has
    changed nothing."""
    draft = file.with_name(f"{file.name}.draft")
    try:
        yield draft
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def instance(place: Path, process: int) -> duckdb.DuckDBPyConnection:
    """DuckDB, for what a process does to the warehouse at this place. It spills into a folder of
    its own; those of processes that are gone are removed."""
    place.parent.mkdir(parents=True, exist_ok=True)
    of_machine = f"{place.name}.tmp-{socket.gethostname()}-"
    for other in place.parent.glob(f"{of_machine}*"):
        if not Path("/proc", other.name.rpartition("-")[2]).exists():  # of one that was killed
            shutil.rmtree(other, ignore_errors=True)
    spill = place.with_name(f"{of_machine}{process}")
    return duckdb.connect(config={**CONFIG, "temp_directory": str(spill)})


def busy(what: str, holder: str, seconds: float, advice: str) -> str:
    """What is said of who holds something for too long."""
    return f"{what} is in use by {holder}; waited {seconds:g} s. {advice}"


def literal(value: str | datetime | None) -> str:
    """A value as SQL writes it: with any parameter DuckDB's client imports pandas, for a second."""
    if value is None:
        return "null"
    if isinstance(value, datetime):
        return f"timestamptz '{value.isoformat(sep=' ')}'"
    return "'" + value.replace("'", "''") + "'"
