-- One row per UTC month, source, meter and unit of which owners do not have what marts.fct_cost has: a
-- model is wrong.
-- grain: month_start, source, meter, unit
-- expect: no rows
-- window: month_start, by month
with sides as (
    select
        date_trunc('month', cost.day_start) as month_start, cost.source, cost.meter, cost.unit,
        cost.quantity, cost.cost, 0.0 as owned_quantity, 0.0 as owned_cost
    from marts.fct_cost_by_day as cost
    union all
    select
        owned.month_start, owned.source, owned.meter, owned.unit, 0.0, 0.0, owned.quantity,
        owned.cost
    from reports.cost_by_owner as owned
)

select
    cast(sides.month_start as timestamptz) as month_start, -- UTC month
    sides.source, -- vendor API family
    sides.meter, -- the vendor's name of what is metered
    sides.unit, -- the vendor's unit
    cast(sum(sides.quantity) as decimal(38, 9)) as quantity, -- of marts.fct_cost
    cast(sum(sides.owned_quantity) as decimal(38, 9)) as owned_quantity, -- of reports.cost_by_owner
    cast(sum(sides.cost) as decimal(38, 18)) as cost, -- of marts.fct_cost
    cast(sum(sides.owned_cost) as decimal(38, 18)) as owned_cost -- of reports.cost_by_owner
from sides
group by sides.month_start, sides.source, sides.meter, sides.unit
having sum(sides.quantity) <> sum(sides.owned_quantity)
    or sum(sides.cost) <> sum(sides.owned_cost)
