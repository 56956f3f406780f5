-- One row per project, billing period, timeframe and metric that Neon reported, as it was last asked
-- (GET /consumption_history/v2/projects).
-- grain: org_id, project_id, period_id, granularity, timeframe_start, meter
-- check: quantity is not null
-- window: bucket_start
select
    usage.org_id, -- Neon organization
    usage.project_id, -- Neon project
    usage.period_id, -- Neon's billing period; a plan change puts one bucket under two
    usage.period_plan, -- plan of that billing period
    usage.period_start as billing_period_start, -- when it began
    usage.period_end as billing_period_end, -- when it ended; null: it goes on
    usage.granularity, -- hourly, daily or monthly
    usage.timeframe_start, -- as Neon says it
    usage.timeframe_end, -- as Neon says it; null where it does not
    usage.bucket_start, -- the UTC bucket that the timeframe lies in
    bucket.bucket_end, -- first instant of the next bucket, UTC
    usage.metric_name as meter, -- Neon's name of the metric
    cast(usage.value as decimal(38, 9)) as quantity, -- as reported
    usage.load_id, -- the load that landed it
    bucket.asked_at as observed_at -- when Neon said so
from raw.neon_project_usage as usage
inner join staging.stg_loads__buckets as bucket
    on usage.load_id = bucket.load_id
    and usage.org_id = bucket.scope
    and usage.granularity = bucket.granularity
    and usage.bucket_start = bucket.bucket_start
where bucket.resource = 'neon_project_usage'
-- a page may repeat what an earlier page said: the last word counts
qualify row_number() over (
    partition by
        usage.org_id, usage.project_id, usage.period_id, usage.granularity,
        usage.bucket_start, usage.timeframe_start, usage.metric_name
    order by usage.page desc
) = 1
