-- One row per project ever seen, in a listing or in usage. Deleted ones stay, marked; one that was
-- deleted before it was ever listed has no name.
-- grain: source, org_id, project_id
with used as (
    select
        usage.source,
        usage.org_id,
        usage.project_id,
        min(usage.period_end) as first_used_at
    from intermediate.int_usage as usage
    group by usage.source, usage.org_id, usage.project_id
),

listings as (
    select
        cast('neon' as varchar) as source,
        receipt.scope as org_id,
        max(receipt.asked_at) as listed_at
    from staging.stg_loads__receipts as receipt
    where receipt.resource = 'neon_projects' and receipt.is_complete
    group by receipt.scope
),

listed as (
    select cast('neon' as varchar) as source, project.*
    from staging.stg_neon__projects as project
)

select
    coalesce(listed.source, used.source) as source, -- vendor API family
    coalesce(listed.org_id, used.org_id) as org_id, -- the vendor's organization
    coalesce(listed.project_id, used.project_id) as project_id, -- the vendor's id
    listed.project_name, -- current name; null where the vendor never listed it
    listed.region_id, -- cloud and region
    listed.pg_version, -- Postgres major version
    listed.created_at, -- when it was made, as the vendor says
    listed.first_seen_at, -- first time it was listed to us
    listed.last_seen_at, -- last time it was listed to us
    -- used but never listed: gone, if the org was listed since it was first used
    cast(coalesce(listed.is_deleted, listings.listed_at > used.first_used_at) as boolean)
        as is_deleted -- no longer listed; null: not known yet
from listed
full join used
    on listed.source = used.source
    and listed.org_id = used.org_id
    and listed.project_id = used.project_id
left join listings on used.source = listings.source and used.org_id = listings.org_id
