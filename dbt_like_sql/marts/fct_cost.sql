-- What usage costs, an estimate: each row of marts.fct_usage, cut where the allowance of its owner was
-- used up and where a tier of its price ends. The part that is included costs 0.
-- Additive: sum(cost) by branch, by project and by org are the same dollars, for each is a sum over the
-- same rows, and a row has all its ids. sum(quantity) is that of marts.fct_usage. A row without a price
-- has no cost, which is not 0: unpriced_reason and reports.unpriced say why.
-- grain: source, org_id, project_id, branch_id, site_id, environment_id, user_id, meter, unit, period_start, plan, is_included, tier_floor
-- check: (cost is null) = (unpriced_reason is not null)
-- check: not is_included or cost = 0
-- window: period_start
with priced as (
    select
        usage.*, price.sku, price.invoice_line, price.billed_unit, price.list_usd_per_unit,
        price.usd_per_unit, price.is_included, price.tier_floor, price.certainty,
        price.tier_since_quantity, price.tier_until_quantity, price.quantity_per_block,
        cast(price.quantity_per_billed_unit as hugeint) as per_unit,
        cast(price.block_quantity * 1000000000 as hugeint) as billionths_per_block,
        coalesce(draw.quantity_before, 0) as used_before,
        coalesce(price.included_quantity, draw.included_quantity) as included_quantity,
        case
            when price.unpriced_reason is not null then price.unpriced_reason
            when price.allowed_per is not null and price.usd_per_unit <> 0
                and price.included_quantity is null and draw.included_quantity is null
                then concat('how much is included per ', price.allowed_per, ' is not known')
        end as unpriced_reason
    from intermediate.int_usage as usage
    inner join intermediate.int_prices as price
        on usage.source = price.source and usage.meter = price.meter
        and usage.unit = price.unit and usage.plan is not distinct from price.plan
        and usage.granularity = price.granularity
        and date_trunc('day', usage.period_start) = price.day_start
    left join intermediate.int_allowance_draws as draw
        on price.allowed_per is not null
        and usage.series_key = draw.series_key and usage.period_start = draw.period_start
    where usage.family is not null
),

-- where in its owner's period each part begins and ends; null: nowhere
bounded as (
    select
        priced.*,
        case
            when priced.unpriced_reason is not null or priced.is_included then null
            when priced.included_quantity is null then priced.tier_since_quantity
            else priced.included_quantity + coalesce(priced.tier_since_quantity, 0)
        end as since_quantity,
        case
            when priced.unpriced_reason is not null then null
            when priced.is_included then priced.included_quantity
            else coalesce(priced.included_quantity, 0) + priced.tier_until_quantity
        end as until_quantity
    from priced
    where case when priced.unpriced_reason is not null
        then not priced.is_included and coalesce(priced.tier_floor, 0) = 0
        else not priced.is_included or priced.included_quantity is not null end
),

-- least and greatest pass over null; both ends are cut alike, so that the parts add up
cut as (
    select
        bounded.*,
        greatest(least(bounded.used_before, bounded.until_quantity), bounded.since_quantity)
            as begins_at,
        greatest(
            least(bounded.used_before + bounded.quantity, bounded.until_quantity),
            bounded.since_quantity
        ) as ends_at
    from bounded
),

-- whole blocks belong to the row that opens them. Division of decimals is inexact in DuckDB: whole
-- billionths are divided, into 18 places
billed as (
    select
        cut.*,
        case when cut.billionths_per_block is not null and not cut.is_included
            and cut.unpriced_reason is null
            then cast((
                (cast((cut.ends_at - cut.since_quantity) * 1000000000 as hugeint)
                    + cut.billionths_per_block - 1) // cut.billionths_per_block
                - (cast((cut.begins_at - cut.since_quantity) * 1000000000 as hugeint)
                    + cut.billionths_per_block - 1) // cut.billionths_per_block
            ) * cut.quantity_per_block as decimal(38, 18))
            else cast(cast(
                cast((cut.ends_at - cut.begins_at) * 1000000000 as hugeint) * 1000000000
                // cut.per_unit as decimal(38, 0)
            ) * 0.000000000000000001 as decimal(38, 18))
        end as billed_quantity
    from cut
    where cut.ends_at <> cut.begins_at
        or (cut.quantity = 0 and not cut.is_included and coalesce(cut.tier_floor, 0) = 0)
)

select
    billed.source, billed.org_id, billed.project_id, billed.branch_id, billed.site_id,
    billed.environment_id, billed.user_id, billed.family, billed.meter, billed.plan,
    billed.granularity, billed.period_start, billed.period_end,
    cast(billed.period_start at time zone 'UTC' as date) as period_date, -- UTC day of period_start
    cast(billed.ends_at - billed.begins_at as decimal(38, 9)) as quantity, -- in `unit`
    billed.unit,
    billed.sku,
    billed.invoice_line,
    billed.billed_quantity, -- in `billed_unit`; of what is sold in blocks, the blocks it opened
    billed.billed_unit,
    billed.is_included, -- true: the allowance covers it; false: beyond it, or there is none
    billed.tier_floor,
    billed.list_usd_per_unit as list_unit_price,
    case when billed.unpriced_reason is null then billed.usd_per_unit end
        as unit_price, -- US dollars per billed unit, as it is charged; of what is included 0
    -- whole units and their fraction apart, so that neither passes 38 digits
    cast(case when billed.unpriced_reason is null then
        cast(
            cast(billed.billed_quantity as decimal(38, 0))
            * cast(billed.usd_per_unit as decimal(20, 12)) as decimal(38, 18)
        ) + cast(
            cast(billed.billed_quantity - cast(billed.billed_quantity as decimal(38, 0))
                as decimal(19, 18)) * cast(billed.usd_per_unit as decimal(19, 12))
            as decimal(38, 18)
        )
    end as decimal(38, 18)) as cost, -- US dollars, not rounded; null: unpriced
    cast(
        cast(
            cast(billed.billed_quantity as decimal(38, 0))
            * cast(billed.list_usd_per_unit as decimal(20, 12)) as decimal(38, 18)
        ) + cast(
            cast(billed.billed_quantity - cast(billed.billed_quantity as decimal(38, 0))
                as decimal(19, 18)) * cast(billed.list_usd_per_unit as decimal(19, 12))
            as decimal(38, 18)
        ) as decimal(38, 18)
    ) as list_cost, -- the same at list price, as if nothing were included
    true as is_estimate, -- worked out of usage and list prices; no invoice says so
    billed.certainty as price_certainty,
    billed.unpriced_reason,
    billed.is_open,
    billed.observed_at,
    billed.series_key
from billed
