-- One row per scope and period that counts, so that nothing is counted by the day and by the month.
-- Days serve a month when all are there that had passed when the month was exported, each exported
-- after its own end; else the month serves, and its days do not count.
-- grain: org_id, meter, unit, scope_type, holder_id, period_start
with days as (
    select
        scope.org_id, scope.meter, scope.unit, scope.scope_type, scope.holder_id, scope.site_id,
        scope.project_id, scope.user_id, scope.period_start, scope.period_end,
        scope.quantity, scope.app_count, scope.first_app, scope.last_app, scope.allowed_from,
        scope.resets_at, scope.is_final, scope.exported_at
    from intermediate.int_platform_scopes as scope
    where scope.granularity = 'day'
),

-- each month, and those of its days that had passed when it was exported
within_months as (
    select
        month.org_id, month.meter, month.unit, month.scope_type, month.holder_id,
        month.period_start, month.period_end,
        date_diff(
            'day', month.period_start,
            least(month.period_end, date_trunc('day', month.exported_at))
        ) as days_passed,
        count(days.quantity) filter (
            days.period_end <= date_trunc('day', month.exported_at)
            and (days.exported_at >= days.period_end or days.is_final)
            -- days of one app do not stand for a month of two
            and (
                days.app_count = 0 or (days.app_count, days.first_app, days.last_app)
                = (month.app_count, month.first_app, month.last_app)
            )
        ) as days_held,
        count(days.quantity) as days_there
    from intermediate.int_platform_months as month
    left join days
        on month.org_id = days.org_id
        and month.meter = days.meter
        and month.unit = days.unit
        and month.scope_type = days.scope_type
        and month.holder_id = days.holder_id
        and days.period_start >= month.period_start
        and days.period_end <= month.period_end
    group by
        month.org_id, month.meter, month.unit, month.scope_type, month.holder_id,
        month.period_start, month.period_end, month.exported_at
),

served_by_month as (
    select within_months.*
    from within_months
    where within_months.days_held < within_months.days_passed or within_months.days_there = 0
),

counted as (
    select month.*
    from intermediate.int_platform_months as month
    semi join served_by_month as served
        on month.org_id = served.org_id
        and month.meter = served.meter
        and month.unit = served.unit
        and month.scope_type = served.scope_type
        and month.holder_id = served.holder_id
        and month.period_start = served.period_start
    union all
    select days.*
    from days
    anti join served_by_month as served
        on days.org_id = served.org_id
        and days.meter = served.meter
        and days.unit = served.unit
        and days.scope_type = served.scope_type
        and days.holder_id = served.holder_id
        and days.period_start < served.period_end
        and days.period_end > served.period_start
)

select
    counted.org_id, -- Atlassian organization
    counted.meter, -- what was used
    counted.unit, -- of the quantity
    counted.scope_type, -- org, site, workspace, user or repository
    counted.holder_id, -- the scope itself
    counted.site_id, -- site, or workspace; null for org and user
    counted.project_id, -- repository; else null
    counted.user_id, -- user; else null
    cast(counted.period_start as timestamptz) as period_start, -- first instant, UTC
    cast(counted.period_end as timestamptz) as period_end, -- first instant after the period, UTC
    cast(counted.quantity as decimal(38, 9)) as quantity, -- as exported
    counted.allowed_from, -- when its allowance started anew
    counted.resets_at, -- when it does again
    cast(counted.is_final as boolean) as is_final, -- cannot change
    cast(counted.exported_at as timestamptz) as exported_at -- when it was read off the page
from counted
