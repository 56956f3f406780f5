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

-- an organization without a total of its own, or with days of it that come to less than its parts
totals as (
    select
        part.org_id, part.meter, part.unit, part.split_start, max(part.period_end) as split_end,
        sum(part.quantity) as quantity, min(part.observed_at) as first_observed_at,
        max(part.observed_at) as observed_at
    from intermediate.int_platform_usage as part
    group by part.org_id, part.meter, part.unit, part.split_start
),

exported as (
    select
        scope.org_id, scope.meter, scope.unit, scope.scope_type as holder_type, scope.holder_id,
        scope.period_start, scope.period_end, scope.quantity, scope.split_start,
        scope.is_final or scope.exported_at >= scope.period_end as is_settled,
        scope.allowed_from, scope.resets_at, scope.exported_at,
        sum(scope.quantity) over (
            partition by scope.scope_key, scope.split_start
        ) as split_quantity
    from intermediate.int_platform_scopes as scope
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
    left join totals
        on exported.holder_type = 'org' and exported.org_id = totals.org_id
        and exported.meter = totals.meter and exported.unit = totals.unit
        and exported.split_start = totals.split_start
    where totals.org_id is null or exported.split_quantity >= totals.quantity
    union all
    select
        'atlassian_platform', totals.meter, totals.unit, totals.org_id, 'org', totals.org_id,
        totals.split_start, totals.split_end, totals.quantity,
        totals.split_end > totals.split_start + interval '1' day,
        totals.first_observed_at >= totals.split_end,
        case when totals.split_end > totals.split_start + interval '1' day
            then totals.split_start else date_trunc('month', totals.split_start) end,
        case when totals.split_end > totals.split_start + interval '1' day
            then totals.split_end
            else date_trunc('month', totals.split_start) + interval '1' month end,
        totals.observed_at
    from totals
    anti join exported
        on exported.holder_type = 'org' and exported.org_id = totals.org_id
        and exported.meter = totals.meter and exported.unit = totals.unit
        and exported.split_start = totals.split_start
        and exported.split_quantity >= totals.quantity
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
