-- One row per Forge resource, unit and part of a UTC day, by app, by site, by environment, or by both,
-- and answer that told otherwise of it than the one before. All that Atlassian ever said;
-- stg_forge__usage is what it said last.
-- grain: resource, scope, site_id, environment_id, unit, bucket_start, period, landed_at
-- window: bucket_start
with landed as (
    select
        cast('forge_app_usage' as varchar) as resource, usage.app_id,
        cast(null as varchar) as site_id, cast(null as varchar) as environment_id,
        usage.resource as meter, usage.token_unit, usage.bucket_start, usage.period,
        usage.tokens_consumed, usage.scope, usage.load_id, usage.landed_at, usage.is_withdrawn
    from raw.forge_app_usage as usage
    union all
    select
        cast('forge_site_usage' as varchar), usage.app_id, nullif(usage.site_id, ''),
        cast(null as varchar), usage.resource, usage.token_unit, usage.bucket_start,
        usage.period, usage.tokens_consumed, usage.scope, usage.load_id, usage.landed_at, usage.is_withdrawn
    from raw.forge_site_usage as usage
    union all
    select
        cast('forge_environment_usage' as varchar), usage.app_id, cast(null as varchar),
        nullif(usage.environment_id, ''), usage.resource, usage.token_unit, usage.bucket_start,
        usage.period, usage.tokens_consumed, usage.scope, usage.load_id, usage.landed_at, usage.is_withdrawn
    from raw.forge_environment_usage as usage
    union all
    select
        cast('forge_site_environment_usage' as varchar), usage.app_id,
        nullif(usage.site_id, ''), nullif(usage.environment_id, ''), usage.resource, usage.token_unit, usage.bucket_start,
        usage.period, usage.tokens_consumed, usage.scope, usage.load_id, usage.landed_at, usage.is_withdrawn
    from raw.forge_site_environment_usage as usage
)

select
    landed.resource, -- the table in raw.*
    landed.scope, -- what was asked about: app/resource
    landed.app_id, -- Forge app, as bare UUID
    landed.site_id, -- the site's ARI; null: no site is named
    landed.environment_id, -- Forge environment; null: none is named
    landed.meter, -- Atlassian's name of the resource
    landed.token_unit as unit, -- Atlassian's unit
    landed.bucket_start, -- UTC day
    landed.period, -- as Atlassian says it: the day, or an hour of it
    cast(landed.tokens_consumed as decimal(38, 9)) as quantity, -- as reported
    landed.is_withdrawn, -- true: it was reported until then, and is no more
    landed.load_id, -- the load that told it
    landed.landed_at -- of its receipt: what landed later counts
from landed
