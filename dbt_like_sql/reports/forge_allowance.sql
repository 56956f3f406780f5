-- One row per Forge app, resource and calendar month with a free allowance in force: what was used of
-- it, from which day on it was used up, and where the month will end if it goes on as so far. Where
-- missing_day_count is not 0, some days were never asked for, and used_quantity is a lower bound.
-- Allowances are per app and month, over all environments (seeds/allowances.csv).
-- grain: app_id, meter, unit, month_start
with held as (
    select
        bucket.scope,
        bucket.bucket_start,
        bucket.bucket_end,
        date_trunc('month', bucket.bucket_start) as month_start,
        -- a projection may build on days that are over and settled
        bucket.asked_at >= bucket.bucket_end + retention.settles_minutes * interval '1' minute
            as is_settled
    from intermediate.int_buckets_held as bucket
    inner join seeds.retention as retention
        on bucket.resource = retention.resource and bucket.granularity = retention.granularity
    where bucket.resource = 'forge_app_usage'
),

held_months as (
    select
        held.scope,
        held.month_start,
        sum(case when held.is_settled then 1 end) as settled_day_count,
        date_diff('day', held.month_start, max(held.bucket_end)) - count(*) as missing_day_count
    from held
    group by held.scope, held.month_start
),

days as (
    select
        usage.project_id as app_id,
        usage.meter,
        usage.unit,
        usage.period_start,
        held.scope,
        held.month_start,
        held.is_settled,
        sum(usage.quantity) as quantity
    from intermediate.int_usage as usage
    inner join held
        on usage.project_id || '/' || usage.meter = held.scope
        and usage.period_start = held.bucket_start
    where usage.source = 'forge'
    group by
        usage.project_id, usage.meter, usage.unit, usage.period_start, held.scope,
        held.month_start, held.is_settled
),

running as (
    select
        days.*,
        sum(days.quantity) over (
            partition by days.app_id, days.meter, days.unit, days.month_start
            order by days.period_start
        ) as used_so_far
    from days
),

months as (
    select
        running.app_id,
        running.meter,
        running.unit,
        running.month_start,
        allowance.quantity as allowance,
        held_months.settled_day_count,
        held_months.missing_day_count,
        sum(running.quantity) as quantity,
        min(case when running.used_so_far > allowance.quantity then running.period_start end)
            as first_day_over,
        cast(sum(case when running.is_settled then running.quantity else 0 end) as double)
        * date_diff('day', running.month_start, running.month_start + interval '1' month)
        / held_months.settled_day_count as projected
    from running
    inner join held_months
        on running.scope = held_months.scope and running.month_start = held_months.month_start
    inner join seeds.allowances as allowance
        on allowance.source = 'forge'
        and running.meter = allowance.meter
        and running.unit = allowance.unit
        and cast(running.month_start as date)
        >= coalesce(allowance.valid_from_date, date '1970-01-01')
        and cast(running.month_start as date)
        < coalesce(allowance.valid_until_date, date '9999-12-31')
    group by
        running.app_id, running.meter, running.unit, running.month_start, allowance.quantity,
        held_months.settled_day_count, held_months.missing_day_count
)

select
    months.app_id, -- Forge app
    months.meter, -- Atlassian's name of the resource
    months.unit, -- Atlassian's unit
    months.month_start, -- UTC month
    cast(months.quantity as decimal(38, 9)) as used_quantity, -- so far
    cast(months.allowance as decimal(38, 9)) as allowance_quantity, -- free in this month
    -- null where nothing is free
    cast(cast(months.quantity as double) / nullif(cast(months.allowance as double), 0) as double)
        as used_share, -- 1: used up
    cast(greatest(months.quantity - months.allowance, 0) as decimal(38, 9))
        as overage_quantity, -- billed so far
    cast(months.first_day_over as date) as first_day_over, -- UTC day; null: not yet
    cast(months.missing_day_count as bigint) as missing_day_count, -- not asked, before the last that was
    cast(coalesce(months.settled_day_count, 0) as bigint)
        as settled_day_count, -- days projected from
    cast(months.projected as double)
        as projected_quantity, -- at month end, if it goes on as in the settled days; null: none yet
    cast(case when months.projected is not null
        then greatest(months.projected - cast(months.allowance as double), 0) end as double)
        as projected_overage_quantity -- billed at month end, then
from months
