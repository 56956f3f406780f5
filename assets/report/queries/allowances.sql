-- Allowances of periods that are under way, those that are used up first.
select
    allowance.source, allowance.meter, allowance.unit, allowance.owner_type, allowance.owner_name as owner,
    cast(allowance.used_quantity as double) as used,
    cast(allowance.included_quantity as double) as included, allowance.used_share,
    allowance.straight_line_quantity as at_renewal, allowance.exhausted_on,
    cast(allowance.resets_at as date) as renews_on,
    date_diff('day', $today, cast(allowance.exhausted_on as date)) as days_left
from reports.allowance as allowance
where cast(allowance.period_start as date) <= $today and cast(allowance.resets_at as date) > $today
    and allowance.included_quantity > 0
order by days_left nulls last, allowance.used_share desc
limit 100
