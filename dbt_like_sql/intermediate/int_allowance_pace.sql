-- One row per allowance and period that is told by the day: when it was used up, how many of its days
-- are known, and what was used on those that cannot change any more.
-- grain: allowance_key, period_start
with running as (
    select
        day.*,
        allowance.included_quantity,
        sum(day.quantity) over (
            partition by day.allowance_key, day.period_start
            order by day.day_start
        ) as used_so_far,
        max(case when day.is_settled then day.day_start end) over (
            partition by day.allowance_key, day.period_start
        ) - interval '7' day as week_before
    from intermediate.int_allowance_days as day
    inner join intermediate.int_allowances as allowance
        on day.allowance_key = allowance.allowance_key
        and day.period_start = allowance.period_start
)

select
    running.allowance_key,
    running.period_start,
    min(case when running.used_so_far > running.included_quantity then running.day_start end)
        as first_day_over, -- UTC day; null: not yet
    cast(
        date_diff('day', running.period_start, max(running.day_start)) + 1 - count(*) as bigint
    ) as missing_day_count, -- unknown, before the last that is known
    cast(count(*) filter (running.is_settled) as bigint)
        as settled_day_count, -- over, and not to change any more
    cast(sum(running.quantity) filter (running.is_settled) as decimal(38, 9))
        as settled_quantity, -- used on these
    cast(count(*) filter (running.is_settled and running.day_start > running.week_before)
        as bigint) as week_day_count, -- how many of the last 7 up to the last of these
    cast(
        sum(running.quantity)
        filter (running.is_settled and running.day_start > running.week_before)
        as decimal(38, 9)
    ) as week_quantity -- used on those
from running
group by running.allowance_key, running.period_start
