-- One row per branch ever seen, in a listing or in usage. Deleted ones stay, marked; one that was
-- deleted before it was ever listed has no name but one of your own.
-- grain: source, org_id, project_id, branch_id
with used as (
    select
        series.source, series.org_id, series.project_id, series.branch_id,
        min(series.first_told_at) as first_told_at,
        min(series.first_used_at) as first_used_at,
        max(series.last_used_at) as last_used_at,
        max(series.last_computed_at) as last_computed_at
    from intermediate.int_series as series
    where series.branch_id is not null
    group by series.source, series.org_id, series.project_id, series.branch_id
)

select
    coalesce(listed.source, used.source) as source, -- vendor API family
    coalesce(listed.org_id, used.org_id) as org_id, -- the vendor's organization
    coalesce(listed.project_id, used.project_id) as project_id, -- the vendor's project
    coalesce(listed.branch_id, used.branch_id) as branch_id, -- the vendor's id
    coalesce(listed.branch_name, name.name)
        as branch_name, -- as listed, or else as in seeds/names.csv; null: neither has it
    listed.parent_branch_id, -- branch it was made from; null: a root branch, or not known
    listed.logical_size_bytes, listed.is_default,
    listed.created_at, -- when it was made, as the vendor says
    listed.first_seen_at, listed.last_seen_at,
    -- used but never listed: gone, if the org was listed since it was first used
    cast(coalesce(listed.is_deleted, listing.listed_at > used.first_told_at, false) as boolean)
        as is_deleted, -- no longer listed; false: listed, or nobody lists it
    used.first_used_at, -- start of the first period with usage, UTC
    used.last_used_at, -- end of the last period with usage, UTC; what it stores is usage too
    used.last_computed_at -- end of the last period with compute, UTC; null: none is known
from staging.stg_neon__branches as listed
full join used
    on listed.source = used.source and listed.org_id = used.org_id
    and listed.project_id = used.project_id and listed.branch_id = used.branch_id
left join staging.stg_loads__listings as listing
    on listing.resource = 'neon_branches' and listing.is_latest
    and used.source = listing.source and used.org_id = listing.scope
left join intermediate.int_names as name
    on name.kind = 'branch' and lower(coalesce(listed.branch_id, used.branch_id)) = name.id
