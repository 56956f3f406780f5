"""What is over: scopes that no longer answer, that are no longer there, or that nobody asks for.

That is written down once, and what one told stays; one that answers later is there again.
"""

from collections.abc import Iterable, Set
from datetime import datetime

from assets.runs.planning import Standings, Wanted, answers_lately
from assets.settings import Settings
from assets.sources import ENDPOINTS, source_of
from pipelines import receipts
from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.receipts import Answers, OpenWarehouse
from pipelines.source import LoadResult, RefusedError


def end_refused(
    opened: OpenWarehouse, endpoint: Endpoint, grain: str, result: LoadResult, now: datetime
) -> bool:
    """What is refused, and did not answer lately, fails no run where others answer, or where nobody
    does any more, for the endpoint is retired.

    What answered before is taken to have ended, until it answers again; True where some has.
    """
    refused = [failure for failure in result.failures if isinstance(failure, RefusedError)]
    if not refused:
        return False
    with opened() as connection:
        standings = receipts.standings(connection, endpoint.table, grain)
    lately = {s for s, about in standings.items() if answers_lately(about, now)}
    can_last = lately or endpoint.retired_on
    lasting = [failure for failure in refused if can_last and failure.scope not in lately]
    gone = {failure.scope for failure in lasting}
    result.failures = [failure for failure in result.failures if failure not in lasting]
    result.notes += map(str, lasting)
    result.scopes = [scope for scope in result.scopes if scope not in gone]
    answered = {scope for scope, about in standings.items() if about.answered_at}
    return _end(opened, endpoint, standings, gone & answered, now)


def end_unlisted(opened: OpenWarehouse, wanted: Wanted, there: Set[str], now: datetime) -> bool:
    """All that is `there` was told: what was asked before and is not among it has ended; True
    where some has."""
    endpoint, standings = wanted.endpoint, wanted.standings
    if standings is None:
        with opened() as connection:
            standings = receipts.standings(connection, endpoint.table, SNAPSHOT)
    return _end(opened, endpoint, standings, standings.keys() - there, now)


def end_unasked(opened: OpenWarehouse, settings: Settings, answers: Answers) -> None:
    """What no setting asks for has ended once it did not answer lately, as what is refused has:
    a setting may be gone by mistake."""
    now = settings.clock()
    for endpoint in ENDPOINTS:
        if not settings.is_wanted(source_of(endpoint), endpoint):
            found = [answers.standings(endpoint.table, grain) for grain in endpoint.grains]
            every = [each for standings in found for each in standings.items()]
            lately = {scope for scope, its in every if answers_lately(its, now)}
            _end(opened, endpoint, dict(every), dict(every).keys() - lately, now)


def _end(
    opened: OpenWarehouse,
    endpoint: Endpoint,
    standings: Standings,
    gone: Iterable[str],
    now: datetime,
) -> bool:
    """Write down, once, what has ended; False where nothing has."""
    ended = [scope for scope in gone if not standings[scope].is_ended]
    if ended:
        with opened() as connection:
            receipts.end(connection, endpoint, ended, now)
    return bool(ended)
