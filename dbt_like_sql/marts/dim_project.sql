-- One row per project ever seen, in a listing or in usage. Deleted ones stay, marked; one that was
-- deleted before it was ever listed has no name. Join on source, org_id (`is not distinct from`: Forge
-- names no org) and project_id: Bitbucket's repositories stand under atlassian_platform, too.
-- grain: source, org_id, project_id
with used as (
    select
        series.source, series.org_id, series.project_id,
        min(series.first_told_at) as first_told_at,
        min(series.first_used_at) as first_used_at,
        max(series.last_used_at) as last_used_at,
        max(series.last_computed_at) as last_computed_at
    from intermediate.int_series as series
    where series.project_id is not null
    group by series.source, series.org_id, series.project_id
),

listed as (
    select
        project.source, project.org_id, project.project_id, project.project_name,
        project.region_id, project.pg_version, project.created_at,
        project.first_seen_at, project.last_seen_at, project.is_deleted
    from staging.stg_neon__projects as project
    union all
    select
        repository.source, repository.workspace_uuid, repository.repository_uuid,
        repository.full_name, cast(null as varchar), cast(null as integer),
        repository.created_at, repository.first_seen_at, repository.last_seen_at,
        repository.is_deleted
    from staging.stg_bitbucket__repositories as repository
),

-- one that moved was listed in two workspaces
repository as (
    select repository.repository_uuid, repository.full_name
    from staging.stg_bitbucket__repositories as repository
    qualify row_number() over (
        partition by repository.repository_uuid
        order by repository.last_seen_at desc, repository.workspace_uuid
    ) = 1
)

select
    coalesce(listed.source, used.source) as source, -- vendor API family
    coalesce(listed.org_id, used.org_id) as org_id, -- the vendor's organization
    coalesce(listed.project_id, used.project_id) as project_id, -- the vendor's id
    -- a repository has the same name where exported minutes are attributed to it
    coalesce(listed.project_name, repository.full_name, name.name)
        as project_name, -- as listed, or else as in seeds/names.csv; null: neither has it
    listed.region_id, -- cloud and region
    listed.pg_version, -- Postgres major version
    listed.created_at, -- when it was made, as the vendor says
    listed.first_seen_at, listed.last_seen_at,
    -- used but never listed: gone, if the org was listed since it was first used
    cast(coalesce(listed.is_deleted, listing.listed_at > used.first_told_at, false) as boolean)
        as is_deleted, -- no longer listed; false: listed, or nobody lists it
    used.first_used_at, -- start of the first period with usage, UTC
    used.last_used_at, -- end of the last period with usage, UTC; what it stores is usage too
    used.last_computed_at -- end of the last period with compute, UTC; null: none is known
from listed
full join used
    on listed.source = used.source and listed.org_id = used.org_id
    and listed.project_id = used.project_id
left join staging.stg_loads__listings as listing
    on listing.resource in ('neon_projects', 'bitbucket_repositories') and listing.is_latest
    and used.source = listing.source and used.org_id = listing.scope
left join repository
    on used.source = 'atlassian_platform' and used.project_id = repository.repository_uuid
left join intermediate.int_names as name
    on name.kind = 'project' and lower(coalesce(listed.project_id, used.project_id)) = name.id
