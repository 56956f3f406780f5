-- One row per table and scope of which all that is known is that there is such a scope: the loads that
-- asked for it failed, or were killed before they did.
-- grain: resource, scope
select
    receipt.source, -- vendor API family
    receipt.resource, -- the table in raw.*
    receipt.scope, -- what is to be asked about
    min(receipt.asked_at) as seen_at -- since when it is known
from raw.loads as receipt
group by receipt.source, receipt.resource, receipt.scope
having bool_and(receipt.granularity = 'seen')
