-- One row per project or branch, metric and bucket, and complete load that reported it: not only
-- the last word (stg_neon__project_usage, stg_neon__branch_usage) but every word.
-- grain: resource, org_id, project_id, branch_id, granularity, bucket_start, meter, load_id
-- window: bucket_start
with observed as (
    select
        cast('neon_project_usage' as varchar) as resource,
        usage.org_id,
        usage.project_id,
        cast(null as varchar) as branch_id,
        usage.granularity,
        usage.bucket_start,
        usage.metric_name,
        usage.load_id,
        usage.period_id,
        usage.timeframe_start,
        max(usage.value) as quantity
    from raw.neon_project_usage as usage
    group by
        usage.org_id, usage.project_id, usage.granularity, usage.bucket_start, usage.metric_name,
        usage.load_id, usage.period_id, usage.timeframe_start
    union all
    select
        cast('neon_branch_usage' as varchar) as resource,
        usage.org_id,
        usage.project_id,
        usage.branch_id,
        usage.granularity,
        usage.bucket_start,
        usage.metric_name,
        usage.load_id,
        usage.period_id,
        usage.timeframe_start,
        max(usage.value) as quantity
    from raw.neon_branch_usage as usage
    group by
        usage.org_id, usage.project_id, usage.branch_id, usage.granularity, usage.bucket_start,
        usage.metric_name, usage.load_id, usage.period_id, usage.timeframe_start
)

select
    observed.resource, -- the table in raw.*
    observed.org_id, -- Neon organization
    observed.project_id, -- Neon project
    observed.branch_id, -- Neon branch; null for project totals
    observed.granularity, -- hourly, daily or monthly
    observed.bucket_start, -- first instant of the bucket, UTC
    observed.metric_name as meter, -- Neon's name of the metric
    observed.load_id, -- the load that landed it
    cast(sum(observed.quantity) as decimal(38, 9)) as quantity -- billing periods added up
from observed
group by
    observed.resource, observed.org_id, observed.project_id, observed.branch_id,
    observed.granularity, observed.bucket_start, observed.metric_name, observed.load_id
