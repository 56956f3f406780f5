-- One row per UTC hour, day and month from 2016, when the oldest of what is metered began, to 2035.
-- grain: granularity, bucket_start
-- window: bucket_start
with days as (
    select cast(day.date as timestamptz) as day_start
    from seeds.calendar_days as day
),

hours (hour_number) as (
    values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11),
    (12), (13), (14), (15), (16), (17), (18), (19), (20), (21), (22), (23)
)

select
    cast('hourly' as varchar) as granularity, -- hourly, daily or monthly
    days.day_start, -- start of the UTC day that it starts on
    cast(days.day_start + hours.hour_number * interval '1' hour as timestamptz)
        as bucket_start, -- first instant, UTC
    cast(days.day_start + (hours.hour_number + 1) * interval '1' hour as timestamptz)
        as bucket_end -- first instant of the next one, UTC
from days
cross join hours
union all
select 'daily', days.day_start, days.day_start, days.day_start + interval '1' day
from days
union all
select 'monthly', days.day_start, days.day_start, days.day_start + interval '1' month
from days
where extract(day from days.day_start) = 1
