-- One row per resource, scope and UTC day: which granularity serves that day, so that no usage is
-- counted at two. A day is served by its hours when they cover it, else by its daily row; a month by
-- its days when they cover it, else by its monthly row; where nothing coarser was asked, by what is
-- held. Derived from the receipts alone.
-- grain: resource, scope, period_start
-- window: period_start, by month
-- check: served_by in ('hourly', 'daily', 'monthly')
with held as (
    -- a bucket covers its time as of any instant if it was asked after its end, else as of those
    -- before its end; one that was not asked (below), as of those up to its start
    select
        bucket.*,
        case when bucket.asked_at >= bucket.bucket_end then timestamptz '9999-12-31 00:00:00+00'
            else bucket.bucket_end - interval '1' microsecond end as covers_until
    from staging.stg_loads__buckets as bucket
),

days as (
    select held.resource, held.scope, date_trunc('day', held.bucket_start) as day_start
    from held
    where held.granularity <> 'monthly'
    union
    select held.resource, held.scope, calendar.bucket_start
    from held
    inner join staging.stg_calendar__buckets as calendar
        on date_trunc('month', calendar.bucket_start) = held.bucket_start
    where held.granularity = 'monthly' and calendar.granularity = 'daily'
),

hours as (
    select
        days.resource, days.scope, days.day_start, count(held.asked_at) as hours_held,
        min(coalesce(held.covers_until, calendar.bucket_start)) as cover_until
    from days
    inner join staging.stg_calendar__buckets as calendar
        on date_trunc('day', calendar.bucket_start) = days.day_start
    left join held
        on days.resource = held.resource and days.scope = held.scope
        and held.granularity = 'hourly' and calendar.bucket_start = held.bucket_start
    where calendar.granularity = 'hourly'
    group by days.resource, days.scope, days.day_start
),

-- what is finer serves where it covers the coarser as of the instant when that was asked
judged as (
    select
        hours.*,
        daily.asked_at is not null as is_day_asked,
        hours.cover_until >= daily.asked_at as is_covered_by_hours,
        monthly.asked_at <= min(greatest(
            hours.cover_until, coalesce(daily.covers_until, hours.day_start)
        )) over (
            partition by hours.resource, hours.scope, date_trunc('month', hours.day_start)
        ) as is_month_covered
    from hours
    left join held as daily
        on hours.resource = daily.resource and hours.scope = daily.scope
        and daily.granularity = 'daily' and hours.day_start = daily.bucket_start
    left join held as monthly
        on hours.resource = monthly.resource and hours.scope = monthly.scope
        and monthly.granularity = 'monthly'
        and date_trunc('month', hours.day_start) = monthly.bucket_start
)

select
    judged.resource, judged.scope,
    judged.day_start as period_start, -- UTC day
    cast(case
        when not judged.is_month_covered then 'monthly'
        when judged.hours_held > 0 and coalesce(judged.is_covered_by_hours, true) then 'hourly'
        else 'daily'
    end as varchar) as served_by -- hourly, daily or monthly
from judged
where judged.hours_held > 0 or judged.is_day_asked or not judged.is_month_covered
