-- One row per scope and bucket that a vendor was asked about: when it was last asked.
-- grain: resource, scope, granularity, bucket_start
-- window: bucket_start
select
    bucket.source,
    bucket.resource,
    bucket.scope,
    bucket.granularity,
    bucket.bucket_start,
    bucket.bucket_end,
    bucket.load_id,
    bucket.asked_at
from staging.stg_loads__buckets as bucket
