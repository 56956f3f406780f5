-- UTC days of which it is known what was used of a source: one row per day with usage, or that was asked
-- about and on which nothing was used. A month that is told only as a whole stands on its first day.
-- grain: source, period_date, is_month
-- window: period_date, by month
with wholes as (
    select distinct
        usage.source, usage.resource, date_trunc('month', usage.day_start) as month_start
    from intermediate.int_usage_by_day as usage
)

select
    cost.source, -- vendor API family
    cost.period_date, -- UTC day
    cast(cost.granularity = 'monthly' as boolean) as is_month -- true: all of its month, and no day
from marts.fct_cost_by_day as cost
group by cost.source, cost.period_date, cost.granularity = 'monthly'
union
select
    retention.source,
    cast(day.day_start as date) as period_date,
    cast(false as boolean) as is_month
from intermediate.int_days_known as day
inner join seeds.retention as retention on day.resource = retention.resource
left join wholes
    on retention.source = wholes.source and date_trunc('month', day.day_start) = wholes.month_start
-- a day of which parts alone were asked (branches, sites) is in no fact, and what it used is unknown
where coalesce(day.resource = wholes.resource, true)
union
select
    moved.source,
    cast(moved.day_start as date) as period_date,
    cast(false as boolean) as is_month
from intermediate.int_moved_usage as moved
