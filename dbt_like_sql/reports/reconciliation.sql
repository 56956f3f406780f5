-- One row per thing that two answers of a vendor measure, side by side: the facts, made of finer
-- buckets, against the coarser bucket of the same period; the facts against the retired legacy
-- endpoint; and project totals that are smaller than the sum of their branches. Settled periods only.
-- grain: comparison, source, org_id, project_id, meter, granularity, period_start
-- check: is_within_tolerance
with coarse as (
    select
        usage.org_id, usage.project_id, usage.meter, usage.granularity, usage.bucket_start,
        usage.bucket_end, max(usage.observed_at) as observed_at, sum(usage.quantity) as quantity
    from staging.stg_neon__project_usage as usage
    where usage.granularity in ('daily', 'monthly')
    group by
        usage.org_id, usage.project_id, usage.meter, usage.granularity, usage.bucket_start,
        usage.bucket_end
    union all
    select
        usage.org_id, cast(null as varchar), meter.compared_with, usage.granularity,
        usage.bucket_start, usage.bucket_end, max(usage.observed_at), sum(usage.quantity)
    from staging.stg_neon__account_usage as usage
    inner join seeds.meters as meter
        on meter.source = 'neon_legacy' and usage.meter = meter.meter
    where usage.granularity = 'daily' and meter.compared_with is not null
    group by
        usage.org_id, meter.compared_with, usage.granularity, usage.bucket_start, usage.bucket_end
),

compared as (
    select
        case when coarse.project_id is null then 'legacy account' else 'coarser bucket' end
            as comparison,
        coarse.org_id,
        coarse.project_id,
        coarse.meter,
        coarse.granularity,
        coarse.bucket_start,
        sum(usage.quantity) as fact_quantity,
        max(coarse.quantity) as other_quantity,
        count(*) as fact_rows
    from coarse
    inner join intermediate.int_usage as usage
        on usage.source = 'neon'
        and coarse.org_id = usage.org_id
        and (coarse.project_id is null or coarse.project_id = usage.project_id)
        and coarse.meter = usage.meter
        and usage.period_start >= coarse.bucket_start
        and usage.period_start < coarse.bucket_end
    where coarse.observed_at >= coarse.bucket_end + interval '15' minute
    group by
        coarse.org_id, coarse.project_id, coarse.meter, coarse.granularity, coarse.bucket_start
    having not bool_or(usage.is_open)
        and (
            coarse.project_id is null
            or not bool_or(usage.granularity = coarse.granularity)
        )
    union all
    select
        'branches above project' as comparison,
        usage.org_id,
        usage.project_id,
        usage.meter,
        usage.granularity,
        usage.period_start,
        sum(usage.quantity),
        sum(usage.quantity) filter (where usage.branch_id is not null),
        0
    from intermediate.int_usage as usage
    where usage.source = 'neon' and not usage.is_open
    group by
        usage.org_id, usage.project_id, usage.meter, usage.granularity, usage.period_start
    having bool_or(usage.branch_id is null and usage.quantity < 0)
)

select
    cast(compared.comparison as varchar) as comparison, -- what is compared with the facts
    cast('neon' as varchar) as source, -- vendor API family
    compared.org_id, -- the vendor's organization
    compared.project_id, -- the vendor's project; null: the whole org
    compared.meter, -- the vendor's name of what is metered
    compared.granularity, -- granularity of the other side
    compared.bucket_start as period_start, -- first instant, UTC
    cast(compared.fact_quantity as decimal(38, 9)) as fact_quantity, -- sum over the facts
    cast(compared.other_quantity as decimal(38, 9)) as other_quantity, -- what the other side says
    cast(compared.other_quantity - compared.fact_quantity as decimal(38, 9)) as difference,
    -- vendors report whole numbers per bucket: each fact row may be off by its rounding
    cast(
        abs(compared.other_quantity - compared.fact_quantity) <= compared.fact_rows as boolean
    ) as is_within_tolerance -- false: ask the finer grain again while the vendor still has it
from compared
