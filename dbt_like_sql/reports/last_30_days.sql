-- What was used over the last 30 days, today included, and what it costs: one row per project (where a
-- vendor names none, per organization) and meter, also in the unit that it is billed in. A month counts,
-- and whole, where most of it is in these days; of readings those of the last month with one count.
-- grain: source, org_id, project_id, meter, unit
with used as (
    select
        cost.source, cost.org_id, cost.project_id, cost.family, cost.meter, cost.unit,
        cost.quantity, cost.cost, meter.billed_unit, meter.quantity_per_billed_unit
    from marts.fct_cost_by_day as cost
    left join seeds.meters as meter
        on cost.source = meter.source and cost.meter = meter.meter and cost.unit = meter.unit
    -- the first says no more than the second, and keeps days before them from being read
    where cost.period_end >= date_trunc('day', current_timestamp) - interval '29' day
        and extract(epoch from cost.day_start) + extract(epoch from cost.period_end)
            > 2 * extract(epoch from date_trunc('day', current_timestamp) - interval '29' day)
    -- what parts or their whole were read at is no more where the next month has others
    qualify meter.aggregation is distinct from 'last' or rank() over (
        partition by cost.source, cost.org_id, cost.meter order by cost.day_start desc
    ) = 1
)

select
    used.source, used.org_id, org.name as org_name, org.label as org_label, used.project_id,
    project.project_name, named.label as project_label, project.is_deleted, used.family, used.meter,
    cast(sum(used.quantity) as decimal(38, 9)) as quantity, -- in `unit`
    used.unit,
    cast(cast(sum(used.quantity) as double) / cast(used.quantity_per_billed_unit as double)
        as double) as billed_quantity, -- in `billed_unit`; null where seeds/meters.csv has no conversion
    used.billed_unit, -- what the vendor bills by
    cast(sum(used.cost) as decimal(38, 18)) as cost -- US dollars, an estimate; null: nothing has a price
from used
left join marts.dim_name as org
    on org.kind = 'org' and used.source = org.source and used.org_id = org.thing_id
left join marts.dim_project as project
    on used.source = project.source
    and used.org_id is not distinct from project.org_id
    and used.project_id = project.project_id
left join marts.dim_name as named
    on named.kind = 'project' and project.source = named.source
    and project.org_id is not distinct from named.org_id and project.project_id = named.thing_id
group by
    used.source, used.org_id, org.name, org.label, used.project_id, project.project_name,
    named.label, project.is_deleted, used.family, used.meter, used.unit, used.billed_unit,
    used.quantity_per_billed_unit
