-- One row per scope and bucket that a vendor was asked about: the latest complete receipt that
-- covers it. A bucket that is not here is unknown, never zero.
-- grain: resource, scope, granularity, bucket_start
-- window: bucket_start
select
    ask.source, -- vendor API family
    ask.resource, -- the table in raw.*
    ask.scope, -- what was asked about: an org, a workspace, app/resource, a file, or 'all'
    ask.granularity, -- hourly, daily or monthly
    ask.bucket_start, -- first instant of the bucket, UTC
    ask.bucket_end, -- first instant of the next bucket, UTC
    ask.load_id, -- the load whose rows count for this bucket
    ask.asked_at -- when it asked
from staging.stg_loads__asks as ask
qualify row_number() over (
    partition by ask.resource, ask.scope, ask.granularity, ask.bucket_start
    order by ask.asked_at desc, ask.load_id desc
) = 1
