"""What a person reads of a step or a tick that fails: a sentence, and no page of stack."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps

import dagster as dg

from assets.settings import SettingsError
from dbt_like_sql.engine import warehouse

Tick = Callable[[dg.SensorEvaluationContext], dg.SensorResult | dg.SkipReason]


@contextmanager
def failing_in_words() -> Iterator[None]:
    """Where a setting or the warehouse cannot be used, the step fails with the sentence that says
    why."""
    try:
        with warehouse.in_words():
            yield
    except (SettingsError, warehouse.WarehouseError) as error:
        raise dg.Failure(str(error)) from None


def skipping_in_words(evaluate: Tick) -> Tick:
    """Where a setting cannot be used, a sensor skips, for the sentence that says why."""

    @wraps(evaluate)
    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            return evaluate(context)
        except SettingsError as error:
            return dg.SkipReason(f"{error}")

    return tick
