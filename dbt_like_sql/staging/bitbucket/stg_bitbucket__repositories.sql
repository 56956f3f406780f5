-- One row per Bitbucket repository ever listed, as last listed. What a deleted one used stays.
-- grain: workspace_uuid, repository_uuid
with listings as (
    select
        receipt.scope as workspace_uuid,
        max(receipt.asked_at) as last_listed_at
    from raw.loads as receipt
    where receipt.resource = 'bitbucket_repositories' and receipt.complete
    group by receipt.scope
),

seen as (
    select
        repository.*,
        receipt.asked_at,
        min(receipt.asked_at) over (
            partition by repository.workspace_uuid, repository.repository_uuid
        ) as first_seen_at,
        row_number() over (
            partition by repository.workspace_uuid, repository.repository_uuid
            order by receipt.asked_at desc, repository.page desc
        ) as recency
    from raw.bitbucket_repositories as repository
    inner join raw.loads as receipt
        on repository.load_id = receipt.load_id and repository.workspace_uuid = receipt.scope
    where receipt.resource = 'bitbucket_repositories'
)

select
    seen.workspace_uuid, -- Bitbucket workspace
    seen.repository_uuid, -- Bitbucket repository
    seen.full_name, -- workspace/repository, as in its address
    seen.size_bytes, -- size of the git repository, without large files
    seen.created_at, -- when it was made
    cast(seen.first_seen_at as timestamptz) as first_seen_at, -- first time it was listed to us
    seen.asked_at as last_seen_at, -- last time it was listed to us
    cast(coalesce(seen.asked_at < listings.last_listed_at, false) as boolean)
        as is_deleted -- no longer listed
from seen
left join listings on seen.workspace_uuid = listings.workspace_uuid
where seen.recency = 1
