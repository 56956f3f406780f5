-- Invoices of seeds.invoices beside what was worked out: one row per line of the bill of an organization
-- and UTC month of which there is an invoice. The invoice is right about money: a difference is a price,
-- an allowance, a discount or a tax that the price book does not know, or usage that nobody asked about.
-- A line whose month or amount cannot be read fails a check, and so does one that is there twice.
-- grain: period_month, source, org_id, invoice_line
-- check: period_month is not null
-- check: invoiced_usd is not null or found_in = 'worked out alone'
-- check: not is_repeated
with listed as (
    select
        invoice.*, try_cast(concat(left(invoice.month, 7), '-01') as date) as period_month,
        lower(invoice.source) as source_key, lower(invoice.invoice_line) as line_key,
        count(*) over (
            partition by
                left(invoice.month, 7), lower(invoice.source), invoice.org,
                lower(invoice.invoice_line), invoice.invoice_id, invoice.quantity,
                invoice.amount_usd
        ) as times
    from seeds.invoices as invoice
),

invoiced as (
    select
        listed.period_month, listed.source_key as source, listed.org as org_id, listed.line_key,
        min(listed.invoice_line) as invoice_line,
        string_agg(distinct listed.invoice_id, ', ' order by listed.invoice_id) as invoice_id,
        sum(listed.quantity) as quantity,
        case when count(*) = count(listed.amount_usd) then sum(listed.amount_usd)
        end as amount_usd,
        max(listed.times) > 1 as is_repeated
    from listed
    group by listed.period_month, listed.source_key, listed.org, listed.line_key
),

-- not of the bill, which rounds each project's line: an invoice rounds the sum of them
estimated as (
    select
        cast(date_trunc('month', cost.period_date) as date) as period_month,
        cost.source, cost.org_id,
        lower(coalesce(cost.invoice_line, cost.meter)) as line_key,
        min(coalesce(cost.invoice_line, cost.meter)) as invoice_line,
        case when count(cost.cost) > 0 then coalesce(sum(cost.billed_quantity)
            filter (where not cost.is_included and cost.unpriced_reason is null), 0) end as quantity,
        cast(sum(cost.cost) as decimal(38, 12)) as cost, min(cost.billed_unit) as billed_unit
    from marts.fct_cost_by_day as cost
    semi join invoiced
        on date_trunc('month', cost.period_date) = invoiced.period_month
        and cost.source = invoiced.source and cost.org_id is not distinct from invoiced.org_id
    group by
        date_trunc('month', cost.period_date), cost.source, cost.org_id,
        lower(coalesce(cost.invoice_line, cost.meter))
)

select
    coalesce(invoiced.period_month, estimated.period_month) as period_month, -- first of the UTC month
    coalesce(invoiced.source, estimated.source) as source, -- vendor API family
    coalesce(invoiced.org_id, estimated.org_id) as org_id, -- null where the vendor names none
    coalesce(estimated.invoice_line, invoiced.invoice_line) as invoice_line, -- as the vendor calls it
    invoiced.invoice_id, -- null: the line is on no invoice
    cast(invoiced.quantity as decimal(38, 9)) as invoiced_quantity, -- as on the invoice
    cast(estimated.quantity as decimal(38, 9))
        as estimated_quantity, -- charged for beyond allowances, in `billed_unit`; null: as of the dollars
    estimated.billed_unit, -- what it is sold by
    cast(invoiced.amount_usd as decimal(38, 2)) as invoiced_usd, -- null: it is on no invoice
    cast(estimated.cost as decimal(38, 2))
        as estimated_usd, -- worked out, rounded once; null: nothing with a price was used
    cast(
        cast(coalesce(estimated.cost, 0) as decimal(38, 2)) - coalesce(invoiced.amount_usd, 0)
        as decimal(38, 2)
    )
        as difference_usd, -- how much more was worked out than was billed; what has no price is nothing
    cast(cast(cast(coalesce(estimated.cost, 0) as decimal(38, 2)) - invoiced.amount_usd as double)
        / nullif(cast(invoiced.amount_usd as double), 0) as double)
        as difference_share, -- the same as a share of what was billed
    cast(case when estimated.invoice_line is null then 'on the invoice alone'
        when invoiced.invoice_line is null then 'worked out alone' else 'both'
    end as varchar) as found_in, -- both, on the invoice alone, or worked out alone
    cast(coalesce(invoiced.is_repeated, false) as boolean)
        as is_repeated -- true: the invoice has this line twice with one amount, and counts it twice
from estimated
full join invoiced
    on estimated.period_month = invoiced.period_month and estimated.source = invoiced.source
    and estimated.org_id is not distinct from invoiced.org_id
    and estimated.line_key = invoiced.line_key
