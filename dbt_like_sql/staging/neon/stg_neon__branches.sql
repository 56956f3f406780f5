-- One row per Neon branch ever listed, as last listed.
-- grain: org_id, project_id, branch_id
select
    listing.source,
    branch.org_id, -- Neon organization
    branch.project_id, -- Neon project
    branch.branch_id, -- Neon branch
    branch.name as branch_name, -- its name
    branch.parent_id as parent_branch_id, -- branch it was made from; null: a root branch
    branch.logical_size as logical_size_bytes, -- size of its data when last listed, bytes
    branch.is_default, -- the project's default branch
    branch.created_at, -- when it was made
    cast(min(listing.listed_at) over same_branch as timestamptz)
        as first_seen_at, -- first time it was listed to us
    cast(greatest(
        max(case when not branch.is_withdrawn then listing.listed_at end) over same_branch,
        case when branch.is_withdrawn then listing.listed_before_at else listing.last_listed_at end
    ) as timestamptz) as last_seen_at, -- last time it was listed to us
    branch.is_withdrawn as is_deleted -- no longer listed
from raw.neon_branches as branch
inner join staging.stg_loads__listings as listing
    on listing.resource = 'neon_branches' and branch.landed_at = listing.landed_at
window same_branch as (partition by branch.org_id, branch.project_id, branch.branch_id)
qualify row_number() over (same_branch order by branch.landed_at desc) = 1
