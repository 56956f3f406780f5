-- One row per project, branch or (of the retired legacy endpoint) organization, billing period,
-- timeframe and metric, and answer that told otherwise of it than the one before. All that Neon ever
-- said; stg_neon__usage is what it said last. No fact has the legacy endpoint
-- (GET /consumption_history/account, removed on 2026-06-01): v2/projects measures the same, and
-- reports.reconciliation holds the two side by side.
-- grain: resource, org_id, project_id, branch_id, period_id, granularity, bucket_start, timeframe_start, meter, landed_at
-- window: bucket_start
with landed as (
    select
        cast('neon_project_usage' as varchar) as resource, usage.org_id, usage.project_id,
        cast(null as varchar) as branch_id, usage.period_id, usage.period_plan,
        usage.period_start, usage.period_end, usage.granularity, usage.timeframe_start,
        usage.timeframe_end, usage.bucket_start, usage.metric_name, usage.value, usage.load_id, usage.landed_at,
         usage.is_withdrawn
    from raw.neon_project_usage as usage
    union all
    select
        cast('neon_branch_usage' as varchar), usage.org_id, usage.project_id, usage.branch_id,
        usage.period_id, usage.period_plan, usage.period_start, usage.period_end,
        usage.granularity, usage.timeframe_start, usage.timeframe_end, usage.bucket_start,
        usage.metric_name, usage.value, usage.load_id, usage.landed_at,
         usage.is_withdrawn
    from raw.neon_branch_usage as usage
    union all
    select
        cast('neon_account_usage' as varchar), usage.org_id, cast(null as varchar),
        cast(null as varchar), usage.period_id, usage.period_plan, usage.period_start,
        usage.period_end, usage.granularity, usage.timeframe_start, usage.timeframe_end,
        usage.bucket_start, usage.metric_name, usage.value, usage.load_id, usage.landed_at,
         usage.is_withdrawn
    from raw.neon_account_usage as usage
)

select
    landed.resource, -- the table in raw.*
    landed.org_id, -- Neon organization
    landed.project_id, -- Neon project; null for the legacy endpoint
    landed.branch_id, -- Neon branch; null for totals
    landed.period_id, -- Neon's billing period; a plan change puts one bucket under two
    landed.period_plan, -- plan of that billing period
    landed.period_start as billing_period_start, -- when it began
    landed.period_end as billing_period_end, -- when it ended; null: it goes on
    landed.granularity, -- hourly, daily or monthly
    landed.timeframe_start, -- as Neon says it
    landed.timeframe_end, -- as Neon says it; null where it does not
    landed.bucket_start, -- the UTC bucket that the timeframe lies in
    landed.metric_name as meter, -- Neon's name of the metric
    cast(landed.value as decimal(38, 9)) as quantity, -- as reported
    landed.is_withdrawn, -- true: it was reported until then, and is no more
    landed.load_id, -- the load that told it
    landed.landed_at -- of its receipt: what landed later counts
from landed
