"""The request budget: so many requests per interval for one credential, across processes."""

import hashlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyrate_limiter import Rate, RateItem, SQLiteBucket

# nobody wonders before
SILENT_SECONDS = 2.0
_log = logging.getLogger(__name__)


class Budget:
    """So many requests per interval for one credential, shared by every process on this machine.

    Kept in a SQLite file under `folder`, so a restart does not forget what was just spent. The
    credential itself is never written: the file carries a digest of it.
    """

    def __init__(self, folder: Path, name: str, credential: str, rates: Sequence[Rate]) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._name, self._rates, self._has_said = name, rates, False
        digest = hashlib.sha256(credential.encode()).hexdigest()[:16]
        self._longest_wait_seconds = max(rate.interval for rate in rates) / 1000
        self._bucket = SQLiteBucket.init_from_file(
            list(rates), db_path=str(folder / f"{name}-{digest}.sqlite"), use_file_lock=True
        )

    def take(self) -> None:
        """Spend one request, waiting for as long as the budget demands."""
        while (wait_seconds := self._try()) > 0:
            if wait_seconds >= SILENT_SECONDS and not self._has_said:
                self._has_said = True  # once: whoever waits now will wait again
                told = (self._name, self._rates[-1].limit, wait_seconds)
                _log.warning("%s: the budget of %d requests is spent, next in %.0f s", *told)
            time.sleep(wait_seconds)

    def left(self) -> tuple[int, int]:
        """How many requests may be sent now without a wait, of how many."""
        with self._bucket.lock:
            self._bucket.leak(self._bucket.now())  # type: ignore[no-untyped-call]
            most = self._rates[-1].limit
            return max(most - self._bucket.count(), 0), most

    def _try(self) -> float:
        with self._bucket.lock:
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

    def close(self) -> None:
        """Let go of the file."""
        self._bucket.close()  # type: ignore[no-untyped-call]
