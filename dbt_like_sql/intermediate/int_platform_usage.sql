-- One row per part of an organization and period, of what its admins exported. Parts stand for their
-- organization; what its total has over them is a row without a part. Where the total was exported by
-- the day and its parts by the month, the days so far add up to the month. A part that lies across the
-- periods of the total does not count: the total does.
-- grain: org_id, meter, unit, site_id, project_id, user_id, period_start, period_end
with totals as (
    select period.*
    from intermediate.int_platform_periods as period
    where period.scope_type = 'org'
),

-- months of parts of which every day is there as a total, or, while they are still filling, every
-- day so far, read no earlier than the parts; of two that overlap, the one that begins earlier in
-- its month
complete as (
    select
        months.org_id, months.meter, months.unit, months.period_start, months.period_end,
        extract(day from months.period_start) as start_day,
        sum(totals.quantity) as quantity, max(totals.exported_at) as exported_at
    from (
        select
            part.org_id, part.meter, part.unit, part.period_start, part.period_end,
            date_trunc('day', max(part.exported_at)) as read_on
        from intermediate.int_platform_parts as part
        where part.period_end > part.period_start + interval '1' day
        group by part.org_id, part.meter, part.unit, part.period_start, part.period_end
    ) as months
    inner join totals
        on months.org_id = totals.org_id
        and months.meter = totals.meter
        and months.unit = totals.unit
        and totals.period_start >= months.period_start
        and totals.period_end <= months.period_end
    group by
        months.org_id, months.meter, months.unit, months.period_start, months.period_end,
        months.read_on
    having count(*) = date_diff('day', months.period_start, max(totals.period_end))
        and (
            max(totals.period_end) = months.period_end
            or months.read_on
            <= least(max(totals.exported_at), months.period_end - interval '1' day)
        )
),

added_up as (
    select complete.*
    from complete
    anti join complete as other
        on complete.org_id = other.org_id
        and complete.meter = other.meter
        and complete.unit = other.unit
        and complete.period_start < other.period_end
        and complete.period_end > other.period_start
        and (complete.start_day, complete.period_start, complete.period_end)
        > (other.start_day, other.period_start, other.period_end)
),

wholes as (
    select
        added_up.org_id, added_up.meter, added_up.unit, added_up.period_start,
        added_up.period_end, added_up.quantity, added_up.exported_at
    from added_up
    union all
    select
        totals.org_id, totals.meter, totals.unit, totals.period_start, totals.period_end,
        totals.quantity, totals.exported_at
    from totals
    where not exists (
        select 1 from added_up
        where added_up.org_id = totals.org_id
            and added_up.meter = totals.meter
            and added_up.unit = totals.unit
            and totals.period_start >= added_up.period_start
            and totals.period_end <= added_up.period_end
    )
),

-- each part, with the whole that it lies in; null: it lies in none
placed as (
    select
        part.org_id, part.meter, part.unit, part.site_id, part.project_id, part.user_id,
        part.period_start, part.period_end, part.quantity, part.exported_at,
        wholes.period_start as whole_start,
        coalesce(
            part.period_start >= wholes.period_start and part.period_end <= wholes.period_end,
            true
        ) as counts
    from intermediate.int_platform_parts as part
    left join wholes
        on part.org_id = wholes.org_id
        and part.meter = wholes.meter
        and part.unit = wholes.unit
        and wholes.period_start < part.period_end
        and wholes.period_end > part.period_start
),

attributed as (
    select placed.org_id, placed.meter, placed.unit, placed.whole_start,
        sum(placed.quantity) as quantity
    from placed
    where placed.counts and placed.whole_start is not null
    group by placed.org_id, placed.meter, placed.unit, placed.whole_start
),

rows_of_both as (
    select
        placed.org_id, placed.meter, placed.unit, placed.site_id, placed.project_id,
        placed.user_id, placed.period_start, placed.period_end, placed.quantity,
        placed.exported_at
    from placed
    where placed.counts
    union all
    select
        wholes.org_id, wholes.meter, wholes.unit, cast(null as varchar), cast(null as varchar),
        cast(null as varchar), wholes.period_start, wholes.period_end,
        wholes.quantity - coalesce(attributed.quantity, 0), wholes.exported_at
    from wholes
    left join attributed
        on wholes.org_id = attributed.org_id
        and wholes.meter = attributed.meter
        and wholes.unit = attributed.unit
        and wholes.period_start = attributed.whole_start
    where attributed.org_id is null or wholes.quantity <> attributed.quantity
)

select
    rows_of_both.org_id, -- Atlassian organization
    rows_of_both.meter, -- what was used
    rows_of_both.unit, -- of the quantity
    rows_of_both.site_id, -- site, or workspace; null: what none accounts for
    rows_of_both.project_id, -- repository; null: what none accounts for
    rows_of_both.user_id, -- user; null: what none accounts for
    cast(case when date_diff('day', rows_of_both.period_start, rows_of_both.period_end) = 1
        then 'daily' else 'monthly' end as varchar) as granularity, -- daily or monthly
    rows_of_both.period_start, -- first instant, UTC
    rows_of_both.period_end, -- first instant after the period, UTC
    cast(rows_of_both.quantity as decimal(38, 9)) as quantity, -- as exported
    rows_of_both.exported_at as observed_at -- when it was read off the page
from rows_of_both
