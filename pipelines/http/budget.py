"""The request budget: so many requests per interval for one credential, across processes."""

import hashlib
import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyrate_limiter import PostgresBucket, Rate, RateItem, SQLiteBucket

# nobody wonders before
SILENT_SECONDS = 2.0
_log = logging.getLogger(__name__)


class Budget:
    """So many requests per interval for one credential, shared by every process on this machine,
    or on all that share a database.

    Kept in a SQLite file of the folder `place`, or in a table of the Postgres that libpq connects
    to by it; so a restart does not forget what was just spent. The credential itself is never
    written: the file or table carries a digest of it.
    """

    def __init__(
        self, place: Path | str, name: str, credential: str, rates: Sequence[Rate]
    ) -> None:
        self._name, self._rates, self._has_said = name, rates, False
        self._closed = threading.Event()
        self._longest_wait_seconds = max(rate.interval for rate in rates) / 1000
        called = f"{name}-{hashlib.sha256(credential.encode()).hexdigest()[:16]}"
        self._bucket: PostgresBucket | SQLiteBucket
        if isinstance(place, str):
            self._where = "request budgets in Postgres"
            with self._said():
                self._bucket = _in_postgres(place, called, rates)
            self._lock = threading.RLock()
            return
        file = place / f"{called}.sqlite"
        self._where = f"request budget {file}"
        with self._said():
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._bucket = SQLiteBucket.init_from_file(
                list(rates), db_path=str(file), use_file_lock=True
            )
        self._lock = self._bucket.lock

    def take(self) -> None:
        """Spend one request, waiting for as long as the budget demands."""
        while (wait_seconds := self._try()) > 0:
            if wait_seconds >= SILENT_SECONDS and not self._has_said:
                self._has_said = True  # once: whoever waits now will wait again
                told = (self._name, self._rates[-1].limit, wait_seconds)
                _log.warning("%s: the budget of %d requests is spent, next in %.0f s", *told)
            self.pause(wait_seconds)

    def pause(self, seconds: float) -> None:
        """Wait, in vain where this is closed meanwhile: a thread that slept on, for an answer that
        nobody wants any more, would keep its process from ending. Raises OSError then."""
        if self._closed.wait(seconds):
            raise OSError(f"the {self._where} was closed")

    def left(self) -> tuple[int, int]:
        """How many requests may be sent now without a wait, of how many."""
        with self._said(), self._lock:
            self._bucket.leak(self._bucket.now())  # type: ignore[no-untyped-call]
            most, spent = self._rates[-1].limit, self._bucket.count()
            assert isinstance(spent, int)  # noqa: S101  # of buckets that answer at once
            return max(most - spent, 0), most

    def _try(self) -> float:
        with self._said(), self._lock:
            now = self._bucket.now()  # type: ignore[no-untyped-call]
            self._bucket.leak(now)
            item = RateItem("request", now)
            if self._bucket.put(item):
                return 0.0
            waiting: Any = self._bucket.waiting(item)
            wait_seconds = max(float(waiting), 10.0) / 1000
            if wait_seconds > self._longest_wait_seconds + 1:
                # spent in the future, by a clock that has been set right since
                self._bucket.flush()
                return 0.01
            return wait_seconds

    @contextmanager
    def _said(self) -> Iterator[None]:
        """What a file or a database does not do is a fault of the machine, which is named."""
        try:
            yield
        except Exception as error:
            of_postgres = type(error).__module__.startswith("psycopg")
            if not (of_postgres or isinstance(error, OSError | sqlite3.Error)):
                raise
            what = getattr(error, "strerror", None) or str(error).partition("\n")[0]
            raise OSError(f"the {self._where}: {what}") from None

    def close(self) -> None:
        """Let go of the file, or of the connection, and of whoever waits."""
        self._closed.set()
        self._bucket.close()  # type: ignore[no-untyped-call]


def _in_postgres(address: str, table: str, rates: Sequence[Rate]) -> PostgresBucket:
    import psycopg  # here: a folder needs no driver
    from psycopg_pool import ConnectionPool

    def in_utc(session: psycopg.Connection) -> None:
        session.execute("set time zone 'UTC'")  # the bucket writes times without a zone
        session.commit()

    try:
        psycopg.connect(address).close()  # a pool would try for half a minute, and not say why
    except psycopg.ProgrammingError:  # which may tell a part of the password
        raise OSError("libpq connects by no such address") from None
    pool = ConnectionPool(address, min_size=1, max_size=1, configure=in_utc, open=True)
    return PostgresBucket(pool, table, list(rates))
