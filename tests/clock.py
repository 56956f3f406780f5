"""What time it is for tests: one instant for a whole run, so that what was made once serves all.

Light to import: processes that tests start import it too.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

# a Saturday afternoon: every daily tick has passed, two quarters of the open hour are metered, and
# half an hour is left of it
NOW = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)
TODAY = NOW.replace(hour=0, minute=0)
TICK, MINUTE = timedelta(milliseconds=1), timedelta(minutes=1)
# a process asks less often, and a vendor's clock is not to be minutes away from those of many
LENT = timedelta(seconds=10)


class Clock:
    """A company's time, a little later whenever it is asked: no two receipts have one instant."""

    def __init__(
        self, company_now: Callable[[], datetime], later_by: timedelta = timedelta()
    ) -> None:
        self._company_now, self._later_by = company_now, later_by

    def __call__(self) -> datetime:
        """The next instant."""
        self._later_by += TICK
        return self._company_now() + self._later_by

    def lent(self) -> str:
        """The instant from which the clock of a process goes on; this one goes on after it."""
        now = self()
        self._later_by += LENT
        return now.isoformat()


def clock_from(lent: str) -> Clock:
    """The clock of a process that was lent it."""
    now = datetime.fromisoformat(lent)
    return Clock(lambda: now)


def this_hour() -> datetime:
    """Half past of the real hour, for what is read by the machine's clock, whatever the minute:
    in an hour's first quarter nothing is metered yet."""
    return datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
