-- What usage costs, an estimate: each row of marts.fct_usage, cut where the allowance of its owner was
-- used up and where a tier of its price ends. The part that is included costs 0.
-- Additive: sum(cost) by branch, by project and by org are the same dollars, for each is a sum over the
-- same rows, and a row has all its ids. sum(quantity) is that of marts.fct_usage. A row without a price
-- has no cost, which is not 0: unpriced_reason and reports.unpriced say why.
-- grain: series_key, period_start, is_included, tier_floor
-- check: (cost is null) = (unpriced_reason is not null) and (cost = 0 or not is_included)
-- window: period_start
with priced as (
    select
        usage.*, price.period_date, price.sku, price.invoice_line, price.billed_unit,
        price.list_usd_per_unit, price.usd_per_unit, price.is_included, price.tier_floor, price.certainty,
        price.tier_since_quantity, price.tier_until_quantity, price.quantity_per_billed_unit,
        price.billionths_per_block, price.billionth_usd, price.list_billionth_usd,
        price.list_attousd_per_unit, price.billed_attos_per_unit,
        coalesce(draw.quantity_before, 0) as used_before,
        -- whose allowance it is has to be known, or each row would have all of it
        draw.included_quantity,
        case
            when price.unpriced_reason is not null then price.unpriced_reason
            when price.allowed_per is not null and price.usd_per_unit <> 0
                and draw.series_key is null
                then concat('the allowance is per ', price.allowed_per, ', and this usage names none')
            when price.allowed_per is not null and price.usd_per_unit <> 0
                and draw.included_quantity is null
                then concat('how much is included per ', price.allowed_per, ' is not known')
        end as unpriced_reason
    from intermediate.int_usage as usage
    inner join intermediate.int_prices as price
        on usage.source = price.source and usage.meter = price.meter
        and usage.unit = price.unit and usage.plan is not distinct from price.plan
        and usage.granularity = price.granularity
        and date_trunc('day', usage.period_start) = price.day_start
    left join intermediate.int_allowance_draws as draw
        on usage.series_key = draw.series_key and usage.period_start = draw.period_start
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

-- by way of a double, for to cast so wide a decimal to a whole number takes longer than a join
counted as (
    select
        cut.*, cut.ends_at - cut.begins_at as part_quantity,
        cast(cast(cut.ends_at - cut.begins_at as double) as hugeint) as nearest_units,
        cut.billionths_per_block is not null and not cut.is_included
            and cut.unpriced_reason is null as is_in_blocks
    from cut
    where cut.ends_at <> cut.begins_at
        or (cut.quantity = 0 and not cut.is_included and coalesce(cut.tier_floor, 0) = 0)
),

-- whole blocks belong to the row that opens them
charged as (
    select
        counted.*,
        case when not counted.is_in_blocks
            and cast(counted.nearest_units as decimal(38, 9)) = counted.part_quantity
            then counted.nearest_units
        end as units, -- null: no whole number of them
        case when counted.is_in_blocks
            then (
                (cast((counted.ends_at - counted.since_quantity) * 1000000000 as hugeint)
                    + counted.billionths_per_block - 1) // counted.billionths_per_block
                - (cast((counted.begins_at - counted.since_quantity) * 1000000000 as hugeint)
                    + counted.billionths_per_block - 1) // counted.billionths_per_block
            ) * counted.billionths_per_block
            else coalesce(units * 1000000000, cast(counted.part_quantity * 1000000000 as hugeint))
        end as billionths
    from counted
),

-- DuckDB divides decimals as floats: whole numbers are divided instead, to 18 places; mostly none has
-- to be, and a division takes longer than all else here
listed as (
    select
        charged.*,
        cast(cast(coalesce(
            charged.units * charged.list_attousd_per_unit,
            charged.billionths * charged.list_billionth_usd // charged.quantity_per_billed_unit
        ) as decimal(38, 0)) * 0.000000000000000001 as decimal(38, 18)) as list_cost
    from charged
)

select
    listed.source, listed.org_id, listed.project_id, listed.branch_id, listed.site_id,
    listed.environment_id, listed.user_id, listed.family, listed.meter, listed.plan,
    listed.granularity, listed.period_start, listed.period_end,
    listed.period_date, -- UTC day of period_start
    cast(listed.part_quantity as decimal(38, 9)) as quantity, -- in `unit`
    listed.unit, listed.sku, listed.invoice_line,
    cast(cast(coalesce(
        listed.units * listed.billed_attos_per_unit,
        listed.billionths * 1000000000 // listed.quantity_per_billed_unit
    ) as decimal(38, 0)) * 0.000000000000000001 as decimal(38, 18))
        as billed_quantity, -- in `billed_unit`; of what is sold in blocks, the blocks it opened
    listed.billed_unit,
    listed.is_included, -- true: the allowance covers it; false: beyond it, or there is none
    listed.tier_floor, listed.list_usd_per_unit as list_unit_price,
    case when listed.unpriced_reason is null then listed.usd_per_unit end
        as unit_price, -- US dollars per billed unit, as it is charged; of what is included 0
    -- mostly the list price is what is charged
    cast(case
        when listed.unpriced_reason is not null then null
        when listed.billionth_usd = listed.list_billionth_usd then listed.list_cost
        when listed.billionth_usd = 0 then 0
        else cast(listed.billionths * listed.billionth_usd // listed.quantity_per_billed_unit
            as decimal(38, 0)) * 0.000000000000000001
    end as decimal(38, 18)) as cost, -- US dollars, not rounded; null: unpriced
    listed.list_cost, -- the same at list price, as if nothing were included
    true as is_estimate, -- worked out of usage and list prices; no invoice says so
    listed.certainty as price_certainty,
    listed.unpriced_reason, -- why it has no cost; null: it has one
    listed.is_open, listed.observed_at, listed.series_key
from listed
