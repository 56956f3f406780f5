-- One row per allowance and period: what was used of it so far, and where the period will end if it
-- goes on so. Forge's are per app and month, Neon's transfer per project or org, Atlassian's as its
-- page showed them or by the plan in seeds/plans.csv.
-- grain: source, meter, unit, holder_type, holder_id, period_start
with used as (
    select
        allowance.source, allowance.meter, allowance.unit, allowance.org_id,
        allowance.holder_type, allowance.holder_id, allowance.period_start, allowance.resets_at,
        allowance.included_quantity, allowance.extra_usage_limit, allowance.forecast_quantity,
        date_diff('day', allowance.period_start, allowance.resets_at) as day_count,
        sum(usage.quantity) as quantity,
        max(usage.observed_at) as observed_at,
        bool_or(usage.period_end > usage.period_start + interval '1' day) as has_months
    from intermediate.int_allowances as allowance
    inner join intermediate.int_usage as usage
        on allowance.source = usage.source
        and allowance.meter = usage.meter
        and allowance.unit = usage.unit
        and allowance.org_id is not distinct from usage.org_id
        and allowance.holder_id
        = case allowance.holder_type when 'org' then usage.org_id when 'user' then usage.user_id
            when 'project' then usage.project_id when 'repository' then usage.project_id
            else usage.site_id end
        and usage.period_start >= date_trunc('day', allowance.period_start)
        and usage.period_start < date_trunc('day', allowance.resets_at)
    group by
        allowance.source, allowance.meter, allowance.unit, allowance.org_id,
        allowance.holder_type, allowance.holder_id, allowance.period_start, allowance.resets_at,
        allowance.included_quantity, allowance.extra_usage_limit, allowance.forecast_quantity
),

running as (
    select
        day.*,
        sum(day.quantity) over (
            partition by
                day.source, day.meter, day.unit, day.holder_type, day.holder_id, day.period_start
            order by day.day_start
        ) as used_so_far,
        max(case when day.is_settled then day.day_start end) over (
            partition by
                day.source, day.meter, day.unit, day.holder_type, day.holder_id, day.period_start
        ) - interval '7' day as week_before
    from intermediate.int_allowance_days as day
),

paced as (
    select
        used.source, used.meter, used.unit, used.holder_type, used.holder_id, used.period_start,
        min(case when running.used_so_far > used.included_quantity then running.day_start end)
            as first_day_over,
        date_diff('day', used.period_start, max(running.day_start)) + 1 - count(*)
            as missing_day_count,
        count(*) filter (running.is_settled) as settled_day_count,
        cast(sum(running.quantity) filter (running.is_settled) as double) as settled_quantity,
        cast(sum(running.quantity) filter (
            running.is_settled and running.day_start > running.week_before
        ) as double) as week_quantity,
        count(*) filter (running.is_settled and running.day_start > running.week_before)
            as week_day_count
    from used
    inner join running
        on used.source = running.source and used.meter = running.meter
        and used.unit = running.unit and used.holder_type = running.holder_type
        and used.holder_id = running.holder_id and used.period_start = running.period_start
    group by
        used.source, used.meter, used.unit, used.holder_type, used.holder_id, used.period_start
),

-- per day: over settled days, or else, where usage is told by the month, up to when it was read
projected as (
    select
        used.*, paced.first_day_over, paced.missing_day_count, paced.settled_day_count,
        gauge.meter is not null as is_reading,
        case
            when gauge.meter is not null then cast(used.quantity as double)
            when paced.settled_day_count > 0
                then paced.settled_quantity * used.day_count / paced.settled_day_count
            when used.has_months
                then cast(used.quantity as double) * used.day_count / nullif(least(
                    used.day_count,
                    date_diff('day', used.period_start, used.observed_at)
                    + extract(hour from used.observed_at) / 24.0
                ), 0)
        end as straight_line,
        case when gauge.meter is null and paced.week_day_count = 7
            then paced.settled_quantity
            + paced.week_quantity / 7 * (used.day_count - paced.settled_day_count)
        end as as_in_last_7_days
    from used
    left join paced
        on used.source = paced.source and used.meter = paced.meter and used.unit = paced.unit
        and used.holder_type = paced.holder_type and used.holder_id = paced.holder_id
        and used.period_start = paced.period_start
    left join (
        select distinct meter.source, meter.meter from seeds.meters as meter
        where meter.aggregation = 'last'
    ) as gauge on used.source = gauge.source and used.meter = gauge.meter
)

select
    projected.source, -- vendor API family
    projected.meter, -- what is metered
    projected.unit, -- of all quantities here
    projected.holder_type, -- org, project, workspace, site, user
    projected.holder_id, -- whose allowance it is
    projected.org_id, -- the vendor's organization; null where it names none
    projected.period_start, -- first instant, UTC
    projected.resets_at, -- when it starts anew, UTC
    cast(projected.quantity as decimal(38, 9)) as used_quantity, -- so far
    projected.included_quantity, -- the allowance
    cast(
        cast(projected.quantity as double)
        / nullif(cast(projected.included_quantity as double), 0) as double
    ) as used_share, -- 1: used up; null where nothing is included
    cast(greatest(projected.quantity - projected.included_quantity, 0) as decimal(38, 9))
        as overage_quantity, -- beyond it so far
    projected.extra_usage_limit, -- the cap on usage beyond it, where the page showed one
    cast(projected.first_day_over as date)
        as first_day_over, -- UTC day; null: not yet, or not told by day
    cast(coalesce(projected.settled_day_count, 0) as bigint)
        as settled_day_count, -- days projected from; 0: not told by day, or none is over
    cast(projected.missing_day_count as bigint)
        as missing_day_count, -- unknown days, before the last that is known; null: not told by day
    cast(projected.straight_line as double)
        as straight_line_quantity, -- at the reset, as so far; null: no day is over
    cast(projected.as_in_last_7_days as double)
        as last_7_days_quantity, -- at the reset, as in the last 7 days; null: they are not known
    cast(projected.forecast_quantity as decimal(38, 9))
        as vendor_forecast_quantity, -- what the page forecast
    cast(case when projected.straight_line is not null
        then greatest(projected.straight_line - cast(projected.included_quantity as double), 0)
    end as double) as projected_overage_quantity, -- beyond it at the reset, as so far
    cast(coalesce(
        projected.first_day_over,
        case when not projected.is_reading
                and projected.straight_line > cast(projected.included_quantity as double)
            then projected.period_start + cast(floor(
                cast(projected.included_quantity as double) / projected.straight_line
                * projected.day_count
            ) as integer) * interval '1' day end
    ) as date) as exhausted_on, -- UTC day on which it was or will be used up; null: it lasts
    projected.observed_at -- when the vendor said so
from projected
