-- One row per thing that two answers of a vendor measure, side by side: Neon's facts against coarser
-- buckets and the retired legacy endpoint; Forge's totals against its environments; exported minutes
-- against Bitbucket's runs, exported months against their days; and wholes that are smaller than the sum
-- of their parts. Settled periods only.
-- grain: comparison, source, org_id, project_id, meter, unit, granularity, period_start
-- check: is_within_tolerance
with compared as (
    select
        neon.comparison, 'neon' as source, neon.org_id, neon.project_id, neon.meter,
        cast(null as varchar) as unit, neon.granularity, neon.period_start, neon.fact_quantity,
        neon.other_quantity, neon.tolerance
    from intermediate.int_neon_comparisons as neon
    union all
    select
        'parts above whole', usage.source, usage.org_id, usage.project_id, usage.meter,
        usage.unit, usage.granularity, usage.period_start, cast(0 as decimal(38, 9)),
        sum(usage.quantity), 0
    from intermediate.int_usage as usage
    where usage.quantity < 0 and not usage.is_open
    group by
        usage.source, usage.org_id, usage.project_id, usage.meter, usage.unit,
        usage.granularity, usage.period_start
    union all
    select
        'environments', 'forge', cast(null as varchar), total.app_id, total.meter, total.unit,
        'daily', total.bucket_start, total.quantity, sum(part.quantity), 0
    from staging.stg_forge__app_usage as total
    inner join staging.stg_forge__environment_usage as part
        on total.app_id = part.app_id and total.meter = part.meter and total.unit = part.unit
        and total.bucket_start = part.bucket_start
    where least(total.observed_at, part.observed_at) >= total.bucket_end + interval '12' hour
    group by
        total.app_id, total.meter, total.unit, total.bucket_start, total.quantity
    union all
    select
        platform.comparison, 'atlassian_platform', platform.org_id, platform.project_id,
        platform.meter, platform.unit, 'monthly', platform.period_start,
        platform.fact_quantity, platform.other_quantity, platform.tolerance
    from intermediate.int_platform_comparisons as platform
)

select
    cast(compared.comparison as varchar) as comparison, -- what is compared with the facts
    cast(compared.source as varchar) as source, -- vendor API family
    compared.org_id, -- the vendor's organization
    compared.project_id, -- the vendor's project, or a workspace, or user:ann; null: the whole org
    compared.meter, -- the vendor's name of what is metered
    compared.unit, -- of the quantities, where the vendor names one
    cast(compared.granularity as varchar) as granularity, -- granularity of the other side
    compared.period_start, -- first instant, UTC
    -- for parts above their whole: 0, and what the parts have too much, below zero
    cast(compared.fact_quantity as decimal(38, 9)) as fact_quantity, -- sum over the facts
    cast(compared.other_quantity as decimal(38, 9)) as other_quantity, -- what the other side says
    cast(compared.other_quantity - compared.fact_quantity as decimal(38, 9))
        as difference, -- the other side less the facts
    cast(abs(compared.other_quantity - compared.fact_quantity) <= compared.tolerance as boolean)
        as is_within_tolerance -- false: ask the finer granularity again, or export it again
from compared
