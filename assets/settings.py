"""Every setting, read from the environment (or `.env`) when a run starts. The only reader of it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from pipelines import neon


class SettingsError(ValueError):
    """A setting is there and cannot be used."""


@dataclass(frozen=True)
class Settings:
    """One field per environment variable of DOCUMENTED."""

    warehouse: Path
    neon_api_key: str | None
    neon_org_ids: tuple[str, ...]
    neon_base_url: str
    neon_requests_per_minute: int
    state_dir: Path

    @property
    def is_sandbox(self) -> bool:
        """Whether Neon is the stand-in of tests/sandbox."""
        return self.neon_base_url.startswith("http://127.0.0.1:")

    @property
    def neon_missing(self) -> str | None:
        """Why Neon is skipped, or None when it can be asked."""
        return None if self.neon_api_key else "NEON_API_KEY is not set"


# name, default, what it is: the README's table is compared with this one by a test
DOCUMENTED = (
    ("WAREHOUSE", "warehouse/meterhouse.duckdb", "the DuckDB file that loads and builds write"),
    ("NEON_API_KEY", "", "Neon is asked only when this is set"),
    ("NEON_ORG_IDS", "", "comma-separated; none: every organization that the key sees"),
    ("NEON_BASE_URL", neon.BASE_URL, "where Neon's API is"),
    ("NEON_REQUESTS_PER_MINUTE", "45", "consumption requests; an account has about 50"),
)
_DEFAULTS = {name: default for name, default, _ in DOCUMENTED}


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment, `.env` in the working directory filling what is not set."""
    if environment is None:
        from_file = {k: v for k, v in dotenv_values(".env").items() if v is not None}
        environment = from_file | dict(os.environ)

    def value(name: str) -> str:
        return environment.get(name, "").strip() or _DEFAULTS[name]

    # request budgets are the machine's, not the warehouse's: XDG base directory specification
    state_home = Path(environment.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    org_ids = (part.strip() for part in value("NEON_ORG_IDS").split(","))
    return Settings(
        warehouse=Path(value("WAREHOUSE")).expanduser(),
        neon_api_key=value("NEON_API_KEY") or None,
        neon_org_ids=tuple(org_id for org_id in org_ids if org_id),
        neon_base_url=value("NEON_BASE_URL").rstrip("/"),
        neon_requests_per_minute=_positive("NEON_REQUESTS_PER_MINUTE", value),
        state_dir=state_home / "meterhouse",
    )


def _positive(name: str, value: Callable[[str], str]) -> int:
    try:
        number = int(value(name))
    except ValueError:
        number = 0
    if number < 1:
        raise SettingsError(f"{name} is {value(name)!r}: it has to be a whole number above zero")
    return number
