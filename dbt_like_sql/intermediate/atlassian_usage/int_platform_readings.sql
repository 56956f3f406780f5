-- One row per organization or account, meter, billing cycle and reading of the meters API: what was used
-- since the reading before it, on the day of the reading; and one of the whole cycle so far. A day is the
-- UTC day whose end is nearest, so what is read just after midnight is of the day before. The first
-- reading of a cycle tells of all days since the cycle began. A total that falls is a correction of
-- those before it.
-- grain: org_id, meter, user_id, cycle_start, granularity, period_start
with told as (
    select
        reading.*,
        greatest(
            least(date_trunc('day', reading.read_at + interval '12' hour), reading.cycle_end),
            reading.cycle_start + interval '1' day
        ) as until,
        min(reading.quantity) over (
            partition by reading.org_id, reading.meter, reading.user_id, reading.cycle_start
            order by reading.read_at rows between current row and unbounded following
        ) as total
    from staging.stg_atlassian__readings as reading
    qualify row_number() over (
        partition by reading.org_id, reading.meter, reading.user_id, reading.cycle_start, until
        order by reading.read_at desc
    ) = 1
),

grown as (
    select
        told.*,
        told.total - lag(told.total, 1, 0) over of_scope as growth,
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
    cast(grown.growth as decimal(38, 9)) as quantity, -- used in the period
    cast(null as decimal(38, 9)) as allowance_quantity, -- what is included in the cycle
    cast(null as decimal(38, 9)) as limit_quantity, -- the cap that an admin set
    grown.read_at, -- up to when it tells
    grown.last_read_at as exported_at, -- when the cycle was last read
    grown.is_partial
from grown
union all
select
    grown.org_id, grown.meter, grown.unit, grown.user_id, grown.cycle_start, grown.cycle_end,
    'month', grown.cycle_start, grown.cycle_end, grown.total, grown.allowance_quantity,
    grown.limit_quantity, grown.read_at, grown.last_read_at, grown.is_partial
from grown
where grown.is_last
