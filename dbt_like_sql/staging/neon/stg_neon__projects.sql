-- One row per Neon project ever listed, as last listed. Projects deleted before the first listing
-- are not here; their usage is in the facts all the same.
-- grain: org_id, project_id
with listings as (
    select
        receipt.scope as org_id,
        max(receipt.asked_at) as last_listed_at
    from raw.loads as receipt
    where receipt.resource = 'neon_projects' and receipt.complete
    group by receipt.scope
),

seen as (
    select
        project.*,
        receipt.asked_at,
        min(receipt.asked_at) over (partition by project.org_id, project.project_id)
            as first_seen_at,
        row_number() over (
            partition by project.org_id, project.project_id
            order by receipt.asked_at desc, project.page desc
        ) as recency
    from raw.neon_projects as project
    inner join raw.loads as receipt
        on project.load_id = receipt.load_id and project.org_id = receipt.scope
    where receipt.resource = 'neon_projects'
)

select
    seen.org_id, -- Neon organization
    seen.project_id, -- Neon project
    seen.name as project_name, -- its name
    seen.region_id, -- cloud and region
    seen.pg_version, -- Postgres major version
    seen.history_retention_seconds, -- instant restore window, seconds
    seen.created_at, -- when it was made
    cast(seen.first_seen_at as timestamptz) as first_seen_at, -- first time it was listed to us
    seen.asked_at as last_seen_at, -- last time it was listed to us
    cast(coalesce(seen.asked_at < listings.last_listed_at, false) as boolean)
        as is_deleted -- no longer listed
from seen
left join listings on seen.org_id = listings.org_id
where seen.recency = 1
