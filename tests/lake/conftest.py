"""A Postgres for the catalogues of a run's lakes, and worlds whose warehouse is a lake."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.conftest import World
from tests.postgres import INITDB, postgres

# the settings that make a lake of a folder
Lakes = Callable[[Path], dict[str, str]]


@pytest.fixture(scope="session")
def lakes() -> Iterator[Lakes]:
    """A new lake for each call: its catalogue is a database of its own."""
    if not INITDB:
        pytest.skip("there is no Postgres on this machine")
    numbers = itertools.count()
    with postgres() as address, psycopg.connect(address, autocommit=True) as server:

        def made(folder: Path) -> dict[str, str]:
            name = f"lake{next(numbers)}"
            server.execute(f"create database {name}")
            catalog = address.replace("me@/postgres", f"me:sesame@/{name}")
            return {"WAREHOUSE": f"ducklake:postgres:{catalog}", "LAKE_DATA": str(folder / "lake")}

        yield made


def on_lake(here: World, lakes: Lakes, folder: Path) -> World:
    """The same world with a new lake for a warehouse."""
    changed = lakes(folder)
    environment = here.environment | changed
    return replace(here, settings=here.settings_with(**changed), environment=environment)
