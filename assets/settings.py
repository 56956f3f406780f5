"""Every setting, read from the environment (or `.env`) when a run starts. The only reader of it.

What a vendor needs is declared in its folder; here it is read, for every account:
`NEON_API_KEY__ACME` is the key of the account ACME, beside that of `NEON_API_KEY`.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from assets.alerts.channels import Alerts, Send, channels
from assets.retention import meters_of, own_seeds
from assets.sources import SOURCES
from dbt_like_sql.engine.lakes.address import Warehouse, address
from pipelines.endpoint import Endpoint
from pipelines.limits import Limits
from pipelines.settings import Setting, existing_file, owners, path, setting, settings_of, size
from pipelines.source import Account, Clock, Source

S = TypeVar("S")
# names of seeds, and the files that take their places
Seeds: TypeAlias = tuple[tuple[str, Path], ...]


@dataclass(frozen=True)
class House:
    """What is set once, whichever vendors are asked."""

    warehouse: Warehouse = setting(
        "WAREHOUSE",
        "warehouse/meterhouse.duckdb",
        "the DuckDB file that loads and builds write, or `ducklake:postgres:` and how libpq "
        "connects: see [docs/scaling.md](scaling.md)",
        address,
    )
    lake_data: str = setting(
        "LAKE_DATA",
        "",
        "where a DuckLake keeps its files: a folder that all machines share, or an address like "
        "`s3://bucket/folder`",
        lambda value: value if "://" in value else str(path(value).absolute()) if value else "",
    )
    memory_limit: str = setting(
        "MEMORY_LIMIT",
        "",
        "of DuckDB in a build, like `4GB`; what needs more spills beside the warehouse. As a rule "
        "it is 2 GB, or half of what the machine or container has, where that is less",
        lambda value: size(value) if value else "",
    )
    price_book_overrides: Seeds = setting(
        "PRICE_BOOK_OVERRIDES",
        "",
        "a CSV of your own prices, which come before the price book's: the columns of "
        "`dbt_like_sql/seeds/price_overrides.csv`",
        lambda value: (("seeds.price_overrides", existing_file(value)),) if value else (),
    )
    seeds: Seeds = setting(
        "SEEDS_DIR",
        "",
        "a folder of your own `names.csv`, `plans.csv` and the like: each takes the place of the "
        "empty one of that name in `dbt_like_sql/seeds/`",
        lambda value: tuple(own_seeds(path(value)).items()) if value else (),
    )
    spark_remote: str = setting(
        "SPARK_REMOTE",
        "",
        "`sc://host:15002`: the cluster of `meterhouse build --spark` (docs/scaling-spark.md)",
    )
    spark_dir: Path | None = setting(
        "SPARK_DIR",
        "",
        "a folder that has the same path here and on that cluster: what landed is copied there",
        lambda value: path(value) if value else None,
    )
    asset_owners: tuple[str, ...] = setting(
        "DAGSTER_ASSET_OWNERS",
        "team:usage-data",
        "whose the assets in Dagster are: mail addresses and `team:` names, between commas",
        owners,
    )


LIMITS = settings_of(Limits)
DOCUMENTED = tuple(
    about
    for kind in (House, Alerts, *(source.settings for source in SOURCES))
    for about in settings_of(kind).values()
)


class SettingsError(ValueError):
    """A setting is there and cannot be used."""


def utc_now() -> datetime:
    """What time it is; the only place that asks."""
    return datetime.now(UTC)


# since when this process has its definitions: partitions begin where vendors answered then
LOADED_AT = utc_now()


@dataclass(frozen=True)
class Settings:
    """What a run needs: the warehouse, the clock, and the accounts of every source.

    `missing` says, by source, why it has no account and is skipped, `wrong` what of its settings
    cannot be used, so that it, or an account of it, is not asked: a failure of every run.
    `own_seeds` are files that take the place of shipped seeds, by these seeds' names; `channels`
    send alerts, by name.
    """

    warehouse: Warehouse
    state_dir: Path
    accounts: Mapping[str, tuple[Account[Any], ...]]
    missing: Mapping[str, str]
    clock: Clock
    wrong: Mapping[str, Sequence[str]]
    own_seeds: Mapping[str, Path]
    channels: Mapping[str, Send]
    house: House

    def is_wanted(self, source: Source[Any], endpoint: Endpoint) -> bool:
        """Whether some account asks for this endpoint at all."""
        accounts = self.accounts[source.name]
        is_wanted = any(source.is_wanted(account.settings, endpoint) for account in accounts)
        return is_wanted or source.name in self.wrong


def read_settings(
    environment: Mapping[str, str] | None = None, clock: Clock | None = None
) -> Settings:
    """Settings from the environment, `.env` in the working directory filling what is not set."""
    clock = clock or utc_now
    if environment is None:
        environment = _file() | dict(os.environ)
    # request budgets are the machine's, not the warehouse's: XDG base directory specification
    state_home = Path(environment.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    state_dir = state_home / "meterhouse"
    house = _filled(House, environment)
    at = _warehouse(house.warehouse, house.lake_data)
    # machines that share a lake share what is asked by one credential
    budgets = state_dir if isinstance(at, Path) else at.catalog
    found = {s.name: _accounts_of(s, environment, budgets, clock) for s in SOURCES}
    return Settings(
        warehouse=at,
        state_dir=state_dir,
        accounts={name: accounts for name, (accounts, _, _) in found.items()},
        missing={n: why for n, (accounts, why, wrong) in found.items() if not (accounts or wrong)},
        clock=clock,
        wrong={name: wrong for name, (_, _, wrong) in found.items() if wrong},
        own_seeds=dict([*house.seeds, *house.price_book_overrides]),
        channels=_channels(environment),
        house=house,
    )


def read_channels() -> dict[str, Send]:
    """Those that send alerts, whatever the other settings are."""
    return _channels(_file() | dict(os.environ))


def _channels(environment: Mapping[str, str]) -> dict[str, Send]:
    alerts = _filled(Alerts, environment)
    try:
        return channels(alerts)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _file() -> dict[str, str]:
    """What `.env` in the working directory says."""
    if not Path(".env").exists():
        return {}
    from dotenv import dotenv_values

    try:
        found = dotenv_values(".env").items()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it has to be text in UTF-8"
        raise SettingsError(f".env cannot be read: {why}") from None
    return {name: value for name, value in found if value is not None}


def origins() -> dict[str, str]:
    """Of every setting that there is, of any account: where it is set; never to what."""
    known = {about.name for about in (*DOCUMENTED, *LIMITS.values())}
    in_file, found = _file(), {}
    for name in sorted({*in_file, *os.environ}):
        if name.partition("__")[0] in known and os.environ.get(name, in_file.get(name, "")).strip():
            found[name] = "the environment" if name in os.environ else ".env"
    return found


def read_one(field: str) -> Any:
    """One setting of the house, for what needs no other."""
    about = settings_of(House)[field]
    return _read(about, about.name, _file() | dict(os.environ))


def read_own(source: str) -> Any:
    """The settings of a source, of the account without a name, for a command of its own."""
    kind = next(each.settings for each in SOURCES if each.name == source)
    return _filled(kind, _file() | dict(os.environ))


def warehouse_at() -> Warehouse:
    """Where the warehouse is."""
    return _warehouse(read_one("warehouse"), read_one("lake_data"))


def address_of(text: str) -> Warehouse:
    """What WAREHOUSE would mean by this; LAKE_DATA holds for it, too."""
    about = settings_of(House)["warehouse"]
    return _warehouse(_read(about, about.name, {about.name: text}), read_one("lake_data"))


def _warehouse(at: Warehouse, data: str) -> Warehouse:
    if isinstance(at, Path):
        return at
    if not data:
        raise SettingsError("LAKE_DATA is not set: a lake needs a folder or bucket for its files")
    return replace(at, data=data)


def _accounts_of(
    source: Source[Any], environment: Mapping[str, str], budgets: Path | str, clock: Clock
) -> tuple[tuple[Account[Any], ...], str, list[str]]:
    """The accounts of a source, why there is none without a name, and what is wrong with others."""
    found, why, wrong = [], "", []
    for name in _account_names(source, environment):
        suffix = f"__{name}" if name else ""
        try:
            settings = _filled(source.settings, environment, suffix)
        except SettingsError as error:
            wrong.append(f"{error}. Nothing was asked by it; everything landed is untouched.")
            continue
        lacking = _lacking(source, suffix, settings)
        if not lacking:
            meters, limits = meters_of(source.name), _filled(Limits, environment)
            own = _own(source.settings, environment, suffix) if name else {}
            found.append(Account(name, settings, budgets, clock, meters, limits, own))
        elif name:
            them = "them" if " are " in lacking else "it"
            wrong.append(f"{lacking}: the account {name} of {source.title} needs {them}")
        else:
            why = lacking
    return tuple(found), why, wrong


def _account_names(source: Source[Any], environment: Mapping[str, str]) -> list[str]:
    """The unnamed one, and every NAME of a variable like NEON_API_KEY__NAME that is not empty."""
    own = {about.name for about in settings_of(source.settings).values() if about.is_of_account}
    found = set()
    for variable, value in environment.items():
        setting, _, account = variable.partition("__")
        if account and setting in own and value.strip():
            found.add(account)
    return ["", *sorted(found)]


def _filled(kind: type[S], environment: Mapping[str, str], suffix: str = "") -> S:
    """Settings of a kind; of an account (`__NAME`), which has the others where it has none."""
    own = _own(kind, environment, suffix)
    found = {
        f: _read(s, own.get(s.name, s.name), environment) for f, s in settings_of(kind).items()
    }
    return kind(**found)


def _own(kind: type[Any], environment: Mapping[str, str], suffix: str) -> dict[str, str]:
    """The settings of a kind that an account (`__NAME`) does not share with others, and what they
    are called."""
    return {
        about.name: variable
        for about in settings_of(kind).values()
        if environment.get(variable := f"{about.name}{suffix}", "").strip() or about.is_of_account
    }


def _read(about: Setting, variable: str, environment: Mapping[str, str]) -> Any:
    text = environment.get(variable, "").strip() or about.default
    try:
        return about.read(text)
    except ValueError as error:
        wanted = str(error)
    except (OSError, RuntimeError):  # the home of nobody, or a name that is too long
        wanted = "a path that there can be here"
    raise SettingsError(f"{variable} is {about.shown(text)}: it has to be {wanted}")


def _lacking(source: Source[Any], suffix: str, settings: Any) -> str | None:
    """Why an account cannot be asked, if it cannot."""
    unset = [
        f"{about.name}{suffix}"
        for field, about in settings_of(source.settings).items()
        if about.is_required and not getattr(settings, field)
    ]
    if unset:
        return f"{', '.join(unset)} {'is' if len(unset) == 1 else 'are'} not set"
    return source.missing(settings)
