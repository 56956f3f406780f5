-- Where a UTC month was going to end, as of the end of each of its days: one row per meter of a scope
-- (what a vendor is asked about) and settled day, from what is known now of the days up to then. A
-- straight line goes on as on all of them, last_7_days as on the last 7. Cost goes on like usage: an
-- allowance that is used up later costs more. In a month of which every day is settled the errors say
-- how far off it was. What is known only by the month, as gauges are, has no row here.
-- grain: source, scope, org_id, meter, unit, period_date
-- window: period_date, by month
with daily as (
    select
        day.source, day.scope, day.org_id, day.meter, day.unit, day.month_start, day.day_start,
        date_diff('day', day.month_start, day.month_start + interval '1' month) as day_count,
        sum(day.quantity) as quantity, sum(day.cost) as cost
    from intermediate.int_daily_usage as day
    group by day.source, day.scope, day.org_id, day.meter, day.unit, day.month_start, day.day_start
),

paced as (
    select
        daily.*, sum(daily.quantity) over so_far as used, sum(daily.cost) over so_far as spent,
        count(*) over so_far as known_count, sum(daily.quantity) over all_month as end_quantity,
        sum(daily.cost) over all_month as end_cost,
        count(*) over all_month = daily.day_count as is_over,
        case when count(*) over last_7 = 7
            and min(daily.day_start) over last_7 = daily.day_start - interval '6' day
            then sum(daily.quantity) over last_7 end as week_quantity,
        coalesce(sum(daily.cost) over last_7, 0) as week_cost
    from daily
    window
        all_month as (
            partition by
                daily.source, daily.scope, daily.org_id, daily.meter, daily.unit, daily.month_start
        ),
        so_far as (all_month order by daily.day_start),
        last_7 as (all_month order by daily.day_start rows between 6 preceding and current row)
),

-- sums are exact, and so the same at every build; what is projected is rounded
projected as (
    select
        paced.*,
        cast(cast(paced.used as double) * paced.day_count / paced.known_count as decimal(38, 9))
            as line_quantity,
        cast(cast(paced.spent as double) * paced.day_count / paced.known_count as decimal(38, 9))
            as line_cost,
        cast(cast(paced.used as double) + cast(paced.week_quantity as double) / 7
            * (paced.day_count - paced.known_count) as decimal(38, 9)) as week_end,
        cast(case when paced.week_quantity is not null
            then cast(paced.spent as double) + cast(paced.week_cost as double) / 7
                * (paced.day_count - paced.known_count)
        end as decimal(38, 9)) as week_end_cost,
        case when paced.is_over then nullif(cast(paced.end_quantity as double), 0) end
            as month_quantity,
        case when paced.is_over then nullif(cast(paced.end_cost as double), 0) end as month_cost
    from paced
)

select
    projected.source, projected.scope, projected.org_id, projected.meter, projected.unit,
    cast(projected.month_start as date) as period_month, -- first of the UTC month
    cast(projected.day_start as date) as period_date, -- the last UTC day that it is made of
    projected.day_count, -- days of the month
    projected.known_count as known_day_count, -- settled days that it is made of
    cast(projected.used as decimal(38, 9)) as quantity, -- in `unit`, on these days
    cast(projected.spent as decimal(38, 18)) as cost, -- US dollars, on these days; null: unpriced, or nothing used
    projected.line_quantity as straight_line_quantity, -- at the end of the month, as so far
    projected.line_cost as straight_line_cost, -- US dollars at the end of the month, as so far
    projected.week_end
        as last_7_days_quantity, -- at its end, as on the last 7 days of it; null: one is not known
    projected.week_end_cost as last_7_days_cost, -- US dollars, as on the last 7 days
    -- shares of what it was in the end; null: the month is not all known, or nothing came of it
    cast(projected.line_quantity as double) / projected.month_quantity - 1
        as straight_line_error, -- 0.1: a tenth too high
    cast(projected.week_end as double) / projected.month_quantity - 1
        as last_7_days_error, -- 0.1: a tenth too high
    cast(projected.line_cost as double) / projected.month_cost - 1
        as straight_line_cost_error, -- of the cost
    cast(projected.week_end_cost as double) / projected.month_cost - 1
        as last_7_days_cost_error -- of the cost
from projected
