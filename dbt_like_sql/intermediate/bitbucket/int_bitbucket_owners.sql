-- One row per Bitbucket workspace whose organization is known: the one that named it in an export, or
-- else the only one that ever exported Pipelines minutes. No documented call tells it.
-- grain: workspace_uuid
with named as (
    select scope.site_id as workspace_uuid, min(scope.org_id) as org_id
    from intermediate.int_platform_scopes as scope
    where scope.scope_type in ('workspace', 'repository')
    group by scope.site_id
    having count(distinct scope.org_id) = 1
),

only_one as (
    select min(scope.org_id) as org_id
    from intermediate.int_platform_scopes as scope
    where scope.meter = 'pipelines_build_minutes'
    having count(distinct scope.org_id) = 1
),

workspaces as (
    select distinct minutes.workspace_uuid
    from intermediate.int_bitbucket_minutes as minutes
)

select
    workspaces.workspace_uuid, -- Bitbucket workspace
    cast(coalesce(named.org_id, only_one.org_id) as varchar) as org_id -- Atlassian organization
from workspaces
left join named on workspaces.workspace_uuid = named.workspace_uuid
left join only_one on true
where coalesce(named.org_id, only_one.org_id) is not null
