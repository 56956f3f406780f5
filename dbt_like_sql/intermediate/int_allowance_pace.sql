-- One row per allowance and period that is told by the day: when it was used up, how many of its days
-- are known, and what was used on those that cannot change any more. A day that is known and on which
-- only others used something is 0. Of several scopes that share an allowance (repositories of a workspace)
-- a day is known that is known of any of them, and settled that is in all of these.
-- grain: allowance_key, period_start
with scopes as (
    select distinct usage.allowance_key, usage.allowed_from, usage.resource, usage.scope
    from intermediate.int_allowance_usage as usage
),

days as (
    select
        allowance.allowance_key, allowance.period_start, allowance.included_quantity,
        day.day_start, sum(coalesce(used.quantity, 0)) as quantity,
        bool_and(coalesce(used.is_settled, day.is_settled)) as is_settled
    from intermediate.int_allowances as allowance
    inner join scopes
        on allowance.allowance_key = scopes.allowance_key
        and allowance.period_start = scopes.allowed_from
    inner join intermediate.int_days_known as day
        on scopes.resource = day.resource and scopes.scope = day.scope
        and day.day_start >= allowance.period_start and day.day_start < allowance.resets_at
    left join intermediate.int_allowance_usage as used
        on not used.is_month and scopes.allowance_key = used.allowance_key
        and scopes.scope = used.scope and day.day_start = used.period_start
    -- days beside months are not all of it; and a day counts against one allowance only
    where not allowance.has_months
        and (used.period_start is null or used.allowed_from = allowance.period_start)
    group by
        allowance.allowance_key, allowance.period_start, allowance.included_quantity, day.day_start
),

running as (
    select
        days.*,
        sum(days.quantity) over (of_period order by days.day_start) as used_so_far,
        max(case when days.is_settled then days.day_start end) over of_period
        - interval '7' day as week_before
    from days
    window of_period as (partition by days.allowance_key, days.period_start)
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
