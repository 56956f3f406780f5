-- The prices of seeds/price_book.csv and of seeds/price_overrides.csv, of which each has to be one that
-- can be meant: a row that fits nothing would leave a list price where a contract says another.
-- grain: file, source, meter, plan, valid_from_date, quantity_floor
-- check: is_of_a_meter
-- check: sku is not null
-- check: valid_until_date is null or valid_from_date is null or valid_from_date < valid_until_date
-- check: refused is null
-- check: (allowed_per is null and period is null) or period in ('bucket', 'month', 'cycle')
-- check: allowed_per is not null or coalesce(quantity_floor, quantity_ceiling, quantity_included, quantity_per_block) is null
-- check: coalesce(quantity_included, 0) >= 0 and coalesce(quantity_per_block, 1) > 0
-- check: quantity_ceiling is null or quantity_ceiling > coalesce(quantity_floor, 0)
with book as (
    select 'price_book.csv' as file, listed.* from seeds.price_book as listed
    union all
    select 'price_overrides.csv', own.* from seeds.price_overrides as own
),

sold as (
    select
        meter.source, meter.meter, meter.billed_unit, meter.told_of,
        max(meter.quantity_per_billed_unit) as quantity
    from seeds.meters as meter
    group by meter.source, meter.meter, meter.billed_unit, meter.told_of
)

select
    -- first, so that it is read where the row is shown
    cast(case
        when not contains(
            '|' || coalesce(sold.told_of, 'org|project|site|workspace|user|user, pooled') || '|',
            '|' || book.allowed_per || '|'
        )
            then concat(
                book.file, ', ', book.sku, ': nothing tells which ', book.allowed_per, ' used ',
                book.meter, '; write as allowed_per: ', replace(sold.told_of, '|', ' or ')
            )
        -- else all would be charged for where a price alone was meant
        when book.allowed_per is null and book.file = 'price_overrides.csv'
            and allowed.source is not null
            then concat(
                book.file, ', ', book.sku, ': some ', book.meter, ' is included by the price book;',
                ' write allowed_per and period, too, and quantity_included 0 if nothing is'
            )
        when book.period = 'cycle' and cycle.source is null
            then concat(
                book.file, ', ', book.sku, ': ', book.source,
                ' has no billing cycle; write as period: month'
            )
        -- what is used beside them would have no cost, or two
        when coalesce(book.quantity_floor, 0)
            is distinct from lag(book.quantity_ceiling, 1, 0) over tiers
            or (book.quantity_ceiling is not null and lead(true) over tiers is null)
            or book.valid_until_date is distinct from first_value(book.valid_until_date) over tiers
            then concat(
                book.file, ', ', book.sku, ': of the tiers of ', book.meter, ' the first has no',
                ' quantity_floor, each other the quantity_ceiling of the one before, the last no',
                ' quantity_ceiling, and all the same dates; write them so'
            )
        -- so that a thousand of them can be counted in 10^-18 dollars, with the 38 digits there are
        when cast(sold.quantity as double) * greatest(1, abs(cast(book.usd_per_unit as double)))
            * greatest(1, cast(book.quantity_per_block as double)) >= 1e17
            then concat(
                book.file, ', ', book.sku, ': with such a usd_per_unit, or quantity_per_block, what ',
                book.meter, ' costs is too large to be kept; write both by the ', book.billed_unit
            )
    end as varchar) as refused, -- why it cannot be meant, and what to write; null: it can
    cast(book.file as varchar) as file, -- price_overrides.csv, or price_book.csv
    book.source, -- vendor API family
    book.meter, -- what is metered
    book.plan, -- for which it holds; null: for all
    book.billed_unit, -- what it is sold by
    cast(sold.meter is not null as boolean)
        as is_of_a_meter, -- true: seeds/meters.csv has this meter of this source, billed by this unit
    book.sku, -- what is sold
    book.invoice_line, -- as the vendor's invoice calls it
    book.usd_per_unit, -- US dollars per billed unit; null: none is known
    book.quantity_floor, -- billed units beyond the allowance from which on this tier holds
    book.quantity_ceiling, -- billed units beyond the allowance up to which it holds
    book.quantity_included, -- billed units that are included, where the price says it itself
    book.allowed_per, -- whose allowance it is beyond; null: there is none
    cast(case book.allowed_per when 'user, pooled' then 'org' else book.allowed_per end as varchar)
        as owner_type, -- what that is: org, project, workspace, site, user; null: there is none
    -- facts have sites and workspaces in one column
    cast(case owner_type when 'workspace' then 'site_id' else owner_type || '_id' end as varchar)
        as owner_column, -- which id of a fact says whose it is
    book.period, -- of the allowance: bucket, month or cycle
    book.quantity_per_block, -- billed units that are sold together; null: any quantity is
    book.valid_from_date, -- first UTC day on which it holds; null: always did
    book.valid_until_date, -- first UTC day on which it holds no more; null: it does
    book.certainty -- of the price
from book
left join sold
    on book.source = sold.source and book.meter = sold.meter and book.billed_unit = sold.billed_unit
left join (
    select distinct listed.source from seeds.price_book as listed where listed.period = 'cycle'
) as cycle on book.source = cycle.source
left join (
    select distinct listed.source, listed.meter from seeds.price_book as listed
    where listed.allowed_per is not null
) as allowed on book.source = allowed.source and book.meter = allowed.meter
window tiers as (
    partition by
        book.file, book.source, book.meter, book.billed_unit, lower(book.plan), book.valid_from_date
    order by coalesce(book.quantity_floor, 0)
)
