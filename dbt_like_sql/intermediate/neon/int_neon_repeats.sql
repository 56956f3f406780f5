-- One row per Neon project, metric and bucket of which two billing periods tell the same: equal values
-- of timeframes that overlap. The facts add up all that the periods of a bucket tell. That is right
-- where a plan change split the bucket, and counts twice what Neon told twice; only Neon knows which.
-- grain: org_id, project_id, meter, granularity, period_start
-- window: period_start
with shared as (
    select
        usage.*,
        sum(usage.quantity) over same_bucket as bucket_quantity,
        extract(epoch from usage.timeframe_end) - extract(epoch from usage.timeframe_start)
            as frame_seconds,
        extract(epoch from least(usage.timeframe_end, usage.billing_period_end))
        - extract(epoch from greatest(usage.timeframe_start, usage.billing_period_start))
            as own_seconds
    from staging.stg_neon__usage as usage
    where usage.resource = 'neon_project_usage' and usage.quantity <> 0
    qualify min(usage.period_id) over same_bucket <> max(usage.period_id) over same_bucket
    window same_bucket as (
        partition by
            usage.org_id, usage.project_id, usage.meter, usage.granularity, usage.bucket_start
    )
),

repeats as (
    select
        later.org_id, later.project_id, later.meter, later.granularity, later.bucket_start,
        later.period_id, later.timeframe_start, later.quantity, later.bucket_quantity,
        -- periods that meet in the middle of the bucket have equal parts of it, to a unit
        bool_and(
            earlier.own_seconds + later.own_seconds
            <= greatest(earlier.frame_seconds, later.frame_seconds)
            and later.quantity * abs(earlier.own_seconds - later.own_seconds)
            <= earlier.own_seconds + later.own_seconds
        ) as is_a_share
    from shared as later
    inner join shared as earlier
        on later.org_id = earlier.org_id and later.project_id = earlier.project_id
        and later.meter = earlier.meter and later.granularity = earlier.granularity
        and later.bucket_start = earlier.bucket_start and later.period_id > earlier.period_id
        and later.quantity = earlier.quantity and later.timeframe_start < earlier.timeframe_end
        and later.timeframe_end > earlier.timeframe_start
    group by
        later.org_id, later.project_id, later.meter, later.granularity, later.bucket_start,
        later.period_id, later.timeframe_start, later.quantity, later.bucket_quantity
)

select
    repeats.org_id,
    repeats.project_id, -- Neon project
    repeats.meter, repeats.granularity,
    repeats.bucket_start as period_start, -- first instant of the bucket, UTC
    cast(max(repeats.bucket_quantity) as decimal(38, 9)) as quantity, -- all periods added up
    cast(max(repeats.bucket_quantity) - sum(repeats.quantity) as decimal(38, 9))
        as quantity_told_once, -- less what another period told too
    cast(bool_and(repeats.is_a_share) as boolean)
        as is_shared -- true: the periods have equal parts of the bucket, and the sum is right
from repeats
group by
    repeats.org_id, repeats.project_id, repeats.meter, repeats.granularity, repeats.bucket_start
