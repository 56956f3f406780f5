"""Loads and builds as the terminal runs them: what is due, or a window, one endpoint at a time."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from assets import loading, planning
from assets.loading import Loader, Progress
from assets.settings import Settings
from assets.sources import SOURCES, source_of
from assets.terminal.console import EndpointLoad, LoadReport, Report
from dbt_like_sql.engine.checks import CheckFailedError
from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.source import LoadResult
from pipelines.windows import Window


def load_due(
    settings: Settings, show: Report, families: Iterable[str], grains: Iterable[str]
) -> LoadReport:
    """Load everything that is due now; names of things too."""
    with Loader(settings) as loader:
        run = _Run(loader, show)
        for endpoint, grain in run.askable(families, {*grains, SNAPSHOT}):
            if grain in endpoint.only_backfilled:
                continue
            if grain != SNAPSHOT:
                run.load(endpoint, grain, loader.due_window(endpoint, grain), loader.load_due)
            elif loader.names_are_due(endpoint):
                run.load_names(endpoint)
        return run.report()


def load_window(
    settings: Settings,
    show: Report,
    families: Iterable[str],
    grains: Iterable[str],
    since: datetime,
    until: datetime,
) -> LoadReport:
    """Load every bucket that [since, until) touches, as far as the vendor still answers."""
    wanted = set(grains)
    with Loader(settings) as loader:
        run = _Run(loader, show)
        for endpoint, grain in run.askable(families, wanted):
            # the same receipts are not asked for twice
            if not (grain in endpoint.only_backfilled and endpoint.grains[0] in wanted):
                now = settings.clock()
                window = reachable(show, endpoint, grain, since, until, now)
                run.load(endpoint, grain, window, loader.load_window)
        return run.report()


def reachable(
    show: Report, endpoint: Endpoint, grain: str, since: datetime, until: datetime, now: datetime
) -> Window | None:
    """The buckets that [since, until) touches and the vendor answers for; says what is left out."""
    window = planning.widened(grain, since, until, now)
    if window is None:
        show.say(f"{grain} {since:%Y-%m-%dT%H:%MZ} has not begun: nothing was asked.")
        return None
    reach = planning.within_reach(endpoint, window, now)
    if reach is None or reach.since > window.since:
        title = source_of(endpoint).title
        show.say(planning.out_of_reach(title, endpoint, grain, window.since))
    return reach


class _Run:
    """Endpoints loaded one after the other, each shown when it is done."""

    def __init__(self, loader: Loader, show: Report) -> None:
        self._loader, self._show = loader, show
        self._loads: list[EndpointLoad] = []
        self._skipped: dict[str, str] = {}

    def askable(
        self, families: Iterable[str], grains: Iterable[str]
    ) -> Iterator[tuple[Endpoint, str]]:
        """The endpoints of these families at these grains whose source has its settings."""
        named, wanted, settings = set(families), set(grains), self._loader.settings
        for source in SOURCES:
            for endpoint in source.endpoints:
                if endpoint.source not in named or endpoint.part_of:
                    continue
                for grain in endpoint.grains:
                    if grain in wanted and source.name in settings.missing:
                        self._skipped[endpoint.source] = settings.missing[source.name]
                    elif grain in wanted and settings.is_wanted(source, endpoint):
                        yield endpoint, grain

    def load(
        self,
        endpoint: Endpoint,
        grain: str,
        window: Window | None,
        load: Callable[[Endpoint, Window, Progress], LoadResult],
    ) -> None:
        """Load a window of an endpoint, if there is one."""
        if window is not None:
            with self._show.loading(endpoint, window) as progress:
                result = load(endpoint, window, progress)
            self._note(EndpointLoad(endpoint, grain, window, result))

    def load_names(self, endpoint: Endpoint) -> None:
        """Load what an endpoint lists; nothing is said of one that had nothing new."""
        with self._show.loading(endpoint, None) as progress:
            result = self._loader.load_names(endpoint, progress)
        if result.receipts or result.failures or not endpoint.any_time:
            self._note(EndpointLoad(endpoint, SNAPSHOT, None, result))

    def _note(self, load: EndpointLoad) -> None:
        self._loads.append(load)
        self._show.loaded(load)

    def report(self) -> LoadReport:
        """What was done, and said so."""
        loader = self._loader
        refused = tuple(sorted({source for source, _ in loader.refused}))
        asked = (loader.requests_sent, loader.rate_limited)
        report = LoadReport(self._loads, self._skipped, refused, *asked)
        self._show.outcome(report)
        return report


def build(
    settings: Settings, show: Report, since: datetime | None = None, until: datetime | None = None
) -> dict[str, Any]:
    """Build what is due and show what happened; checks that do not hold are failures."""
    try:
        report = loading.build(settings, since, until)
    except CheckFailedError as error:
        show.say(str(error))
        return {"failures": [str(error)]}
    show.built(report)
    return {
        "models": [
            {"model": m.name, "built": m.action, "rows": m.rows_total} for m in report.models
        ],
        "failures": [check.sentence for check in report.failed_checks],
    }
