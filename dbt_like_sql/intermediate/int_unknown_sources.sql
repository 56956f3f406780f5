-- The sources that files of one's own name, and no vendor is: their rows would fit nothing, in silence. One
-- row per file and source, which owners.csv and monthly_budgets.csv write as a pattern, or leave out.
-- grain: file, source
-- expect: no rows
with named as (
    select 'owners.csv' as file, coalesce(rule.source, '*') as source
    from seeds.owners as rule
    union
    select 'monthly_budgets.csv', coalesce(budget.source, '*')
    from seeds.monthly_budgets as budget
    union
    select 'invoices.csv', invoice.source
    from seeds.invoices as invoice
),

patterns as (
    select
        named.*,
        -- as of the rules of owners
        lower(translate(replace(replace(replace(
            named.source, '!', '!!'), '%', '!%'), '_', '!_'), '*?', '%_')) as pattern
    from named
)

select
    cast(named.file as varchar) as file, -- of one's own
    named.source -- as it is written there; null: an invoice without one
from patterns as named
anti join seeds.meters as meter
    on lower(meter.source) like named.pattern escape '!'
