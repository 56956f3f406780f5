-- One row per part of an organization's usage and period. What was exported can be split by workspace,
-- by user or by site, which are three ways to cut the same usage: one of them counts, in this order.
-- grain: org_id, meter, unit, site_id, project_id, user_id, period_start, period_end
with parts as (
    select
        1 as way, workspace.org_id, workspace.meter, workspace.unit, workspace.site_id,
        workspace.project_id, cast(null as varchar) as user_id, workspace.period_start,
        workspace.period_end, workspace.quantity, workspace.exported_at
    from intermediate.int_platform_workspaces as workspace
    union all
    select
        case period.scope_type when 'user' then 2 else 3 end as way, period.org_id, period.meter,
        period.unit, period.site_id, period.project_id, period.user_id, period.period_start,
        period.period_end, period.quantity, period.exported_at
    from intermediate.int_platform_periods as period
    where period.scope_type in ('user', 'site')
),

ways as (
    select
        parts.*,
        min(parts.way) over (partition by parts.org_id, parts.meter, parts.unit) as first_way
    from parts
)

select
    ways.org_id, -- Atlassian organization
    ways.meter, -- what was used
    ways.unit, -- of the quantity
    ways.site_id, -- site, or workspace
    ways.project_id, -- repository
    ways.user_id, -- user
    ways.period_start, -- first instant, UTC
    ways.period_end, -- first instant after the period, UTC
    ways.quantity, -- as exported
    ways.exported_at -- when it was read off the page
from ways
where ways.way = ways.first_way
