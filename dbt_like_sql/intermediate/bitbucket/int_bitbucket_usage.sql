-- One row per repository and UTC day whose build seconds count as a fact: those of days for which
-- nobody exported minutes. Where minutes were exported they are the fact, and these seconds
-- attribute them (int_platform_runs). Built whole: a month that is exported concerns all of its
-- days.
-- grain: workspace_uuid, repository_uuid, period_start
with exported as (
    select
        case
            -- or of a repository there that cannot be told
            when scope.scope_type = 'workspace' or scope.project_id not like '{%' then scope.site_id
            when scope.scope_type = 'repository' then scope.project_id
            else scope.org_id
        end as told_of,
        scope.period_start,
        -- a month that was exported on its tenth day says nothing of the days after that
        least(scope.period_end, scope.exported_at) as told_until
    from intermediate.int_platform_scopes as scope
    where scope.meter = 'pipelines_build_minutes'
)

select
    minutes.workspace_uuid, minutes.repository_uuid, minutes.period_start, minutes.period_end,
    minutes.build_seconds as quantity, -- seconds that Bitbucket counts as used
    minutes.observed_at
from intermediate.int_bitbucket_minutes as minutes
left join intermediate.int_bitbucket_owners as owner
    on minutes.workspace_uuid = owner.workspace_uuid
anti join exported as workspace
    on minutes.workspace_uuid = workspace.told_of and minutes.period_start < workspace.told_until
    and minutes.period_end > workspace.period_start
anti join exported as repository
    on minutes.repository_uuid = repository.told_of and minutes.period_start < repository.told_until
    and minutes.period_end > repository.period_start
-- or of users or sites there, where it is known whose it is
anti join exported as org
    on owner.org_id = org.told_of and minutes.period_start < org.told_until
    and minutes.period_end > org.period_start
