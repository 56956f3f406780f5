-- What each project (where a vendor names none: organization) used and cost, by owner: in each period
-- that the page offers and in the one before it, and what each day cost.
with periods (place, since, until) as (
    values
        (0, $month, $until), (1, $month_before, $until_before),
        (2, $today - 7, $today), (3, $today - 14, $today - 7),
        (4, $today - 30, $today), (5, $today - 60, $today - 30)
),

used as (
    select
        dense_rank() over (
            order by usage.source, usage.org_id, usage.project_id, usage.owner_key
        ) as thing,
        usage.source, usage.org_id, usage.project_id, usage.owner_key as owner,
        usage.meter, usage.period_date, usage.cost,
        coalesce(usage.billed_quantity, usage.quantity) as quantity,
        case when usage.billed_quantity is null then usage.unit else usage.billed_unit end as unit,
        -- a month that is known only as a whole belongs to no week
        usage.granularity = 'monthly' as is_a_month
    from marts.usage_by_day as usage
    where usage.period_date >= least($month_before, $today - 60) and usage.period_date < $until
),

amounts as (
    select
        used.thing, used.meter, used.unit, periods.place,
        sum(used.quantity) as quantity, sum(used.cost) as cost
    from used
    inner join periods
        on used.period_date >= periods.since and used.period_date < periods.until
        and (periods.place <= 1 or not used.is_a_month)
    group by used.thing, used.meter, used.unit, periods.place
),

meters as (
    select
        amounts.thing, amounts.meter, amounts.unit,
        map_from_entries(list((amounts.place, cast(amounts.quantity as double)))) as quantities,
        map_from_entries(list((amounts.place, cast(amounts.cost as double)))) as costs
    from amounts
    group by amounts.thing, amounts.meter, amounts.unit
),

of_thing as (
    select
        meters.thing,
        -- lists by place: half of the page would be keys
        list({
            meter: meters.meter, unit: meters.unit,
            q: [meters.quantities[cast(n as integer)] for n in range(6)],
            c: [meters.costs[cast(n as integer)] for n in range(6)]
        } order by meters.meter) as meters
    from meters
    group by meters.thing
),

daily as (
    select
        used.thing, date_diff('day', least($month_before, $today - 60), used.period_date) as day,
        round(cast(sum(used.cost) as double), 4) as cost
    from used
    where not used.is_a_month
    group by used.thing, used.period_date
    having sum(used.cost) <> 0
),

days as (
    select
        daily.thing, map_from_entries(list((daily.day, daily.cost))) as costs,
        [costs[n] for n in range(max(daily.day) + 1)] as days
    from daily
    group by daily.thing
)

select
    thing.source, coalesce(org.label, thing.org_id) as org,
    coalesce(project.label, thing.project_id) as project, thing.owner,
    of_thing.meters, days.days
from (
    select distinct used.thing, used.source, used.org_id, used.project_id, used.owner from used
) as thing
inner join of_thing on thing.thing = of_thing.thing
left join days on thing.thing = days.thing
left join marts.dim_name as org
    on org.kind = 'org' and thing.source = org.source and thing.org_id = org.thing_id
left join marts.dim_name as project
    on project.kind = 'project' and thing.source = project.source
    and thing.org_id is not distinct from project.org_id and thing.project_id = project.thing_id
order by thing.source, org, project, thing.owner
