-- Where this UTC month will end, by two methods: one row per meter of an organization of which a day of
-- it is settled. The last rows of reports.forecast_history, which explains the methods, added up.
-- grain: source, org_id, meter, unit
with latest as (
    select
        history.*,
        date_diff('day', history.month_start, current_timestamp) as over_count
    from reports.forecast_history as history
    where history.month_start = date_trunc('month', current_timestamp)
    qualify row_number() over (
        partition by history.source, history.scope, history.org_id, history.meter, history.unit
        order by history.day_start desc
    ) = 1
)

select
    latest.source,
    latest.org_id,
    latest.meter,
    latest.unit,
    latest.month_start,
    cast(sum(latest.quantity) as decimal(38, 9)) as quantity, -- in `unit`, on the settled days
    cast(sum(latest.cost) as decimal(38, 18)) as cost, -- US dollars, on these days; null: unpriced
    cast(sum(latest.straight_line_quantity) as decimal(38, 9))
        as straight_line_quantity, -- at the end of the month, as so far
    cast(sum(latest.straight_line_cost) as decimal(38, 9))
        as straight_line_cost, -- US dollars at the end of the month, as so far
    case when count(*) = count(latest.last_7_days_quantity) then sum(latest.last_7_days_quantity)
    end as last_7_days_quantity, -- at its end, as on the last 7 days; null: one is not known
    case when count(*) = count(latest.last_7_days_quantity) then sum(latest.last_7_days_cost)
    end as last_7_days_cost, -- US dollars at its end, as on the last 7 days
    -- of the scope of which least is known
    min(latest.known_day_count) as known_day_count, -- settled days that it is made of
    max(latest.over_count - latest.known_day_count)
        as open_day_count, -- days that are over, and unknown or not settled: counted as the others
    min(latest.day_count - latest.over_count) as coming_day_count -- days that are not over, today too
from latest
group by latest.source, latest.org_id, latest.meter, latest.unit, latest.month_start
