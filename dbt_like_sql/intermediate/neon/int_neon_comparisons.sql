-- One row per Neon period that two answers measure: the facts, made of finer buckets, against the
-- coarser bucket of the same period, and against the retired legacy endpoint. Settled periods only.
-- grain: comparison, org_id, project_id, meter, granularity, period_start
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
    inner join seeds.retention as retention
        on retention.resource = 'neon_project_usage'
        and usage.granularity = retention.granularity
    where usage.granularity in ('daily', 'monthly')
        and usage.observed_at
        >= usage.bucket_end + retention.settles_minutes * interval '1' minute
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
    inner join seeds.retention as retention
        on retention.resource = 'neon_account_usage'
        and usage.granularity = retention.granularity
    where usage.granularity in ('daily', 'monthly') and meter.compared_with is not null
        and usage.observed_at
        >= usage.bucket_end + retention.settles_minutes * interval '1' minute
    group by usage.org_id, meter.compared_with, usage.granularity, usage.bucket_start
)

select
    cast('coarser bucket' as varchar) as comparison, -- what is compared with the facts
    facts.org_id, -- Neon organization
    facts.project_id, -- Neon project; null: the whole org
    facts.meter, -- Neon's name of the metric
    cast(facts.granularity as varchar) as granularity, -- of the other side
    cast(facts.period_start as timestamptz) as period_start, -- first instant, UTC
    cast(facts.quantity as decimal(38, 9)) as fact_quantity, -- sum over the facts
    cast(coarser.quantity as decimal(38, 9)) as other_quantity, -- what the other side says
    -- Neon reports whole numbers: each fact row may be off by its rounding
    cast(facts.row_count as bigint) as tolerance -- by how much they may differ
from facts
inner join coarser
    on facts.source = 'neon' and facts.org_id = coarser.org_id
    and facts.project_id = coarser.project_id and facts.meter = coarser.meter
    and facts.granularity = coarser.granularity and facts.period_start = coarser.bucket_start
where not facts.is_open and not facts.is_the_same_bucket
union all
select
    'legacy account', facts.org_id, cast(null as varchar), facts.meter,
    facts.granularity, facts.period_start, sum(facts.quantity), max(legacy.quantity),
    sum(facts.row_count)
from facts
inner join legacy
    on facts.source = 'neon' and facts.org_id = legacy.org_id and facts.meter = legacy.meter
    and facts.granularity = legacy.granularity and facts.period_start = legacy.bucket_start
group by
    facts.source, facts.org_id, facts.meter, facts.granularity, facts.period_start
having not bool_or(facts.is_open)
