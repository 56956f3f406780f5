-- One row per series and UTC day whose usage and cost are not of the same quantity: a model is wrong.
-- grain: series_key, granularity, day_start
-- expect: no rows
-- window: day_start
select
    usage.series_key, usage.granularity, usage.day_start, usage.source, usage.org_id,
    usage.project_id, usage.meter, usage.plan,
    usage.quantity, -- of marts.fct_usage
    cast(sum(cost.quantity) as decimal(38, 9)) as cost_quantity -- of marts.fct_cost
from intermediate.int_usage_by_day as usage
left join marts.fct_cost_by_day as cost
    on usage.series_key = cost.series_key and usage.granularity = cost.granularity
    and usage.day_start = cost.day_start
where usage.family is not null
group by
    usage.series_key, usage.granularity, usage.day_start, usage.source, usage.org_id,
    usage.project_id, usage.meter, usage.plan, usage.quantity
having sum(cost.quantity) is distinct from usage.quantity
