-- Since when marts.usage_daily is complete, per source: the first UTC day from which on every scope is
-- known by all hours or by the day, up to its last settled one. Earlier days may be missing, or known only
-- within their month (marts.usage_monthly has both). What is exported is complete where it was exported.
-- grain: source
with settled as (
    select
        day.resource, day.scope, day.day_start,
        row_number() over (
            partition by day.resource, day.scope order by day.day_start desc
        ) as place,
        max(day.day_start) over (partition by day.resource, day.scope) as last_start
    from intermediate.int_days_known as day
    anti join staging.stg_loads__ends as ended
        on day.resource = ended.resource and day.scope = ended.scope
    -- a day of which some hours were never asked is not
    where day.is_settled
),

-- the days that follow each other up to the last
unbroken as (
    select settled.resource, settled.scope, min(settled.day_start) as since
    from settled
    where date_diff('day', settled.day_start, settled.last_start) = settled.place - 1
    group by settled.resource, settled.scope
)

select
    retention.source, -- vendor API family
    cast(max(unbroken.since) as date) as complete_since_date, -- UTC day
    cast(count(distinct unbroken.scope) as bigint)
        as scope_count -- things asked about: orgs, repositories, app/resource
from unbroken
inner join (
    -- a running total is kept for a day, and the next one has what it missed
    select distinct listed.source, listed.resource from seeds.retention as listed
    where listed.kept_hours > 24
) as retention on unbroken.resource = retention.resource
group by retention.source
