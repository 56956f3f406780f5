-- One row per table and scope that is no longer asked about: it is gone, or no longer named, and did
-- not answer since. What it told stays.
-- grain: resource, scope
select
    receipt.resource, -- the table in raw.*
    receipt.scope, -- what was asked about
    max(case when receipt.granularity = 'ended' then receipt.asked_at end)
        as ended_at -- when it was found so
from raw.loads as receipt
where receipt.complete
group by receipt.resource, receipt.scope
having max(case when receipt.granularity = 'ended' then receipt.landed_at end) = max(receipt.landed_at)
