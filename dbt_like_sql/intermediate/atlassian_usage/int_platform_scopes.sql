-- One row per scope and period that was exported: the latest export of it, of readings the last one. A
-- row without an app is the total of its apps; where there is none, the apps are added up.
-- grain: org_id, meter, unit, scope_type, holder_id, granularity, period_start, period_end
with latest as (
    select
        line.*,
        -- an export need not show it again
        first_value(line.included_quantity ignore nulls) over (
            partition by
                line.org_id, line.meter, line.unit, line.app, line.scope_type, line.holder_id,
                line.granularity, line.period_start, line.period_end
            order by line.exported_at desc, line.included_quantity
            rows between unbounded preceding and unbounded following
        ) as allowance
    from intermediate.int_platform_lines as line
    qualify row_number() over (
        partition by
            line.org_id, line.meter, line.unit, line.app, line.scope_type, line.holder_id,
            line.granularity, line.period_start, line.period_end
        order by
            line.read_at desc, line.exported_at desc, line.precedence desc, line.line desc
    ) = 1
),

totals as (
    select latest.*
    from latest
    where latest.app is null
),

whole as (
    select totals.* from totals
    union all
    select latest.*
    from latest
    anti join totals
        on latest.org_id = totals.org_id and latest.meter = totals.meter
        and latest.unit = totals.unit and latest.scope_type = totals.scope_type
        and latest.holder_id = totals.holder_id
        and latest.period_start >= totals.period_start
        and latest.period_end <= totals.period_end
    where latest.app is not null
)

select
    whole.org_id, -- Atlassian organization
    whole.meter, -- what was used
    whole.unit, -- of the quantity
    whole.scope_type, -- org, site, workspace, user or repository
    whole.holder_id, -- the scope itself
    cast(max(whole.site_id) as varchar) as site_id, -- site, or workspace; null for org and user
    cast(max(whole.project_id) as varchar) as project_id, -- repository; else null
    cast(max(whole.user_id) as varchar) as user_id, -- user; else null
    whole.granularity, -- day or month
    whole.period_start, -- first instant, UTC
    whole.period_end, -- first instant after the period, UTC
    cast(sum(whole.quantity) as decimal(38, 9)) as quantity, -- as exported
    cast(count(whole.app) as bigint) as app_count, -- apps that add up to it; 0: told as a whole
    min(whole.app) as first_app, -- of these in the alphabet
    max(whole.app) as last_app, -- of these in the alphabet
    -- apps share the allowance of their scope
    cast(max(whole.allowance) as decimal(38, 9)) as included_quantity, -- allowance shown
    cast(max(whole.extra_usage_limit) as decimal(38, 9)) as extra_usage_limit, -- the cap beyond it
    cast(sum(whole.forecast_quantity) as decimal(38, 9)) as forecast_quantity, -- the page's own
    max(whole.allowed_from) as allowed_from, -- when its allowance started anew
    max(whole.resets_at) as resets_at, -- when it does again
    cast(bool_and(coalesce(whole.is_final, false)) as boolean) as is_final, -- cannot change
    max(whole.exported_at) as exported_at -- when it was read off the page
from whole
group by
    whole.org_id, whole.meter, whole.unit, whole.scope_type, whole.holder_id,
    whole.granularity, whole.period_start, whole.period_end
