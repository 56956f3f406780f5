-- One row per scope and bucket that a vendor was asked about: when it was last asked.
-- grain: resource, scope, granularity, bucket_start
-- window: bucket_start
select
    bucket.source, -- vendor API family
    bucket.resource, -- the table in raw.*
    bucket.scope, -- what was asked about: an org id
    bucket.granularity, -- hourly, daily or monthly
    bucket.bucket_start, -- first instant of the bucket, UTC
    bucket.bucket_end, -- first instant of the next bucket, UTC
    bucket.load_id, -- the load whose rows count for this bucket
    bucket.asked_at -- when it asked
from staging.stg_loads__buckets as bucket
