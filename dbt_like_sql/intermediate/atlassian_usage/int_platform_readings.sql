-- One row per organization or account, meter, billing cycle and reading of the meters API: what was used
-- since the reading before it, on the day of the reading; and one of the whole cycle so far. A day is the
-- UTC day whose end is nearest, so what is read just after midnight is of the day before. The first
-- reading of a cycle tells of all days since the cycle began. A total that falls is a correction of
-- those before it. A gauge is of the UTC month in which it was read: its last reading there.
-- grain: org_id, meter, user_id, cycle_start, granularity, period_start
with readings as (
    select
        reading.org_id, reading.meter, reading.unit, reading.user_id, reading.read_at,
        reading.quantity, reading.limit_quantity, reading.allowance_quantity, reading.pay_as_you_go,
        -- an account that was in error when all was read again is of the same day
        max(reading.read_at) over (
            partition by
                reading.org_id, reading.meter, reading.day_start,
                date_trunc('day', reading.cycle_start)
        ) as all_read_at,
        gauge.meter is not null as is_gauge,
        case when gauge.meter is not null then date_trunc('month', reading.read_at)
            -- an account may have a cycle of its own
            else coalesce(cycle.cycle_start, date_trunc('day', reading.cycle_start))
        end as cycle_start,
        case when gauge.meter is not null
                then date_trunc('month', reading.read_at) + interval '1' month
            else coalesce(cycle.cycle_end, date_trunc('day', reading.cycle_end))
        end as cycle_end
    from staging.stg_atlassian__readings as reading
    left join intermediate.int_platform_cycles as cycle
        on reading.org_id = cycle.org_id and reading.meter = cycle.meter
        and date_trunc('day', reading.cycle_start) = cycle.told_start
    left join intermediate.int_gauges as gauge
        on gauge.source = 'atlassian_platform' and reading.meter = gauge.meter
),

told as (
    select
        reading.*,
        greatest(
            least(date_trunc('day', reading.all_read_at + interval '12' hour), reading.cycle_end),
            reading.cycle_start + interval '1' day
        ) as until,
        min(reading.quantity) over (
            partition by reading.org_id, reading.meter, reading.user_id, reading.cycle_start
            order by reading.read_at rows between current row and unbounded following
        ) as total
    from readings as reading
    qualify row_number() over (
        partition by reading.org_id, reading.meter, reading.user_id, reading.cycle_start, until
        order by reading.read_at desc
    ) = 1
),

grown as (
    select
        told.*,
        told.total - lag(told.total, 1, 0) over of_scope as growth,
        lag(told.until, 1, told.cycle_start) over of_scope as told_from,
        lead(told.until) over of_scope is null as is_last,
        min(told.until) over of_cycle as first_until,
        max(told.read_at) over of_cycle as last_read_at
    from told
    window
        of_scope as (
            partition by told.org_id, told.meter, told.user_id, told.cycle_start
            order by told.until
        ),
        of_cycle as (partition by told.org_id, told.meter, told.cycle_start)
)

select
    grown.org_id, grown.meter, grown.unit, grown.user_id, grown.cycle_start, grown.cycle_end,
    cast('day' as varchar) as granularity, -- day: the growth; month: all of the cycle so far
    cast(case when grown.until = grown.first_until then grown.cycle_start
        else grown.until - interval '1' day end as timestamptz) as period_start, -- first instant, UTC
    cast(grown.until as timestamptz) as period_end, -- first instant after the period, UTC
    cast(grown.told_from as timestamptz) as told_from, -- since when it grew by that
    cast(grown.growth as decimal(38, 9)) as quantity, -- used in the period
    cast(null as decimal(38, 9)) as allowance_quantity, -- what is included in the cycle
    cast(null as decimal(38, 9)) as limit_quantity, -- the cap that an admin set
    cast(null as varchar) as pay_as_you_go, -- its setting, in the vendor's words
    grown.read_at,
    grown.last_read_at as exported_at -- when the cycle was last read
from grown
where not grown.is_gauge
union all
select
    grown.org_id, grown.meter, grown.unit, grown.user_id, grown.cycle_start, grown.cycle_end,
    'month', grown.cycle_start, grown.cycle_end, grown.cycle_start, grown.total,
    grown.allowance_quantity, grown.limit_quantity, grown.pay_as_you_go, grown.read_at,
    grown.last_read_at
from grown
where grown.is_last
