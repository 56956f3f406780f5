-- One row per allowance and period from one renewal to the next: what its owner used of it so far, and
-- where the period will end if usage goes on like this. Where missing_day_count is not 0, some days are
-- unknown, and used_quantity is a lower bound. No period ends below what is used by now, on days that can
-- still change too.
-- grain: source, meter, unit, org_id, owner_type, owner_id, period_start
with measured as (
    select
        allowance.*,
        gauge.meter is not null as is_gauge,
        date_diff('day', allowance.period_start, allowance.resets_at) as day_count,
        cast(allowance.quantity as double) as used,
        cast(allowance.included_quantity as double) as included,
        pace.first_day_over, pace.missing_day_count, pace.settled_day_count,
        cast(pace.settled_quantity as double) as settled_quantity,
        cast(pace.week_quantity as double) / 7 as recent_daily_quantity
    from intermediate.int_allowances as allowance
    left join intermediate.int_allowance_pace as pace
        on allowance.allowance_key = pace.allowance_key
        and allowance.period_start = pace.period_start
    left join intermediate.int_gauges as gauge
        on allowance.source = gauge.source and allowance.meter = gauge.meter
),

-- over settled days, or else, where usage is told by the month, up to the hour when it was read
projected as (
    select
        measured.*,
        case
            when measured.is_gauge then measured.used
            when measured.settled_day_count > 0 then greatest(
                measured.settled_quantity * measured.day_count / measured.settled_day_count,
                measured.used
            )
            when measured.has_months then measured.used * measured.day_count / nullif(least(
                measured.day_count,
                date_diff('day', measured.period_start, measured.observed_at)
                + extract(hour from measured.observed_at) / 24.0
            ), 0)
        end as straight_line,
        case when measured.recent_daily_quantity is not null then greatest(
            measured.settled_quantity + measured.recent_daily_quantity
            * (measured.day_count - measured.settled_day_count), measured.used
        ) end as as_in_last_7_days
    from measured
)

select
    projected.source, projected.meter, projected.unit, projected.owner_type, projected.owner_id,
    cast(coalesce(owner.label, projected.owner_id) as varchar)
        as owner_name, -- whose allowance it is: marts.dim_name.label, or the id where none is known
    projected.org_id, projected.period_start, projected.resets_at,
    cast(projected.quantity as decimal(38, 9)) as used_quantity, -- so far
    projected.included_quantity,
    cast(projected.used / nullif(projected.included, 0) as double)
        as used_share, -- 1: used up, above it: over; null where nothing is included
    cast(greatest(projected.quantity - projected.included_quantity, 0) as decimal(38, 9))
        as overage_quantity, -- beyond it so far
    projected.extra_usage_limit, -- the cap on usage beyond it, where the page showed one
    projected.pay_as_you_go,
    cast(projected.first_day_over as date)
        as first_day_over, -- UTC day; null: not yet, or not told by day
    cast(coalesce(projected.settled_day_count, 0) as bigint)
        as settled_day_count, -- days projected from; 0: not told by day, or none is over
    projected.missing_day_count, -- unknown days before the last known one; null: not told by day
    cast(projected.straight_line as double)
        as straight_line_quantity, -- at the renewal, as so far; null: no day is over
    cast(projected.as_in_last_7_days as double)
        as last_7_days_quantity, -- at the renewal, as in the last 7 days; null: they are not known
    projected.forecast_quantity as vendor_forecast_quantity, -- what the page forecast
    cast(case when projected.straight_line is not null
        then greatest(projected.straight_line - projected.included, 0)
    end as double) as projected_overage_quantity, -- beyond it at the renewal, as so far
    -- null: it lasts, or nothing can be projected, or it is a gauge. What was not over when it was
    -- last told is not before that, and of a period that has ended nobody knows
    cast(coalesce(
        projected.first_day_over,
        case when not projected.is_gauge and projected.used <= projected.included
            and projected.straight_line > projected.included
            and projected.resets_at > current_date
            then greatest(projected.observed_at, projected.period_start + cast(floor(
                projected.included / projected.straight_line * projected.day_count
            ) as integer) * interval '1' day) end
    ) as date) as exhausted_on, -- UTC day on which it was or will be used up
    projected.observed_at
from projected
left join marts.dim_name as owner
    on projected.source = owner.source and projected.owner_id = owner.thing_id
    and owner.kind = case projected.owner_type when 'user, pooled' then 'org'
        when 'workspace' then 'site' else projected.owner_type end
    and (owner.kind in ('site', 'user') or projected.org_id is not distinct from owner.org_id)
