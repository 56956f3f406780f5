-- One row per Neon organization ever seen, as last seen.
-- grain: org_id
with told as (
    -- each account lists those that it sees
    select
        listing.source,
        org.*,
        cast(min(listing.listed_at) over (partition by org.org_id) as timestamptz) as first_seen_at,
        cast(greatest(
            max(case when not org.is_withdrawn then listing.listed_at end)
                over (partition by org.scope, org.org_id),
            case when org.is_withdrawn then listing.listed_before_at else listing.last_listed_at end
        ) as timestamptz) as last_seen_at
    from raw.neon_organizations as org
    inner join staging.stg_loads__listings as listing
        on listing.resource = 'neon_organizations' and org.landed_at = listing.landed_at
    qualify row_number() over (partition by org.scope, org.org_id order by org.landed_at desc) = 1
)

select
    told.source,
    told.org_id, -- Neon organization
    told.name as org_name, -- its name
    told.plan, -- plan, in Neon's organization vocabulary (free_v2, launch, scale, ...)
    told.created_at, -- when it was made
    told.first_seen_at, -- first time it was listed to us
    told.last_seen_at, -- last time it was listed to us
    bool_and(told.is_withdrawn) over (partition by told.org_id) as is_deleted -- no longer listed
from told
qualify row_number() over (partition by told.org_id order by told.last_seen_at desc, told.scope) = 1
