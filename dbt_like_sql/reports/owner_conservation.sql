-- One row per UTC month, source, meter and unit of which owners do not have what marts.fct_cost has: a
-- model is wrong.
-- grain: period_month, source, meter, unit
-- expect: no rows
-- window: period_month, by month
with owned as (
    select
        owned.period_month, owned.source, owned.meter, owned.unit, sum(owned.quantity) as quantity,
        sum(owned.cost) as cost
    from reports.cost_by_owner as owned
    group by owned.period_month, owned.source, owned.meter, owned.unit
)

select
    cast(date_trunc('month', cost.period_date) as date) as period_month, -- first of the UTC month
    cost.source, cost.meter, cost.unit,
    cast(sum(cost.quantity) as decimal(38, 9)) as quantity, -- of marts.fct_cost
    any_value(owned.quantity) as owned_quantity, -- of reports.cost_by_owner
    cast(sum(cost.cost) as decimal(38, 18)) as cost, -- of marts.fct_cost
    any_value(owned.cost) as owned_cost -- of reports.cost_by_owner
from marts.fct_cost_by_day as cost
left join owned
    on date_trunc('month', cost.period_date) = owned.period_month and cost.source = owned.source
    and cost.meter = owned.meter and cost.unit is not distinct from owned.unit
group by date_trunc('month', cost.period_date), cost.source, cost.meter, cost.unit
having sum(cost.quantity) is distinct from any_value(owned.quantity)
    or sum(cost.cost) is distinct from any_value(owned.cost)
