-- One row per Bitbucket workspace ever listed, as last listed.
-- grain: workspace_uuid
with seen as (
    select
        workspace.*,
        receipt.asked_at,
        receipt.scope as listed_for,
        min(receipt.asked_at) over (partition by workspace.workspace_uuid) as first_seen_at,
        row_number() over (
            partition by workspace.workspace_uuid
            order by receipt.asked_at desc, workspace.page desc
        ) as recency
    from raw.bitbucket_workspaces as workspace
    inner join raw.loads as receipt on workspace.load_id = receipt.load_id
    where receipt.resource = 'bitbucket_workspaces'
)

select
    seen.workspace_uuid, -- Bitbucket workspace
    seen.slug, -- its short name in addresses
    seen.name as workspace_name, -- its name
    seen.created_at, -- when it was made
    cast(seen.first_seen_at as timestamptz) as first_seen_at, -- first time it was listed to us
    seen.asked_at as last_seen_at, -- last time it was listed to us
    cast(seen.asked_at < (
        -- each account lists those that it sees
        select max(receipt.asked_at) from raw.loads as receipt
        where receipt.resource = 'bitbucket_workspaces' and receipt.complete
            and receipt.scope = seen.listed_for
    ) as boolean) as is_deleted -- no longer listed
from seen
where seen.recency = 1
