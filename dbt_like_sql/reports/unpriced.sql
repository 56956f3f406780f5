-- One row per meter, unit, plan and organization of which usage has no cost, and the reason: no price is
-- known, or how much is included is not. Its quantity is in marts.fct_cost, without a cost. No run
-- fails for it, as a plan without a published price has none on any day.
-- grain: source, meter, unit, plan, org_id, sku, unpriced_reason
select
    cost.source, cost.meter, cost.unit, cost.plan, cost.org_id, cost.sku, cost.unpriced_reason,
    cast(cost.sku is not null and sum(cost.list_cost) is null as boolean)
        as is_stated, -- true: the price book itself says so; false: a row is missing somewhere
    min(cost.period_date) as first_date, -- UTC day
    max(cost.period_date) as last_date, -- UTC day
    cast(count(distinct date_trunc('month', cost.period_date)) as bigint)
        as month_count, -- UTC months in which there was such usage
    cast(sum(cost.quantity) as decimal(38, 9)) as quantity -- in `unit`
from marts.fct_cost_by_day as cost
where cost.unpriced_reason is not null
group by cost.source, cost.meter, cost.unit, cost.plan, cost.org_id, cost.sku, cost.unpriced_reason
