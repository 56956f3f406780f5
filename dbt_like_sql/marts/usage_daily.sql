-- Usage and its cost by UTC day, with names: the table to begin with. sum(quantity) of a meter, and
-- sum(cost), are right under any filter; a meter has one unit here. It has no months that are known only
-- as a whole: since when it is complete, reports.complete_days says.
-- grain: series_key, granularity, day_start
-- window: day_start
-- materialized: view
select
    usage.source, usage.org_id, usage.org_name, usage.project_id, usage.project_name,
    usage.branch_id, usage.branch_name, usage.site_id, usage.site_name, usage.environment_id,
    usage.user_id, usage.user_name, usage.owner_key, usage.team, usage.customer, usage.product,
    usage.environment, usage.family, usage.meter, usage.plan, usage.granularity,
    usage.period_date, usage.period_month, usage.quantity, usage.unit, usage.billed_quantity,
    usage.billed_unit, usage.cost, usage.list_cost, usage.unpriced_reason, usage.is_open,
    usage.day_start, usage.series_key
from marts.usage_by_day as usage
where usage.granularity <> 'monthly'
