-- One row per resource, scope and UTC day: which granularity serves that day, so that no usage is
-- counted at two. A day is served by its hours when they cover it, else by its daily row; a month by
-- its days when they cover it, else by its monthly row; where nothing coarser was asked, by what is
-- held. Derived from the receipts alone.
-- grain: resource, scope, period_start
-- check: served_by in ('hourly', 'daily', 'monthly')
with buckets as (
    -- worked out once for all that follows
    select
        bucket.resource, bucket.scope, bucket.granularity, bucket.bucket_start, bucket.asked_at
    from staging.stg_loads__buckets as bucket
),

days as (
    select held.resource, held.scope, date_trunc('day', held.bucket_start) as day_start
    from buckets as held
    where held.granularity <> 'monthly'
    union
    select held.resource, held.scope, calendar.bucket_start as day_start
    from buckets as held
    inner join staging.stg_calendar__buckets as calendar
        on date_trunc('month', calendar.bucket_start) = held.bucket_start
    where held.granularity = 'monthly' and calendar.granularity = 'daily'
),

asked as (
    select
        days.*,
        days.day_start + interval '1' day as day_end,
        daily.asked_at as day_asked_at,
        monthly.asked_at as month_asked_at
    from days
    left join buckets as daily
        on days.resource = daily.resource and days.scope = daily.scope
        and daily.granularity = 'daily' and days.day_start = daily.bucket_start
    left join buckets as monthly
        on days.resource = monthly.resource and days.scope = monthly.scope
        and monthly.granularity = 'monthly'
        and date_trunc('month', days.day_start) = monthly.bucket_start
),

-- hours cover a day as of the instant when its daily row was asked: each that had ended by then was
-- asked after its end, and the one still open was asked at all; the same for days and months
hours as (
    select
        asked.resource,
        asked.scope,
        asked.day_start,
        asked.day_end,
        asked.day_asked_at,
        asked.month_asked_at,
        count(held.asked_at) as hours_held,
        bool_and(
            calendar.bucket_start >= asked.day_asked_at
            or coalesce(
                held.asked_at >= calendar.bucket_end
                or (held.asked_at is not null and calendar.bucket_end > asked.day_asked_at),
                false
            )
        ) as hours_cover_day,
        bool_and(
            calendar.bucket_start >= asked.month_asked_at
            or coalesce(
                held.asked_at >= calendar.bucket_end
                or (held.asked_at is not null and calendar.bucket_end > asked.month_asked_at),
                false
            )
        ) as hours_cover_month
    from asked
    inner join staging.stg_calendar__buckets as calendar
        on date_trunc('day', calendar.bucket_start) = asked.day_start
    left join buckets as held
        on asked.resource = held.resource and asked.scope = held.scope
        and held.granularity = 'hourly' and calendar.bucket_start = held.bucket_start
    where calendar.granularity = 'hourly'
    group by
        asked.resource, asked.scope, asked.day_start, asked.day_end, asked.day_asked_at,
        asked.month_asked_at
),

decided as (
    select
        hours.*,
        bool_and(
            hours.day_start >= hours.month_asked_at
            or hours.hours_cover_month
            or coalesce(hours.day_asked_at >= hours.day_end, false)
            or (hours.day_asked_at is not null and hours.day_end > hours.month_asked_at)
        ) over (
            partition by hours.resource, hours.scope, date_trunc('month', hours.day_start)
        ) as month_is_covered_by_days
    from hours
)

select
    decided.resource,
    decided.scope,
    decided.day_start as period_start, -- UTC day
    cast(case
        when decided.month_asked_at is not null and not decided.month_is_covered_by_days
            then 'monthly'
        when decided.hours_held > 0
            and (decided.day_asked_at is null or decided.hours_cover_day)
            then 'hourly'
        else 'daily'
    end as varchar) as served_by -- hourly, daily or monthly
from decided
where decided.hours_held > 0
    or decided.day_asked_at is not null
    or not decided.month_is_covered_by_days
