"""What a build did: the report that runner.build returns, for people and for Dagster alike."""

from dataclasses import dataclass

from dbt_like_sql.checks import CheckResult
from dbt_like_sql.windows import Windows


@dataclass(frozen=True)
class ModelBuild:
    """What happened to one model.

    action: `view` (made again), `whole` (table replaced), `windows` (these windows replaced), `all`
    (a windowed table over all of time) or `unchanged`. `rows_total` is None for views.
    """

    name: str
    action: str
    rows_written: int
    rows_total: int | None
    seconds: float
    windows: Windows = ()


@dataclass(frozen=True)
class BuildReport:
    """One committed build: the windows due or asked for, and what became of each model."""

    ranges: Windows
    models: tuple[ModelBuild, ...]
    checks: tuple[CheckResult, ...]

    @property
    def failed_checks(self) -> tuple[CheckResult, ...]:
        """Checks on reports that found something to show; any other failure raises."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def changed(self) -> tuple[str, ...]:
        """Models that this build made or rewrote."""
        return tuple(model.name for model in self.models if model.action != "unchanged")
