-- One row per Neon branch ever listed, as last listed.
-- grain: org_id, project_id, branch_id
with listings as (
    select
        receipt.scope as org_id,
        max(receipt.asked_at) as last_listed_at
    from raw.loads as receipt
    where receipt.resource = 'neon_branches' and receipt.complete
    group by receipt.scope
),

seen as (
    select
        branch.*,
        receipt.asked_at,
        min(receipt.asked_at) over (partition by branch.org_id, branch.branch_id)
            as first_seen_at,
        row_number() over (
            partition by branch.org_id, branch.project_id, branch.branch_id
            order by receipt.asked_at desc, branch.page desc
        ) as recency
    from raw.neon_branches as branch
    inner join raw.loads as receipt
        on branch.load_id = receipt.load_id and branch.org_id = receipt.scope
    where receipt.resource = 'neon_branches'
)

select
    seen.org_id, -- Neon organization
    seen.project_id, -- Neon project
    seen.branch_id, -- Neon branch
    seen.name as branch_name, -- its name
    seen.parent_id as parent_branch_id, -- branch it was made from; null: a root branch
    seen.logical_size as logical_size_bytes, -- size of its data when last listed, bytes
    seen.is_default, -- the project's default branch
    seen.is_protected, -- protected from deletion
    seen.created_at, -- when it was made
    cast(seen.first_seen_at as timestamptz) as first_seen_at, -- first time it was listed to us
    seen.asked_at as last_seen_at, -- last time it was listed to us
    cast(coalesce(seen.asked_at < listings.last_listed_at, false) as boolean)
        as is_deleted -- no longer listed
from seen
left join listings on seen.org_id = listings.org_id
where seen.recency = 1
