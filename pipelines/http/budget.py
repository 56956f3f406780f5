"""The request budget: so many requests per interval for one credential, across processes."""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyrate_limiter import Rate, RateItem, SQLiteBucket


class Budget:
    """So many requests per interval for one credential, shared by every process on this machine.

    Kept in a SQLite file under `folder`, so a restart does not forget what was just spent. The
    credential itself is never written: the file carries a digest of it.
    """

    def __init__(self, folder: Path, name: str, credential: str, rates: Sequence[Rate]) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        digest = hashlib.sha256(credential.encode()).hexdigest()[:16]
        self._longest_wait_seconds = max(rate.interval for rate in rates) / 1000
        self._bucket = SQLiteBucket.init_from_file(
            list(rates), db_path=str(folder / f"{name}-{digest}.sqlite"), use_file_lock=True
        )

    def take(self) -> None:
        """Spend one request, waiting for as long as the budget demands."""
        while (wait_seconds := self._try()) > 0:
            time.sleep(wait_seconds)

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
