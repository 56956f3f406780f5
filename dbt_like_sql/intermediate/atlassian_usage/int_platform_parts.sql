-- One row per part of an organization's usage and period. What was exported can be split by workspace,
-- by user or by site, which are three ways to cut the same usage: of those that overlap one counts, in
-- this order. What another way says then is compared in reports.reconciliation.
-- grain: scope_type, org_id, meter, unit, site_id, project_id, user_id, period_start, period_end
with workspaces as (
    select
        cast('workspace' as varchar) as scope_type, workspace.org_id, workspace.meter,
        workspace.unit, workspace.site_id,
        workspace.project_id, cast(null as varchar) as user_id, workspace.period_start,
        workspace.period_end, workspace.quantity, workspace.exported_at
    from intermediate.int_platform_workspaces as workspace
),

others as (
    select
        period.scope_type, period.org_id, period.meter, period.unit, period.site_id,
        period.project_id, period.user_id, period.period_start, period.period_end,
        period.quantity, period.exported_at
    from intermediate.int_platform_periods as period
    where period.scope_type in ('user', 'site')
),

users as (
    select others.*
    from others
    anti join (
        select distinct
            workspaces.org_id, workspaces.meter, workspaces.unit, workspaces.period_start,
            workspaces.period_end
        from workspaces
    ) as counted
        on others.org_id = counted.org_id
        and others.meter = counted.meter
        and others.unit = counted.unit
        and others.period_start < counted.period_end
        and others.period_end > counted.period_start
    where others.scope_type = 'user'
),

workspaces_and_users as (
    select workspaces.* from workspaces
    union all
    select users.* from users
),

parts as (
    select workspaces_and_users.* from workspaces_and_users
    union all
    select others.*
    from others
    anti join (
        select distinct
            counted.org_id, counted.meter, counted.unit, counted.period_start,
            counted.period_end
        from workspaces_and_users as counted
    ) as counted
        on others.org_id = counted.org_id
        and others.meter = counted.meter
        and others.unit = counted.unit
        and others.period_start < counted.period_end
        and others.period_end > counted.period_start
    where others.scope_type = 'site'
)

select
    parts.scope_type, -- the way of splitting: workspace, user or site
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
