-- One row per period of what was exported as an organization's total; no two overlap. Where that was
-- exported by the day and its parts by the month, the days add up to the month: all of its days, or,
-- while it is still filling, all so far. Where days are missing, and the parts say more than the days
-- that are there, the parts are the better lower bound, and these days do not count.
-- grain: org_id, meter, unit, period_start
with totals as (
    select period.*
    from intermediate.int_platform_periods as period
    where period.scope_type = 'org'
),

months as (
    select
        part.org_id, part.meter, part.unit, part.period_start, part.period_end,
        sum(part.quantity) as quantity,
        date_trunc('day', max(part.exported_at)) as read_on
    from intermediate.int_platform_parts as part
    where part.period_end > part.period_start + interval '1' day
    group by part.org_id, part.meter, part.unit, part.period_start, part.period_end
),

-- a month of which the total is told by days alone
told_by_days as (
    select
        months.org_id, months.meter, months.unit, months.period_start, months.period_end,
        months.quantity as part_quantity, sum(totals.quantity) as day_quantity,
        max(totals.exported_at) as read_at,
        count(*) = date_diff('day', months.period_start, max(totals.period_end)) and case
            -- the page may tell of a day on the day after the next
            when months.read_on < months.period_end
                then max(totals.period_end) >= months.read_on - interval '1' day
            else max(totals.period_end) = months.period_end
        end as is_complete
    from months
    inner join totals
        on months.org_id = totals.org_id
        and months.meter = totals.meter
        and months.unit = totals.unit
        and months.period_start < totals.period_end
        and months.period_end > totals.period_start
    group by
        months.org_id, months.meter, months.unit, months.period_start, months.period_end,
        months.quantity, months.read_on
    having bool_and(
        totals.period_start >= months.period_start and totals.period_end <= months.period_end
        and totals.period_end = totals.period_start + interval '1' day
    )
),

better_told as (
    select told_by_days.*, extract(day from told_by_days.period_start) as start_day
    from told_by_days
    where told_by_days.is_complete or told_by_days.part_quantity > told_by_days.day_quantity
),

-- of two that overlap, the one that begins earlier in its month
chosen as (
    select better_told.*
    from better_told
    anti join better_told as other
        on better_told.org_id = other.org_id
        and better_told.meter = other.meter
        and better_told.unit = other.unit
        and better_told.period_start < other.period_end
        and better_told.period_end > other.period_start
        and (better_told.start_day, better_told.period_start, better_told.period_end)
        > (other.start_day, other.period_start, other.period_end)
),

wholes as (
    select
        chosen.org_id, chosen.meter, chosen.unit, chosen.period_start, chosen.period_end,
        chosen.day_quantity as quantity, chosen.read_at
    from chosen
    where chosen.is_complete
    union all
    select
        totals.org_id, totals.meter, totals.unit, totals.period_start, totals.period_end,
        totals.quantity, totals.exported_at
    from totals
    anti join chosen
        on totals.org_id = chosen.org_id
        and totals.meter = chosen.meter
        and totals.unit = chosen.unit
        and totals.period_start >= chosen.period_start
        and totals.period_end <= chosen.period_end
)

select
    wholes.org_id, -- Atlassian organization
    wholes.meter, -- what was used
    wholes.unit, -- of the quantity
    wholes.period_start, -- first instant, UTC
    wholes.period_end, -- first instant after the period, UTC
    cast(wholes.quantity as decimal(38, 9)) as quantity, -- as exported
    wholes.read_at as exported_at -- when it was read off the page
from wholes
