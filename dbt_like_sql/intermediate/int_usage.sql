-- One row per thing that used something, meter, plan and period, from every source, with what the meter is
-- (seeds.meters). A meter that nobody has classified has no family and is in no fact, and
-- reports.unmapped_meters lists it. The rows themselves are those of each vendor's model.
-- grain: source, org_id, project_id, branch_id, site_id, environment_id, user_id, meter, unit, period_start, plan
-- window: period_start
-- materialized: view
with usage as (
    select
        cast('neon' as varchar) as source, cast('neon_project_usage' as varchar) as resource,
        neon.org_id as scope, neon.org_id, neon.project_id, neon.branch_id,
        cast(null as varchar) as site_id, cast(null as varchar) as environment_id,
        cast(null as varchar) as user_id, neon.meter, cast(null as varchar) as unit,
        neon.granularity, neon.period_start, neon.period_end, cast(null as timestamptz) as told_from,
        neon.quantity, neon.is_remainder, neon.observed_at, neon.plan
    from intermediate.int_neon_usage as neon
    union all
    select
        'forge', forge.resource, forge.scope, null, forge.app_id, null, forge.site_id,
        forge.environment_id, null, forge.meter, forge.unit, forge.granularity,
        forge.period_start, forge.period_end, null, forge.quantity, forge.is_remainder,
        forge.observed_at, null
    from intermediate.int_forge_usage as forge
    where forge.split_by = 'site'
    union all
    select
        'atlassian_platform', 'platform_usage', platform.org_id, platform.org_id,
        platform.project_id, null, platform.site_id, null, platform.user_id, platform.meter,
        platform.unit, platform.granularity, platform.period_start, platform.period_end,
        case when platform.told_from < platform.period_start then platform.told_from end,
        platform.quantity, not platform.is_read, platform.observed_at, null
    from intermediate.int_platform_usage as platform
    union all
    select
        'bitbucket', 'bitbucket_pipeline_runs', bitbucket.repository_uuid,
        bitbucket.workspace_uuid, bitbucket.repository_uuid, null, bitbucket.workspace_uuid,
        null, null, 'build_seconds_used', 'seconds', 'daily', bitbucket.period_start,
        bitbucket.period_end, null, bitbucket.quantity, false, bitbucket.observed_at, null
    from intermediate.int_bitbucket_usage as bitbucket
),

-- a meter may be known in several units; its family is the same in all of them. (Instants, for to ask
-- each row of usage for its day takes longer than the rest of the join.)
meters as (
    select
        meter.source, meter.meter,
        cast(coalesce(meter.valid_from_date, date '1970-01-01') as timestamptz) as valid_from,
        cast(coalesce(meter.valid_until_date, date '9999-12-31') as timestamptz) as valid_until,
        min(meter.family) as family, min(meter.unit) as unit
    from seeds.meters as meter
    group by meter.source, meter.meter, meter.valid_from_date, meter.valid_until_date
)

select
    -- as a list, quoted: null is not '', and no two things' parts are one text
    md5(cast(json_array(
        usage.source, usage.org_id, usage.project_id, usage.branch_id, usage.site_id,
        usage.environment_id, usage.user_id, usage.meter, coalesce(usage.unit, meters.unit),
        usage.plan
    ) as varchar)) as series_key, -- source, all ids, meter, unit and plan; with period_start the grain
    usage.source, -- vendor API family: neon, forge, bitbucket, atlassian_platform
    usage.resource, -- the table in raw.* whose receipts tell which buckets are known
    usage.scope, -- what was asked about, as receipts have it; of exports the organization
    usage.org_id, -- the vendor's organization (bitbucket: workspace); null where it names none (forge)
    usage.project_id, -- Neon project, Forge app, Bitbucket repository; null: what none accounts for
    usage.branch_id, -- Neon branch; null: what none accounts for, and of other vendors
    usage.site_id, -- Atlassian site or Bitbucket workspace; null: what none accounts for, and of Neon
    usage.environment_id, -- Forge environment, where asked for by site; else null
    usage.user_id, -- Atlassian user, where an export names users; else null
    usage.meter, -- the vendor's name of what is metered; explained in seeds.meters
    usage.granularity, -- which of hourly, daily, monthly served this period
    usage.period_start, -- first instant, UTC
    usage.period_end, -- first instant of the next period, UTC
    usage.told_from, -- since when it was used, where that is before the period; else null
    -- a remainder is what a total has over its parts
    usage.quantity, -- in `unit`, as the vendor reports it; a remainder may be below zero
    cast(usage.is_remainder as boolean)
        as is_remainder, -- true: below zero, the parts of a total add up to more than it
    -- as the vendor says it, or else as seeds.meters dates it; null where the meter is not known
    cast(coalesce(usage.unit, meters.unit) as varchar) as unit, -- the vendor's unit
    meters.family, -- compute, storage, transfer, credits, operations; null: not classified
    cast(
        usage.observed_at
        < usage.period_end + coalesce(retention.settles_minutes, 0) * interval '1' minute
        as boolean
    ) as is_open, -- true: still filling, or not yet settled, when observed; it will still change
    usage.observed_at, -- when the vendor was asked, or the file exported
    usage.plan -- as the vendor reported it of the period; null where it reports none (all but Neon)
from usage
left join meters
    on usage.source = meters.source and usage.meter = meters.meter
    and usage.period_start >= meters.valid_from and usage.period_start < meters.valid_until
left join seeds.retention as retention
    on usage.source = retention.source and usage.resource = retention.resource
    and usage.granularity = retention.granularity
