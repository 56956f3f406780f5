-- One row per repository and UTC day whose build seconds count as a fact: those of days for which
-- nobody exported minutes. Where minutes were exported they are the fact, and these seconds attribute
-- them (int_platform_runs). Built whole: a month that is exported concerns all of its days.
-- grain: workspace_uuid, repository_uuid, period_start
select
    minutes.workspace_uuid, -- Bitbucket workspace
    minutes.repository_uuid, -- Bitbucket repository
    minutes.period_start, -- UTC day
    minutes.period_end, -- first instant of the next day, UTC
    minutes.build_seconds as quantity, -- seconds that Bitbucket counts as used
    minutes.observed_at -- when Bitbucket said so
from intermediate.int_bitbucket_minutes as minutes
left join intermediate.int_bitbucket_owners as owner
    on minutes.workspace_uuid = owner.workspace_uuid
where not exists (
    select 1
    from intermediate.int_platform_periods as exported
    where exported.meter = 'pipelines_build_minutes'
        and exported.period_start < minutes.period_end
        -- a month that was exported on its tenth day says nothing of the days after that
        and least(exported.period_end, exported.exported_at) > minutes.period_start
        and case exported.scope_type
            when 'workspace' then exported.site_id = minutes.workspace_uuid
            -- one repository says nothing of the others, unless it cannot be told which it is
            when 'repository' then exported.project_id = minutes.repository_uuid
                or (exported.site_id = minutes.workspace_uuid and exported.project_id not like '{%')
            -- an organization's: its own workspaces, or all where it is not known whose they are
            when 'org' then coalesce(owner.org_id, exported.org_id) = exported.org_id
            else false
        end
)
