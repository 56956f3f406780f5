-- One row per Bitbucket repository ever listed, as last listed. What a deleted one used stays.
-- grain: workspace_uuid, repository_uuid
select
    listing.source,
    repository.workspace_uuid, -- Bitbucket workspace
    repository.repository_uuid, -- Bitbucket repository
    repository.full_name, -- workspace/repository, as in its address
    repository.created_at, -- when it was made
    cast(min(listing.listed_at) over same_repository as timestamptz)
        as first_seen_at, -- first time it was listed to us
    cast(greatest(
        max(case when not repository.is_withdrawn then listing.listed_at end) over same_repository,
        case when repository.is_withdrawn then listing.listed_before_at else listing.last_listed_at end
    ) as timestamptz) as last_seen_at, -- last time it was listed to us
    repository.is_withdrawn as is_deleted -- no longer listed
from raw.bitbucket_repositories as repository
inner join staging.stg_loads__listings as listing
    on listing.resource = 'bitbucket_repositories' and repository.landed_at = listing.landed_at
window same_repository as (partition by repository.workspace_uuid, repository.repository_uuid)
qualify row_number() over (same_repository order by repository.landed_at desc) = 1
