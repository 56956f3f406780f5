-- Days of the last five weeks (up to the end of a month that is over) that are out of line with the same
-- weekdays before, the furthest first.
select
    odd.source, coalesce(org.label, odd.org_id) as org,
    coalesce(project.label, odd.project_id) as project, odd.meter,
    odd.period_date as day,
    cast(odd.quantity as double) / coalesce(meter.quantity_per_billed_unit, 1) as quantity,
    cast(odd.usual_quantity as double) / coalesce(meter.quantity_per_billed_unit, 1) as usual,
    coalesce(meter.billed_unit, odd.unit) as unit, odd.compared_day_count, odd.score
from reports.anomalies as odd
left join marts.dim_name as org
    on org.kind = 'org' and odd.source = org.source and odd.org_id = org.thing_id
left join marts.dim_name as project
    on project.kind = 'project' and odd.source = project.source
    and odd.org_id is not distinct from project.org_id and odd.project_id = project.thing_id
left join seeds.meters as meter
    on odd.source = meter.source and odd.meter = meter.meter and odd.unit = meter.unit
where odd.period_date < $until
order by abs(odd.score) desc
limit 200
