-- One row per complete receipt and bucket that lies within its window from start to end: what a vendor
-- was really asked for. Older receipts may end inside a bucket; what they say of it counts for nothing.
-- grain: load_id, resource, scope, granularity, bucket_start
-- window: bucket_start
select
    receipt.source, -- vendor API family
    receipt.resource, -- the table in raw.*
    receipt.scope, -- what was asked about: an org id
    receipt.granularity, -- hourly, daily or monthly
    calendar.bucket_start, -- first instant of the bucket, UTC
    calendar.bucket_end, -- first instant of the next bucket, UTC
    receipt.load_id, -- the load that asked
    receipt.asked_at -- when it asked
from raw.loads as receipt
inner join staging.stg_calendar__buckets as calendar
    on receipt.granularity = calendar.granularity
    and calendar.bucket_start >= receipt.window_start
    and calendar.bucket_end <= receipt.window_end
where receipt.complete
