-- What was used over the last 30 days, today included: one row per project (where a vendor names none,
-- per organization) and meter, also in the unit that it is billed in.
-- grain: source, org_id, project_id, meter, unit
with used as (
    select
        usage.source, usage.org_id, usage.project_id, usage.family, usage.meter, usage.unit,
        sum(usage.quantity) as quantity
    from marts.fct_usage as usage
    where usage.period_start >= date_trunc('day', current_timestamp) - interval '30' day
    group by
        usage.source, usage.org_id, usage.project_id, usage.family, usage.meter, usage.unit
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
    cast(cast(used.quantity as double) / cast(meter.quantity_per_billed_unit as double) as double)
        as billed_quantity, -- in `billed_unit`; null where seeds/meters.csv has no conversion
    meter.billed_unit -- what the vendor bills by
from used
left join seeds.meters as meter
    on used.source = meter.source and used.meter = meter.meter and used.unit = meter.unit
left join marts.dim_org as org on used.source = org.source and used.org_id = org.org_id
left join marts.dim_project as project
    on used.source = project.source
    and used.org_id is not distinct from project.org_id
    and used.project_id = project.project_id
