-- What each UTC month costs, an estimate: one row per org, project and line of the vendor's invoice, in
-- cents. Usage without a price is in unpriced_quantity, and its cost in no row.
-- grain: period_month, source, org_id, project_id, sku, invoice_line, billed_unit
-- window: period_month, by month
select
    cast(date_trunc('month', cost.period_date) as date) as period_month, -- first of the UTC month
    cost.source, cost.org_id, cost.project_id, cost.sku,
    cast(coalesce(cost.invoice_line, cost.meter) as varchar)
        as invoice_line, -- as the vendor calls it; the meter where no price is known
    cost.billed_unit,
    cast(coalesce(
        sum(cost.billed_quantity)
            filter (where not cost.is_included and cost.unpriced_reason is null), 0
    ) as decimal(38, 9)) as charged_quantity, -- beyond allowances, in `billed_unit`
    cast(coalesce(sum(cost.billed_quantity) filter (where cost.is_included), 0)
        as decimal(38, 9)) as included_quantity, -- covered by allowances
    cast(coalesce(sum(cost.quantity) filter (where cost.unpriced_reason is not null), 0)
        as decimal(38, 9)) as unpriced_quantity, -- of no known price, in the vendor's unit
    -- what is cut off at 18 places would let half a cent of many parts fall below itself
    cast(cast(sum(cost.cost) as decimal(38, 12)) as decimal(38, 2))
        as cost, -- US dollars; null: nothing has a price
    cast(cast(sum(cost.list_cost) as decimal(38, 12)) as decimal(38, 2))
        as list_cost, -- at list price, as if nothing were included
    true as is_estimate, -- worked out of usage and list prices; no invoice says so
    cast(bool_or(cost.is_open) as boolean) as is_open -- true: some of it will still change
from marts.fct_cost_by_day as cost
group by
    date_trunc('month', cost.period_date), cost.source, cost.org_id, cost.project_id, cost.sku,
    coalesce(cost.invoice_line, cost.meter), cost.billed_unit
