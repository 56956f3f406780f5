-- One row per correction: a vendor said one thing of a bucket that had settled, and later another.
-- Facts hold the later one. A null quantity: the row was not there (withdrawn, or new).
-- grain: source, resource, org_id, project_id, branch_id, meter, granularity, period_start, observed_at
-- window: period_start
-- every ask of a bucket after it had settled, where there was more than one
with asks as (
    select
        receipt.source,
        receipt.resource,
        receipt.scope,
        receipt.granularity,
        receipt.load_id,
        receipt.asked_at,
        calendar.bucket_start
    from staging.stg_loads__receipts as receipt
    inner join staging.stg_calendar__buckets as calendar
        on receipt.granularity = calendar.granularity
        and calendar.bucket_start >= receipt.window_start
        and calendar.bucket_start < receipt.window_end
    inner join seeds.retention as retention
        on receipt.source = retention.source
        and receipt.resource = retention.resource
        and receipt.granularity = retention.granularity
    where receipt.is_complete
        and receipt.asked_at
        >= calendar.bucket_end + retention.settles_minutes * interval '1' minute
    qualify count(*) over (
        partition by
            receipt.resource, receipt.scope, receipt.granularity, calendar.bucket_start
    ) > 1
),

things as (
    select distinct
        usage.resource, usage.org_id, usage.project_id, usage.branch_id, usage.meter,
        usage.granularity, usage.bucket_start
    from staging.stg_neon__observed_usage as usage
    semi join asks
        on usage.resource = asks.resource
        and usage.org_id = asks.scope
        and usage.granularity = asks.granularity
        and usage.bucket_start = asks.bucket_start
),

said as (
    select
        asks.source,
        things.*,
        asks.asked_at,
        usage.quantity,
        lag(usage.quantity) over same_thing as quantity_before,
        lag(asks.asked_at) over same_thing as asked_before_at
    from things
    inner join asks
        on things.resource = asks.resource
        and things.org_id = asks.scope
        and things.granularity = asks.granularity
        and things.bucket_start = asks.bucket_start
    left join staging.stg_neon__observed_usage as usage
        on things.resource = usage.resource
        and things.project_id = usage.project_id
        and things.branch_id is not distinct from usage.branch_id
        and things.meter = usage.meter
        and things.granularity = usage.granularity
        and things.bucket_start = usage.bucket_start
        and asks.load_id = usage.load_id
    window same_thing as (
        partition by
            things.resource, things.org_id, things.project_id, things.branch_id, things.meter,
            things.granularity, things.bucket_start
        order by asks.asked_at
    )
)

select
    said.source, -- vendor API family
    said.resource, -- the table in raw.*
    said.org_id, -- the vendor's organization
    said.project_id, -- the vendor's project
    said.branch_id, -- Neon branch; null for project totals
    said.meter, -- the vendor's name of what is metered
    said.granularity, -- hourly, daily or monthly
    said.bucket_start as period_start, -- first instant, UTC
    said.quantity_before, -- what the vendor said first; null: nothing
    said.quantity as quantity_after, -- what it said then; null: nothing
    said.asked_before_at, -- when it said the first
    said.asked_at as observed_at -- when it said the second
from said
where said.asked_before_at is not null
    and said.quantity is distinct from said.quantity_before
