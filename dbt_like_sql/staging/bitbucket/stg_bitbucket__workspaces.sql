-- One row per Bitbucket workspace ever listed, as last listed.
-- grain: workspace_uuid
select
    listing.source,
    workspace.workspace_uuid, -- Bitbucket workspace
    workspace.slug, -- its short name in addresses
    workspace.name as workspace_name, -- its name
    workspace.created_at, -- when it was made
    cast(min(listing.listed_at) over (partition by workspace.workspace_uuid) as timestamptz)
        as first_seen_at, -- first time it was listed to us
    listing.listed_at as last_seen_at, -- last time it was listed to us
    -- each account lists those that it sees
    listing.is_outdated as is_deleted -- no longer listed
from raw.bitbucket_workspaces as workspace
inner join staging.stg_loads__listings as listing
    on listing.resource = 'bitbucket_workspaces' and workspace.load_id = listing.load_id
qualify row_number() over (
    partition by workspace.workspace_uuid order by listing.listed_at desc, workspace.page desc
) = 1
