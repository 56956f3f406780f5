-- One row per part of an organization and period, of what its admins exported. Parts stand for their
-- organization; what its total has over them is a row without a part. A part that lies across the
-- periods of the total does not count: the total does.
-- grain: org_id, meter, unit, site_id, project_id, user_id, period_start, period_end
with placed as (
    -- each part, with the whole that it lies in; null: it lies in none
    select
        part.org_id, part.meter, part.unit, part.site_id, part.project_id, part.user_id,
        part.period_start, part.period_end, part.quantity, part.exported_at,
        whole.period_start as whole_start,
        coalesce(
            part.period_start >= whole.period_start and part.period_end <= whole.period_end,
            true
        ) as counts
    from intermediate.int_platform_parts as part
    left join intermediate.int_platform_wholes as whole
        on part.org_id = whole.org_id
        and part.meter = whole.meter
        and part.unit = whole.unit
        and whole.period_start < part.period_end
        and whole.period_end > part.period_start
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
        whole.org_id, whole.meter, whole.unit, cast(null as varchar), cast(null as varchar),
        cast(null as varchar), whole.period_start, whole.period_end,
        whole.quantity - coalesce(attributed.quantity, 0), whole.exported_at
    from intermediate.int_platform_wholes as whole
    left join attributed
        on whole.org_id = attributed.org_id
        and whole.meter = attributed.meter
        and whole.unit = attributed.unit
        and whole.period_start = attributed.whole_start
    where attributed.org_id is null or whole.quantity <> attributed.quantity
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
