-- One row per allowance and period that is told by the day, and UTC day that is known: what its owner
-- used on it, and 0 on days on which only others did. A day that is not here is unknown.
-- grain: allowance_key, period_start, day_start
with used as (
    select
        usage.allowance_key, usage.allowed_from, usage.period_start as day_start,
        usage.quantity, usage.is_settled
    from intermediate.int_allowance_usage as usage
    where not usage.is_month
)

select
    allowance.allowance_key,
    allowance.period_start,
    day.day_start,
    cast(coalesce(used.quantity, 0) as decimal(38, 9)) as quantity, -- used on it
    cast(coalesce(used.is_settled, day.is_settled) as boolean)
        as is_settled -- false: it can still change
from intermediate.int_allowances as allowance
inner join intermediate.int_days_known as day
    on allowance.resource = day.resource
    and allowance.scope = day.scope
    and day.day_start >= allowance.period_start
    and day.day_start < allowance.resets_at
left join used
    on allowance.allowance_key = used.allowance_key and day.day_start = used.day_start
-- days beside months are not all of it; and a day counts against one allowance only
where not allowance.has_months
    and (used.day_start is null or used.allowed_from = allowance.period_start)
