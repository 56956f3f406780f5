# ruff: noqa: S608  (names of our own tables and columns)
"""What a FOCUS Cost and Usage table has to be, as far as we can tell, and how to break one.

`columns.csv` is what the specification says of each column of a row of usage.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import duckdb

VERSIONS = {"1.2": "reports.focus_1_2", "1.4": "reports.focus_1_4"}
GRAIN = (
    "x_series_key, x_granularity, ChargePeriodStart, x_is_included, x_tier_floor,"
    " ContractedUnitPrice"
)
# by what is wrong, the rows of which it is
WRONG = {
    "a period ends before it begins": "ChargePeriodEnd <= ChargePeriodStart",
    "a charge begins outside of its billing period": "ChargePeriodStart < BillingPeriodStart"
    " or ChargePeriodStart >= BillingPeriodEnd",
    "a price is below zero": "least(ListUnitPrice, ContractedUnitPrice) < 0",
    "a cost is on the other side of zero": "sign(BilledCost) * sign(PricingQuantity) < 0"
    " or sign(ListCost) * sign(PricingQuantity) < 0",
    "a list cost is no product": "abs(ListUnitPrice * PricingQuantity - ListCost) > 1e-9",
    "a cost is no product": "abs(ContractedUnitPrice * PricingQuantity - ContractedCost) > 1e-9",
    "costs differ": "BilledCost <> EffectiveCost or BilledCost <> ContractedCost",
    "issuer and provider differ": "InvoiceIssuerName <> {provider}",
    "what is included costs something": "x_is_included and BilledCost <> 0",
    "a unit is as no unit of FOCUS is": "not regexp_full_match(PricingUnit, '{unit}')"
    " or not regexp_full_match(ConsumedUnit, '{unit}')",
}
UNIT = "([0-9]+ )?([KMGT]?i?B|[A-Za-z][A-Za-z0-9]*s|(GB|GiB|B|vCPU|CU|Branch)-[A-Z][a-z]+s)"
# each is one thing that a file may have wrong, as what is read instead of it
CORRUPTIONS = {
    "a currency that there is not": "select * replace ('US dollars' as BillingCurrency)",
    "a category that there is not": "select * replace ('Database' as ServiceCategory)",
    "a subcategory that there is not": "select * replace ('Postgres' as ServiceSubcategory)",
    "a unit that is none": "select * replace ('GB per month!' as PricingUnit)",
    "no priced quantity": "select * replace (cast(null as decimal(38, 18)) as PricingQuantity)",
    "a list cost of a dollar more": "select * replace (ListCost + 1 as ListCost)",
    "no id of the price": "select * replace (cast(null as varchar) as SkuPriceId)",
    "times that are text": "select * replace ("
    "strftime(ChargePeriodStart, '%Y-%m-%d %H:%M:%S') as ChargePeriodStart)",
    "a cost that is text": "select * replace (cast(BilledCost as varchar) as BilledCost)",
    "a period that ends before it begins": "select * replace ("
    "ChargePeriodStart - interval 1 hour as ChargePeriodEnd)",
    "a column of one's own without x_": "select *, 'neon' as Vendor",
    "every row twice": "select unnest([1, 2]) as x_copy, *",
    "no price, and costs of 0": "select * replace (cast(null as decimal(38, 18)) as ListUnitPrice,"
    " cast(null as decimal(38, 18)) as ContractedUnitPrice, cast(0 as decimal(38, 18)) as ListCost,"
    " cast(0 as decimal(38, 18)) as BilledCost, cast(0 as decimal(38, 18)) as EffectiveCost,"
    " cast(0 as decimal(38, 18)) as ContractedCost)",
}


def specified(version: str) -> dict[str, tuple[str, bool]]:
    """The columns of a version: the type, and whether one of usage may be null."""
    with (Path(__file__).parent / "columns.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["column"]: (row["type"], row["usage_may_be_null"] == "yes")
            for row in csv.DictReader(file)
            if version in row["versions"].split()
        }


def complaints(connection: duckdb.DuckDBPyConnection, table: str, version: str) -> list[str]:
    """What is wrong with a table of FOCUS, in words; nothing where it is as it has to be."""
    found = list(_of_columns(connection, table, version))
    return found or list(_of_rows(connection, table, version))


def _of_columns(connection: duckdb.DuckDBPyConnection, table: str, version: str) -> Iterator[str]:
    columns = connection.execute(f"describe from {table}").fetchall()
    wanted, there = specified(version), {name: kind for name, kind, *_ in columns}
    for name in wanted.keys() - there.keys():
        yield f"{name} is not there"
    for name, kind in there.items():
        if name not in wanted and not name.startswith("x_"):
            yield f"{name} is no column of FOCUS, and does not begin with x_"
        elif name in wanted and kind.partition("(")[0] != wanted[name][0]:
            yield f"{name} is of type {kind}"


def _of_rows(connection: duckdb.DuckDBPyConnection, table: str, version: str) -> Iterator[str]:
    provider = "ProviderName" if version == "1.2" else "ServiceProviderName"
    wrong = {what: rows.format(provider=provider, unit=UNIT) for what, rows in WRONG.items()}
    needed = (name for name, (_, may_be_null) in specified(version).items() if not may_be_null)
    wrong |= {f"{name} is null": f"{name} is null" for name in needed}
    counts = ", ".join(f"count(*) filter (where {rows})" for rows in wrong.values())
    (found,) = connection.execute(f"select {counts} from {table}").fetchall()
    yield from (f"{what}: {count} rows" for what, count in zip(wrong, found, strict=True) if count)
    ((repeated,),) = connection.execute(
        f"select count(*) - count(distinct ({GRAIN})) from {table}"
    ).fetchall()
    if repeated:
        yield f"{repeated} rows are of the grain of others"
