-- One row per meter and unit that a vendor reports and seeds/meters.csv does not know. An unknown meter
-- landed and is in no fact; a known meter in an unknown unit is in its fact, in that unit, and can be
-- converted to nothing. Add a row to seeds/meters.csv and build.
-- grain: source, meter, unit
-- expect: no rows
select
    usage.source, -- vendor API family
    usage.meter, -- the vendor's name
    usage.unit, -- the vendor's unit; null where it sends none
    cast(case when max(usage.family) is null then 'meter' else 'unit' end as varchar)
        as what_is_unknown, -- meter: in no fact; unit: in its fact, not convertible
    cast(sum(usage.period_count) as bigint) as row_count, -- rows that have it
    cast(count(distinct usage.project_id) as bigint) as project_count, -- projects that have it
    min(usage.period_start) as first_period_start, -- first seen for, UTC
    max(usage.period_end) as last_period_end, -- last seen for, UTC
    cast(sum(usage.quantity) as decimal(38, 9)) as quantity -- as reported
from intermediate.int_usage_by_day as usage
anti join seeds.meters as meter
    on usage.source = meter.source and usage.meter = meter.meter and usage.unit = meter.unit
group by usage.source, usage.meter, usage.unit
