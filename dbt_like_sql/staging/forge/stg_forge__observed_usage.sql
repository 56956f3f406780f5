-- One row per Forge resource, unit and UTC day that a load found usage of: by app, by site, by
-- environment, or by both. All that Atlassian ever said; stg_forge__usage is what it said last.
-- grain: resource, scope, app_id, site_id, environment_id, meter, unit, bucket_start, load_id
-- window: bucket_start
with landed as (
    select
        cast('forge_app_usage' as varchar) as resource, usage.app_id,
        cast(null as varchar) as site_id, cast(null as varchar) as environment_id,
        usage.resource as meter, usage.token_unit, usage.bucket_start, usage.period,
        usage.tokens_consumed, usage.load_id, usage.page
    from raw.forge_app_usage as usage
    union all
    select
        cast('forge_site_usage' as varchar), usage.app_id, nullif(usage.site_id, ''),
        cast(null as varchar), usage.resource, usage.token_unit, usage.bucket_start,
        usage.period, usage.tokens_consumed, usage.load_id, usage.page
    from raw.forge_site_usage as usage
    union all
    select
        cast('forge_environment_usage' as varchar), usage.app_id, cast(null as varchar),
        nullif(usage.environment_id, ''), usage.resource, usage.token_unit, usage.bucket_start,
        usage.period, usage.tokens_consumed, usage.load_id, usage.page
    from raw.forge_environment_usage as usage
    union all
    select
        cast('forge_site_environment_usage' as varchar), usage.app_id,
        nullif(usage.site_id, ''), nullif(usage.environment_id, ''), usage.resource, usage.token_unit, usage.bucket_start,
        usage.period, usage.tokens_consumed, usage.load_id, usage.page
    from raw.forge_site_environment_usage as usage
),

-- a page may repeat what an earlier page said: the last word counts
said as (
    select landed.*
    from landed
    qualify row_number() over (
        partition by
            landed.resource, landed.app_id, landed.site_id, landed.environment_id,
            landed.meter, landed.token_unit, landed.bucket_start, landed.period,
            landed.load_id
        order by landed.page desc
    ) = 1
)

select
    said.resource, -- the table in raw.*
    -- as receipts have it; the one place in SQL that makes it
    cast(said.app_id || '/' || said.meter as varchar) as scope, -- what was asked about: app/resource
    said.app_id, -- Forge app, as bare UUID
    said.site_id, -- the site's ARI; null: no site is named
    said.environment_id, -- Forge environment; null: none is named
    said.meter, -- Atlassian's name of the resource
    said.token_unit as unit, -- Atlassian's unit
    said.bucket_start, -- UTC day
    cast(sum(said.tokens_consumed) as decimal(38, 9)) as quantity, -- hours of the day added up
    said.load_id -- the load that landed it
from said
group by
    said.resource, said.app_id, said.site_id, said.environment_id, said.meter,
    said.token_unit, said.bucket_start, said.load_id
