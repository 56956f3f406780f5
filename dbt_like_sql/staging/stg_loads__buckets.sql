-- One row per scope and bucket that a vendor was asked about: the latest complete receipt that
-- covers it. A bucket that is not here is unknown, never zero.
-- grain: resource, scope, granularity, bucket_start
-- window: bucket_start
select
    receipt.source, -- vendor API family
    receipt.resource, -- the table in raw.*
    receipt.scope, -- what was asked about: an org, a workspace, app/resource, a file, or 'all'
    receipt.granularity, -- hourly, daily or monthly
    calendar.bucket_start, -- first instant of the bucket, UTC
    calendar.bucket_end, -- first instant of the next bucket, UTC
    receipt.load_id, -- the load whose rows count for this bucket
    receipt.asked_at -- when it asked
from raw.loads as receipt
inner join staging.stg_calendar__buckets as calendar
    on receipt.granularity = calendar.granularity
    and calendar.bucket_start >= receipt.window_start
    and calendar.bucket_start < receipt.window_end
where receipt.complete
qualify row_number() over (
    partition by receipt.resource, receipt.scope, receipt.granularity, calendar.bucket_start
    order by receipt.asked_at desc, receipt.load_id desc
) = 1
