-- One row per scope and UTC day of which it is known what was used: it was asked by the hour or by the
-- day, or (of what an allowance is counted for) exported by the day. A day that is not here is unknown,
-- or told by the month.
-- grain: resource, scope, day_start
-- window: day_start, by month
select
    held.resource, -- the table in raw.*
    held.scope, -- what was asked about, or exported together
    resolution.period_start as day_start, -- UTC day
    -- its one row, or all of its hours
    cast(coalesce(
        sum(case held.granularity when 'daily' then 24 else 1 end) filter (held.is_settled) >= 24,
        false
    ) as boolean) as is_settled -- false: what it used can still change
from staging.stg_loads__buckets as held
inner join intermediate.int_resolution as resolution
    on held.resource = resolution.resource and held.scope = resolution.scope
    and date_trunc('day', held.bucket_start) = resolution.period_start
where held.granularity <> 'monthly' and resolution.served_by <> 'monthly'
group by held.resource, held.scope, resolution.period_start
union all
select usage.resource, usage.scope, usage.period_start, bool_or(usage.is_settled)
from intermediate.int_allowance_usage as usage
where not usage.is_month and usage.is_settled is not null
group by usage.resource, usage.scope, usage.period_start
