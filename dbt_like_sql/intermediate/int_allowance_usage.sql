-- One row per holder of an allowance and period: what it used, and from when until when that counts
-- against the allowance. Exported usage is the holder's own, whichever way of splitting is the fact;
-- an organization without a total of its own has what its parts add up to.
-- grain: source, meter, unit, org_id, holder_type, holder_id, period_start, period_end
with metered as (
    select
        usage.source, usage.meter, usage.unit, usage.org_id, allowance.holder_type,
        case allowance.holder_type when 'org' then usage.org_id else usage.project_id end
            as holder_id,
        case when usage.granularity = 'monthly' then usage.period_start
            else date_trunc('day', usage.period_start) end as used_from,
        usage.granularity = 'monthly' as is_month, usage.quantity, usage.observed_at
    from intermediate.int_usage as usage
    -- most usage has no allowance
    inner join (
        select distinct allowed.source, allowed.meter, allowed.allowed_per as holder_type
        from seeds.allowances as allowed
    ) as allowance on usage.source = allowance.source and usage.meter = allowance.meter
    where usage.source in ('forge', 'neon')
),

exported as (
    select
        period.org_id, period.meter, period.unit, period.scope_type as holder_type,
        period.holder_id, period.period_start, period.period_end, period.quantity,
        period.is_final or period.exported_at >= period.period_end as is_settled,
        period.allowed_from, period.resets_at, period.exported_at
    from intermediate.int_platform_periods as period
    -- of an organization, what counts
    left join intermediate.int_platform_wholes as whole
        on period.scope_type = 'org'
        and period.org_id = whole.org_id and period.meter = whole.meter
        and period.unit = whole.unit and period.period_start >= whole.period_start
        and period.period_end <= whole.period_end
    where period.scope_type <> 'org' or whole.org_id is not null
    union all
    select
        part.org_id, part.meter, part.unit, 'org', part.org_id, part.period_start,
        part.period_end, sum(part.quantity), min(part.observed_at) >= part.period_end,
        case when part.period_end > part.period_start + interval '1' day then part.period_start
            else date_trunc('month', part.period_start) end,
        case when part.period_end > part.period_start + interval '1' day then part.period_end
            else date_trunc('month', part.period_start) + interval '1' month end,
        max(part.observed_at)
    from intermediate.int_platform_usage as part
    anti join intermediate.int_platform_wholes as whole
        on part.org_id = whole.org_id and part.meter = whole.meter and part.unit = whole.unit
        and part.period_start < whole.period_end and part.period_end > whole.period_start
    group by part.org_id, part.meter, part.unit, part.period_start, part.period_end
),

rows_of_all as (
    select
        metered.source, metered.meter, metered.unit, metered.org_id, metered.holder_type,
        metered.holder_id, metered.used_from as period_start,
        metered.used_from + case when metered.is_month then interval '1' month
            else interval '1' day end as period_end,
        sum(metered.quantity) as quantity, metered.is_month, false as is_settled,
        date_trunc('month', metered.used_from) as allowed_from,
        date_trunc('month', metered.used_from) + interval '1' month as resets_at,
        max(metered.observed_at) as observed_at
    from metered
    group by
        metered.source, metered.meter, metered.unit, metered.org_id, metered.holder_type,
        metered.holder_id, metered.used_from, metered.is_month
    union all
    select
        'atlassian_platform', exported.meter, exported.unit, exported.org_id,
        exported.holder_type, exported.holder_id, exported.period_start, exported.period_end,
        exported.quantity, exported.period_end > exported.period_start + interval '1' day,
        exported.is_settled, exported.allowed_from, exported.resets_at, exported.exported_at
    from exported
)

select
    cast(rows_of_all.source as varchar) as source, -- vendor API family
    rows_of_all.meter, -- what is metered
    rows_of_all.unit, -- of all quantities here
    rows_of_all.org_id, -- the vendor's organization; null where it names none
    cast(rows_of_all.holder_type as varchar) as holder_type, -- org, project, workspace, site, user
    cast(rows_of_all.holder_id as varchar) as holder_id, -- whose usage
    cast(rows_of_all.period_start as timestamptz) as period_start, -- first instant, UTC
    cast(rows_of_all.period_end as timestamptz) as period_end, -- first instant after it, UTC
    cast(rows_of_all.quantity as decimal(38, 9)) as quantity, -- used
    cast(rows_of_all.is_month as boolean) as is_month, -- told by the month, not by the day
    cast(rows_of_all.is_settled as boolean) as is_settled, -- exported after its end
    cast(rows_of_all.allowed_from as timestamptz) as allowed_from, -- when the allowance started anew
    cast(rows_of_all.resets_at as timestamptz) as resets_at, -- when it does again, UTC
    rows_of_all.observed_at -- when the vendor said so
from rows_of_all
