-- One row per complete receipt and bucket that lies within its window from start to end: what a vendor
-- was really asked for. Older receipts may end inside a bucket; what they say of it counts for nothing.
-- (Stored: a dozen models look up what was asked about a few days, and to work that out takes as long as
-- there are receipts, whichever days are wanted.)
-- grain: landed_at, bucket_start
-- window: bucket_start
-- materialized: table
with numbers as (
    -- receipts meet days first: a join of all hours by range alone takes seconds
    select row_number() over (order by day.date) - 1 as days_later
    from seeds.calendar_days as day
),

days as (
    select
        loads.source, loads.resource, loads.scope, loads.granularity, loads.window_start,
        loads.window_end, loads.landed_at, loads.asked_at, loads.ask_number,
        date_trunc('day', loads.window_start) + numbers.days_later * interval '1' day as day_start
    from raw.loads as loads
    inner join numbers
        on date_diff('day', loads.window_start, loads.window_end) >= numbers.days_later
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
    receipt.ask_number -- its place in the order of asking; null: before there was one
from days as receipt
inner join staging.stg_calendar__buckets as calendar
    on receipt.granularity = calendar.granularity
    and receipt.day_start = calendar.day_start
    and calendar.bucket_start >= receipt.window_start
    and calendar.bucket_end <= receipt.window_end
