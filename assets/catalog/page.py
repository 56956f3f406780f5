"""The page of `meterhouse report` as an asset: written after each build, with a picture of it."""

import re
from base64 import b64encode
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import dagster as dg

from assets.catalog.tables import MODELS, OWNERS, model_key
from assets.report import files, page
from assets.settings import Settings
from dbt_like_sql.engine import warehouse
from dbt_like_sql.engine.lakes.address import beside

_READ = re.findall(
    r"\w+\.\w+", " ".join(p.read_text(encoding="utf-8") for p in page.QUERIES.values())
)
PAGE = dg.AssetSpec(
    "report",
    deps=[model_key(name) for name in sorted(MODELS.keys() & _READ)],
    description="One HTML file of what was used, what it costs and what is at risk, beside the "
    "warehouse: of the month under way. Other months: `meterhouse report --month`.",
    group_name="reports",
    kinds={"html"},
    tags={"layer": "reports"},
    owners=OWNERS,
    skippable=True,
)
DAYS_SHOWN = 31
COST_BY_DAY = f"""
    select period_date, sum(cost) from marts.fct_cost_by_day
    where granularity <> 'monthly' and cost is not null
    group by period_date order by period_date desc limit {DAYS_SHOWN}
"""  # noqa: S608


def write(settings: Settings) -> dg.MaterializeResult[Any]:
    """Write it; where it is, and what each day cost."""
    to = beside(settings.warehouse).with_suffix(".report.html")
    files.write_page(settings, None, to)
    with warehouse.reader(settings.warehouse) as connection:
        days = connection.execute(COST_BY_DAY).fetchall()[::-1]
    about = {
        "page": dg.MetadataValue.path(to.resolve()),
        "cost by day": dg.MetadataValue.md(picture(days)),
    }
    return dg.MaterializeResult(asset_key=PAGE.key, metadata=about)


def picture(days: Sequence[tuple[date, Decimal]]) -> str:
    """A bar for what each day cost, as an image in Markdown; a day that cost nothing has its
    place."""
    if not days:
        return "nothing is priced yet"
    last = days[-1][0]
    days = [(day, cost) for day, cost in days if (last - day).days < DAYS_SHOWN]
    top = max(cost for _, cost in days) or Decimal(1)
    heights = [((day - days[0][0]).days, max(100 * cost / top, Decimal(0))) for day, cost in days]
    bars = [
        f'<rect x="{20 * x}" y="{120 - h:.1f}" width="16" height="{h:.1f}"/>' for x, h in heights
    ]
    text = f"US dollars a day, {days[0][0]} to {days[-1][0]}; at most {top:,.2f}"
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {DAYS_SHOWN * 20} 125" width="620"'
        f' font-family="sans-serif" font-size="12" fill="#5b6ee1"><text y="12">{text}</text>'
        f"{''.join(bars)}</svg>"
    )
    return f"![{text}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"
