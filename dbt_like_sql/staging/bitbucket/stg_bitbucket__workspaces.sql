-- One row per Bitbucket workspace ever listed, as last listed.
-- grain: workspace_uuid
with told as (
    -- each account lists those that it sees
    select
        listing.source,
        workspace.*,
        cast(min(listing.listed_at) over (partition by workspace.workspace_uuid) as timestamptz)
            as first_seen_at,
        cast(greatest(
            max(case when not workspace.is_withdrawn then listing.listed_at end)
                over (partition by workspace.scope, workspace.workspace_uuid),
            case when workspace.is_withdrawn then listing.listed_before_at else listing.last_listed_at end
        ) as timestamptz) as last_seen_at
    from raw.bitbucket_workspaces as workspace
    inner join staging.stg_loads__listings as listing
        on listing.resource = 'bitbucket_workspaces' and workspace.landed_at = listing.landed_at
    qualify row_number() over (
        partition by workspace.scope, workspace.workspace_uuid order by workspace.landed_at desc
    ) = 1
)

select
    told.source,
    told.workspace_uuid, -- Bitbucket workspace
    told.slug, -- its short name in addresses
    told.name as workspace_name, -- its name
    told.created_at, -- when it was made
    told.first_seen_at, -- first time it was listed to us
    told.last_seen_at, -- last time it was listed to us
    bool_and(told.is_withdrawn) over (partition by told.workspace_uuid) as is_deleted -- no longer listed
from told
qualify row_number() over (
    partition by told.workspace_uuid order by told.last_seen_at desc, told.scope
) = 1
