-- One row per list of names that was asked for (organizations, projects, repositories, ...). What the
-- latest complete one has not is gone.
-- grain: load_id, resource, scope
select
    receipt.source, -- vendor API family
    receipt.resource, -- the table in raw.*
    receipt.scope, -- of what it lists the parts: an account, an org, a workspace
    receipt.load_id, -- the load that asked
    receipt.asked_at as listed_at, -- when it asked
    cast(receipt.complete and row_number() over same_list = 1 as boolean)
        as is_latest, -- of its scope the last that left nothing out
    cast(coalesce(
        receipt.asked_at < max(case when receipt.complete then receipt.asked_at end)
            over same_list, false
    ) as boolean) as is_outdated -- a later one left nothing out
from raw.loads as receipt
where receipt.granularity = 'snapshot'
window same_list as (
    partition by receipt.resource, receipt.scope
    order by receipt.complete desc, receipt.asked_at desc, receipt.load_id desc
)
