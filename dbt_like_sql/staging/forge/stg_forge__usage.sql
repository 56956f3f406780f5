-- One row per Forge resource, unit and UTC day, by app, by site, by environment, or by both, as
-- Atlassian was last asked (appResourceUsage, flat or grouped). What belongs to no site is in the app's
-- total alone.
-- grain: resource, scope, app_id, site_id, environment_id, meter, unit, bucket_start
-- check: quantity is not null
-- window: bucket_start
select
    observed.resource,
    observed.scope,
    observed.app_id,
    observed.site_id,
    observed.environment_id,
    observed.meter,
    observed.unit,
    observed.bucket_start,
    bucket.bucket_end, -- first instant of the next day, UTC
    observed.quantity,
    observed.load_id,
    bucket.asked_at as observed_at -- when Atlassian said so
from staging.stg_forge__observed_usage as observed
inner join staging.stg_loads__buckets as bucket
    on observed.resource = bucket.resource
    and observed.scope = bucket.scope
    and observed.bucket_start = bucket.bucket_start
    and observed.load_id = bucket.load_id
where bucket.granularity = 'daily'
