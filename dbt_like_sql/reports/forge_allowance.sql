-- One row per Forge app, resource and calendar month with a free allowance in force: what was used of
-- it, from which day on it was used up, and where the month will end if it goes on as so far.
-- Allowances are per app and month, over all environments (seeds/allowances.csv).
-- grain: app_id, meter, unit, month_start
with days as (
    select
        usage.project_id as app_id,
        usage.meter,
        usage.unit,
        usage.period_start,
        date_trunc('month', usage.period_start) as month_start,
        sum(usage.quantity) as quantity
    from intermediate.int_usage as usage
    where usage.source = 'forge'
    group by
        usage.project_id, usage.meter, usage.unit, usage.period_start,
        date_trunc('month', usage.period_start)
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

-- days that are over and settled: what a projection may build on
settled as (
    select
        held.scope,
        date_trunc('month', held.bucket_start) as month_start,
        max(held.bucket_end) as settled_until,
        count(*) as settled_day_count
    from intermediate.int_buckets_held as held
    inner join seeds.retention as retention
        on held.resource = retention.resource and held.granularity = retention.granularity
    where held.resource = 'forge_app_usage'
        and held.asked_at >= held.bucket_end + retention.settles_minutes * interval '1' minute
    group by held.scope, date_trunc('month', held.bucket_start)
),

months as (
    select
        running.app_id,
        running.meter,
        running.unit,
        running.month_start,
        allowance.quantity as allowance,
        settled.settled_day_count,
        sum(running.quantity) as quantity,
        sum(case when running.period_start < settled.settled_until then running.quantity end)
            as settled_quantity,
        min(case when running.used_so_far > allowance.quantity then running.period_start end)
            as first_day_over
    from running
    inner join seeds.allowances as allowance
        on allowance.source = 'forge'
        and running.meter = allowance.meter
        and running.unit = allowance.unit
        and cast(running.month_start as date)
        >= coalesce(allowance.valid_from_date, date '1970-01-01')
        and cast(running.month_start as date)
        < coalesce(allowance.valid_until_date, date '9999-12-31')
    left join settled
        on running.app_id || '/' || running.meter = settled.scope
        and running.month_start = settled.month_start
    group by
        running.app_id, running.meter, running.unit, running.month_start, allowance.quantity,
        settled.settled_day_count
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
    cast(months.settled_day_count as bigint) as settled_day_count, -- days projected from
    cast(
        cast(months.settled_quantity as double) / months.settled_day_count
        * date_diff('day', months.month_start, months.month_start + interval '1' month) as double
    ) as projected_quantity, -- at month end, if it goes on as in the settled days
    cast(greatest(
        cast(months.settled_quantity as double) / months.settled_day_count
        * date_diff('day', months.month_start, months.month_start + interval '1' month)
        - cast(months.allowance as double), 0
    ) as double) as projected_overage_quantity -- billed at month end, then
from months
