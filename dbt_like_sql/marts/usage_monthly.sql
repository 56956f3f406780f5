-- Usage and its cost by UTC month, with names: days added up, and months that are known only as a whole.
-- sum(quantity) of a meter, and sum(cost), are right under any filter; a meter has one unit here. A gauge
-- (runners, indexed objects, large files, packages) is its last reading of each month: over months its
-- sum is unit-months.
-- grain: series_key, owner_key, period_month
-- window: period_month, by month
-- materialized: view
select
    usage.source, usage.org_id, usage.org_name, usage.project_id, usage.project_name,
    usage.branch_id, usage.branch_name, usage.site_id, usage.site_name, usage.environment_id,
    usage.user_id, usage.user_name, usage.owner_key, usage.team, usage.customer, usage.product,
    usage.environment, usage.family, usage.meter, usage.plan, usage.period_month,
    cast(sum(usage.quantity) as decimal(38, 9)) as quantity, -- in `unit`
    usage.unit,
    cast(sum(usage.billed_quantity) as decimal(38, 18))
        as billed_quantity, -- in `billed_unit`, included or not; whole blocks where these are sold
    usage.billed_unit,
    cast(sum(usage.cost) as decimal(38, 18)) as cost, -- US dollars, an estimate; null: unpriced
    cast(sum(usage.list_cost) as decimal(38, 18))
        as list_cost, -- US dollars at list price, as if nothing were included
    cast(max(usage.unpriced_reason) as varchar)
        as unpriced_reason, -- why some of it has no cost; null: all of it has one
    cast(bool_or(usage.is_open) as boolean) as is_open, -- true: it will still change
    usage.series_key
from marts.usage_by_day as usage
group by
    usage.source, usage.org_id, usage.org_name, usage.project_id, usage.project_name,
    usage.branch_id, usage.branch_name, usage.site_id, usage.site_name, usage.environment_id,
    usage.user_id, usage.user_name, usage.owner_key, usage.team, usage.customer, usage.product,
    usage.environment, usage.family, usage.meter, usage.plan, usage.period_month,
    usage.unit, usage.billed_unit, usage.series_key
