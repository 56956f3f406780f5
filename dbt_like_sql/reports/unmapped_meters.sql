-- One row per meter and unit that a vendor reports and seeds/meters.csv does not know. An unknown meter
-- landed and is in no fact; a known meter in an unknown unit is in its fact, in that unit, and can be
-- converted to nothing. Add a row to seeds/meters.csv and build.
-- grain: source, meter, unit
-- expect: no rows
with used as (
    select
        usage.source,
        usage.meter,
        usage.unit,
        max(usage.family) as family,
        count(*) as row_count,
        count(distinct usage.project_id) as project_count,
        min(usage.period_start) as first_period_start,
        max(usage.period_end) as last_period_end,
        sum(usage.quantity) as quantity
    from intermediate.int_usage as usage
    group by usage.source, usage.meter, usage.unit
)

select
    used.source, -- vendor API family
    used.meter, -- the vendor's name
    used.unit, -- the vendor's unit; null where it sends none
    cast(case when used.family is null then 'meter' else 'unit' end as varchar)
        as what_is_unknown, -- meter: in no fact; unit: in its fact, not convertible
    cast(used.row_count as bigint) as row_count, -- rows that have it
    cast(used.project_count as bigint) as project_count, -- projects that have it
    used.first_period_start, -- first seen for, UTC
    used.last_period_end, -- last seen for, UTC
    cast(used.quantity as decimal(38, 9)) as quantity -- as reported
from used
where not exists (
    select 1
    from seeds.meters as meter
    where used.source = meter.source and used.meter = meter.meter and used.unit = meter.unit
)
