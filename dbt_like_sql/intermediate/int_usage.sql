-- One row per thing that used something, meter and period, from every source, with what the meter is
-- (seeds.meters). A meter that nobody has classified has no family and is in no fact:
-- reports.unmapped_meters lists it.
-- grain: source, org_id, project_id, branch_id, site_id, environment_id, user_id, meter, period_start
-- window: period_start
with usage as (
    select
        cast('neon' as varchar) as source,
        cast('neon_project_usage' as varchar) as resource,
        neon.org_id,
        neon.project_id,
        neon.branch_id,
        cast(null as varchar) as site_id,
        cast(null as varchar) as environment_id,
        cast(null as varchar) as user_id,
        neon.meter,
        neon.granularity,
        neon.period_start,
        neon.period_end,
        neon.quantity,
        neon.observed_at
    from intermediate.int_neon_usage as neon
)

select
    usage.source, -- vendor API family
    usage.org_id, -- the vendor's organization
    usage.project_id, -- the vendor's project
    usage.branch_id, -- Neon branch; null: what no branch accounts for
    usage.site_id, -- Atlassian site; null for other sources
    usage.environment_id, -- Forge environment; null for other sources
    usage.user_id, -- user, where the vendor says so
    usage.meter, -- the vendor's name of what is metered
    usage.granularity, -- which of hourly, daily, monthly served this period
    usage.period_start, -- first instant, UTC
    usage.period_end, -- first instant of the next period, UTC
    usage.quantity, -- in `unit`, as the vendor reports it
    meter.unit, -- unit of `quantity`; null where the meter is not known
    meter.family, -- compute, storage, transfer, credits, operations; null: not classified
    -- still filling, or asked before the vendor's metering had settled
    cast(
        usage.observed_at
        < usage.period_end + coalesce(retention.settles_minutes, 0) * interval '1' minute
        as boolean
    ) as is_open, -- true: the quantity will still grow
    usage.observed_at -- when the vendor said so
from usage
left join seeds.meters as meter
    on usage.source = meter.source
    and usage.meter = meter.meter
    and cast(usage.period_start as date) >= coalesce(meter.valid_from_date, date '1970-01-01')
    and cast(usage.period_start as date) < coalesce(meter.valid_until_date, date '9999-12-31')
left join seeds.retention as retention
    on usage.source = retention.source
    and usage.resource = retention.resource
    and usage.granularity = retention.granularity
