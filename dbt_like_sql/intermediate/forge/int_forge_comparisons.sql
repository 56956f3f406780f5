-- One row per Forge app, resource, unit and UTC day that was also asked by environment: the app's total
-- beside the sum of its environments. Settled days only.
-- grain: app_id, meter, unit, period_start
-- window: period_start
with settled as (
    select usage.*
    from staging.stg_forge__usage as usage
    inner join seeds.retention as retention
        on usage.resource = retention.resource and retention.granularity = 'daily'
    where usage.observed_at
        >= usage.bucket_end + retention.settles_minutes * interval '1' minute
)

select
    cast('environments' as varchar) as comparison, -- what is compared with the facts
    total.app_id, -- Forge app
    total.meter, -- Atlassian's name of the resource
    total.unit, -- Atlassian's unit
    total.bucket_start as period_start, -- UTC day
    total.quantity as fact_quantity, -- the app's total
    cast(sum(part.quantity) as decimal(38, 9)) as other_quantity -- its environments added up
from settled as total
inner join settled as part
    on total.scope = part.scope and total.unit = part.unit
    and total.bucket_start = part.bucket_start
where total.resource = 'forge_app_usage' and part.resource = 'forge_environment_usage'
group by total.app_id, total.meter, total.unit, total.bucket_start, total.quantity
