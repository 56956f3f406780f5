-- One row per thing, meter and bucket, and load that told of its usage: all that vendors ever said of
-- usage that they may correct, but for Forge's environments. Facts hold what they said last.
-- grain: thing_key, bucket_start, load_id
-- window: bucket_start
with paged as (
    -- a page may repeat what an earlier page said
    select
        neon.resource, neon.org_id, neon.project_id, neon.branch_id, neon.meter,
        neon.granularity, neon.bucket_start, neon.load_id, max(neon.quantity) as quantity
    from staging.stg_neon__observed_usage as neon
    where neon.resource in ('neon_project_usage', 'neon_branch_usage')
    group by
        neon.resource, neon.org_id, neon.project_id, neon.branch_id, neon.meter,
        neon.granularity, neon.bucket_start, neon.load_id, neon.period_id, neon.timeframe_start
),

observed as (
    select
        neon.resource, neon.org_id as scope, neon.org_id, neon.project_id, neon.branch_id,
        cast(null as varchar) as site_id, neon.meter, cast(null as varchar) as unit,
        neon.granularity, neon.bucket_start, neon.load_id,
        -- billing periods added up
        cast(sum(neon.quantity) as decimal(38, 9)) as quantity
    from paged as neon
    group by
        neon.resource, neon.org_id, neon.project_id, neon.branch_id, neon.meter,
        neon.granularity, neon.bucket_start, neon.load_id
    union all
    select
        forge.resource, forge.scope, cast(null as varchar), forge.app_id,
        cast(null as varchar), forge.site_id, forge.meter, forge.unit,
        cast('daily' as varchar), forge.bucket_start, forge.load_id, forge.quantity
    from staging.stg_forge__observed_usage as forge
    where forge.resource in ('forge_app_usage', 'forge_site_usage')
)

select
    -- as a list, quoted: null is not '', and no two things' parts are one text
    md5(cast(json_array(
        observed.resource, observed.scope, observed.project_id, observed.branch_id,
        observed.site_id, observed.meter, observed.unit, observed.granularity
    ) as varchar)) as thing_key, -- resource, scope, all ids, meter, unit and granularity
    observed.resource, -- the table in raw.*
    observed.scope, -- what was asked about, as receipts have it
    observed.org_id, -- the vendor's organization; null where it names none
    observed.project_id, -- the vendor's project
    observed.branch_id, -- Neon branch; null for project totals
    observed.site_id, -- Atlassian site; null for app totals
    observed.meter, -- the vendor's name of what is metered
    observed.unit, -- the vendor's unit, where it sends one
    observed.granularity, -- hourly, daily or monthly
    observed.bucket_start, -- first instant of the bucket, UTC
    observed.quantity, -- as reported
    observed.load_id -- the load that told
from observed
