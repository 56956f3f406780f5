-- One row per part of an organization's usage and period. What was exported can be split by workspace,
-- by user or by site, which are three ways to cut the same usage: of those that overlap one counts, in
-- this order.
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

spans as (
    select distinct
        parts.way, parts.org_id, parts.meter, parts.unit, parts.period_start, parts.period_end
    from parts
)

select
    parts.org_id, -- Atlassian organization
    parts.meter, -- what was used
    parts.unit, -- of the quantity
    parts.site_id, -- site, or workspace
    parts.project_id, -- repository
    parts.user_id, -- user
    parts.period_start, -- first instant, UTC
    parts.period_end, -- first instant after the period, UTC
    parts.quantity, -- as exported
    parts.exported_at -- when it was read off the page
from parts
anti join spans
    on parts.org_id = spans.org_id
    and parts.meter = spans.meter
    and parts.unit = spans.unit
    and parts.way > spans.way
    and parts.period_start < spans.period_end
    and parts.period_end > spans.period_start
