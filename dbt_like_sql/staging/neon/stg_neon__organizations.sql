-- One row per Neon organization ever seen, as last seen.
-- grain: org_id
select
    listing.source,
    org.org_id, -- Neon organization
    org.name as org_name, -- its name
    org.plan, -- plan, in Neon's organization vocabulary (free_v2, launch, scale, ...)
    org.created_at, -- when it was made
    cast(min(listing.listed_at) over (partition by org.org_id) as timestamptz)
        as first_seen_at, -- first time it was listed to us
    listing.listed_at as last_seen_at, -- last time it was listed to us
    -- each account lists those that it sees
    listing.is_outdated as is_deleted -- no longer listed
from raw.neon_organizations as org
inner join staging.stg_loads__listings as listing
    on listing.resource = 'neon_organizations' and org.load_id = listing.load_id
qualify row_number() over (
    partition by org.org_id order by listing.listed_at desc, org.page desc
) = 1
