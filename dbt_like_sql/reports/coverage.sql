-- One row per resource, scope, granularity and unbroken span of buckets in one state, from the first
-- bucket ever held until now: what is held, what is missing, and until when the vendor still has it.
-- Held: asked after the bucket had settled. Provisional: asked before that, so it has to be asked
-- again. Missing: not asked, still within the vendor's reach. Lost: not asked, out of reach (a
-- coarser granularity may still cover it). Open: still filling. Ended: it can no longer be asked, for
-- what it is about is gone, or no longer named in the settings; what was held of it stays.
-- grain: source, resource, scope, granularity, span_start
-- check: not is_at_risk
with scopes as (
    select
        bucket.source, bucket.resource, bucket.scope, bucket.granularity,
        min(bucket.bucket_start) as first_bucket_start,
        retention.kept_hours * interval '1' hour as kept_for,
        retention.settles_minutes * interval '1' minute as settles_after, retention.warn_hours
    from staging.stg_loads__buckets as bucket
    inner join seeds.retention as retention
        on bucket.source = retention.source and bucket.resource = retention.resource
        and bucket.granularity = retention.granularity
    group by
        bucket.source, bucket.resource, bucket.scope, bucket.granularity, retention.kept_hours,
        retention.settles_minutes, retention.warn_hours
),

buckets as (
    select
        scopes.*, calendar.bucket_start, calendar.bucket_end, held.asked_at,
        calendar.bucket_start + scopes.kept_for as lost_at,
        case
            when held.is_settled then 'held'
            when ended.ended_at < calendar.bucket_start + scopes.kept_for then 'ended'
            when calendar.bucket_end + scopes.settles_after > current_timestamp then 'open'
            when held.asked_at is not null then 'provisional'
            when calendar.bucket_start + scopes.kept_for < current_timestamp then 'lost'
            else 'missing'
        end as state
    from scopes
    inner join staging.stg_calendar__buckets as calendar
        on scopes.granularity = calendar.granularity
        and calendar.bucket_start >= scopes.first_bucket_start
        and calendar.bucket_start < current_timestamp
    left join staging.stg_loads__ends as ended
        on scopes.resource = ended.resource and scopes.scope = ended.scope
    left join staging.stg_loads__buckets as held
        on scopes.resource = held.resource and scopes.scope = held.scope
        and scopes.granularity = held.granularity
        and calendar.bucket_start = held.bucket_start
),

-- both numbers go up by one with each bucket, until the state is another
numbered as (
    select
        buckets.*,
        row_number() over (
            partition by buckets.resource, buckets.scope, buckets.granularity
            order by buckets.bucket_start
        ) - row_number() over (
            partition by buckets.resource, buckets.scope, buckets.granularity, buckets.state
            order by buckets.bucket_start
        ) as island
    from buckets
)

select
    numbered.source,
    numbered.resource,
    numbered.scope,
    numbered.granularity,
    cast(numbered.state as varchar) as state, -- held, provisional, missing, lost, open or ended
    min(numbered.bucket_start) as span_start, -- first instant of the span, UTC
    max(numbered.bucket_end) as span_end, -- first instant after the span, UTC
    cast(count(*) as bigint) as bucket_count, -- buckets in the span
    max(numbered.asked_at) as last_asked_at, -- latest time any of it was asked, UTC
    max(case when numbered.asked_at is not null
        then least(numbered.bucket_end, numbered.asked_at) end)
        as told_until, -- up to when any answer tells of it, UTC; null: it was not asked
    min(numbered.lost_at) as lost_at, -- when its first bucket leaves the vendor's reach, UTC
    cast(
        numbered.state in ('missing', 'provisional')
        and min(numbered.lost_at) > current_timestamp
        and min(numbered.lost_at)
        < current_timestamp + min(numbered.warn_hours) * interval '1' hour
        as boolean
    ) as is_at_risk -- true: `meterhouse load --gaps` before lost_at, or the hole stays
from numbered
group by
    numbered.source, numbered.resource, numbered.scope, numbered.granularity, numbered.state,
    numbered.island
