"""What is said of a cluster has no secret of its address, and needs no cluster to be tried."""

import pytest

from dbt_like_sql.engine.spark.session import check_that_it_answers
from dbt_like_sql.engine.warehouse import WarehouseError


@pytest.mark.parametrize(
    "remote",
    ["sc://127.0.0.1:1/;use_ssl=true;token=sesame", "sc://127.0.0.1:1;token=sesame", "sc://me:x/"],
)
def test_a_cluster_that_is_not_there_is_named_without_its_token(remote: str) -> None:
    """Which Spark Connect has behind a semicolon; an address with no port is none, too."""
    with pytest.raises(WarehouseError, match="no cluster answers at sc://") as told:
        check_that_it_answers(remote)
    assert "sesame" not in str(told.value)
