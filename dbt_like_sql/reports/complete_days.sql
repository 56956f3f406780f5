-- Since when marts.usage_daily is complete, per source: the first UTC day from which on every scope is
-- known by the hour or by the day, up to its last one. Earlier days may be missing, or known only
-- within their month (marts.usage_monthly has both). What is exported is complete where it was exported.
-- grain: source
with served as (
    select
        resolution.resource, resolution.scope, resolution.period_start,
        row_number() over (
            partition by resolution.resource, resolution.scope order by resolution.period_start desc
        ) as place,
        max(resolution.period_start) over (
            partition by resolution.resource, resolution.scope
        ) as last_start
    from intermediate.int_resolution as resolution
    anti join staging.stg_loads__ends as ended
        on resolution.resource = ended.resource and resolution.scope = ended.scope
    where resolution.served_by <> 'monthly'
),

-- the days that follow each other up to the last
unbroken as (
    select served.resource, served.scope, min(served.period_start) as since
    from served
    where date_diff('day', served.period_start, served.last_start) = served.place - 1
    group by served.resource, served.scope
)

select
    retention.source, -- vendor API family
    cast(max(unbroken.since) as date) as complete_since_date, -- UTC day
    cast(count(distinct concat(unbroken.resource, unbroken.scope)) as bigint)
        as scope_count -- what is asked about
from unbroken
inner join (
    -- a running total is kept for a day, and the next one has what it missed
    select distinct listed.source, listed.resource from seeds.retention as listed
    where listed.kept_hours > 24
) as retention on unbroken.resource = retention.resource
group by retention.source
