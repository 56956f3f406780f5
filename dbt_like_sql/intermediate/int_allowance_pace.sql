-- One row per allowance and period that is told by the day: when it was used up, how many of its days
-- are known, and what was used on those that cannot change any more. A day that is known and on which
-- only others used something is 0.
-- grain: allowance_key, period_start
with running as (
    select
        allowance.allowance_key, allowance.period_start, allowance.included_quantity,
        day.day_start, coalesce(used.quantity, 0) as quantity,
        coalesce(used.is_settled, day.is_settled) as is_settled,
        sum(coalesce(used.quantity, 0)) over (
            partition by allowance.allowance_key, allowance.period_start
            order by day.day_start
        ) as used_so_far,
        max(case when coalesce(used.is_settled, day.is_settled) then day.day_start end) over (
            partition by allowance.allowance_key, allowance.period_start
        ) - interval '7' day as week_before
    from intermediate.int_allowances as allowance
    inner join intermediate.int_days_known as day
        on allowance.resource = day.resource and allowance.scope = day.scope
        and day.day_start >= allowance.period_start and day.day_start < allowance.resets_at
    left join intermediate.int_allowance_usage as used
        on not used.is_month and allowance.allowance_key = used.allowance_key
        and day.day_start = used.period_start
    -- days beside months are not all of it; and a day counts against one allowance only
    where not allowance.has_months
        and (used.period_start is null or used.allowed_from = allowance.period_start)
)

select
    running.allowance_key, running.period_start,
    min(case when running.used_so_far > running.included_quantity then running.day_start end)
        as first_day_over, -- UTC day; null: not yet
    cast(
        date_diff('day', running.period_start, max(running.day_start)) + 1 - count(*) as bigint
    ) as missing_day_count, -- unknown, before the last that is known
    cast(count(*) filter (running.is_settled) as bigint)
        as settled_day_count, -- over, and not to change any more
    cast(sum(running.quantity) filter (running.is_settled) as decimal(38, 9))
        as settled_quantity, -- used on these
    cast(case
        when count(*) filter (running.is_settled and running.day_start > running.week_before) = 7
            then sum(running.quantity)
                filter (running.is_settled and running.day_start > running.week_before)
    end as decimal(38, 9)) as week_quantity -- used on the last 7 of these; null: not all are known
from running
group by running.allowance_key, running.period_start
