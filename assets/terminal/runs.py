"""Loads and builds as the terminal runs them: what is due, or a window, one endpoint at a time."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any

from assets.runs import building, planning
from assets.runs.loading import Loader, Progress
from assets.settings import Settings
from assets.sources import FAMILIES, SOURCES, called, source_of
from assets.terminal.console import Report, short
from assets.terminal.facts import Facts, next_commands, show_facts
from dbt_like_sql.engine.runner import BuildReport, CheckFailedError
from dbt_like_sql.engine.warehouse import WarehouseError
from pipelines.endpoint import SNAPSHOT, Endpoint
from pipelines.source import LoadResult, VendorError, reasons
from pipelines.windows import GRAINS, Window


def run(settings: Settings, show: Report) -> dict[str, Any]:
    """Load everything that is due now, build, and show the facts; where nothing is due, all of it
    is told by one look into the warehouse."""
    from assets.report.files import renew_page

    facts = None
    with Loader(settings) as loader:
        with loader.at_once() as connection:
            loader.look()
            if idle := building.idle(connection, settings):
                facts = Facts(connection)
        loads = load_due(settings, show, FAMILIES, GRAINS, loader=loader)
    loaded = loads.as_json()
    is_idle = idle and not (loads.asked or loader.has_landed)
    built = shown(idle, show) if idle and is_idle else build(settings, show)
    show_facts(show, settings, facts if is_idle else None)
    renew_page(settings)
    next_commands(show, settings)
    both = {name: [*loaded[name], *built[name]] for name in ("failures", "failed", "stands")}
    return {**loaded, **built, **both}


def run_and_tell(settings: Settings, show: Report) -> dict[str, Any]:
    """The same, and then tell people what needs them; also where the warehouse cannot be used."""
    from assets.alerts.notify import notify

    try:
        result = run(settings, show)
    except WarehouseError as error:
        for text in notify(settings, {"meterhouse run": [str(error)]}):
            show.fail(text)
        raise
    untold = notify(settings, {"meterhouse run": result["failures"]})
    for text in untold:
        show.fail(text)
    return {**result, "failures": [*result["failures"], *untold]}


def load_due(
    settings: Settings,
    show: Report,
    families: Iterable[str],
    grains: Iterable[str],
    only_gaps: bool = False,
    loader: Loader | None = None,
) -> "Loads":
    """Load everything that is due now, names of things too; or only what closes gaps."""
    with loader or Loader(settings) as loader:
        loads, names = Loads(loader, show), () if only_gaps else (SNAPSHOT,)
        askable = loads.askable(families, {*grains, *names})
        for source, listed in groupby(askable, lambda each: source_of(each[0]).name):
            wanted = [(e, grain) for e, grain in listed if grain not in e.only_backfilled]
            if any(loader.due(*each, only_gaps) for each in wanted):
                with loader.turn(source):
                    loader.forget()  # whoever had the turn before may have loaded it
                    loads.load_due(wanted, only_gaps)
        nothing = f"Nothing is due before the next :{planning.TICK_MINUTE}"
        if only_gaps:
            nothing = "There is no gap to close (what never answered is none: `meterhouse run`)"
        loads.show_outcome(f"{nothing}; no request was sent.")
        return loads


def load_window(
    settings: Settings,
    show: Report,
    families: Iterable[str],
    grains: Iterable[str],
    since: datetime,
    until: datetime,
) -> "Loads":
    """Load every bucket that [since, until) touches, as far as the vendor still answers."""
    wanted, beyond = set(grains), dict[Endpoint, str]()
    with Loader(settings) as loader:
        loads = Loads(loader, show)
        for endpoint, grain in loads.askable(families, wanted):
            # the same receipts are not asked for twice
            if grain in endpoint.only_backfilled and endpoint.grains[0] in wanted:
                continue
            now, its = settings.clock(), wanted & {*endpoint.grains}
            reaching = [each for each in its if planning.reaches(endpoint, each, since, now)]
            text = planning.out_of_reach(endpoint, grain, since, now)
            if not reaching:
                beyond[endpoint] = text  # of the grain that reaches the farthest
            elif grain not in reaching:
                loads.tell(text)
            if window := planning.reachable(endpoint, grain, since, until, now):
                load = partial(loader.load_window, endpoint, window)
                with loader.turn(source_of(endpoint).name):
                    loads.load(endpoint, grain, window, load)
        loads.beyond = [*dict.fromkeys(beyond.values())]
        loads.show_outcome("No request was sent.")
        return loads


class Loads:
    """Endpoints loaded one after the other, each shown when it is done; what was skipped and why.

    `asked` has a line per endpoint and grain, as `--json` prints it. `beyond` is what was wanted
    and no vendor tells any more. Whatever is said is said once.
    """

    def __init__(self, loader: Loader, show: Report) -> None:
        self._loader, self._show = loader, show
        self.asked: list[dict[str, Any]] = []
        self.beyond: list[str] = []
        self.skipped: dict[str, str] = {}
        # and whether as a failure
        self._said: dict[str, bool] = {}
        self._failures: list[VendorError] = []

    @property
    def failures(self) -> list[str]:
        """What went wrong, every sentence once."""
        return [*dict.fromkeys([*self._unusable, *reasons(self._failures), *self.beyond])]

    @property
    def _unusable(self) -> list[str]:
        """What is wrong with settings, for which nothing could even be due."""
        return [text for wrong in self._loader.settings.wrong.values() for text in wrong]

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it; of what failed, and what stands all the same, a last line is."""
        failed = [line["source"] for line in self.asked if line["failed"]]
        failed += ["a window out of reach"] if self.beyond else []
        failed += ["settings"] if self._unusable else []
        landed = dict.fromkeys(line["source"] for line in self.asked if line["rows"])
        rows = sum(line["rows"] for line in self.asked)
        stands = f"{rows:,} rows of {', '.join(landed)} landed" if rows else "nothing landed"
        accounts = self._loader.accounts
        return {
            "asked": self.asked,
            "skipped": [{"source": name, "why": why} for name, why in self.skipped.items()],
            "failures": self.failures,
            "failed": [*dict.fromkeys(failed)],
            "stands": [stands],
            "unusable_settings": self._unusable,
            "refused": sorted({called(it.source) for it in accounts.askers if it.is_refused}),
            "requests": accounts.requests_sent,
            "rate_limited": accounts.rate_limited,
        }

    def tell(self, text: str, is_failure: bool = False, indent: str = "") -> None:
        """A sentence: a vendor that is gone is gone for all of its endpoints. What was a note may
        fail the next of them, and nobody who wants failures alone saw the note."""
        if is_failure and not self._said.get(text):
            self._show.fail(text, indent=indent)
        elif text not in self._said:
            self._show.say(f"{indent}{text}")
        self._said[text] = is_failure or self._said.get(text, False)

    def askable(
        self, families: Iterable[str], grains: Iterable[str]
    ) -> Iterator[tuple[Endpoint, str]]:
        """The endpoints of these families at these grains whose source has its settings."""
        settings, named, of = self._loader.settings, set(families), set(grains)
        for source in SOURCES:
            for endpoint in source.endpoints:
                wanted = [grain for grain in endpoint.grains if grain in of]
                if endpoint.source not in named or endpoint.part_of or not wanted:
                    continue
                if source.name in settings.missing:
                    self.skipped[called(source)] = settings.missing[source.name]
                elif settings.is_wanted(source, endpoint):
                    yield from ((endpoint, grain) for grain in wanted)

    def load_due(self, wanted: Iterable[tuple[Endpoint, str]], only_gaps: bool) -> None:
        """Load what is due of these endpoints and grains."""
        for endpoint, grain in wanted:
            if due := self._loader.due(endpoint, grain, only_gaps):
                self.load(endpoint, grain, due.window, partial(self._loader.load, due))

    def load(
        self,
        endpoint: Endpoint,
        grain: str,
        window: Window | None,
        load: Callable[[Progress], LoadResult],
    ) -> None:
        """Load a window of an endpoint, or what it lists, and show what was asked and landed."""
        with self._show.loading(endpoint, window) as progress:
            result = load(progress)
        if endpoint.any_time and not (result.receipts or result.failures):
            return  # nothing is said of what had nothing new
        failed = reasons(result.failures, said=self._failures)
        self._failures += result.failures
        notes = dict.fromkeys(result.notes)
        if result.requests or result.receipts or {*failed, *notes} - self._said.keys():
            self._show.say(_of(endpoint, grain, window, result))
        for text in notes:
            self.tell(text, indent="    ")
        for text in failed:
            self.tell(text, is_failure=True, indent="    ")
        self.asked.append(
            {
                "source": endpoint.source,
                "call": endpoint.request,
                "table": f"raw.{endpoint.table}",
                "grain": grain,
                **({"since": window.since, "until": window.until} if window else {}),
                "requests": result.requests,
                "rows": result.rows,
                "scopes": result.landed_scopes,
                "notes": result.notes,
                "failed": reasons(result.failures),
            }
        )

    def show_outcome(self, nothing: str) -> None:
        """Say what was skipped and why, and what was asked in all; `nothing` where nothing was."""
        say, accounts = self._show.say, self._loader.accounts
        for text in [*self._unusable, *self.beyond]:
            self.tell(text, is_failure=True)
        for why in dict.fromkeys(self.skipped.values()):
            sources = " and ".join(name for name, its in self.skipped.items() if its == why)
            say(f"{sources} skipped: {why}.")
        if self.asked:
            limited = f", {accounts.rate_limited} answered 429" if accounts.rate_limited else ""
            rows = sum(line["rows"] for line in self.asked)
            say(f"{accounts.requests_sent} requests sent{limited}, {rows:,} rows landed.")
        elif not any(self._loader.settings.accounts.values()):
            say("To look around without an account: meterhouse sandbox -- meterhouse run")
        else:
            say(nothing)


def _of(endpoint: Endpoint, grain: str, window: Window | None, result: LoadResult) -> str:
    """What a load did, in a line of less than 80 characters; the table says which endpoint it was,
    its vendor's words are in the JSON and in Dagster."""
    span = f"{short(window.since, grain)} to {short(window.until, grain)}" if window else "now"
    return f"  {endpoint.table:<29}{span:<27}{result.requests:>4} req{result.rows:>8,} rows"


def build(
    settings: Settings,
    show: Report,
    since: datetime | None = None,
    until: datetime | None = None,
    on_spark: bool = False,
) -> dict[str, Any]:
    """Build what is due and show what happened; checks that do not hold are failures."""
    try:
        report = (building.build_on_spark if on_spark else building.build)(settings, since, until)
    except CheckFailedError as error:
        show.fail(str(error))
        stands = ["readers see the build before it"]
        return {"failures": [str(error)], "failed": ["the build"], "stands": stands}
    return shown(report, show)


def shown(report: BuildReport, show: Report) -> dict[str, Any]:
    """What a build did, shown and as `--json` prints it."""
    changed = [build for build in report.models if build.rows_written]
    rows = sum(build.rows_written for build in changed)
    seconds, failed = sum(build.seconds for build in report.models), report.failed_checks
    show.say(
        f"\nBuilt {len(report.models)} models in {seconds:.1f} s: {rows:,} rows written in "
        f"{len(changed)}; {len(report.checks)} checks, {len(failed)} failed."
    )
    for check in failed:
        show.fail(check.sentence, indent="  ")
    return {
        "models": [
            {"model": m.name, "built": m.action, "rows": m.rows_total} for m in report.models
        ],
        "failures": [check.sentence for check in failed],
        "failed": [f"{len(failed)} check{'s' * (len(failed) > 1)} of reports"] if failed else [],
        "stands": ["readers see what was built"],
    }
