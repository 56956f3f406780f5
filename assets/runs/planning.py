"""What is due or can be asked for: how far a vendor reaches, when a bucket is asked again.

How far, how much and when are rows of seeds/retention.csv (retention.py). Nothing here opens a
warehouse: what is held is handed in. Bucket arithmetic is pipelines/windows.py.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from assets.retention import retention
from assets.sources import source_of
from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.receipts import Held, Standing
from pipelines.windows import Window, ceiling, floor, next_bucket

# requests under way while the vendor's clock passes a boundary must not fall out of reach
REACH_MARGIN = timedelta(minutes=1)
# when a grain is due again: at :20 every hour; at :20 of its tick_hour, UTC, every day
TICK_MINUTE = 20
# stands for the scopes of a vendor that was never asked which there are
NOBODY = "nothing asked yet"
# by scope the starts of the buckets to ask for; of names, just the scopes
Due = dict[str, list[datetime]]
Standings = Mapping[str, Standing]
# given which scopes there are, what to ask for
Choose = Callable[[list[str]], Due]
# what is refused for as long after it last answered is taken for gone, and fails no run
LASTS = timedelta(days=7)
# what was asked at the very moment when something was wanted was not asked for it
MOMENT_AFTER = timedelta(microseconds=1)
# what is refused for as long is not refused in a bad moment
MOMENT = timedelta(minutes=5)


@dataclass(frozen=True)
class Wanted:
    """What is wanted of an endpoint: `choose` within `window` (None: what it lists, as it is).

    `standings`: how its scopes stood, where that was looked up to know it.
    """

    endpoint: Endpoint
    window: Window | None
    choose: Choose
    standings: Standings | None = None


def names(endpoint: Endpoint) -> Wanted:
    """What an endpoint lists, of every scope."""
    return Wanted(endpoint, None, lambda scopes: {scope: [] for scope in scopes})


# -- reach ------------------------------------------------------------------------------------


def earliest(table: str, grain: str, now: datetime) -> datetime:
    """The start of the oldest bucket that the vendor still answers for."""
    return ceiling(now + REACH_MARGIN - retention(table, grain).kept, grain)


def everything_in_reach(table: str, grain: str, now: datetime) -> Window:
    """From the oldest bucket that the vendor answers for to the end of the open one."""
    return Window(grain, earliest(table, grain, now), next_bucket(now, grain))


def trailing(table: str, grain: str, now: datetime) -> Window:
    """The open bucket and those before it that a vendor may still revise.

    Where it revises by calendar month, the whole open month, and that before it for some days.
    Once a day hours are read again as far back as days are: where hours serve a day, a correction
    seen in its daily row alone would not reach the facts. A walk costs the same however wide.
    """
    rules = retention(table, grain)
    since = floor(now, grain)
    for _ in range(rules.reread_count):
        since = floor(since - timedelta(microseconds=1), grain)
    if rules.reread_month_until_day:
        month_start = floor(now, "monthly")
        if now.day <= rules.reread_month_until_day:
            month_start = floor(month_start - timedelta(microseconds=1), "monthly")
        since = min(since, month_start)
    if grain == "hourly" and now.hour == retention(table, "daily").tick_hour:
        since = trailing(table, "daily", now).since
    return Window(grain, since, next_bucket(now, grain))


def within_reach(endpoint: Endpoint, window: Window, now: datetime) -> Window | None:
    """The part of a window that the vendor may still answer for, in the grain of its receipts."""
    grain = endpoint.receipts_at(window.grain)
    since, until = window.since, min(window.until, next_bucket(now, grain))
    if retention(endpoint.table, grain).beyond_reach == "refused":
        since = max(since, earliest(endpoint.table, grain, now))
    return Window(grain, since, until) if since < until else None


def reachable(
    endpoint: Endpoint, grain: str, since: datetime, until: datetime, now: datetime
) -> Window | None:
    """The buckets that [since, until) touches, as far as the vendor may still answer for them."""
    until = min(until, next_bucket(now, grain))
    window = Window.covering(grain, since, until) if since < until else None
    return within_reach(endpoint, window, now) if window else None


def out_of_reach(endpoint: Endpoint, grain: str, asked_since: datetime, now: datetime) -> str:
    """What to say of a bucket older than what the vendor keeps."""
    reaching = next((g for g in endpoint.grains if reaches(endpoint, g, asked_since, now)), None)
    still = f"; {reaching} reaches it" if reaching else "; no grain reaches it"
    keeps = f"{source_of(endpoint).title} keeps {grain} for {kept_for(endpoint, grain)}"
    return (
        f"{keeps}; asked for {asked_since:%Y-%m-%dT%H:%MZ}"
        f"{still}. What is older was not asked, and nothing that landed before is touched."
    )


def kept_for(endpoint: Endpoint, grain: str) -> str:
    """How long the vendor keeps it, in words."""
    kept = retention(endpoint.table, endpoint.receipts_at(grain)).kept
    count, unit = (kept // timedelta(hours=1), "hour") if grain == "hourly" else (kept.days, "day")
    return f"{count} {unit}{'s' * (count != 1)}"


def reaches(endpoint: Endpoint, grain: str, instant: datetime, now: datetime) -> bool:
    """Whether the vendor still answers for the bucket that holds this instant."""
    at = endpoint.receipts_at(grain)
    if retention(endpoint.table, at).beyond_reach != "refused":
        return True
    return earliest(endpoint.table, at, now) <= floor(instant, at)


# -- ticks ------------------------------------------------------------------------------------


def cron(table: str, grain: str) -> str:
    """When a schedule runs: at the ticks after which a terminal would find the same due."""
    hour = "*" if grain == "hourly" else retention(table, grain).tick_hour
    return f"{TICK_MINUTE} {hour} * * *"


def last_tick(table: str, grain: str, now: datetime) -> datetime:
    """When this grain of a table last became due: the instants of its schedule."""
    every = "hourly" if grain == "hourly" else "daily"
    hour = 0 if grain == "hourly" else retention(table, grain).tick_hour
    offset = timedelta(hours=hour, minutes=TICK_MINUTE)
    return floor(now - offset, every) + offset


# -- due --------------------------------------------------------------------------------------


def due_buckets(
    endpoint: Endpoint,
    grain: str,
    held: Held,
    standings: Standings,
    scopes: Iterable[str],
    now: datetime,
    only_gaps: bool = False,
) -> Due:
    """The buckets to ask for now, by scope; a scope of which none is due is left out.

    Due are, of the buckets within the vendor's reach: those never asked; those that were still
    open when asked; and the trailing ones that the vendor may revise, each once a tick. Gaps are
    the first two, once they have settled, of scopes that answered before.
    """
    table, tick = endpoint.table, last_tick(endpoint.table, grain, now)
    settles = retention(table, grain).settles
    reach = [*everything_in_reach(table, grain, now).buckets()]
    # what is told of today alone is due before the first tick of the day, too
    begun = [start for start in reach if start <= tick] or reach
    trailing_since = trailing(table, grain, now).since
    # hours are read again once a day as far back as days are (see trailing)
    daily_tick, daily_since = last_tick(table, "daily", now), trailing(table, "daily", now).since
    # by bucket, since when an answer counts: what was asked before is asked again
    counts_since: dict[datetime, datetime] = {}
    for start in begun:
        settled_at = next_bucket(start, grain) + settles
        if only_gaps and settled_at <= now:
            counts_since[start] = settled_at
        elif not only_gaps:
            since = tick if start >= trailing_since else min(settled_at, tick)
            is_of_day = grain == "hourly" and start >= daily_since
            counts_since[start] = max(since, daily_tick) if is_of_day else since
    due: Due = {}
    for scope in scopes:
        asked, standing = held.get(scope, {}), standings.get(scope)
        is_left_out = only_gaps and (standing is None or standing.answered_at is None)
        if is_left_out or _is_put_off(standing, tick, now):
            continue
        wanted = (s for s, since in counts_since.items() if not _is_since(since, asked.get(s), now))
        if starts := [*wanted]:
            due[scope] = starts
    return due


def due_names(
    endpoint: Endpoint, standings: Standings, scopes: Iterable[str], now: datetime
) -> Due:
    """The scopes whose names were last listed before the last tick, or not wholly just now."""
    tick = last_tick(endpoint.table, SNAPSHOT, now)

    def is_due(standing: Standing | None) -> bool:
        if standing is None or not _is_since(tick, standing.asked_at, now):
            return True
        return standing.refused_for is not None and standing.refused_for < MOMENT

    return {scope: [] for scope in scopes if is_due(standings.get(scope))}


def answers_lately(standing: Standing | None, now: datetime) -> bool:
    """Whether a scope answered so lately that a refusal is news, and no lasting state of it."""
    answered_at = standing.answered_at if standing else None
    return answered_at is not None and now - answered_at < LASTS


def _is_put_off(standing: Standing | None, tick: datetime, now: datetime) -> bool:
    """Refused since the tick, and not for a moment: it is asked once a tick."""
    if standing is None or answers_lately(standing, now):
        return False
    has_lasted = (standing.refused_for or timedelta()) >= MOMENT
    return has_lasted and _is_since(tick, standing.asked_at, now)


def buckets_to_ask(
    endpoint: Endpoint,
    window: Window,
    held: Held,
    scopes: Iterable[str],
    now: datetime,
    wanted_at: datetime,
) -> Due:
    """The buckets of an explicit window, by scope; less those that were asked after it was wanted,
    by whoever had the turn before, and those of this tick where once is enough."""
    since = wanted_at + MOMENT_AFTER
    if endpoint.once_a_tick:
        since = min(since, last_tick(endpoint.table, window.grain, now))
    due: Due = {}
    for scope in scopes:
        asked = held.get(scope, {})
        if starts := [s for s in window.buckets() if not _is_since(since, asked.get(s), now)]:
            due[scope] = starts
    return due


def names_to_ask(
    standings: Standings, scopes: Iterable[str], now: datetime, wanted_at: datetime
) -> Due:
    """The scopes whose names were not listed after that was wanted."""
    since = wanted_at + MOMENT_AFTER
    answered = {scope: standing.answered_at for scope, standing in standings.items()}
    return {scope: [] for scope in scopes if not _is_since(since, answered.get(scope), now)}


def is_retired(endpoint: Endpoint, last: tuple[bool, datetime] | None, now: datetime) -> bool:
    """Whether the vendor's last word, since the last daily tick, was that there is no answer.

    `last`: whether its last answer was complete, and when it was asked.
    """
    if endpoint.retired_on is None or last is None:
        return False
    complete, asked_at = last
    return not complete and _is_since(last_tick(endpoint.table, "daily", now), asked_at, now)


def _is_since(tick: datetime, asked_at: datetime | None, now: datetime) -> bool:
    # what is asked later than that was asked by a clock that was wrong; two processes may overlap
    return asked_at is not None and tick <= asked_at <= now + timedelta(hours=1)
