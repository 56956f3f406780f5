-- One row per list of names that was asked for (organizations, projects, repositories, ...). What a
-- complete one has not is gone.
-- grain: landed_at
select
    receipt.source, -- vendor API family
    receipt.resource, -- the table in raw.*
    receipt.scope, -- of what it lists the parts: an account, an org, a workspace
    receipt.landed_at, -- which rows of raw.* it told
    receipt.asked_at as listed_at, -- when it asked
    max(case when receipt.complete then receipt.asked_at end) over before
        as listed_before_at, -- when nothing was left out the time before; null: never
    max(case when receipt.complete then receipt.landed_at end) over before
        as landed_before_at, -- which rows that told; its order is right by any clock
    max(case when receipt.complete then receipt.asked_at end) over of_list
        as last_listed_at, -- when it was last asked, and nothing was left out
    cast(receipt.complete and row_number() over (
        of_list order by receipt.complete desc, receipt.landed_at desc
    ) = 1 as boolean) as is_latest -- of its scope the last that left nothing out
from raw.loads as receipt
where receipt.granularity = 'snapshot'
window
    of_list as (partition by receipt.resource, receipt.scope),
    before as (of_list order by receipt.landed_at rows between unbounded preceding and 1 preceding)
