-- Where the month under way will end, by meter: as so far, and as on the last 7 days.
select
    forecast.source, coalesce(org.label, forecast.org_id) as org, forecast.meter,
    coalesce(meter.billed_unit, forecast.unit) as unit,
    cast(forecast.cost as double) as cost, forecast.straight_line_cost, forecast.last_7_days_cost,
    forecast.straight_line_quantity / coalesce(cast(meter.quantity_per_billed_unit as double), 1)
        as straight_line_quantity,
    forecast.last_7_days_quantity / coalesce(cast(meter.quantity_per_billed_unit as double), 1)
        as last_7_days_quantity,
    forecast.open_day_count, forecast.coming_day_count
from reports.forecast as forecast
left join marts.dim_name as org
    on org.kind = 'org' and forecast.source = org.source and forecast.org_id = org.thing_id
left join seeds.meters as meter
    on forecast.source = meter.source and forecast.meter = meter.meter
    and forecast.unit = meter.unit
where forecast.period_month = $month
order by forecast.straight_line_cost desc nulls last, forecast.source, forecast.meter
