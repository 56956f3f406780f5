-- One row per Neon project ever listed, as last listed. Projects deleted before the first listing
-- are not here; their usage is in the facts all the same.
-- grain: org_id, project_id
select
    listing.source,
    project.org_id, -- Neon organization
    project.project_id, -- Neon project
    project.name as project_name, -- its name
    project.region_id, -- cloud and region
    project.pg_version, -- Postgres major version
    project.created_at, -- when it was made
    cast(min(listing.listed_at) over same_project as timestamptz)
        as first_seen_at, -- first time it was listed to us
    cast(greatest(
        max(case when not project.is_withdrawn then listing.listed_at end) over same_project,
        case when project.is_withdrawn then listing.listed_before_at else listing.last_listed_at end
    ) as timestamptz) as last_seen_at, -- last time it was listed to us
    project.is_withdrawn as is_deleted -- no longer listed
from raw.neon_projects as project
inner join staging.stg_loads__listings as listing
    on listing.resource = 'neon_projects' and project.landed_at = listing.landed_at
window same_project as (partition by project.org_id, project.project_id)
qualify row_number() over (same_project order by project.landed_at desc) = 1
