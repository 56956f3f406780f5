-- One row per thing that two answers of a vendor measure, side by side: Neon's facts, made of finer
-- buckets, against the coarser bucket of the same period, and against the retired legacy endpoint;
-- exported Pipelines minutes against the runs that Bitbucket's API knows; Forge's totals against its
-- environments; and wholes that are smaller than the sum of their parts. Settled periods only.
-- grain: comparison, source, org_id, project_id, meter, granularity, period_start
-- check: is_within_tolerance
with spans (granularity) as (
    values ('daily'), ('monthly')
),

facts as (
    select
        usage.source,
        usage.org_id,
        usage.project_id,
        usage.meter,
        spans.granularity,
        case
            when spans.granularity = 'daily' then date_trunc('day', usage.period_start)
            else date_trunc('month', usage.period_start)
        end as period_start,
        sum(usage.quantity) as quantity,
        count(*) as row_count,
        bool_or(usage.is_open) as is_open,
        bool_or(usage.granularity = spans.granularity) as is_the_same_bucket
    from intermediate.int_usage as usage
    cross join spans
    where usage.source = 'neon'
        and (usage.granularity = 'hourly' or spans.granularity = 'monthly')
    group by
        usage.source, usage.org_id, usage.project_id, usage.meter, spans.granularity,
        case
            when spans.granularity = 'daily' then date_trunc('day', usage.period_start)
            else date_trunc('month', usage.period_start)
        end
),

coarser as (
    select
        usage.org_id, usage.project_id, usage.meter, usage.granularity, usage.bucket_start,
        sum(usage.quantity) as quantity
    from staging.stg_neon__project_usage as usage
    where usage.granularity in ('daily', 'monthly')
        and usage.observed_at >= usage.bucket_end + interval '15' minute
    group by
        usage.org_id, usage.project_id, usage.meter, usage.granularity, usage.bucket_start
),

legacy as (
    select
        usage.org_id, meter.compared_with as meter, usage.granularity, usage.bucket_start,
        sum(usage.quantity) as quantity
    from staging.stg_neon__account_usage as usage
    inner join seeds.meters as meter
        on meter.source = 'neon_legacy' and usage.meter = meter.meter
    where usage.granularity in ('daily', 'monthly') and meter.compared_with is not null
        and usage.observed_at >= usage.bucket_end + interval '15' minute
    group by usage.org_id, meter.compared_with, usage.granularity, usage.bucket_start
),

compared as (
    select
        'coarser bucket' as comparison, facts.source, facts.org_id, facts.project_id, facts.meter,
        facts.granularity, facts.period_start, facts.quantity as fact_quantity,
        coarser.quantity as other_quantity, facts.row_count as tolerance
    from facts
    inner join coarser
        on facts.source = 'neon' and facts.org_id = coarser.org_id
        and facts.project_id = coarser.project_id and facts.meter = coarser.meter
        and facts.granularity = coarser.granularity and facts.period_start = coarser.bucket_start
    where not facts.is_open and not facts.is_the_same_bucket
    union all
    select
        'legacy account', facts.source, facts.org_id, cast(null as varchar), facts.meter,
        facts.granularity, facts.period_start, sum(facts.quantity), max(legacy.quantity),
        sum(facts.row_count)
    from facts
    inner join legacy
        on facts.source = 'neon' and facts.org_id = legacy.org_id and facts.meter = legacy.meter
        and facts.granularity = legacy.granularity and facts.period_start = legacy.bucket_start
    group by
        facts.source, facts.org_id, facts.meter, facts.granularity, facts.period_start
    having not bool_or(facts.is_open)
    union all
    select
        'parts above whole', usage.source, usage.org_id, usage.project_id, usage.meter,
        usage.granularity, usage.period_start, cast(0 as decimal(38, 9)), sum(usage.quantity), 0
    from intermediate.int_usage as usage
    where usage.quantity < 0 and not usage.is_open
    group by
        usage.source, usage.org_id, usage.project_id, usage.meter, usage.granularity,
        usage.period_start
    union all
    select
        'environments', 'forge', cast(null as varchar), total.app_id, total.meter, 'daily',
        total.bucket_start, total.quantity, sum(part.quantity), 0
    from staging.stg_forge__app_usage as total
    inner join staging.stg_forge__environment_usage as part
        on total.app_id = part.app_id and total.meter = part.meter and total.unit = part.unit
        and total.bucket_start = part.bucket_start
    where least(total.observed_at, part.observed_at) >= total.bucket_end + interval '12' hour
    group by
        total.app_id, total.meter, total.unit, total.bucket_start, total.quantity
    union all
    -- the runs of repositories that are gone are missing: below the export is as it should be
    select
        'pipeline runs', 'atlassian_platform', exported.org_id, exported.site_id, exported.meter,
        case when exported.period_end = exported.period_start + interval '1' day
            then 'daily' else 'monthly' end,
        exported.period_start, exported.quantity, sum(minutes.build_seconds) / 60,
        greatest(exported.quantity - cast(sum(minutes.build_seconds) as double) / 60, 1)
    from intermediate.int_platform_periods as exported
    inner join intermediate.int_bitbucket_minutes as minutes
        on exported.site_id = minutes.workspace_uuid
        and minutes.period_start >= exported.period_start
        and minutes.period_end <= exported.period_end
    where exported.meter = 'pipelines_build_minutes' and exported.scope_type = 'workspace'
    group by
        exported.org_id, exported.site_id, exported.meter, exported.period_start,
        exported.period_end, exported.quantity
)

select
    cast(compared.comparison as varchar) as comparison, -- what is compared with the facts
    compared.source, -- vendor API family
    compared.org_id, -- the vendor's organization
    compared.project_id, -- the vendor's project (pipeline runs: workspace); null: the whole org
    compared.meter, -- the vendor's name of what is metered
    compared.granularity, -- granularity of the other side
    compared.period_start, -- first instant, UTC
    -- for parts above their whole: 0, and what the parts have too much, below zero
    cast(compared.fact_quantity as decimal(38, 9)) as fact_quantity, -- sum over the facts
    cast(compared.other_quantity as decimal(38, 9)) as other_quantity, -- what the other side says
    cast(compared.other_quantity - compared.fact_quantity as decimal(38, 9))
        as difference, -- the other side less the facts
    -- Neon reports whole numbers: each fact row may be off by its rounding
    cast(abs(compared.other_quantity - compared.fact_quantity) <= compared.tolerance as boolean)
        as is_within_tolerance -- false: ask the finer granularity again while it is still kept
from compared
