-- Usage that is in no FOCUS report, because it has no price: how much of it, and why. FOCUS wants a cost
-- in every row, and 0 would be a statement. One row per UTC month, org, meter, unit, plan and reason.
-- grain: period_month, source, org_id, meter, unit, plan, granularity, unpriced_reason
-- window: period_month
-- materialized: view
select
    cast(date_trunc('month', cost.period_date) as date) as period_month, -- first of the UTC month
    cost.source, cost.org_id, cost.meter, cost.unit, cost.plan, cost.granularity,
    cost.unpriced_reason,
    cast(count(*) as bigint) as row_count, -- rows of marts.fct_cost_by_day that are left out
    cast(count(distinct cost.series_key) as bigint) as series_count, -- things that used it
    cast(sum(cost.quantity) as decimal(38, 9)) as quantity, -- in `unit`
    cast(bool_or(cost.is_open) as boolean) as is_open -- true: some of it will still change
from marts.fct_cost_by_day as cost
where cost.unpriced_reason is not null
group by
    date_trunc('month', cost.period_date), cost.source, cost.org_id, cost.meter,
    cost.unit, cost.plan, cost.granularity, cost.unpriced_reason
