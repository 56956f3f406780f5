-- One row per project, branch or organization, billing period, timeframe and metric, as Neon was last
-- asked (GET /consumption_history/v2/projects, v2/branches and the retired account).
-- grain: resource, org_id, project_id, branch_id, period_id, granularity, bucket_start, timeframe_start, meter
-- check: quantity is not null
-- window: bucket_start
with observed as (
    select told.*
    from staging.stg_neon__observed_usage as told
    qualify row_number() over (
        partition by
            told.resource, told.org_id, told.project_id, told.branch_id, told.period_id,
            told.granularity, told.bucket_start, told.timeframe_start, told.meter
        order by told.landed_at desc
    ) = 1
)

select
    observed.resource, observed.org_id, observed.project_id, observed.branch_id, observed.period_id,
    observed.period_plan, observed.billing_period_start, observed.billing_period_end,
    observed.granularity, observed.timeframe_start,
    cast(coalesce(observed.timeframe_end, bucket.bucket_end) as timestamptz)
        as timeframe_end, -- as Neon says it, else the end of the bucket
    observed.bucket_start, bucket.bucket_end, observed.meter, observed.quantity, observed.load_id,
    bucket.asked_at as observed_at, -- when Neon said so
    bucket.is_settled
from observed
inner join staging.stg_loads__buckets as bucket
    on observed.resource = bucket.resource and observed.org_id = bucket.scope
    and observed.granularity = bucket.granularity and observed.bucket_start = bucket.bucket_start
where not observed.is_withdrawn
