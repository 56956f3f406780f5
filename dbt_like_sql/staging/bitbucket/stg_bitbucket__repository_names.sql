-- One row per name and repository that was ever listed with it, and when it was. Exports may use the
-- uuid as well, which is a name like the others.
-- grain: name, repository_uuid
with listed as (
    select
        repository.full_name, repository.repository_uuid, repository.workspace_uuid,
        receipt.asked_at
    from raw.bitbucket_repositories as repository
    inner join raw.loads as receipt
        on repository.load_id = receipt.load_id and repository.workspace_uuid = receipt.scope
    where receipt.resource = 'bitbucket_repositories'
),

holders as (
    select
        lower(listed.full_name) as name, listed.repository_uuid,
        min(listed.workspace_uuid) as workspace_uuid, min(listed.asked_at) as first_listed_at
    from listed
    group by lower(listed.full_name), listed.repository_uuid
    union all
    select
        lower(listed.repository_uuid), listed.repository_uuid, min(listed.workspace_uuid),
        min(listed.asked_at)
    from listed
    group by listed.repository_uuid
)

select
    cast(holders.name as varchar) as name, -- workspace/repository, or the uuid; in small letters
    holders.repository_uuid, -- Bitbucket repository
    cast(holders.workspace_uuid as varchar) as workspace_uuid, -- its workspace
    cast(case
        when lag(holders.first_listed_at) over (
            partition by holders.name order by holders.first_listed_at, holders.repository_uuid
        ) is null then timestamptz '1970-01-01 00:00:00+00'
        else holders.first_listed_at
    end as timestamptz) as valid_from, -- the first one to have it always had it
    cast(coalesce(
        lead(holders.first_listed_at) over (
            partition by holders.name order by holders.first_listed_at, holders.repository_uuid
        ),
        timestamptz '9999-12-31 00:00:00+00'
    ) as timestamptz) as valid_until -- when the next one was listed with it
from holders
