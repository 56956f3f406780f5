-- One row per scope and bucket that a vendor was asked about: the latest complete receipt that
-- covers it. A bucket that is not here is unknown, never zero.
-- (Stored: a dozen models look it up, some of all time, and of seven answers for an hour one counts.)
-- grain: resource, scope, granularity, bucket_start
-- window: bucket_start
-- materialized: table
select
    ask.source, ask.resource, ask.scope, ask.granularity, ask.bucket_start, ask.bucket_end,
    ask.asked_at, ask.is_settled
from staging.stg_loads__asks as ask
qualify row_number() over (
    partition by ask.resource, ask.scope, ask.granularity, ask.bucket_start
    order by ask.ask_number desc nulls last, ask.asked_at desc, ask.landed_at desc
) = 1
