-- What of a growth that is told at once of several days was used before the day on which it stands: an
-- even share on each of these days of its month, and on the day itself as much below zero, so that the
-- rows of one growth add up to nothing. (A running total that nobody read for some days.)
-- grain: series_key, granularity, told_on, day_start
-- window: day_start, by month
with grown as (
    select
        usage.series_key, usage.granularity, usage.day_start as told_on,
        any_value(usage.source) as source, any_value(usage.resource) as resource,
        any_value(usage.scope) as scope, any_value(usage.org_id) as org_id,
        any_value(usage.project_id) as project_id, any_value(usage.meter) as meter,
        any_value(usage.unit) as unit, any_value(usage.is_open) as is_open,
        any_value(usage.quantity) as quantity, sum(cost.cost) as cost,
        greatest(min(usage.told_from), date_trunc('month', usage.day_start)) as first_day,
        date_diff('day', first_day, usage.day_start) as moved_count
    from intermediate.int_usage_by_day as usage
    inner join marts.fct_cost_by_day as cost
        on usage.series_key = cost.series_key and usage.granularity = cost.granularity
        and usage.day_start = cost.day_start
    where usage.told_from is not null and usage.granularity <> 'monthly'
    group by usage.series_key, usage.granularity, usage.day_start
)

select
    grown.source, grown.resource, grown.scope, grown.org_id, grown.project_id, grown.meter,
    grown.unit, grown.is_open, grown.series_key, grown.granularity,
    grown.told_on, -- UTC day on which the growth stands
    calendar.bucket_start as day_start, -- UTC day
    cast(cast(cast(grown.quantity as double) / (grown.moved_count + 1) as decimal(38, 9))
        * case when calendar.bucket_start < grown.told_on then 1 else -grown.moved_count end
        as decimal(38, 9)) as quantity, -- in `unit`
    cast(cast(cast(grown.cost as double) / (grown.moved_count + 1) as decimal(38, 18))
        * case when calendar.bucket_start < grown.told_on then 1 else -grown.moved_count end
        as decimal(38, 18)) as cost -- US dollars; null: unpriced
from grown
inner join staging.stg_calendar__buckets as calendar
    on calendar.granularity = 'daily' and calendar.bucket_start >= grown.first_day
    and calendar.bucket_start <= grown.told_on
