-- Allowances of periods that are under way (of a month that is over: were on its last day), those that are
-- used up first.
select
    allowance.source, allowance.meter, coalesce(meter.billed_unit, allowance.unit) as unit,
    allowance.owner_type, allowance.owner_name as owner,
    cast(allowance.used_quantity as double) / coalesce(meter.quantity_per_billed_unit, 1) as used,
    cast(allowance.included_quantity as double) / coalesce(meter.quantity_per_billed_unit, 1)
        as included,
    allowance.used_share, allowance.exhausted_on,
    cast(allowance.resets_at as date) as renews_on,
    date_diff('day', $until - 1, cast(allowance.exhausted_on as date)) as days_left
from reports.allowance as allowance
left join seeds.meters as meter
    on allowance.source = meter.source and allowance.meter = meter.meter
    and allowance.unit = meter.unit
where cast(allowance.period_start as date) < $until and cast(allowance.resets_at as date) >= $until
    and allowance.included_quantity > 0
order by days_left nulls last, allowance.used_share desc
limit 100
