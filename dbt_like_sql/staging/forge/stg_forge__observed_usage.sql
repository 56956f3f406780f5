-- One row per Forge resource, unit and part of a UTC day, by app, by site, by environment, or by both,
-- and answer that told otherwise of it than the one before. All that Atlassian ever said;
-- stg_forge__usage is what it said last.
-- grain: resource, scope, site_id, environment_id, unit, bucket_start, period, landed_at
-- window: bucket_start
select
    cast('forge_app_usage' as varchar) as resource, -- the table in raw.*
    usage.scope, -- what was asked about: app/resource
    usage.app_id, -- Forge app, as bare UUID
    cast(null as varchar) as site_id, -- the site's ARI; null: no site is named
    cast(null as varchar) as environment_id, -- Forge environment; null: none is named
    usage.resource as meter, -- Atlassian's name of the resource
    usage.token_unit as unit, -- Atlassian's unit
    usage.bucket_start, -- UTC day
    usage.period, -- as Atlassian says it: the day, or an hour of it
    cast(usage.tokens_consumed as decimal(38, 9)) as quantity, -- as reported
    usage.is_withdrawn, -- true: it was reported until then, and is no more
    usage.load_id, -- the load that told it
    usage.landed_at -- of its receipt: what landed later counts
from raw.forge_app_usage as usage
union all
select
    'forge_site_usage', usage.scope, usage.app_id, nullif(usage.site_id, ''), null, usage.resource,
    usage.token_unit, usage.bucket_start, usage.period,
    cast(usage.tokens_consumed as decimal(38, 9)), usage.is_withdrawn, usage.load_id,
    usage.landed_at
from raw.forge_site_usage as usage
union all
select
    'forge_environment_usage', usage.scope, usage.app_id, null, nullif(usage.environment_id, ''),
    usage.resource, usage.token_unit, usage.bucket_start, usage.period,
    cast(usage.tokens_consumed as decimal(38, 9)), usage.is_withdrawn, usage.load_id,
    usage.landed_at
from raw.forge_environment_usage as usage
union all
select
    'forge_site_environment_usage', usage.scope, usage.app_id, nullif(usage.site_id, ''),
    nullif(usage.environment_id, ''), usage.resource, usage.token_unit, usage.bucket_start,
    usage.period, cast(usage.tokens_consumed as decimal(38, 9)), usage.is_withdrawn,
    usage.load_id, usage.landed_at
from raw.forge_site_environment_usage as usage
