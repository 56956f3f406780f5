-- Usage without a cost, and why.
select
    unpriced.source, unpriced.meter, unpriced.plan, unpriced.unpriced_reason as reason,
    cast(sum(unpriced.quantity) as double) as quantity, unpriced.unit, max(unpriced.last_date) as last_used
from reports.unpriced as unpriced
where unpriced.last_date >= $month_before
group by unpriced.source, unpriced.meter, unpriced.plan, unpriced.unpriced_reason, unpriced.unit
order by unpriced.source, unpriced.meter
