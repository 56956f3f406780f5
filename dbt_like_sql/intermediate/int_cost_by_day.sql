-- One row per series, granularity, UTC day on which its periods began, and price: hours added up, so that
-- reports need not read them.
-- grain: series_key, granularity, day_start, is_included, tier_floor, unit_price, unpriced_reason
-- window: day_start
select
    cost.series_key, cost.granularity,
    cast(date_trunc('day', cost.period_start) as timestamptz) as day_start, -- UTC day
    cost.is_included, cost.tier_floor, cost.unit_price, cost.unpriced_reason,
    -- a series has one of each on a day
    any_value(cost.source) as source, -- vendor API family
    any_value(cost.org_id) as org_id, -- the vendor's organization
    any_value(cost.project_id) as project_id, -- the vendor's project
    any_value(cost.meter) as meter, -- the vendor's name of what is metered
    any_value(cost.unit) as unit, -- the vendor's unit
    any_value(cost.plan) as plan, -- as the vendor reported it
    any_value(cost.sku) as sku, -- what is sold; null: nobody knows a price
    any_value(cost.invoice_line) as invoice_line, -- as the vendor calls it
    any_value(cost.billed_unit) as billed_unit, -- what it is sold by
    max(cost.period_end) as period_end, -- first instant after its last period, UTC
    cast(sum(cost.quantity) as decimal(38, 9)) as quantity, -- in `unit`
    cast(sum(cost.billed_quantity) as decimal(38, 18)) as billed_quantity, -- in `billed_unit`
    cast(sum(cost.cost) as decimal(38, 18)) as cost, -- US dollars; null: unpriced
    cast(sum(cost.list_cost) as decimal(38, 18)) as list_cost, -- US dollars
    cast(bool_or(cost.is_open) as boolean) as is_open -- true: one of them will still change
from marts.fct_cost as cost
group by
    cost.series_key, cost.granularity, date_trunc('day', cost.period_start), cost.is_included,
    cost.tier_floor, cost.unit_price, cost.unpriced_reason
