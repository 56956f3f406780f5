-- One row per Neon period that two answers measure: the facts, made of finer buckets, against the
-- coarser bucket of the same period, and against the retired legacy endpoint. Settled periods only.
-- Where receipts say that finer buckets serve a period, and none of them told anything, that is zero.
-- grain: comparison, org_id, project_id, meter, granularity, period_start
-- window: period_start, by month
with told as (
    select
        usage.resource, usage.org_id, usage.project_id,
        coalesce(legacy.compared_with, usage.meter) as meter, usage.granularity,
        usage.bucket_start, sum(usage.quantity) as quantity
    from staging.stg_neon__usage as usage
    left join seeds.meters as legacy
        on usage.resource = 'neon_account_usage' and legacy.source = 'neon_legacy'
        and usage.meter = legacy.meter
    where usage.granularity in ('daily', 'monthly') and usage.is_settled
        and (usage.resource = 'neon_project_usage' or legacy.compared_with is not null)
    group by
        usage.resource, usage.org_id, usage.project_id,
        coalesce(legacy.compared_with, usage.meter), usage.granularity, usage.bucket_start
),

-- what either of them is of: v2/projects of a project, the legacy endpoint of an organization
spans (resource, granularity) as (
    values ('neon_project_usage', 'daily'), ('neon_project_usage', 'monthly'),
    ('neon_account_usage', 'daily'), ('neon_account_usage', 'monthly')
),

facts as (
    select
        spans.resource, spans.granularity, days.org_id, days.meter, days.quantity,
        days.period_count, days.is_open,
        case when spans.resource = 'neon_project_usage' then days.project_id end as project_id,
        case when spans.granularity = 'daily' then days.day_start
            else date_trunc('month', days.day_start) end as period_start
    from intermediate.int_usage_by_day as days
    inner join spans on days.granularity = 'hourly'
        or (days.granularity = 'daily' and spans.granularity = 'monthly')
        or (spans.granularity = 'monthly' and spans.resource = 'neon_account_usage')
    where days.source = 'neon'
),

served as (
    select
        days.resource, days.scope as org_id, spans.granularity,
        case when spans.granularity = 'daily' then days.period_start
            else date_trunc('month', days.period_start) end as period_start,
        count(*) as bucket_count
    from intermediate.int_resolution as days
    inner join spans on days.resource = spans.resource
    inner join staging.stg_loads__buckets as asked
        on days.resource = asked.resource and days.scope = asked.scope
        and days.served_by = asked.granularity
        and days.period_start = date_trunc('day', asked.bucket_start)
    group by
        days.resource, days.scope, spans.granularity,
        case when spans.granularity = 'daily' then days.period_start
            else date_trunc('month', days.period_start) end
    having bool_and(asked.is_settled and days.served_by not in (spans.granularity, 'monthly'))
)

select
    cast(case when told.project_id is null then 'legacy account' else 'coarser bucket' end
        as varchar) as comparison, -- what is compared with the facts
    told.org_id,
    told.project_id, -- Neon project; null: the whole org
    told.meter, -- Neon's name of the metric
    told.granularity, -- of the other side
    told.bucket_start as period_start, -- first instant, UTC
    cast(coalesce(sum(facts.quantity), 0) as decimal(38, 9)) as fact_quantity, -- sum over the facts
    cast(told.quantity as decimal(38, 9)) as other_quantity, -- what the other side says
    -- Neon reports whole numbers: each fact row may be off by its rounding, and be 0 by it
    cast(coalesce(sum(facts.period_count), max(served.bucket_count)) as bigint)
        as tolerance -- by how much they may differ
from told
left join served
    on told.resource = served.resource and told.org_id = served.org_id
    and told.granularity = served.granularity and told.bucket_start = served.period_start
left join facts
    on told.resource = facts.resource and told.org_id = facts.org_id
    and told.project_id is not distinct from facts.project_id and told.meter = facts.meter
    and told.granularity = facts.granularity and told.bucket_start = facts.period_start
group by
    told.org_id, told.project_id, told.meter, told.granularity, told.bucket_start, told.quantity
-- not what is open; and where there are no facts, only what receipts say is zero
having not coalesce(bool_or(facts.is_open), bool_and(served.org_id is null))
