-- One row per organization or account of it, meter, UTC day on which the meters API was read, and
-- billing cycle, of which two meet on the day of a renewal: a running total since the cycle began, the
-- last one that was read on that day.
-- grain: org_id, meter, user_id, day_start, cycle_start
select
    lower(reading.org_id) as org_id, -- Atlassian organization, in small letters
    reading.usage_type as meter, -- what was used, in our contract's words: rovo_credits, ...
    reading.unit, -- of the quantity
    cast(lower(reading.account_id) as varchar) as user_id, -- account; null: the whole organization
    reading.bucket_start as day_start, -- UTC day on which it was read
    reading.read_at, -- up to when it tells
    cast(reading.used as decimal(38, 9)) as quantity, -- used since the cycle began
    reading.limit_quantity, -- the cap that an admin set
    reading.allowance_quantity, -- what is included in the cycle
    reading.pay_as_you_go, -- what is used beyond it: the setting in the vendor's words; null: not told
    reading.cycle_start, -- when the allowance renewed, as this reading says
    reading.cycle_end, -- and when it renews next
    reading.load_id -- the load that landed it
from raw.platform_readings as reading
inner join staging.stg_loads__buckets as bucket
    on reading.scope = bucket.scope and reading.bucket_start = bucket.bucket_start
where bucket.resource = 'platform_readings'
qualify not reading.is_withdrawn and row_number() over (
    partition by
        reading.scope, reading.usage_type, reading.account_id, reading.bucket_start,
        reading.cycle_start
    order by reading.landed_at desc
) = 1
