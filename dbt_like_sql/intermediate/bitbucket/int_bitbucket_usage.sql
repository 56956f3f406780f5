-- One row per repository and UTC day whose build seconds count as a fact: those of days for which
-- nobody exported minutes. Where minutes were exported they are the fact, and these seconds
-- attribute them (int_platform_runs). Built whole: a month that is exported concerns all of its
-- days.
-- grain: workspace_uuid, repository_uuid, period_start
with exported as (
    select
        scope.org_id, scope.scope_type, scope.site_id, scope.project_id, scope.period_start,
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
-- of its workspace, or of a repository there that cannot be told
anti join exported as workspace
    on (
        workspace.scope_type = 'workspace'
        or (workspace.scope_type = 'repository' and workspace.project_id not like '{%')
    )
    and minutes.workspace_uuid = workspace.site_id
    and minutes.period_start < workspace.told_until
    and minutes.period_end > workspace.period_start
anti join exported as repository
    on repository.scope_type = 'repository'
    and minutes.repository_uuid = repository.project_id
    and minutes.period_start < repository.told_until
    and minutes.period_end > repository.period_start
-- of its organization or of users or sites there, where it is known whose it is
anti join exported as org
    on org.scope_type in ('org', 'user', 'site') and owner.org_id = org.org_id
    and minutes.period_start < org.told_until
    and minutes.period_end > org.period_start
