-- One row per Forge app, environment, resource, unit and UTC day that Atlassian reported, as it was last
-- asked (appResourceUsage grouped by ENVIRONMENT_ID).
-- grain: app_id, environment_id, meter, unit, bucket_start
-- check: quantity is not null
-- window: bucket_start
with answered as (
    select
        usage.*,
        bucket.bucket_end,
        bucket.asked_at
    from raw.forge_environment_usage as usage
    inner join staging.stg_loads__buckets as bucket
        on usage.load_id = bucket.load_id
        and usage.app_id || '/' || usage.resource = bucket.scope
        and usage.bucket_start = bucket.bucket_start
    where bucket.resource = 'forge_environment_usage' and bucket.granularity = 'daily'
    -- a page may repeat what an earlier page said: the last word counts
    qualify row_number() over (
        partition by
            usage.app_id, usage.resource, usage.environment_id,
            usage.token_unit, usage.bucket_start, usage.period
        order by usage.page desc
    ) = 1
)

select
    answered.app_id, -- Forge app, as bare UUID
    answered.environment_id, -- Forge environment
    answered.resource as meter, -- Atlassian's name of the resource
    answered.token_unit as unit, -- Atlassian's unit
    answered.bucket_start, -- UTC day
    answered.bucket_end, -- first instant of the next day, UTC
    cast(sum(answered.tokens_consumed) as decimal(38, 9)) as quantity, -- hours of the day added up
    min(answered.load_id) as load_id, -- the load that landed it
    max(answered.asked_at) as observed_at -- when Atlassian said so
from answered
group by
    answered.app_id, answered.resource, answered.environment_id,
    answered.token_unit, answered.bucket_start, answered.bucket_end
