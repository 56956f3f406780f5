-- marts.fct_cost_by_day for people: one row per thing, meter and UTC day with its names, in one unit per
-- meter, and what it costs. Months that are known only as a whole are here too: for sums over days
-- take marts.usage_daily, for sums over months marts.usage_monthly.
-- grain: series_key, granularity, day_start
-- window: day_start
-- materialized: view
with one_unit as (
    -- what a meter is told in now; what it was told in before is converted through what is billed
    select
        meter.source, meter.meter, meter.unit, meter.billed_unit, meter.quantity_per_billed_unit,
        first_value(meter.unit) over latest as unit_now,
        first_value(meter.quantity_per_billed_unit) over latest as quantity_per_billed_unit_now
    from seeds.meters as meter
    window latest as (
        partition by meter.source, meter.meter
        order by meter.valid_until_date desc nulls first, meter.unit
    )
),

summed as (
    select
        cost.series_key, cost.granularity, cost.day_start, cost.period_date,
        any_value(cost.source) as source, any_value(cost.org_id) as org_id,
        any_value(cost.project_id) as project_id, any_value(cost.branch_id) as branch_id,
        any_value(cost.site_id) as site_id, any_value(cost.environment_id) as environment_id,
        any_value(cost.user_id) as user_id, any_value(cost.family) as family,
        any_value(cost.meter) as meter, any_value(cost.unit) as unit, any_value(cost.plan) as plan,
        any_value(cost.sku) as sku,
        sum(cost.quantity) as quantity, cast(floor(sum(cost.quantity)) as hugeint) as whole_units,
        sum(cost.billed_quantity) as billed_quantity,
        any_value(cost.billed_unit) as billed_unit, sum(cost.cost) as cost,
        sum(cost.list_cost) as list_cost, max(cost.unpriced_reason) as unpriced_reason,
        bool_or(cost.is_open) as is_open
    from marts.fct_cost_by_day as cost
    group by cost.series_key, cost.granularity, cost.day_start, cost.period_date
)

select
    summed.source, -- vendor API family
    summed.org_id, -- the vendor's organization; null: it has none
    org.name as org_name, -- as it is called now; null: not known
    summed.project_id, -- project, app or repository
    project.name as project_name, -- as it is called now; null: not known
    summed.branch_id, -- null: what no branch accounts for
    branch.name as branch_name, -- as it is called now; null: not known
    summed.site_id, -- site or workspace
    site.name as site_name, -- as it is called now; null: not known
    summed.environment_id, -- of a Forge app
    summed.user_id, -- null: what no user accounts for
    person.name as user_name, -- as it is called now; null: not known
    owner.owner_key, owner.team, owner.customer, owner.product, owner.environment,
    summed.family, -- compute, storage, transfer, credits or operations
    summed.meter, -- the vendor's name of what is metered
    summed.plan, -- as the vendor reported it
    summed.granularity,
    summed.period_date, -- UTC day
    cast(date_trunc('month', summed.period_date) as date) as period_month, -- first of its UTC month
    -- DuckDB divides decimals as floats: whole numbers are divided instead, to 9 places; what is over a
    -- billed unit apart, for all of it in billionths would be too long a number
    cast(case when summed.unit is not distinct from coalesce(one_unit.unit_now, summed.unit)
        then summed.quantity
        else cast(
            summed.whole_units // one_unit.quantity_per_billed_unit
            * one_unit.quantity_per_billed_unit_now * 1000000000
            + (summed.whole_units % one_unit.quantity_per_billed_unit * 1000000000
                + cast((summed.quantity - cast(summed.whole_units as decimal(38, 9)))
                    * 1000000000 as hugeint))
            * one_unit.quantity_per_billed_unit_now // one_unit.quantity_per_billed_unit
            as decimal(38, 0)
        ) * 0.000000001
    end as decimal(38, 9)) as quantity, -- in `unit`
    cast(coalesce(one_unit.unit_now, summed.unit) as varchar)
        as unit, -- one for all rows of a meter
    cast(summed.billed_quantity as decimal(38, 18))
        as billed_quantity, -- in `billed_unit`, included or not; whole blocks where these are sold
    summed.sku, -- what is sold; null: nobody knows a price
    cast(coalesce(summed.billed_unit, one_unit.billed_unit) as varchar)
        as billed_unit, -- what it is sold by; null: not known
    cast(summed.cost as decimal(38, 18)) as cost, -- US dollars, an estimate; null: unpriced
    cast(summed.list_cost as decimal(38, 18))
        as list_cost, -- US dollars at list price, as if nothing were included
    summed.unpriced_reason, -- why some of it has no cost; null: all of it has one
    summed.is_open, -- true: it will still change
    summed.day_start,
    summed.series_key -- source, all ids, meter, unit and plan
from summed
left join one_unit
    on summed.source = one_unit.source and summed.meter = one_unit.meter
    and summed.unit = one_unit.unit
left join marts.series_owners as owner
    on summed.series_key = owner.series_key
    and date_trunc('month', summed.period_date) = owner.period_month
    and summed.day_start >= owner.since_at and summed.day_start < owner.until_at
left join marts.dim_name as org
    on org.kind = 'org' and summed.source = org.source and summed.org_id = org.thing_id
left join marts.dim_name as project
    on project.kind = 'project' and summed.source = project.source
    and summed.org_id is not distinct from project.org_id
    and summed.project_id = project.thing_id
left join marts.dim_name as branch
    on branch.kind = 'branch' and summed.source = branch.source
    and summed.org_id is not distinct from branch.org_id and summed.branch_id = branch.thing_id
left join marts.dim_name as site
    on site.kind = 'site' and summed.source = site.source and summed.site_id = site.thing_id
left join marts.dim_name as person
    on person.kind = 'user' and summed.source = person.source
    and summed.user_id = person.thing_id
