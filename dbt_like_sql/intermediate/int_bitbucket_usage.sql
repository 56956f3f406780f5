-- One row per repository and UTC day whose build seconds count as a fact: those of days for which
-- nobody exported minutes. Where minutes were exported they are the fact, and these seconds attribute
-- them (int_platform_workspaces). Built whole: a month that is exported concerns all of its days.
-- grain: workspace_uuid, repository_uuid, period_start
with owners as (
    select scope.site_id as workspace_uuid, min(scope.org_id) as org_id
    from intermediate.int_platform_scopes as scope
    where scope.scope_type in ('workspace', 'repository')
    group by scope.site_id
    having count(distinct scope.org_id) = 1
)

select
    minutes.workspace_uuid, -- Bitbucket workspace
    minutes.repository_uuid, -- Bitbucket repository
    minutes.period_start, -- UTC day
    minutes.period_end, -- first instant of the next day, UTC
    minutes.build_seconds as quantity, -- seconds that Bitbucket counts as used
    minutes.observed_at -- when Bitbucket said so
from intermediate.int_bitbucket_minutes as minutes
left join owners on minutes.workspace_uuid = owners.workspace_uuid
where not exists (
    select 1
    from intermediate.int_platform_periods as exported
    where exported.meter = 'pipelines_build_minutes'
        and exported.period_start < minutes.period_end
        and exported.period_end > minutes.period_start
        and case exported.scope_type
            when 'workspace' then exported.site_id = minutes.workspace_uuid
            -- one repository says nothing of the others, unless it cannot be told which it is
            when 'repository' then exported.project_id = minutes.repository_uuid
                or (exported.site_id = minutes.workspace_uuid and exported.project_id not like '{%')
            -- an organization's: its own workspaces, or all where it is not known whose they are
            else coalesce(owners.org_id, exported.org_id) = exported.org_id
        end
)
