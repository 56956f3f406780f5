-- One row per Forge resource, unit and UTC day, by app, by site, by environment, or by both, as
-- Atlassian was last asked (appResourceUsage, flat or grouped). What belongs to no site is in the app's
-- total alone.
-- grain: resource, scope, app_id, site_id, environment_id, meter, unit, bucket_start
-- check: quantity is not null
-- window: bucket_start
with observed as (
    select told.*
    from staging.stg_forge__observed_usage as told
    qualify row_number() over (
        partition by
            told.resource, told.scope, told.site_id, told.environment_id, told.unit,
            told.bucket_start, told.period
        order by told.landed_at desc
    ) = 1
)

select
    observed.resource, observed.scope, observed.app_id, observed.site_id, observed.environment_id,
    observed.meter, observed.unit, observed.bucket_start,
    bucket.bucket_end, -- first instant of the next day, UTC
    cast(sum(observed.quantity) as decimal(38, 9)) as quantity, -- hours of the day added up
    max(observed.load_id) as load_id, -- the last load that told otherwise of it
    bucket.asked_at as observed_at -- when Atlassian said so
from observed
inner join staging.stg_loads__buckets as bucket
    on observed.resource = bucket.resource and observed.scope = bucket.scope
    and observed.bucket_start = bucket.bucket_start
where bucket.granularity = 'daily' and not observed.is_withdrawn
group by
    observed.resource, observed.scope, observed.app_id, observed.site_id, observed.environment_id,
    observed.meter, observed.unit, observed.bucket_start, bucket.bucket_end, bucket.asked_at
