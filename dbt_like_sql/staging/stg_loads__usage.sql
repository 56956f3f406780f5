-- One row per thing, meter and bucket, part of it, and answer that told otherwise of it than an
-- earlier one. It is all that vendors ever said of usage that they may correct, but for Forge's
-- environments. Facts hold what they said last.
-- grain: thing_key, part_key, bucket_start, landed_at
-- window: bucket_start
with told as (
    select
        neon.resource, neon.org_id as scope, neon.org_id, neon.project_id, neon.branch_id,
        cast(null as varchar) as site_id, neon.meter, cast(null as varchar) as unit,
        neon.granularity, neon.bucket_start,
        concat_ws(
            ' ', neon.period_id,
            strftime(neon.timeframe_start at time zone 'UTC', '%Y-%m-%d %H:%M:%S+00')
        ) as part_key,
        case when not neon.is_withdrawn then neon.quantity end as quantity, neon.landed_at
    from staging.stg_neon__observed_usage as neon
    where neon.resource in ('neon_project_usage', 'neon_branch_usage')
    union all
    select
        forge.resource, forge.scope, cast(null as varchar), forge.app_id,
        cast(null as varchar), forge.site_id, forge.meter, forge.unit,
        cast('daily' as varchar), forge.bucket_start, cast(forge.period as varchar),
        case when not forge.is_withdrawn then forge.quantity end, forge.landed_at
    from staging.stg_forge__observed_usage as forge
    where forge.resource in ('forge_app_usage', 'forge_site_usage')
)

select
    -- as a list, quoted: null is not '', and no two things' parts are one text
    md5(cast(json_array(
        told.resource, told.scope, told.project_id, told.branch_id, told.site_id, told.meter,
        told.unit, told.granularity
    ) as varchar)) as thing_key, -- resource, scope, all ids, meter, unit and granularity
    told.part_key, -- what of the bucket: a billing period, or an hour of the day
    told.resource,
    told.scope, -- what was asked about, as receipts have it
    told.org_id, -- the vendor's organization; null where it names none
    told.project_id, -- the vendor's project
    told.branch_id, -- Neon branch; null for project totals
    told.site_id, -- Atlassian site; null for app totals
    told.meter, -- the vendor's name of what is metered
    told.unit, -- the vendor's unit, where it sends one
    told.granularity, -- hourly, daily or monthly
    told.bucket_start, -- first instant of the bucket, UTC
    told.quantity, -- as reported; null: it was no longer there
    told.landed_at -- of the receipt that told it; what landed later counts
from told
