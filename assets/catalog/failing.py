"""What a person reads of a step that fails: a sentence, and no page of stack."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from assets.settings import SettingsError
from dbt_like_sql.engine import warehouse


@contextmanager
def failing_in_words() -> Iterator[None]:
    """Where a setting or the warehouse cannot be used, the step fails with the sentence that says
    why."""
    try:
        with warehouse.in_words():
            yield
    except (SettingsError, warehouse.WarehouseError) as error:
        raise dg.Failure(str(error)) from None
