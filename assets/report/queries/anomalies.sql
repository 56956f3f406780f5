-- Days of the last five weeks that are out of line with the same weekdays before, the furthest first.
select
    odd.source, coalesce(org.org_name, odd.org_id) as org,
    coalesce(odd.project_name, odd.project_id) as project, odd.meter,
    odd.period_date as day,
    cast(odd.quantity as double) / coalesce(meter.quantity_per_billed_unit, 1) as quantity,
    cast(odd.usual_quantity as double) / coalesce(meter.quantity_per_billed_unit, 1) as usual,
    coalesce(meter.billed_unit, odd.unit) as unit, odd.compared_day_count, odd.score
from reports.anomalies as odd
left join marts.dim_org as org on odd.source = org.source and odd.org_id = org.org_id
left join seeds.meters as meter
    on odd.source = meter.source and odd.meter = meter.meter and odd.unit = meter.unit
order by abs(odd.score) desc
limit 200
