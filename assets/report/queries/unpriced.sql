-- Usage of this period without a cost, and why.
select
    cost.source, cost.meter, cost.plan, cost.unpriced_reason as reason,
    cast(sum(cost.quantity) as double) as quantity, cost.unit, max(cost.period_date) as last_used
from marts.fct_cost_by_day as cost
where cost.unpriced_reason is not null
    and cost.period_date >= $month and cost.period_date < $until
group by cost.source, cost.meter, cost.plan, cost.unpriced_reason, cost.unit
order by cost.source, cost.meter
