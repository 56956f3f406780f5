-- marts.fct_cost with hours added up: one row per thing, meter, UTC day on which its periods began, and
-- part of its price. A month that is known only as a whole stands on its first day (granularity says so).
-- grain: series_key, granularity, day_start, is_included, tier_floor, unit_price, unpriced_reason
-- window: day_start
select
    -- a series has one of each
    any_value(cost.source) as source, -- vendor API family
    any_value(cost.org_id) as org_id, -- the vendor's organization
    any_value(cost.project_id) as project_id, -- the vendor's project
    any_value(cost.branch_id) as branch_id, -- the vendor's branch
    any_value(cost.site_id) as site_id, -- site or workspace
    any_value(cost.environment_id) as environment_id, -- of a Forge app
    any_value(cost.user_id) as user_id, -- who used it
    any_value(cost.family) as family, -- compute, storage, transfer, credits or operations
    any_value(cost.meter) as meter, -- the vendor's name of what is metered
    any_value(cost.plan) as plan, -- as the vendor reported it
    cost.granularity,
    cast(cost.period_date as timestamptz) as day_start, -- UTC day, its first instant
    cost.period_date, -- the same as a date
    max(cost.period_end) as period_end, -- first instant after its last period, UTC
    cast(sum(cost.quantity) as decimal(38, 9)) as quantity, -- in `unit`
    any_value(cost.unit) as unit, -- the vendor's unit
    any_value(cost.sku) as sku, -- what is sold; null: nobody knows a price
    any_value(cost.invoice_line) as invoice_line, -- as the vendor calls it
    cast(sum(cost.billed_quantity) as decimal(38, 18)) as billed_quantity, -- in `billed_unit`
    any_value(cost.billed_unit) as billed_unit, -- what it is sold by
    cost.is_included, cost.tier_floor,
    any_value(cost.list_unit_price) as list_unit_price, -- US dollars per billed unit, as listed
    cost.unit_price,
    cast(sum(cost.cost) as decimal(38, 18)) as cost, -- US dollars, an estimate; null: unpriced
    cast(sum(cost.list_cost) as decimal(38, 18)) as list_cost, -- US dollars, as if nothing were included
    any_value(cost.price_certainty) as price_certainty, -- of the price
    cost.unpriced_reason,
    cast(bool_or(cost.is_open) as boolean) as is_open, -- true: one of them will still change
    max(cost.observed_at) as observed_at, -- when the last of them was asked
    cost.series_key
from marts.fct_cost as cost
group by
    cost.series_key, cost.granularity, cost.period_date, cost.is_included,
    cost.tier_floor, cost.unit_price, cost.unpriced_reason
