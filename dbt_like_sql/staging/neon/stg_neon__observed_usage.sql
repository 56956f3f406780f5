-- One row per project, branch or (of the retired legacy endpoint) organization, billing period,
-- timeframe and metric, and answer that told otherwise of it than the one before. All that Neon ever
-- said; stg_neon__usage is what it said last. No fact has the legacy endpoint
-- (GET /consumption_history/account, removed on 2026-06-01): v2/projects measures the same, and
-- reports.reconciliation holds the two side by side.
-- grain: resource, org_id, project_id, branch_id, period_id, granularity, bucket_start, timeframe_start, meter, landed_at
-- window: bucket_start
select
    cast('neon_project_usage' as varchar) as resource, -- the table in raw.*
    usage.org_id, -- Neon organization
    usage.project_id, -- Neon project; null for the legacy endpoint
    cast(null as varchar) as branch_id, -- Neon branch; null for totals
    usage.period_id, -- Neon's billing period; a plan change puts one bucket under two
    usage.period_plan, -- plan of that billing period
    usage.period_start as billing_period_start, -- when it began
    usage.period_end as billing_period_end, -- when it ended; null: it goes on
    usage.granularity, -- hourly, daily or monthly
    usage.timeframe_start, -- as Neon says it
    usage.timeframe_end, -- as Neon says it; null where it does not
    usage.bucket_start, -- the UTC bucket that the timeframe lies in
    usage.metric_name as meter, -- Neon's name of the metric
    cast(usage.value as decimal(38, 9)) as quantity, -- as reported
    usage.is_withdrawn, -- true: it was reported until then, and is no more
    usage.load_id, -- the load that told it
    usage.landed_at -- of its receipt: what landed later counts
from raw.neon_project_usage as usage
union all
select
    'neon_branch_usage', usage.org_id, usage.project_id, usage.branch_id, usage.period_id,
    usage.period_plan, usage.period_start, usage.period_end, usage.granularity,
    usage.timeframe_start, usage.timeframe_end, usage.bucket_start, usage.metric_name,
    cast(usage.value as decimal(38, 9)), usage.is_withdrawn, usage.load_id, usage.landed_at
from raw.neon_branch_usage as usage
union all
select
    'neon_account_usage', usage.org_id, null, null, usage.period_id, usage.period_plan,
    usage.period_start, usage.period_end, usage.granularity, usage.timeframe_start,
    usage.timeframe_end, usage.bucket_start, usage.metric_name,
    cast(usage.value as decimal(38, 9)), usage.is_withdrawn, usage.load_id, usage.landed_at
from raw.neon_account_usage as usage
