"""What the simulated company's Neon projects cost, by a calculator of its own, in fractions.

Written from Neon's pages alone (docs/introduction/usage-calculations and plans, November 2026); it
knows no price book and no SQL.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.sandbox.expected import Held, served
from tests.sandbox.periods import billing_periods
from tests.sandbox.times import Granularity, following

if TYPE_CHECKING:
    from tests.sandbox.company import Company
    from tests.sandbox.estate import Org

GB = 10**9
# dollars for one of the API's own units: CU-seconds, byte-months, bytes, branch-hours
RATES = {
    "root_branch_bytes_month": Fraction(35, 100) / GB,
    "child_branch_bytes_month": Fraction(35, 100) / GB,
    "instant_restore_bytes_month": Fraction(20, 100) / GB,
    "snapshot_storage_bytes_month": Fraction(9, 100) / GB,
    "public_network_transfer_bytes": Fraction(10, 100) / GB,
    "private_network_transfer_bytes": Fraction(1, 100) / GB,
    "extra_branches_month": Fraction(150, 100) / 744,
}
CU_HOUR = {"launch": Fraction(106, 1000), "scale": Fraction(222, 1000)}
FREE_BRANCHES = {"launch": 9, "scale": 24}
FREE_TRANSFER = 500 * GB
Bill = dict[tuple[str, str], Fraction]


def neon_bill(company: Company, held: Held, month: datetime) -> Bill:
    """Dollars by project and metric for the part of a month that is held, as `served` says."""
    bill: Bill = defaultdict(Fraction)
    sent: dict[str, int] = defaultdict(int)
    for granularity, start in served(held, company.now):
        if month <= start < following(month, "monthly"):
            for project in company.projects.values():
                for metric in ("compute_unit_seconds", *RATES):
                    shares = _shares(company, project.id, metric, granularity, start)
                    if metric == "public_network_transfer_bytes":
                        sent[project.id] += sum(shares.values())
                    elif cost := _cost(metric, shares, start, granularity):
                        bill[project.id, metric] += cost
    for project_id, quantity in sent.items():
        beyond = max(0, quantity - FREE_TRANSFER)
        rate = RATES["public_network_transfer_bytes"]
        bill[project_id, "public_network_transfer_bytes"] = beyond * rate
    return {line: cost for line, cost in bill.items() if cost}


def _cost(
    metric: str, shares: dict[str, int], start: datetime, granularity: Granularity
) -> Fraction | None:
    """Of one bucket; None where it has no price: private networking is not sold on Launch."""
    if metric == "compute_unit_seconds":
        return sum((q * CU_HOUR[plan] / 3600 for plan, q in shares.items()), Fraction())
    if metric == "private_network_transfer_bytes":
        return shares.get("scale", 0) * RATES[metric]
    if metric != "extra_branches_month":
        return sum(shares.values()) * RATES[metric]
    hours = int((following(start, granularity) - start).total_seconds()) // 3600
    used, beyond = 0, 0
    for plan, quantity in sorted(shares.items()):
        free = FREE_BRANCHES[plan] * hours
        beyond += max(0, used + quantity - free) - max(0, used - free)
        used += quantity
    return beyond * RATES[metric]


def _shares(
    company: Company, project_id: str, metric: str, granularity: Granularity, start: datetime
) -> dict[str, int]:
    """What a project used in a bucket, by plan."""
    org: Org = company.orgs[company.projects[project_id].org_id]
    value = company.value(org.id, project_id, None, metric, granularity, start)
    end = following(start, granularity)
    shares: dict[str, int] = {}
    for period in billing_periods(org, start, end, company.now):
        share = period.share(value, start, end) if value else 0
        shares[period.plan] = shares.get(period.plan, 0) + share
    return shares
