-- Where this UTC month will end, by two methods: one row per meter of an organization that was used in
-- it. Of what is told by the day, the last rows of reports.forecast_history, which explains the methods,
-- added up: of each scope no less than is used of it by now, days that can still change included. What is
-- told by the month alone goes on as up to the hour when it was read, and a gauge stays as it is.
-- grain: source, org_id, meter, unit
with latest as (
    select history.*
    from reports.forecast_history as history
    where history.period_month = date_trunc('month', current_date)
    qualify row_number() over (
        partition by history.source, history.scope, history.org_id, history.meter, history.unit
        order by history.period_date desc
    ) = 1
),

-- a scope may be told by the day and by longer periods: a billing cycle that renewed, or readings of
-- which the first is of several days; all of it goes on as from its first day to its last reading
usage as (
    select
        told.*,
        bool_or(told.granularity = 'monthly') over of_scope as is_month,
        bool_or(told.granularity <> 'monthly') over of_scope as has_days,
        min(told.day_start) over of_scope as first_day,
        max(told.observed_at) over of_scope as told_at,
        case when not is_month or gauge.meter is not null then 1
            when has_days then greatest(1, 24 * extract(day from last_day(current_date)) / cast(
                nullif(date_diff('hour', first_day, told_at), 0) as double
            ))
            else greatest(1, date_diff('hour', told.period_start, told.period_end) / cast(
                nullif(date_diff('hour', told.period_start, told.observed_at), 0) as double
            ))
        end as factor
    from intermediate.int_usage_by_day as told
    left join intermediate.int_gauges as gauge
        on told.source = gauge.source and told.meter = gauge.meter
    where told.day_start >= date_trunc('month', current_date)
    window of_scope as (partition by told.source, told.scope, told.org_id, told.meter, told.unit)
),

used as (
    select
        usage.source, usage.scope, usage.org_id, usage.meter, usage.unit, usage.is_month,
        sum(cost.quantity) as quantity, sum(cost.cost) as cost,
        sum(cast(cast(cost.quantity as double) * usage.factor as decimal(38, 9))) as end_quantity,
        sum(cast(cast(cost.cost as double) * usage.factor as decimal(38, 9))) as end_cost
    from usage
    inner join marts.fct_cost_by_day as cost
        on usage.series_key = cost.series_key and usage.granularity = cost.granularity
        and usage.day_start = cost.day_start
    where cost.day_start >= date_trunc('month', current_date)
    group by usage.source, usage.scope, usage.org_id, usage.meter, usage.unit, usage.is_month
)

-- a scope of which no day is settled ends where it is; greatest passes over null
select
    used.source, used.org_id, used.meter, used.unit,
    cast(date_trunc('month', current_date) as date) as period_month, -- first of the UTC month
    cast(sum(case when used.is_month then used.quantity else latest.quantity end)
        as decimal(38, 9)) as quantity, -- in `unit`, on the settled days, or as told of the month
    cast(sum(case when used.is_month then used.cost else latest.cost end)
        as decimal(38, 18)) as cost, -- US dollars, of this quantity; null: unpriced, or nothing used
    cast(sum(greatest(latest.straight_line_quantity, used.end_quantity)) as decimal(38, 9))
        as straight_line_quantity, -- at the end of the month, as so far
    cast(sum(greatest(latest.straight_line_cost, used.end_cost)) as decimal(38, 9))
        as straight_line_cost, -- US dollars at the end of the month, as so far
    cast(case when bool_and(used.is_month or latest.last_7_days_quantity is not null)
        then sum(greatest(latest.last_7_days_quantity, used.end_quantity)) end as decimal(38, 9))
        as last_7_days_quantity, -- at its end, as on the last 7 days; null: one is not known
    cast(case when bool_and(used.is_month or latest.last_7_days_quantity is not null)
        then sum(greatest(latest.last_7_days_cost, used.end_cost)) end as decimal(38, 9))
        as last_7_days_cost, -- US dollars at its end, as on the last 7 days
    -- of the scope of which least is known; null: it is told by the month
    cast(min(case when not used.is_month then coalesce(latest.known_day_count, 0) end) as bigint)
        as known_day_count, -- settled days that it is made of
    cast(max(case when not used.is_month
        then extract(day from current_date) - 1 - coalesce(latest.known_day_count, 0)
    end) as bigint)
        as open_day_count, -- days that are over, and unknown or not settled: counted as the others
    cast(max(case when not used.is_month
        then extract(day from last_day(current_date)) - extract(day from current_date) + 1
    end) as bigint) as coming_day_count -- days that are not over, today too
from used
left join latest
    on not used.is_month and used.source = latest.source and used.scope = latest.scope
    and used.org_id is not distinct from latest.org_id
    and used.meter = latest.meter and used.unit is not distinct from latest.unit
group by used.source, used.org_id, used.meter, used.unit
