-- One row per UTC hour, day and month from 2024 to 2035.
-- grain: granularity, bucket_start
-- window: bucket_start
with days as (
    select cast(day.date as timestamptz) as day_start
    from seeds.calendar_days as day
),

hours (hour_number) as (
    values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11),
    (12), (13), (14), (15), (16), (17), (18), (19), (20), (21), (22), (23)
),

buckets as (
    select
        'hourly' as granularity,
        days.day_start,
        days.day_start + hours.hour_number * interval '1' hour as bucket_start,
        days.day_start + (hours.hour_number + 1) * interval '1' hour as bucket_end
    from days
    cross join hours
    union all
    select
        'daily' as granularity,
        days.day_start, days.day_start as bucket_start,
        days.day_start + interval '1' day as bucket_end
    from days
    union all
    select
        'monthly' as granularity,
        days.day_start, days.day_start as bucket_start,
        days.day_start + interval '1' month as bucket_end
    from days
    where extract(day from days.day_start) = 1
)

select
    cast(buckets.granularity as varchar) as granularity, -- hourly, daily or monthly
    cast(buckets.day_start as timestamptz) as day_start, -- start of the UTC day that it starts on
    cast(buckets.bucket_start as timestamptz) as bucket_start, -- first instant, UTC
    cast(buckets.bucket_end as timestamptz) as bucket_end -- first instant of the next one, UTC
from buckets
