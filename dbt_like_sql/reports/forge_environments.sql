-- One row per Forge app, environment, resource, unit and UTC day. What the app's total has over its
-- environments is one row without one, so that the sum is the total. All environments are billed.
-- grain: app_id, environment_id, meter, unit, period_start
-- window: period_start
with parts as (
    select
        usage.app_id, usage.environment_id, usage.meter, usage.unit, usage.bucket_start,
        usage.quantity
    from staging.stg_forge__environment_usage as usage
    where usage.environment_id <> ''
),

whole as (
    select usage.app_id, usage.meter, usage.unit, usage.bucket_start, usage.quantity
    from staging.stg_forge__app_usage as usage
    union all
    select parts.app_id, parts.meter, parts.unit, parts.bucket_start, -parts.quantity
    from parts
),

rows_of_both as (
    select
        parts.app_id, parts.environment_id, parts.meter, parts.unit, parts.bucket_start,
        parts.quantity
    from parts
    union all
    select
        whole.app_id, cast(null as varchar), whole.meter, whole.unit, whole.bucket_start,
        sum(whole.quantity)
    from whole
    group by whole.app_id, whole.meter, whole.unit, whole.bucket_start
    having sum(whole.quantity) <> 0 or count(*) = 1
)

select
    rows_of_both.app_id, -- Forge app
    rows_of_both.environment_id, -- Forge environment; null: what none accounts for
    rows_of_both.meter, -- Atlassian's name of the resource
    rows_of_both.unit, -- Atlassian's unit
    rows_of_both.bucket_start as period_start, -- UTC day
    held.bucket_end as period_end, -- first instant of the next day, UTC
    cast(rows_of_both.quantity as decimal(38, 9)) as quantity, -- as Atlassian reports it
    held.asked_at as observed_at -- when the app's total was last asked
from rows_of_both
inner join staging.stg_loads__buckets as held
    on held.resource = 'forge_app_usage'
    and held.granularity = 'daily'
    and rows_of_both.app_id || '/' || rows_of_both.meter = held.scope
    and rows_of_both.bucket_start = held.bucket_start
