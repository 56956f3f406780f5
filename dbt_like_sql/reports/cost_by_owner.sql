-- What each owner used in a UTC month, and what it costs, an estimate: one row per project, meter and
-- line of the vendor's invoice. What a rule of seeds.owners splits is divided among the owners that have
-- cost of their own in that source and month, in equal parts or in the ratio of that cost; where nobody
-- has any, it stays with the owner that the rule says. Additive: every sum is that of marts.fct_cost, for
-- what a division leaves goes to the first of them in the alphabet. marts.dim_owner has the teams.
-- grain: period_month, source, org_id, project_id, owner_key, shared_by, split_by, meter, unit, sku, invoice_line, billed_unit
-- window: period_month, by month
with lines as (
    select
        owner.period_month, cost.source, cost.org_id, cost.project_id, owner.owner_key,
        owner.split_by, cost.meter, cost.unit, cost.sku,
        coalesce(cost.invoice_line, cost.meter) as invoice_line, cost.billed_unit,
        sum(cost.quantity) as quantity, sum(cost.billed_quantity) as billed_quantity,
        sum(cost.cost) as cost, bool_or(cost.is_open) as is_open
    from marts.fct_cost_by_day as cost
    inner join marts.series_owners as owner
        on cost.series_key = owner.series_key
        and date_trunc('month', cost.period_date) = owner.period_month
        and cost.day_start >= owner.since_at and cost.day_start < owner.until_at
    group by
        owner.period_month, cost.source, cost.org_id, cost.project_id, owner.owner_key,
        owner.split_by, cost.meter, cost.unit, cost.sku,
        coalesce(cost.invoice_line, cost.meter), cost.billed_unit
),

takers as (
    select
        lines.period_month, lines.source, lines.owner_key,
        cast(sum(lines.cost) as double) as cost,
        cast(sum(sum(lines.cost)) over in_month as double) as total_cost,
        count(*) over in_month as taker_count,
        row_number() over (
            partition by lines.period_month, lines.source order by lines.owner_key
        ) as place
    from lines
    where lines.split_by is null and lines.owner_key <> 'unassigned'
    group by lines.period_month, lines.source, lines.owner_key
    having sum(lines.cost) > 0
    window in_month as (partition by lines.period_month, lines.source)
),

-- what is not split is one part, and all of it; of what is, the first takes what the others leave
parts as (
    select
        lines.*, coalesce(taker.owner_key, lines.owner_key) as part_of,
        case when lines.split_by is not null then lines.owner_key end as shared_by,
        coalesce(taker.place, 1) = 1 as has_rest,
        case when lines.split_by = 'even' then 1 / cast(taker.taker_count as double)
            else taker.cost / taker.total_cost end as share,
        coalesce(cast(cast(lines.quantity as double) * share as decimal(38, 9)), lines.quantity)
            as part_quantity,
        coalesce(
            cast(cast(lines.billed_quantity as double) * share as decimal(38, 18)),
            lines.billed_quantity
        ) as part_billed_quantity,
        coalesce(cast(cast(lines.cost as double) * share as decimal(38, 18)), lines.cost)
            as part_cost
    from lines
    left join takers as taker
        on lines.split_by is not null and lines.period_month = taker.period_month
        and lines.source = taker.source
)

select
    parts.period_month, parts.source, parts.org_id, parts.project_id,
    cast(parts.part_of as varchar) as owner_key, -- whose it is; unassigned: no rule says
    cast(parts.shared_by as varchar)
        as shared_by, -- the owner whose shared cost it is a part of; null: it is not shared
    parts.split_by, parts.meter, parts.unit, parts.sku,
    cast(parts.invoice_line as varchar)
        as invoice_line, -- as the vendor calls it; the meter where no price is known
    parts.billed_unit,
    cast(parts.part_quantity + case when parts.has_rest
        then parts.quantity - sum(parts.part_quantity) over line else 0
    end as decimal(38, 9)) as quantity, -- in `unit`, also what allowances cover
    cast(parts.part_billed_quantity + case when parts.has_rest
        then parts.billed_quantity - sum(parts.part_billed_quantity) over line else 0
    end as decimal(38, 18)) as billed_quantity, -- the same in `billed_unit`
    cast(parts.part_cost + case when parts.has_rest
        then parts.cost - sum(parts.part_cost) over line else 0
    end as decimal(38, 18)) as cost, -- US dollars, not rounded; null: unpriced
    cast(parts.is_open as boolean) as is_open -- true: some of it will still change
from parts
window line as (
    partition by
        parts.period_month, parts.source, parts.org_id, parts.project_id, parts.owner_key,
        parts.split_by, parts.meter, parts.unit, parts.sku, parts.invoice_line, parts.billed_unit
)
