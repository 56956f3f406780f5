-- One row per Forge app, environment, resource, unit and UTC day. What the app's total has over its
-- environments is one row without one, so that the sum is the total. All environments are billed.
-- grain: app_id, environment_id, meter, unit, period_start
-- window: period_start
with reported as (
    select usage.*
    from staging.stg_forge__usage as usage
    where usage.resource = 'forge_app_usage'
        or (usage.resource = 'forge_environment_usage' and usage.environment_id is not null)
),

-- each row counts for what it names, and an environment is taken off the app's total
entries as (
    select
        reported.scope, reported.app_id, reported.environment_id, reported.meter,
        reported.unit, reported.bucket_start, reported.quantity
    from reported
    union all
    select
        reported.scope, reported.app_id, cast(null as varchar), reported.meter, reported.unit,
        reported.bucket_start, -reported.quantity
    from reported
    where reported.environment_id is not null
)

select
    entries.app_id, -- Forge app
    entries.environment_id, -- Forge environment; null: what none accounts for
    entries.meter,
    entries.unit,
    totals.bucket_start as period_start, -- UTC day
    totals.bucket_end as period_end, -- first instant of the next day, UTC
    cast(sum(entries.quantity) as decimal(38, 9)) as quantity, -- as Atlassian reports it
    totals.asked_at as observed_at -- when the app's total was last asked
from entries
inner join staging.stg_loads__buckets as totals
    on entries.scope = totals.scope
    and entries.bucket_start = totals.bucket_start
where totals.resource = 'forge_app_usage' and totals.granularity = 'daily'
group by
    entries.app_id, entries.environment_id, entries.meter, entries.unit, totals.bucket_start,
    totals.bucket_end, totals.asked_at
having sum(entries.quantity) <> 0 or count(*) = 1
