-- One row per thing that two answers of a vendor measure, side by side: the facts, made of finer
-- buckets, against the coarser bucket of the same period; the facts against the retired legacy
-- endpoint; and project totals that are smaller than the sum of their branches. Settled periods only.
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
    where usage.granularity = 'hourly' or spans.granularity = 'monthly'
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
        'branches above project', usage.source, usage.org_id, usage.project_id, usage.meter,
        usage.granularity, usage.period_start, cast(0 as decimal(38, 9)), usage.quantity, 0
    from intermediate.int_usage as usage
    where usage.branch_id is null and usage.quantity < 0 and not usage.is_open
)

select
    cast(compared.comparison as varchar) as comparison, -- what is compared with the facts
    compared.source, -- vendor API family
    compared.org_id, -- the vendor's organization
    compared.project_id, -- the vendor's project; null: the whole org
    compared.meter, -- the vendor's name of what is metered
    compared.granularity, -- granularity of the other side
    compared.period_start, -- first instant, UTC
    -- for branches above their project: 0, and what the branches have too much, below zero
    cast(compared.fact_quantity as decimal(38, 9)) as fact_quantity, -- sum over the facts
    cast(compared.other_quantity as decimal(38, 9)) as other_quantity, -- what the other side says
    cast(compared.other_quantity - compared.fact_quantity as decimal(38, 9))
        as difference, -- the other side less the facts
    -- vendors report whole numbers: each fact row may be off by its rounding
    cast(abs(compared.other_quantity - compared.fact_quantity) <= compared.tolerance as boolean)
        as is_within_tolerance -- false: ask the finer granularity again while it is still kept
from compared
