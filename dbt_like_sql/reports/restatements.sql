-- One row per correction: a vendor said one thing of a bucket that had settled, and later another.
-- Facts hold the later one. A null quantity: the row was not there (withdrawn, or new).
-- grain: source, resource, org_id, project_id, branch_id, site_id, meter, unit, granularity, period_start, observed_at
-- window: period_start
with asks as (
    -- every ask of a bucket after it had settled, where there was more than one
    select
        ask.*,
        count(*) over (
            partition by ask.resource, ask.scope, ask.granularity, ask.bucket_start
        ) as ask_count
    from staging.stg_loads__asks as ask
    inner join seeds.retention as retention
        on ask.source = retention.source
        and ask.resource = retention.resource
        and ask.granularity = retention.granularity
    where ask.asked_at >= ask.bucket_end + retention.settles_minutes * interval '1' minute
    qualify ask_count > 1
),

-- what was not the same, or not there, in every ask
changed as (
    select
        told.thing_key, told.resource, told.scope, told.org_id, told.project_id,
        told.branch_id, told.site_id, told.meter, told.unit, told.granularity,
        told.bucket_start
    from staging.stg_loads__usage as told
    inner join asks
        on told.resource = asks.resource
        and told.scope = asks.scope
        and told.granularity = asks.granularity
        and told.bucket_start = asks.bucket_start
        and told.load_id = asks.load_id
    group by
        told.thing_key, told.resource, told.scope, told.org_id, told.project_id,
        told.branch_id, told.site_id, told.meter, told.unit, told.granularity,
        told.bucket_start
    having min(told.quantity) <> max(told.quantity) or count(*) < max(asks.ask_count)
),

said as (
    select
        asks.source,
        changed.*,
        asks.asked_at,
        told.quantity,
        lag(told.quantity) over same_thing as quantity_before,
        lag(asks.asked_at) over same_thing as asked_before_at
    from changed
    inner join asks
        on changed.resource = asks.resource
        and changed.scope = asks.scope
        and changed.granularity = asks.granularity
        and changed.bucket_start = asks.bucket_start
    left join staging.stg_loads__usage as told
        on changed.thing_key = told.thing_key
        and changed.bucket_start = told.bucket_start
        and asks.load_id = told.load_id
    window same_thing as (
        partition by changed.thing_key, changed.bucket_start order by asks.asked_at
    )
)

select
    said.source,
    said.resource,
    said.org_id,
    said.project_id,
    said.branch_id,
    said.site_id,
    said.meter,
    said.unit,
    said.granularity,
    said.bucket_start as period_start, -- first instant, UTC
    said.quantity_before, -- what the vendor said first; null: nothing
    said.quantity as quantity_after, -- what it said then; null: nothing
    said.asked_before_at, -- when it said the first
    said.asked_at as observed_at -- when it said the second
from said
where said.asked_before_at is not null
    and said.quantity is distinct from said.quantity_before
