-- One row per meter, unit, plan, granularity and UTC day on which something was used, and part of its
-- price (what is included, where there is an allowance, and what is beyond it, tier by tier). Of the
-- prices that hold on that day those of seeds/price_overrides.csv come first, then those of the plan,
-- then those that have held for less long. Where none can be used, unpriced_reason says why.
-- grain: source, meter, unit, plan, granularity, day_start, is_included, tier_floor
-- window: day_start
with used as (
    select
        usage.source, usage.meter, usage.unit, usage.plan, usage.granularity, usage.day_start,
        max(usage.period_end) as period_end
    from intermediate.int_usage_by_day as usage
    where usage.family is not null
    group by usage.source, usage.meter, usage.unit, usage.plan, usage.granularity, usage.day_start
),

-- those that hold on some day of the period
candidates as (
    select
        used.source, used.meter, used.unit, used.plan, used.granularity, used.day_start,
        used.period_end, meter.quantity_per_billed_unit,
        book.file = 'price_overrides.csv' as is_override, book.sku,
        book.invoice_line, book.billed_unit, book.usd_per_unit, book.quantity_floor,
        book.quantity_ceiling, book.quantity_included, book.allowed_per, book.owner_type,
        book.owner_column, book.period, book.quantity_per_block, book.valid_from_date,
        book.valid_until_date, book.certainty,
        book.plan is null as is_of_any_plan,
        case when is_override then 0 else 2 end
        + case when is_of_any_plan then 1 else 0 end as standing, -- the lowest comes first
        book.valid_from_date > cast(used.day_start as date) as is_later
    from used
    left join seeds.meters as meter
        on used.source = meter.source and used.meter = meter.meter and used.unit = meter.unit
    left join intermediate.int_price_rules as book
        on used.source = book.source and used.meter = book.meter
        and meter.billed_unit = book.billed_unit
        and (book.plan is null or lower(used.plan) = lower(book.plan))
        and coalesce(book.valid_until_date, date '9999-12-31') > cast(used.day_start as date)
        and coalesce(book.valid_from_date, date '1970-01-01') < used.period_end
),

ranked as (
    select
        candidates.*,
        rank() over (
            of_use order by
                candidates.is_later is true, candidates.standing,
                candidates.valid_from_date desc nulls last
        ) as place,
        first_value(candidates.usd_per_unit) over (
            of_use order by
                candidates.is_later is true, candidates.is_override, candidates.is_of_any_plan,
                candidates.valid_from_date desc nulls last, candidates.quantity_floor nulls first
        ) as list_usd_per_unit,
        min(case when candidates.is_later then candidates.standing end) over of_use
            as later_standing
    from candidates
    window of_use as (
        partition by
            candidates.source, candidates.meter, candidates.unit, candidates.plan,
            candidates.granularity, candidates.day_start
    )
)

select
    ranked.source, ranked.meter, ranked.unit, ranked.plan, ranked.granularity,
    ranked.day_start, -- UTC day on which the periods begin
    cast(ranked.day_start at time zone 'UTC' as date) as period_date, -- the same
    part.is_included, -- true: what the allowance covers; false: what is beyond it
    ranked.sku, -- what is sold, as seeds.price_book names it; null: nobody knows a price
    ranked.invoice_line, -- as the vendor calls it
    ranked.billed_unit,
    ranked.quantity_per_billed_unit, -- how much of `unit` that is
    ranked.list_usd_per_unit, -- US dollars per billed unit, as the vendor lists it
    cast(case when part.is_included then 0 else ranked.usd_per_unit end as decimal(18, 9))
        as usd_per_unit, -- US dollars per billed unit, as it is charged
    cast(case when part.is_included then 0
        else cast(ranked.usd_per_unit as decimal(38, 9)) * 1000000000
    end as hugeint) as billionth_usd, -- the same in billionths of a dollar
    cast(cast(ranked.list_usd_per_unit as decimal(38, 9)) * 1000000000 as hugeint)
        as list_billionth_usd, -- as listed, in billionths of a dollar
    case when list_billionth_usd * 1000000000 % ranked.quantity_per_billed_unit = 0
        then list_billionth_usd * 1000000000 // ranked.quantity_per_billed_unit
    end as list_attousd_per_unit, -- per one `unit`, in 10^-18 dollars; null: no whole number of them
    cast(case when 1000000000000000000 % ranked.quantity_per_billed_unit = 0
        then 1000000000000000000 // ranked.quantity_per_billed_unit
    end as hugeint) as billed_attos_per_unit, -- billed units in one `unit`, in 10^-18; null: the same
    ranked.quantity_floor as tier_floor, -- billed units beyond the allowance from which on it holds
    cast(ranked.quantity_floor as decimal(20, 9))
    * cast(ranked.quantity_per_billed_unit as decimal(18, 0))
        as tier_since_quantity, -- the same in `unit`
    cast(ranked.quantity_ceiling as decimal(20, 9))
    * cast(ranked.quantity_per_billed_unit as decimal(18, 0))
        as tier_until_quantity, -- up to which it holds, in `unit`; null: without an end
    cast(
        cast(ranked.quantity_per_block as decimal(20, 9))
        * cast(ranked.quantity_per_billed_unit as decimal(18, 0)) * 1000000000 as hugeint
    ) as billionths_per_block, -- what is sold together, in billionths of `unit`; null: any quantity is
    cast(ranked.quantity_included as decimal(20, 9))
    * cast(ranked.quantity_per_billed_unit as decimal(18, 0))
        as included_quantity, -- in `unit`, where the price says it itself
    ranked.allowed_per, ranked.owner_type, ranked.owner_column,
    ranked.period, -- of the allowance: bucket, (calendar) month, or (billing) cycle
    ranked.certainty,
    cast(case
        when ranked.quantity_per_billed_unit is null
            then 'seeds/meters.csv does not say what this unit is billed by'
        when ranked.sku is null or ranked.is_later
            then 'no price of this meter, plan and day is known'
        when ranked.usd_per_unit is null then concat('no price: ', ranked.certainty)
        when coalesce(ranked.valid_until_date, date '9999-12-31') < ranked.period_end
            or ranked.later_standing <= ranked.standing
            then 'the price changed within the period: it has to be known by the day'
    end as varchar) as unpriced_reason -- null: it has a price
from ranked
inner join (values (false), (true)) as part (is_included)
    on not part.is_included
    or (ranked.allowed_per is not null and coalesce(ranked.quantity_floor, 0) = 0)
where ranked.place = 1
