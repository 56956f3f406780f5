-- One row per correction: a vendor said one thing of a bucket that had settled, and later another.
-- Facts hold the later one. A null quantity: the row was not there (withdrawn, or new).
-- grain: source, resource, org_id, project_id, branch_id, site_id, meter, unit, granularity, period_start, observed_at
-- window: period_start
with settled as (
    select
        ask.*,
        lag(ask.asked_at) over (
            partition by ask.resource, ask.scope, ask.granularity, ask.bucket_start
            order by ask.landed_at
        ) as asked_before_at
    from staging.stg_loads__asks as ask
    where ask.is_settled
),

corrections as (
    select distinct
        settled.source, told.thing_key, told.bucket_start, settled.landed_at,
        settled.asked_at, settled.asked_before_at
    from staging.stg_loads__usage as told
    inner join settled
        on told.resource = settled.resource and told.scope = settled.scope
        and told.granularity = settled.granularity and told.bucket_start = settled.bucket_start
        and told.landed_at = settled.landed_at
    where settled.asked_before_at is not null
),

-- what each part of the bucket said until then, and since then
said as (
    select
        correction.source, correction.asked_at, correction.asked_before_at, told.*,
        told.landed_at = max(told.landed_at) over same_part as is_after,
        told.landed_at = max(
            case when told.landed_at < correction.landed_at then told.landed_at end
        ) over same_part as is_before
    from corrections as correction
    inner join staging.stg_loads__usage as told
        on correction.thing_key = told.thing_key and correction.bucket_start = told.bucket_start
        and correction.landed_at >= told.landed_at
    window same_part as (
        partition by
            correction.thing_key, correction.bucket_start, correction.landed_at, told.part_key
    )
)

select
    said.source, said.resource, said.org_id, said.project_id, said.branch_id, said.site_id,
    said.meter, said.unit, said.granularity,
    said.bucket_start as period_start, -- first instant, UTC
    cast(sum(case when said.is_before then said.quantity end) as decimal(38, 9))
        as quantity_before, -- what the vendor said first; null: nothing
    cast(sum(case when said.is_after then said.quantity end) as decimal(38, 9))
        as quantity_after, -- what it said then; null: nothing
    said.asked_before_at, -- when it was last found so
    said.asked_at as observed_at -- when the vendor said the second
from said
group by
    said.source, said.resource, said.org_id, said.project_id, said.branch_id, said.site_id,
    said.meter, said.unit, said.granularity, said.bucket_start, said.asked_before_at, said.asked_at
-- a zero is left out or told, by turns: neither corrects the other
having coalesce(sum(case when said.is_before then said.quantity end), 0)
    <> coalesce(sum(case when said.is_after then said.quantity end), 0)
