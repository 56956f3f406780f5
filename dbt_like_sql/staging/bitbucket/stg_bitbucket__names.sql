-- One row per name and workspace or repository that was ever listed with it, and when it was: what is
-- renamed leaves its name to others, and exports made before name it as it was called then. Exports
-- may use a repository's uuid as well, which is a name like the others.
-- grain: name, workspace_uuid, repository_uuid
with listed as (
    select
        repository.full_name, repository.repository_uuid, repository.workspace_uuid,
        listing.listed_at
    from raw.bitbucket_repositories as repository
    inner join staging.stg_loads__listings as listing
        on listing.resource = 'bitbucket_repositories'
        and repository.landed_at = listing.landed_at
),

named as (
    select
        workspace.slug as name, workspace.workspace_uuid,
        cast(null as varchar) as repository_uuid, listing.listed_at
    from raw.bitbucket_workspaces as workspace
    inner join staging.stg_loads__listings as listing
        on listing.resource = 'bitbucket_workspaces' and workspace.landed_at = listing.landed_at
    union all
    select
        case names.is_of when 'workspace' then split_part(listed.full_name, '/', 1)
            when 'repository' then listed.full_name else listed.repository_uuid end,
        listed.workspace_uuid,
        case when names.is_of <> 'workspace' then listed.repository_uuid end, listed.listed_at
    from listed
    cross join (values ('workspace'), ('repository'), ('uuid')) as names (is_of)
),

known as (
    select
        lower(named.name) as name, named.repository_uuid, named.workspace_uuid,
        min(named.listed_at) as first_listed_at
    from named
    group by lower(named.name), named.repository_uuid, named.workspace_uuid
)

select
    cast(known.name as varchar) as name, -- workspace, workspace/repository or uuid; in small letters
    cast(known.workspace_uuid as varchar) as workspace_uuid, -- Bitbucket workspace
    known.repository_uuid, -- Bitbucket repository; null: the workspace itself is called so
    cast(case
        when lag(known.first_listed_at) over same_name is null
            then timestamptz '1970-01-01 00:00:00+00'
        else known.first_listed_at
    end as timestamptz) as valid_from, -- the first one to have it always had it
    cast(coalesce(
        lead(known.first_listed_at) over same_name, timestamptz '9999-12-31 00:00:00+00'
    ) as timestamptz) as valid_until -- when the next one was listed with it
from known
window same_name as (
    partition by known.name, known.repository_uuid is null
    order by known.first_listed_at, known.repository_uuid, known.workspace_uuid
)
