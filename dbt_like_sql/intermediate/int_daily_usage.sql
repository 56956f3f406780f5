-- What each project used of a meter, and what that costs, by UTC day: one row per settled day that is
-- known of its scope, 0 where it used nothing. A day that is not here is unknown, can still change, or is
-- known only within its month. Of exports a day is known of an organization and meter where it has a line
-- of it; days on which nobody read a running total share the growth that the next reading tells. A project
-- is here in months in which it used something. (With the days that change by the hour left out, what is
-- made of these is worked out once a day.)
-- grain: source, resource, scope, org_id, project_id, meter, unit, day_start
-- window: day_start, by month
with priced as (
    select cost.series_key, cost.granularity, cost.day_start, sum(cost.cost) as cost
    from marts.fct_cost_by_day as cost
    group by cost.series_key, cost.granularity, cost.day_start
),

told as (
    select
        usage.source, usage.resource, usage.scope, usage.org_id, usage.project_id, usage.meter,
        usage.unit, usage.day_start, usage.quantity, priced.cost, usage.is_open
    from intermediate.int_usage_by_day as usage
    left join priced
        on usage.series_key = priced.series_key and usage.granularity = priced.granularity
        and usage.day_start = priced.day_start
    where usage.family is not null and usage.granularity <> 'monthly'
    union all
    select
        moved.source, moved.resource, moved.scope, moved.org_id, moved.project_id, moved.meter,
        moved.unit, moved.day_start, moved.quantity, moved.cost, moved.is_open
    from intermediate.int_moved_usage as moved
),

used as (
    select
        told.source, told.resource, told.scope, told.org_id, told.project_id, told.meter,
        told.unit, told.day_start, date_trunc('month', told.day_start) as month_start,
        sum(told.quantity) as quantity, sum(told.cost) as cost,
        not bool_or(told.is_open) as is_settled
    from told
    group by
        told.source, told.resource, told.scope, told.org_id, told.project_id, told.meter,
        told.unit, told.day_start
),

things as (
    select distinct
        used.source, used.resource, used.scope, used.org_id, used.project_id, used.meter,
        used.unit, used.month_start
    from used
),

known as (
    select
        day.resource, day.scope, cast(null as varchar) as meter, day.day_start, day.is_settled
    from intermediate.int_days_known as day
    union all
    select used.resource, used.scope, used.meter, used.day_start, bool_and(used.is_settled)
    from used
    group by used.resource, used.scope, used.meter, used.day_start
),

days as (
    select used.* from used
    union all
    select
        thing.source, thing.resource, thing.scope, thing.org_id, thing.project_id, thing.meter,
        thing.unit, known.day_start, thing.month_start, 0, null, known.is_settled
    from things as thing
    inner join known
        on thing.resource = known.resource and thing.scope = known.scope
        and thing.meter = coalesce(known.meter, thing.meter)
        and thing.month_start = date_trunc('month', known.day_start)
)

select
    days.source, -- vendor API family
    days.resource, -- the table in raw.*
    days.scope, -- what was asked about, or exported together
    days.org_id, -- the vendor's organization; null where it names none
    days.project_id, -- the vendor's project; null: what none accounts for
    days.meter, -- the vendor's name of what is metered
    days.unit, -- the vendor's unit
    cast(days.month_start as timestamptz) as month_start, -- UTC month
    days.day_start,
    cast(sum(days.quantity) as decimal(38, 9)) as quantity, -- in `unit`
    cast(sum(days.cost) as decimal(38, 18)) as cost -- US dollars; null: unpriced, or nothing used
from days
group by
    days.source, days.resource, days.scope, days.org_id, days.project_id, days.meter, days.unit,
    days.month_start, days.day_start
having bool_and(days.is_settled)
