-- One row per Forge app or site, resource, unit and UTC day, and complete load that reported it: not
-- only the last word (stg_forge__app_usage, stg_forge__site_usage) but every word.
-- grain: resource, scope, app_id, site_id, meter, unit, bucket_start, load_id
-- window: bucket_start
with observed as (
    select
        cast('forge_app_usage' as varchar) as resource,
        usage.app_id,
        cast(null as varchar) as site_id,
        usage.resource as meter,
        usage.token_unit,
        usage.bucket_start,
        usage.load_id,
        usage.period,
        max(usage.tokens_consumed) as quantity
    from raw.forge_app_usage as usage
    group by
        usage.app_id, usage.resource, usage.token_unit, usage.bucket_start, usage.load_id,
        usage.period
    union all
    select
        cast('forge_site_usage' as varchar) as resource,
        usage.app_id,
        usage.site_id,
        usage.resource as meter,
        usage.token_unit,
        usage.bucket_start,
        usage.load_id,
        usage.period,
        max(usage.tokens_consumed) as quantity
    from raw.forge_site_usage as usage
    group by
        usage.app_id, usage.site_id, usage.resource, usage.token_unit, usage.bucket_start,
        usage.load_id, usage.period
)

select
    observed.resource, -- the table in raw.*
    cast(observed.app_id || '/' || observed.meter as varchar) as scope, -- what was asked about
    observed.app_id, -- Forge app
    observed.site_id, -- the site's ARI; null for totals
    observed.meter, -- Atlassian's name of the resource
    observed.token_unit as unit, -- Atlassian's unit
    observed.bucket_start, -- UTC day
    observed.load_id, -- the load that landed it
    cast(sum(observed.quantity) as decimal(38, 9)) as quantity -- hours of the day added up
from observed
group by
    observed.resource, observed.app_id, observed.site_id, observed.meter, observed.token_unit,
    observed.bucket_start, observed.load_id
