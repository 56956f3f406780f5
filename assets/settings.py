"""Every setting, read from the environment (or `.env`) when a run starts. The only reader of it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from pipelines.bitbucket import client as bitbucket
from pipelines.forge import client as forge
from pipelines.neon import client as neon


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
    atlassian_email: str | None
    atlassian_api_token: str | None
    atlassian_graphql_url: str
    forge_app_ids: tuple[str, ...]
    forge_experimental_api: str
    forge_requests_per_minute: int
    forge_sites_by_environment: bool
    bitbucket_token: str | None
    bitbucket_workspaces: tuple[str, ...]
    bitbucket_base_url: str
    bitbucket_requests_per_hour: int
    platform_usage_dir: Path
    state_dir: Path

    @property
    def is_sandbox(self) -> bool:
        """Whether the vendors are the stand-ins of tests/sandbox."""
        return self.neon_base_url.startswith("http://127.0.0.1:")


# name, default, what it is: the README's table is compared with this one by a test
DOCUMENTED = (
    ("WAREHOUSE", "warehouse/meterhouse.duckdb", "the DuckDB file that loads and builds write"),
    ("NEON_API_KEY", "", "Neon is asked only when this is set"),
    ("NEON_ORG_IDS", "", "comma-separated; none: every organization that the key sees"),
    ("NEON_BASE_URL", neon.BASE_URL, "where Neon's API is"),
    ("NEON_REQUESTS_PER_MINUTE", "45", "consumption requests; an account has about 50"),
    ("ATLASSIAN_EMAIL", "", "Forge is asked only when this, the token and app ids are set"),
    ("ATLASSIAN_API_TOKEN", "", "of the account that owns the apps"),
    ("ATLASSIAN_GRAPHQL_URL", forge.GATEWAY_URL, "where Atlassian's GraphQL gateway is"),
    ("FORGE_APP_IDS", "", "comma-separated, each a UUID or an ARI"),
    ("FORGE_EXPERIMENTAL_API", forge.EXPERIMENTAL_API, "the `X-ExperimentalAPI` header"),
    ("FORGE_REQUESTS_PER_MINUTE", "5", "requests; Atlassian allows 5"),
    ("FORGE_SITES_BY_ENVIRONMENT", "no", "yes: ask for sites within each environment too"),
    ("BITBUCKET_TOKEN", "", "Bitbucket is asked only when this is set; or email:api_token"),
    ("BITBUCKET_WORKSPACES", "", "comma-separated; none: every workspace that the token sees"),
    ("BITBUCKET_BASE_URL", bitbucket.BASE_URL, "where Bitbucket's API is"),
    ("BITBUCKET_REQUESTS_PER_HOUR", "900", "requests; Bitbucket allows 1,000"),
    ("PLATFORM_USAGE_DIR", "platform_usage/", "the folder where exported files are dropped"),
)
_DEFAULTS = {name: default for name, default, _ in DOCUMENTED}
DEFAULT_FOLDER = Path(_DEFAULTS["PLATFORM_USAGE_DIR"])


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment, `.env` in the working directory filling what is not set."""
    if environment is None:
        from_file = {k: v for k, v in dotenv_values(".env").items() if v is not None}
        environment = from_file | dict(os.environ)

    def value(name: str) -> str:
        return environment.get(name, "").strip() or _DEFAULTS[name]

    # request budgets are the machine's, not the warehouse's: XDG base directory specification
    state_home = Path(environment.get("XDG_STATE_HOME") or "~/.local/state").expanduser()

    def listed(name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in value(name).split(",") if part.strip())

    return Settings(
        warehouse=Path(value("WAREHOUSE")).expanduser(),
        neon_api_key=value("NEON_API_KEY") or None,
        neon_org_ids=listed("NEON_ORG_IDS"),
        neon_base_url=value("NEON_BASE_URL").rstrip("/"),
        neon_requests_per_minute=_positive("NEON_REQUESTS_PER_MINUTE", value),
        atlassian_email=value("ATLASSIAN_EMAIL") or None,
        atlassian_api_token=value("ATLASSIAN_API_TOKEN") or None,
        atlassian_graphql_url=value("ATLASSIAN_GRAPHQL_URL"),
        forge_app_ids=listed("FORGE_APP_IDS"),
        forge_experimental_api=value("FORGE_EXPERIMENTAL_API"),
        forge_requests_per_minute=_positive("FORGE_REQUESTS_PER_MINUTE", value),
        forge_sites_by_environment=_yes("FORGE_SITES_BY_ENVIRONMENT", value),
        bitbucket_token=value("BITBUCKET_TOKEN") or None,
        bitbucket_workspaces=listed("BITBUCKET_WORKSPACES"),
        bitbucket_base_url=value("BITBUCKET_BASE_URL").rstrip("/"),
        bitbucket_requests_per_hour=_positive("BITBUCKET_REQUESTS_PER_HOUR", value),
        platform_usage_dir=Path(value("PLATFORM_USAGE_DIR")).expanduser(),
        state_dir=state_home / "meterhouse",
    )


def _yes(name: str, value: Callable[[str], str]) -> bool:
    if value(name).lower() not in ("yes", "no"):
        raise SettingsError(f"{name} is {value(name)!r}: it has to be yes or no")
    return value(name).lower() == "yes"


def _positive(name: str, value: Callable[[str], str]) -> int:
    try:
        number = int(value(name))
    except ValueError:
        number = 0
    if number < 1:
        raise SettingsError(f"{name} is {value(name)!r}: it has to be a whole number above zero")
    return number
