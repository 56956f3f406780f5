-- What was used over the last 30 days, today included: one row per project (where a vendor names none,
-- per organization) and meter, also in the unit that it is billed in. A month counts, and whole, where
-- most of it is in these days; of readings the last one of each scope counts.
-- grain: source, org_id, project_id, meter, unit
with used as (
    select
        usage.source, usage.org_id, usage.project_id, usage.family, usage.meter, usage.unit,
        usage.quantity, meter.billed_unit, meter.quantity_per_billed_unit
    from intermediate.int_usage_by_day as usage
    left join seeds.meters as meter
        on usage.source = meter.source and usage.meter = meter.meter and usage.unit = meter.unit
    where extract(epoch from usage.period_start) + extract(epoch from usage.period_end)
        >= 2 * extract(epoch from date_trunc('day', current_timestamp) - interval '29' day)
        and usage.family is not null
    qualify meter.aggregation is distinct from 'last' or row_number() over (
        partition by
            usage.source, usage.org_id, usage.project_id, usage.branch_id, usage.site_id,
            usage.environment_id, usage.user_id, usage.meter, usage.unit
        order by usage.period_start desc
    ) = 1
),

summed as (
    select
        used.source, used.org_id, used.project_id, used.family, used.meter, used.unit,
        used.billed_unit, used.quantity_per_billed_unit, sum(used.quantity) as quantity
    from used
    group by
        used.source, used.org_id, used.project_id, used.family, used.meter, used.unit,
        used.billed_unit, used.quantity_per_billed_unit
)

select
    used.source,
    used.org_id,
    org.org_name,
    used.project_id,
    project.project_name,
    project.is_deleted,
    used.family,
    used.meter,
    cast(used.quantity as decimal(38, 9)) as quantity, -- in `unit`
    used.unit,
    cast(cast(used.quantity as double) / cast(used.quantity_per_billed_unit as double) as double)
        as billed_quantity, -- in `billed_unit`; null where seeds/meters.csv has no conversion
    used.billed_unit -- what the vendor bills by
from summed as used
left join marts.dim_org as org on used.source = org.source and used.org_id = org.org_id
left join marts.dim_project as project
    on used.source = project.source
    and used.org_id is not distinct from project.org_id
    and used.project_id = project.project_id
