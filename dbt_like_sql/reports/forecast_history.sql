-- Where a UTC month was going to end, as of the end of each of its days: one row per meter of a scope
-- (what a vendor is asked about) and settled day, from what is known now of the days up to then. A
-- straight line goes on as on all of them, last_7_days as on the last 7. Cost goes on like usage: an
-- allowance that is used up later costs more. In a month of which every day is settled the errors say
-- how far off it was. What is known only by the month, as gauges are, has no forecast.
-- grain: source, scope, org_id, meter, unit, day_start
-- window: day_start, by month
with daily as (
    select
        day.source, day.scope, day.org_id, day.meter, day.unit, day.month_start, day.day_start,
        date_diff('day', day.month_start, day.month_start + interval '1' month) as day_count,
        cast(sum(day.quantity) as double) as quantity, cast(sum(day.cost) as double) as cost
    from intermediate.int_daily_usage as day
    group by
        day.source, day.scope, day.org_id, day.meter, day.unit, day.month_start, day.day_start
),

paced as (
    select
        daily.*, sum(daily.quantity) over so_far as used, sum(daily.cost) over so_far as spent,
        count(*) over so_far as known_count, sum(daily.quantity) over all_month as end_quantity,
        sum(daily.cost) over all_month as end_cost,
        count(*) over all_month = daily.day_count as is_over,
        case when count(*) over last_7 = 7
            and min(daily.day_start) over last_7 = daily.day_start - interval '6' day
            then sum(daily.quantity) over last_7 / 7 end as week_quantity,
        coalesce(sum(daily.cost) over last_7, 0) / 7 as week_cost
    from daily
    window
        all_month as (
            partition by
                daily.source, daily.scope, daily.org_id, daily.meter, daily.unit, daily.month_start
        ),
        so_far as (all_month order by daily.day_start),
        last_7 as (all_month order by daily.day_start rows between 6 preceding and current row)
),

projected as (
    select
        paced.*, paced.used * paced.day_count / paced.known_count as line_quantity,
        paced.spent * paced.day_count / paced.known_count as line_cost,
        paced.used + paced.week_quantity * (paced.day_count - paced.known_count) as week_end,
        case when paced.week_quantity is not null
            then paced.spent + paced.week_cost * (paced.day_count - paced.known_count)
        end as week_end_cost
    from paced
)

select
    projected.source,
    projected.scope,
    projected.org_id,
    projected.meter,
    projected.unit,
    projected.month_start,
    projected.day_start, -- the last UTC day that it is made of
    projected.day_count, -- days of the month
    projected.known_count as known_day_count, -- settled days that it is made of
    cast(projected.used as decimal(38, 9)) as quantity, -- in `unit`, on these days
    cast(projected.spent as decimal(38, 18)) as cost, -- US dollars, on these days; null: unpriced
    projected.line_quantity as straight_line_quantity, -- at the end of the month, as so far
    projected.line_cost as straight_line_cost, -- US dollars at the end of the month, as so far
    projected.week_end
        as last_7_days_quantity, -- at its end, as on the last 7 days of it; null: one is not known
    projected.week_end_cost as last_7_days_cost, -- US dollars, as on the last 7 days
    -- 0.1: a tenth too high; null: the month is not all known, or nothing came of it
    case when projected.is_over then projected.line_quantity / nullif(projected.end_quantity, 0) - 1
    end as straight_line_error, -- of the quantity, as a share of what it was in the end
    case when projected.is_over then projected.week_end / nullif(projected.end_quantity, 0) - 1
    end as last_7_days_error, -- of the quantity, as a share of what it was in the end
    case when projected.is_over then projected.line_cost / nullif(projected.end_cost, 0) - 1
    end as straight_line_cost_error, -- as a share of what it cost in the end
    case when projected.is_over then projected.week_end_cost / nullif(projected.end_cost, 0) - 1
    end as last_7_days_cost_error -- as a share of what it cost in the end
from projected
