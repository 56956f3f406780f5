-- One row per complete receipt and bucket that lies within its window from start to end: what a vendor
-- was really asked for. Older receipts may end inside a bucket; what they say of it counts for nothing.
-- grain: landed_at, bucket_start
-- window: bucket_start
with days as (
    -- receipts meet days first: a join of all hours by range alone takes seconds
    select calendar.day_start
    from staging.stg_calendar__buckets as calendar
    where calendar.granularity = 'daily'
),

receipts as (
    select loads.*, days.day_start
    from raw.loads as loads
    inner join days
        on days.day_start < loads.window_end
        and days.day_start + interval '1' day > loads.window_start
    where loads.complete
)

select
    receipt.source, -- vendor API family
    receipt.resource, -- the table in raw.*
    receipt.scope, -- what was asked about: an org, a workspace, app/resource, ...
    receipt.granularity, -- hourly, daily or monthly
    calendar.bucket_start, -- first instant of the bucket, UTC
    calendar.bucket_end, -- first instant of the next bucket, UTC
    receipt.landed_at, -- which rows of raw.* it told; what landed later counts
    receipt.asked_at, -- when it asked, by the clock of the machine
    receipt.ask_number, -- its place in the order of asking; null: before there was one
    cast(
        receipt.asked_at >= calendar.bucket_end + retention.settles_minutes * interval '1' minute
        as boolean
    ) as is_settled -- true: it asked when the bucket could not change any more
from receipts as receipt
inner join staging.stg_calendar__buckets as calendar
    on receipt.granularity = calendar.granularity and receipt.day_start = calendar.day_start
    and calendar.bucket_start >= receipt.window_start and calendar.bucket_end <= receipt.window_end
left join seeds.retention as retention
    on receipt.resource = retention.resource and receipt.granularity = retention.granularity
