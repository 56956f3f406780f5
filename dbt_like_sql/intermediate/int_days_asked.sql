-- One row per scope of Neon or Forge and UTC day that was asked for hour by hour or by the day: whether
-- all of it was asked after it had settled. A day that is not here is unknown.
-- grain: source, scope, day_start
with held as (
    select
        held.source, held.scope, held.granularity,
        date_trunc('day', held.bucket_start) as day_start,
        held.asked_at >= held.bucket_end + retention.settles_minutes * interval '1' minute
            as is_settled
    from staging.stg_loads__buckets as held
    inner join seeds.retention as retention
        on held.resource = retention.resource and held.granularity = retention.granularity
    where held.resource in ('forge_app_usage', 'neon_project_usage')
        and held.granularity <> 'monthly'
),

-- days that are served by a month are told by the month
served_by_month as (
    select resolution.scope, resolution.period_start
    from intermediate.int_resolution as resolution
    where resolution.resource = 'neon_project_usage' and resolution.served_by = 'monthly'
)

select
    held.source, -- neon or forge
    held.scope, -- what was asked about: an org id; app/resource
    cast(held.day_start as timestamptz) as day_start, -- UTC day
    cast(
        count(*) filter (held.granularity = 'daily' and held.is_settled) = 1
        or count(*) filter (held.granularity = 'hourly' and held.is_settled) = 24
        as boolean
    ) as is_settled -- false: what it used can still change
from held
anti join served_by_month as month
    on held.source = 'neon' and held.scope = month.scope and held.day_start = month.period_start
group by held.source, held.scope, held.day_start
