-- One row per meter, unit, plan and organization of which usage has no cost, and the reason: no price is
-- known, or how much is included is not. Its quantity is in marts.fct_cost, without a cost.
-- grain: source, meter, unit, plan, org_id, sku, unpriced_reason
-- check: is_stated
select
    cost.source,
    cost.meter,
    cost.unit,
    cost.plan,
    cost.org_id,
    cost.sku,
    cost.unpriced_reason,
    cast(
        bool_and(book.source is null)
        or (cost.sku is not null and sum(cost.list_cost) is null) as boolean
    ) as is_stated, -- true: the book says so, or has nothing of this source; false: a row is missing
    cast(min(cost.day_start) as date) as first_date, -- UTC day
    cast(max(cost.day_start) as date) as last_date, -- UTC day
    cast(count(distinct date_trunc('month', cost.day_start)) as bigint)
        as month_count, -- UTC months in which there was such usage
    cast(sum(cost.quantity) as decimal(38, 9)) as quantity -- in `unit`
from intermediate.int_cost_by_day as cost
left join (select distinct listed.source from seeds.price_book as listed) as book
    on cost.source = book.source
where cost.unpriced_reason is not null
group by
    cost.source, cost.meter, cost.unit, cost.plan, cost.org_id, cost.sku,
    cost.unpriced_reason
