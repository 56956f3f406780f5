-- One row per Forge app, resource, unit and settled UTC day that was asked both whole and in parts: the
-- app's total beside its environments, and its sites beside the same sites within environments. A day
-- of which no part was answered has parts of zero: its receipt says that they were asked.
-- grain: comparison, app_id, meter, unit, period_start
-- window: period_start
with comparisons (comparison, whole, parts) as (
    values ('environments', 'forge_app_usage', 'forge_environment_usage'),
    ('environments of sites', 'forge_site_usage', 'forge_site_environment_usage')
),

told as (
    select
        usage.resource, usage.scope, usage.app_id, usage.meter, usage.unit, usage.bucket_start,
        sum(usage.quantity) as quantity
    from staging.stg_forge__usage as usage
    -- what no site accounts for is in no site within environments either
    where usage.resource = 'forge_app_usage' or usage.resource = 'forge_environment_usage'
        or usage.site_id is not null
    group by usage.resource, usage.scope, usage.app_id, usage.meter, usage.unit, usage.bucket_start
)

select
    cast(comparisons.comparison as varchar) as comparison, -- what is compared with the facts
    whole.app_id, -- Forge app
    whole.meter, whole.unit, whole.bucket_start as period_start,
    cast(whole.quantity as decimal(38, 9)) as fact_quantity, -- of the app, or of its sites
    cast(coalesce(parts.quantity, 0) as decimal(38, 9)) as other_quantity -- the parts added up
from comparisons
inner join told as whole on comparisons.whole = whole.resource
inner join staging.stg_loads__buckets as whole_asked
    on whole.resource = whole_asked.resource and whole.scope = whole_asked.scope
    and whole.bucket_start = whole_asked.bucket_start
inner join staging.stg_loads__buckets as parts_asked
    on comparisons.parts = parts_asked.resource and whole.scope = parts_asked.scope
    and whole.bucket_start = parts_asked.bucket_start
left join told as parts
    on comparisons.parts = parts.resource and whole.scope = parts.scope
    and whole.unit = parts.unit and whole.bucket_start = parts.bucket_start
where whole_asked.granularity = 'daily' and whole_asked.is_settled
    and parts_asked.granularity = 'daily' and parts_asked.is_settled
