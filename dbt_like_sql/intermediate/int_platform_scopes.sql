-- One row per scope and period that was exported: the latest export of it, with the ids that facts
-- use. A workspace or repository is named by its uuid where Bitbucket was asked for its name. A row
-- without an app is the total of its apps; where there is none, the apps are added up.
-- grain: org_id, meter, unit, scope_type, site_id, project_id, user_id, granularity, period_start, period_end
with slugs as (
    select workspace.slug, min(workspace.workspace_uuid) as workspace_uuid
    from staging.stg_bitbucket__workspaces as workspace
    where not workspace.is_deleted
    group by workspace.slug
),

repositories as (
    select
        repository.full_name,
        min(repository.repository_uuid) as repository_uuid,
        min(repository.workspace_uuid) as workspace_uuid
    from staging.stg_bitbucket__repositories as repository
    group by repository.full_name
    union
    select repository.repository_uuid, repository.repository_uuid, repository.workspace_uuid
    from staging.stg_bitbucket__repositories as repository
),

named as (
    select
        usage.*,
        case usage.scope_type
            when 'site' then usage.scope_id
            when 'workspace' then coalesce(slugs.workspace_uuid, usage.scope_id)
            when 'repository' then coalesce(
                repositories.workspace_uuid, slugs.workspace_uuid,
                case when usage.scope_id like '%/%' then split_part(usage.scope_id, '/', 1) end
            )
        end as site_id,
        case when usage.scope_type = 'repository'
            then coalesce(repositories.repository_uuid, usage.scope_id) end as project_id,
        case when usage.scope_type = 'user' then usage.scope_id end as user_id
    from staging.stg_atlassian__platform_usage as usage
    left join slugs
        on usage.scope_type in ('workspace', 'repository')
        and split_part(usage.scope_id, '/', 1) = slugs.slug
    left join repositories
        on usage.scope_type = 'repository' and usage.scope_id = repositories.full_name
),

latest as (
    select named.*
    from named
    qualify row_number() over (
        partition by
            named.org_id, named.usage_type, named.unit, named.app, named.scope_type,
            named.site_id, named.project_id, named.user_id, named.granularity,
            named.period_start, named.period_end
        order by named.exported_at desc, named.loaded_at desc, named.line desc
    ) = 1
),

whole as (
    select latest.*
    from latest
    qualify latest.app is null or count(*) filter (latest.app is null) over (
        partition by
            latest.org_id, latest.usage_type, latest.unit, latest.scope_type, latest.site_id,
            latest.project_id, latest.user_id, latest.granularity, latest.period_start,
            latest.period_end
    ) = 0
)

select
    whole.org_id, -- Atlassian organization
    whole.usage_type as meter, -- what was used
    whole.unit, -- of the quantity
    whole.scope_type, -- org, site, workspace, user or repository
    cast(whole.site_id as varchar) as site_id, -- site, or workspace; null for org and user
    cast(whole.project_id as varchar) as project_id, -- repository; else null
    cast(whole.user_id as varchar) as user_id, -- user; else null
    whole.granularity, -- day, month or snapshot
    whole.period_start, -- first instant, UTC
    whole.period_end, -- first instant after the period, UTC
    cast(sum(whole.quantity) as decimal(38, 9)) as quantity, -- as exported
    cast(sum(whole.included_quantity) as decimal(38, 9)) as included_quantity, -- allowance shown
    max(whole.allowance_reset_at) as allowance_reset_at, -- when it starts anew
    cast(bool_and(coalesce(whole.is_final, false)) as boolean) as is_final, -- cannot change
    max(whole.exported_at) as exported_at -- when it was read off the page
from whole
group by
    whole.org_id, whole.usage_type, whole.unit, whole.scope_type, whole.site_id,
    whole.project_id, whole.user_id, whole.granularity, whole.period_start, whole.period_end
