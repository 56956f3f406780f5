-- One row per organization (of Bitbucket: workspace) ever seen, in a listing or in usage. Deleted ones
-- stay, marked.
-- grain: source, org_id
with used as (
    select distinct usage.source, usage.org_id
    from intermediate.int_usage_by_day as usage
    where usage.org_id is not null
),

listed as (
    select
        org.source, org.org_id, org.org_name, org.plan, org.created_at, org.first_seen_at,
        org.last_seen_at, org.is_deleted
    from staging.stg_neon__organizations as org
    union all
    select
        workspace.source, workspace.workspace_uuid, workspace.workspace_name,
        cast(null as varchar), workspace.created_at, workspace.first_seen_at,
        workspace.last_seen_at, workspace.is_deleted
    from staging.stg_bitbucket__workspaces as workspace
)

select
    coalesce(listed.source, used.source) as source, -- vendor API family
    coalesce(listed.org_id, used.org_id) as org_id, -- the vendor's id
    listed.org_name, -- current name; null where the vendor never listed it
    listed.plan, -- plan, in the vendor's words
    listed.created_at, -- when it was made, as the vendor says
    listed.first_seen_at, -- first time it was listed to us
    listed.last_seen_at, -- last time it was listed to us
    cast(coalesce(listed.is_deleted, false) as boolean) as is_deleted -- no longer listed
from listed
full join used on listed.source = used.source and listed.org_id = used.org_id
