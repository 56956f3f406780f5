-- One row per meter that a vendor reports and seeds/meters.csv does not know: it landed, it is in no
-- fact. Add a row to seeds/meters.csv and build.
-- grain: source, meter
-- check: row_count = 0
select
    usage.source, -- vendor API family
    usage.meter, -- the vendor's name
    cast(count(*) as bigint) as row_count, -- rows waiting for a family
    cast(count(distinct usage.project_id) as bigint) as project_count, -- projects that have it
    min(usage.period_start) as first_period_start, -- first seen for, UTC
    max(usage.period_end) as last_period_end, -- last seen for, UTC
    cast(sum(usage.quantity) as decimal(38, 9)) as quantity -- as reported, in an unknown unit
from intermediate.int_usage as usage
where usage.unit is null
group by usage.source, usage.meter
