-- One row per Forge app, site, environment, resource, unit and UTC day. Sites stand for their app, and
-- where they were asked environments for their site; what a total has over its parts is one row
-- without that part, which may be negative. The sum over any app is therefore the app's flat total,
-- which is what Atlassian bills. A day whose total was not asked is not here.
-- grain: app_id, site_id, environment_id, meter, unit, period_start
-- window: period_start
with totals as (
    select
        held.bucket_start,
        held.bucket_end,
        held.scope,
        held.asked_at
    from staging.stg_loads__buckets as held
    where held.resource = 'forge_app_usage' and held.granularity = 'daily'
),

-- a row of the total, less everything that sites account for
app_parts as (
    select usage.app_id, usage.meter, usage.unit, usage.bucket_start, usage.quantity
    from staging.stg_forge__app_usage as usage
    union all
    select usage.app_id, usage.meter, usage.unit, usage.bucket_start, -usage.quantity
    from staging.stg_forge__site_usage as usage
    where usage.site_id <> ''
),

-- a row of a site, less everything that its environments account for
site_parts as (
    select
        usage.app_id, usage.site_id, usage.meter, usage.unit, usage.bucket_start, usage.quantity
    from staging.stg_forge__site_usage as usage
    where usage.site_id <> ''
    union all
    select
        usage.app_id, usage.site_id, usage.meter, usage.unit, usage.bucket_start, -usage.quantity
    from staging.stg_forge__site_environment_usage as usage
    where usage.site_id <> '' and usage.environment_id <> ''
),

parts as (
    select
        usage.app_id, usage.site_id, usage.environment_id, usage.meter, usage.unit,
        usage.bucket_start, usage.quantity
    from staging.stg_forge__site_environment_usage as usage
    where usage.site_id <> '' and usage.environment_id <> ''
    union all
    select
        site_parts.app_id, site_parts.site_id, cast(null as varchar), site_parts.meter,
        site_parts.unit, site_parts.bucket_start, sum(site_parts.quantity)
    from site_parts
    group by
        site_parts.app_id, site_parts.site_id, site_parts.meter, site_parts.unit,
        site_parts.bucket_start
    having sum(site_parts.quantity) <> 0 or count(*) = 1
    union all
    select
        app_parts.app_id, cast(null as varchar), cast(null as varchar), app_parts.meter,
        app_parts.unit, app_parts.bucket_start, sum(app_parts.quantity)
    from app_parts
    group by app_parts.app_id, app_parts.meter, app_parts.unit, app_parts.bucket_start
    having sum(app_parts.quantity) <> 0 or count(*) = 1
)

select
    parts.app_id, -- Forge app
    parts.site_id, -- the site's ARI; null: what no site accounts for
    parts.environment_id, -- Forge environment, where sites were asked by environment; else null
    parts.meter, -- Atlassian's name of the resource
    parts.unit, -- Atlassian's unit
    parts.bucket_start as period_start, -- UTC day
    totals.bucket_end as period_end, -- first instant of the next day, UTC
    cast(parts.quantity as decimal(38, 9)) as quantity, -- as Atlassian reports it
    totals.asked_at as observed_at -- when the app's total was last asked
from parts
inner join totals
    on parts.app_id || '/' || parts.meter = totals.scope
    and parts.bucket_start = totals.bucket_start
