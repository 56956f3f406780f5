-- One row per allowance, period and UTC day that was asked for or exported by the day: what the holder
-- used on it, and whether that can still change. A day that is not here is unknown, or is told by the
-- month only. Exported days are the holder's own: an organization's are not the sum of its users'.
-- grain: source, meter, unit, holder_type, holder_id, period_start, day_start
with held as (
    select
        held.source, held.scope, held.granularity,
        date_trunc('day', held.bucket_start) as day_start,
        held.asked_at >= held.bucket_end + retention.settles_minutes * interval '1' minute
            as is_settled
    from intermediate.int_buckets_held as held
    inner join seeds.retention as retention
        on held.resource = retention.resource and held.granularity = retention.granularity
    where held.resource in ('forge_app_usage', 'neon_project_usage')
        and held.granularity <> 'monthly'
),

asked as (
    select held.source, held.scope, held.day_start, held.is_settled
    from held
    where held.source = 'forge'
    union all
    select
        held.source, held.scope, held.day_start,
        count(*) filter (held.granularity = 'daily' and held.is_settled) = 1
        or count(*) filter (held.granularity = 'hourly' and held.is_settled) = 24
    from held
    inner join intermediate.int_resolution as resolution
        on held.scope = resolution.scope and held.day_start = resolution.period_start
    where resolution.resource = 'neon_project_usage' and resolution.served_by <> 'monthly'
    group by held.source, held.scope, held.day_start
    union all
    select
        'atlassian_platform',
        concat_ws('/', exported.org_id, exported.meter, exported.scope_type),
        exported.period_start,
        bool_or(exported.exported_at >= exported.period_end or exported.is_final)
    from intermediate.int_platform_periods as exported
    where exported.period_end = exported.period_start + interval '1' day
    group by exported.org_id, exported.meter, exported.scope_type, exported.period_start
),

used as (
    select
        usage.source, usage.meter, usage.unit, usage.org_id, holders.holder_type,
        case holders.holder_type when 'org' then usage.org_id else usage.project_id end
            as holder_id,
        date_trunc('day', usage.period_start) as day_start, usage.quantity
    from intermediate.int_usage as usage
    cross join (values ('org'), ('project')) as holders (holder_type)
    where usage.source in ('forge', 'neon') and usage.granularity <> 'monthly'
        -- most usage has no allowance
        and exists (
            select 1 from seeds.allowances as allowance
            where usage.source = allowance.source and usage.meter = allowance.meter
        )
    union all
    select
        'atlassian_platform', exported.meter, exported.unit, exported.org_id, exported.scope_type,
        coalesce(exported.user_id, exported.project_id, exported.site_id, exported.org_id),
        exported.period_start, exported.quantity
    from intermediate.int_platform_periods as exported
    where exported.period_end = exported.period_start + interval '1' day
),

days as (
    select allowance.*, asked.day_start, asked.is_settled, cast(0 as decimal(38, 9)) as quantity
    from intermediate.int_allowances as allowance
    inner join asked
        on allowance.source = asked.source
        and asked.scope = case allowance.source
            when 'forge' then concat_ws('/', allowance.holder_id, allowance.meter)
            when 'neon' then allowance.org_id
            else concat_ws('/', allowance.org_id, allowance.meter, allowance.holder_type)
        end
        and asked.day_start >= date_trunc('day', allowance.period_start)
        and asked.day_start < date_trunc('day', allowance.resets_at)
    union all
    select allowance.*, used.day_start, false, used.quantity
    from intermediate.int_allowances as allowance
    inner join used
        on allowance.source = used.source
        and allowance.meter = used.meter
        and allowance.unit = used.unit
        and allowance.org_id is not distinct from used.org_id
        and allowance.holder_type = used.holder_type
        and allowance.holder_id = used.holder_id
        and used.day_start >= date_trunc('day', allowance.period_start)
        and used.day_start < date_trunc('day', allowance.resets_at)
)

select
    days.source, -- vendor API family
    days.meter, -- what is metered
    days.unit, -- of the quantity
    days.holder_type, -- org, project, workspace, site, user
    days.holder_id, -- whose allowance it is
    days.period_start, -- first instant of the allowance's period, UTC
    cast(days.day_start as timestamptz) as day_start, -- UTC day
    cast(sum(days.quantity) as decimal(38, 9)) as quantity, -- used on it
    cast(bool_or(days.is_settled) as boolean) as is_settled -- false: it can still change
from days
group by
    days.source, days.meter, days.unit, days.holder_type, days.holder_id, days.period_start,
    days.day_start
