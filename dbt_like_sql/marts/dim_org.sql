-- One row per organization (of Bitbucket: workspace) ever seen, in a listing or in usage. Deleted ones
-- stay, marked.
-- grain: source, org_id
with used as (
    select
        series.source, series.org_id,
        min(series.first_used_at) as first_used_at,
        max(series.last_used_at) as last_used_at
    from intermediate.int_series as series
    where series.org_id is not null
    group by series.source, series.org_id
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
    -- as the vendor lists it now, or else as seeds/names.csv has it; null: neither does
    coalesce(listed.org_name, name.name) as org_name, -- its name; null: not known
    listed.plan, -- plan, in the vendor's words
    listed.created_at, -- when it was made, as the vendor says
    listed.first_seen_at, listed.last_seen_at,
    cast(coalesce(listed.is_deleted, false) as boolean) as is_deleted, -- no longer listed
    used.first_used_at, -- start of the first period with usage, UTC
    used.last_used_at -- end of the last period with usage, UTC
from listed
full join used on listed.source = used.source and listed.org_id = used.org_id
left join intermediate.int_names as name
    on name.kind = 'org' and lower(coalesce(listed.org_id, used.org_id)) = name.id
