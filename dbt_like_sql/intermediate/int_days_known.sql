-- One row per scope of allowances and UTC day of which it is known what was used: it was asked by the
-- hour or by the day, or exported by the day. A day that is not here is unknown, or told by the month.
-- grain: resource, scope, day_start
with asked as (
    select
        held.resource, held.scope, held.granularity,
        date_trunc('day', held.bucket_start) as day_start,
        held.asked_at >= held.bucket_end + retention.settles_minutes * interval '1' minute
            as is_settled
    from staging.stg_loads__buckets as held
    inner join seeds.retention as retention
        on held.resource = retention.resource and held.granularity = retention.granularity
    semi join intermediate.int_allowance_periods as period
        on held.resource = period.resource and held.scope = period.scope
    where held.granularity <> 'monthly'
),

days as (
    select
        asked.resource, asked.scope, asked.day_start,
        count(*) filter (asked.granularity = 'daily' and asked.is_settled) = 1
        or count(*) filter (asked.granularity = 'hourly' and asked.is_settled) = 24
            as is_settled
    from asked
    anti join intermediate.int_resolution as resolution
        on asked.resource = resolution.resource and asked.scope = resolution.scope
        and asked.day_start = resolution.period_start and resolution.served_by = 'monthly'
    group by asked.resource, asked.scope, asked.day_start
    union all
    select
        usage.resource, usage.scope, usage.period_start, coalesce(usage.is_settled, false)
    from intermediate.int_allowance_usage as usage
    where not usage.is_month
)

select
    days.resource, -- the table in raw.*
    days.scope, -- what was asked about, or exported together
    cast(days.day_start as timestamptz) as day_start, -- UTC day
    cast(bool_or(days.is_settled) as boolean) as is_settled -- false: what it used can still change
from days
group by days.resource, days.scope, days.day_start
