-- One row per slug and workspace that was ever listed with it, and when it was: a workspace that is
-- renamed leaves its slug to others, and exports made before name it as it was called then.
-- grain: slug, workspace_uuid
with listed as (
    select workspace.slug, workspace.workspace_uuid, receipt.asked_at
    from raw.bitbucket_workspaces as workspace
    inner join raw.loads as receipt on workspace.load_id = receipt.load_id
    where receipt.resource = 'bitbucket_workspaces'
    union all
    select split_part(repository.full_name, '/', 1), repository.workspace_uuid, receipt.asked_at
    from raw.bitbucket_repositories as repository
    inner join raw.loads as receipt
        on repository.load_id = receipt.load_id and repository.workspace_uuid = receipt.scope
    where receipt.resource = 'bitbucket_repositories'
),

holders as (
    select
        lower(listed.slug) as slug,
        listed.workspace_uuid,
        min(listed.asked_at) as first_listed_at
    from listed
    group by lower(listed.slug), listed.workspace_uuid
)

select
    holders.slug, -- short name in addresses, in small letters
    holders.workspace_uuid, -- Bitbucket workspace
    cast(case
        when lag(holders.first_listed_at) over (
            partition by holders.slug order by holders.first_listed_at, holders.workspace_uuid
        ) is null then timestamptz '1970-01-01 00:00:00+00'
        else holders.first_listed_at
    end as timestamptz) as valid_from, -- the first one to have it always had it
    cast(coalesce(
        lead(holders.first_listed_at) over (
            partition by holders.slug order by holders.first_listed_at, holders.workspace_uuid
        ),
        timestamptz '9999-12-31 00:00:00+00'
    ) as timestamptz) as valid_until -- when the next one was listed with it
from holders
