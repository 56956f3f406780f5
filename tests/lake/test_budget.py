"""The budget of a credential, shared by the machines that share a lake."""

from pathlib import Path

import pytest
from pyrate_limiter import Rate

from assets.settings import read_settings
from pipelines.http import Budget
from tests.lake.conftest import Lakes

HOUR = 3_600_000


def test_what_one_machine_spends_another_lacks(lakes: Lakes, tmp_path: Path) -> None:
    """Of one credential; and a restart forgets nothing."""
    environment = lakes(tmp_path) | {"NEON_API_KEY": "napi_key"}
    (account,) = read_settings(environment).accounts["neon"]
    one, two = (Budget(account.budgets, "neon", "napi_key", [Rate(3, HOUR)]) for _ in range(2))
    one.take()
    two.take()
    assert one.left() == two.left() == (1, 3)
    one.close()
    two.close()
    again = Budget(account.budgets, "neon", "napi_key", [Rate(3, HOUR)])
    other = Budget(account.budgets, "neon", "napi_other", [Rate(3, HOUR)])
    assert (again.left(), other.left()) == ((1, 3), (3, 3))
    again.close()
    other.close()
    assert "sesame" not in repr(account)


def test_a_spent_budget_is_waited_for(lakes: Lakes, tmp_path: Path) -> None:
    """For as long as it takes, which a short interval shows."""
    (account,) = read_settings(lakes(tmp_path) | {"NEON_API_KEY": "k"}).accounts["neon"]
    budget = Budget(account.budgets, "neon", "k", [Rate(1, 200)])
    for _ in range(3):
        budget.take()
    assert budget.left()[1] == 1
    budget.close()


@pytest.mark.parametrize("password", ["sesame", "open sesame"])
def test_a_database_that_is_gone_is_a_fault_of_the_machine(password: str) -> None:
    """And not of a vendor, whose slices would be told as failed; so is one that is no address."""
    with pytest.raises(OSError, match="request budgets in Postgres") as told:
        Budget(f"host=127.0.0.1 port=1 password={password}", "neon", "k", [Rate(1, 9)])
    assert "sesame" not in str(told.value)
