-- One row per Neon organization ever seen, as last seen.
-- grain: org_id
with seen as (
    select
        org.*,
        receipt.asked_at,
        receipt.scope as listed_for,
        min(receipt.asked_at) over (partition by org.org_id) as first_seen_at,
        row_number() over (
            partition by org.org_id order by receipt.asked_at desc, org.page desc
        ) as recency
    from raw.neon_organizations as org
    inner join raw.loads as receipt on org.load_id = receipt.load_id
    where receipt.resource = 'neon_organizations'
)

select
    seen.org_id, -- Neon organization
    seen.name as org_name, -- its name
    seen.plan, -- plan, in Neon's organization vocabulary (free_v2, launch, scale, ...)
    seen.created_at, -- when it was made
    cast(seen.first_seen_at as timestamptz) as first_seen_at, -- first time it was listed to us
    seen.asked_at as last_seen_at, -- last time it was listed to us
    cast(seen.asked_at < (
        -- each account lists those that it sees
        select max(receipt.asked_at) from raw.loads as receipt
        where receipt.resource = 'neon_organizations' and receipt.complete
            and receipt.scope = seen.listed_for
    ) as boolean) as is_deleted -- no longer listed
from seen
where seen.recency = 1
