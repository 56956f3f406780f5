-- One row per thing that two answers of a vendor measure, side by side: Neon's facts against coarser
-- buckets and the retired legacy endpoint; Forge's totals against its environments, and its sites
-- against the same within environments; exported minutes against Bitbucket's runs, exported months
-- against their days, what exported workspaces have left against repositories that no workspace is
-- known of, the last reading of a billing cycle against the facts of it; wholes that are smaller than
-- the sum of their parts; and usage of Atlassian's that is in no fact, as days of it are told otherwise.
-- Settled periods only, but for readings, and buckets of which two of Neon's billing periods tell the
-- same.
-- grain: comparison, source, org_id, project_id, meter, unit, granularity, period_start
-- window: period_start
-- check: is_within_tolerance
with rest as (
    -- where the plan changed, the parts of one plan may be rounded up and those of the other down
    select
        usage.source, usage.org_id, usage.project_id, usage.meter, usage.unit,
        usage.granularity, usage.period_start, sum(usage.quantity) as quantity
    from intermediate.int_usage as usage
    where usage.is_remainder and not usage.is_open
    group by
        usage.source, usage.org_id, usage.project_id, usage.site_id, usage.meter, usage.unit,
        usage.granularity, usage.period_start, usage.environment_id, usage.user_id
),

compared as (
    select
        neon.comparison, 'neon' as source, neon.org_id, neon.project_id, neon.meter,
        cast(null as varchar) as unit, neon.granularity, neon.period_start,
        cast(null as timestamptz) as period_end, neon.fact_quantity, neon.other_quantity,
        neon.tolerance
    from intermediate.int_neon_comparisons as neon
    union all
    select
        'another billing period', 'neon', twice.org_id, twice.project_id, twice.meter,
        cast(null as varchar), twice.granularity, twice.period_start, null, twice.quantity,
        twice.quantity_told_once, case when twice.is_shared then twice.quantity else 0 end
    from intermediate.int_neon_repeats as twice
    union all
    select
        'parts above whole', rest.source, rest.org_id, rest.project_id, rest.meter,
        rest.unit, rest.granularity, rest.period_start, null, cast(0 as decimal(38, 9)),
        sum(rest.quantity), 0
    from rest
    where rest.quantity < 0
    group by
        rest.source, rest.org_id, rest.project_id, rest.meter, rest.unit, rest.granularity,
        rest.period_start
    union all
    select
        forge.comparison, 'forge', cast(null as varchar), forge.app_id, forge.meter,
        forge.unit, 'daily', forge.period_start, null, forge.fact_quantity, forge.other_quantity, 0
    from intermediate.int_forge_comparisons as forge
    union all
    select
        platform.comparison, 'atlassian_platform', platform.org_id, platform.project_id,
        platform.meter, platform.unit, 'monthly', platform.period_start, platform.period_end,
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
    compared.period_end, -- first instant after days that are in no fact, UTC; else null
    -- for parts above their whole: 0, and what the parts have too much, below zero
    cast(compared.fact_quantity as decimal(38, 9)) as fact_quantity, -- sum over the facts
    cast(compared.other_quantity as decimal(38, 9)) as other_quantity, -- what the other side says
    cast(compared.other_quantity - compared.fact_quantity as decimal(38, 9))
        as difference, -- the other side less the facts
    cast(abs(compared.other_quantity - compared.fact_quantity) <= compared.tolerance as boolean)
        as is_within_tolerance -- false: ask the finer granularity again, or export it again
from compared
